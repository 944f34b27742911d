"""What is asked, and a file's worth of it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class Problem:
    """What is asked."""

    id: str
    text: str
    answer: str | tuple[str, ...] | None
    """The ground truth: one answer, several accepted ones, or None where the file gives none."""
    category: str | None
    fields: Mapping[str, Any]
    """The row as read; a game of 24 has `numbers` and `target` besides."""
    answer_field: str | None = None
    """The field that `answer` was taken from."""
    place: str = ""
    """Where it stands in its file, such as "line 7"."""

    @property
    def answers(self) -> tuple[str, ...]:
        """The accepted answers; empty where no ground truth was given."""
        if self.answer is None:
            return ()
        return (self.answer,) if isinstance(self.answer, str) else self.answer

    def without_truth(self) -> Problem:
        """The problem as it is asked, so that the truth cannot steer who works on it. Of its row, the field that the
        answer was read from is left out."""
        asked = {name: value for name, value in self.fields.items() if name != self.answer_field}
        return replace(self, answer=None, answer_field=None, fields=asked)


@dataclass(frozen=True)
class ProblemSet:
    """The problems of one file, as selected."""

    problems: tuple[Problem, ...]
    notes: tuple[str, ...]
    """What the user should know of how the file was read."""
    path: Path
    sha256: str
    """Of the file's bytes as they lie on disk."""
    of_category: Iterable[Problem]
    """All problems of the file, or of the category that was asked for, whichever of them are selected: read anew each
    time it is gone through."""
