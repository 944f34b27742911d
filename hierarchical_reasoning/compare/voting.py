"""One answer of several samples, that of the majority or the one valued most, as an entry like any other.

The vote is that of `results.sampling`: the most frequent answer wins, and a tie is drawn by seed and problem. An entry
has the text of the first sample that gave the winning answer, and what all samples took together. Samples that ended in
an error cast no vote; where all did, so did the vote. A choice by value, that of `results.sampling` too, is the answer
valued most, and of several the first; samples without an answer, or that could not be valued, are not chosen. Where
nothing is chosen there is no answer.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import reduce

from hierarchical_reasoning.outcomes import Outcome
from hierarchical_reasoning.results.records import ResultEntry, RoleUsage
from hierarchical_reasoning.results.sampling import best_of, majority_vote
from hierarchical_reasoning.results.tally import add_usage
from hierarchical_reasoning.wording import counted


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
    if vote is None:
        return _together(
            samples, None, number, f"majority vote: none of {len(samples)} samples gave an answer"
        )
    tied = ", after a tie that was drawn" if vote.tied else ""
    said = f"majority vote: {vote.votes} of {vote.cast} answers among {len(samples)} samples{tied}"
    return _together(samples, samples[vote.winner], number, said)


def valued_most(samples: Sequence[ResultEntry], *, number: int) -> ResultEntry:
    """The entry of a choice by value; arguments as of `voted`."""
    values = [None if one.error is not None or one.extracted_answer is None else one.value for one in samples]
    best = best_of(values)
    if best is None:
        said = f"choice by value: none of {len(samples)} samples gave an answer that was valued"
        return _together(samples, _unanswered(samples), number, said)
    n_valued = sum(value is not None for value in values)
    said = f"choice by value: {best[1]:.3f}, the highest of {n_valued} values among {len(samples)} samples"
    return _together(samples, samples[best[0]], number, said)


def _together(
    samples: Sequence[ResultEntry], chosen: ResultEntry | None, number: int, said: str
) -> ResultEntry:
    """The chosen sample's entry, with what all took; None: that of the first which was finished."""
    shown = chosen or _without_answer(samples)
    usage: dict[str, RoleUsage] = {}
    for one in samples:
        add_usage(usage, one.usage)
    errors = sum(one.error is not None for one in samples)
    notes = [said, *([f"{counted(errors, 'sample')} ended in an error"] if errors else [])]
    return shown.model_copy(
        update={
            "sample": number,
            "usage": usage,
            "seconds": reduce(lambda total, one: total + one.seconds, samples, 0.0),
            "notes": (*notes, *shown.notes),
        }
    )


def _unanswered(samples: Sequence[ResultEntry]) -> ResultEntry:
    """The first sample that was finished, its answer left out."""
    first = _without_answer(samples)
    if first.extracted_answer is None:
        return first
    outcome = Outcome.UNGRADED if first.outcome is Outcome.UNGRADED else Outcome.NO_ANSWER
    return first.model_copy(
        update={
            "extracted_answer": None,
            "extracted_by": "",
            "outcome": outcome,
            "is_correct": outcome.is_correct,
            "reason": "no answer was chosen",
            "value": None,
        }
    )


def _without_answer(samples: Sequence[ResultEntry]) -> ResultEntry:
    """Where nothing is voted on: the first sample that was finished, or the first error where none was."""
    return next((one for one in samples if one.outcome is not Outcome.ERROR), samples[0])
