"""The majority's answer of several samples, as an entry like any other.

The vote is that of `results.sampling`: the most frequent answer wins, and a tie is drawn by seed and problem. An entry
has the text of the first sample that gave the winning answer, and what all samples took together. Samples that ended in
an error cast no vote; where all did, so did the vote.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import reduce

from hierarchical_reasoning.outcomes import Outcome
from hierarchical_reasoning.results.records import ResultEntry, RoleUsage
from hierarchical_reasoning.results.sampling import majority_vote
from hierarchical_reasoning.results.tally import add_usage


def voted(
    samples: Sequence[ResultEntry], *, number: int, seed: int, ballot: Callable[[str], str]
) -> ResultEntry:
    """The entry of a vote.

    Args:
        samples: that vote, one or more, all of one problem.
        number: of the vote, from 0; it is the entry's sample.
        seed: of the study.
        ballot: an answer in the form that equal answers share.
    """
    problem_id = samples[0].problem_id
    answers = [
        None if one.error is not None or one.extracted_answer is None else ballot(one.extracted_answer)
        for one in samples
    ]
    drawn_by = f"{seed}/{problem_id}" if number == 0 else f"{seed}/{problem_id}/{number}"
    vote = majority_vote(answers, seed=drawn_by)
    chosen = samples[vote.winner] if vote is not None else _without_answer(samples)
    if vote is None:
        said = f"none of {len(samples)} samples gave an answer"
    else:
        tied = ", after a tie that was drawn" if vote.tied else ""
        said = f"{vote.votes} of {vote.cast} answers among {len(samples)} samples{tied}"
    usage: dict[str, RoleUsage] = {}
    for one in samples:
        add_usage(usage, one.usage)
    errors = sum(one.error is not None for one in samples)
    notes = [f"majority vote: {said}", *([f"{errors} samples ended in an error"] if errors else [])]
    return chosen.model_copy(
        update={
            "sample": number,
            "usage": usage,
            "seconds": reduce(lambda total, one: total + one.seconds, samples, 0.0),
            "notes": (*notes, *chosen.notes),
        }
    )


def _without_answer(samples: Sequence[ResultEntry]) -> ResultEntry:
    """Where nothing is voted on: the first sample that was finished, or the first error where none was."""
    return next((one for one in samples if one.outcome is not Outcome.ERROR), samples[0])
