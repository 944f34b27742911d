"""Problems without their ground truth: what a search works on, so that the truth cannot steer it."""

from __future__ import annotations

from dataclasses import replace

from hierarchical_reasoning.problems import Problem


def without_truth(problem: Problem) -> Problem:
    """The problem as it is asked. Of its row, the field that the answer was read from is left out."""
    asked = {name: value for name, value in problem.fields.items() if name != problem.answer_field}
    return replace(problem, answer=None, answer_field=None, fields=asked)
