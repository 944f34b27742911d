"""What a value head is good for, on problems that it has not seen."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TypeVar

from pydantic import BaseModel, ConfigDict

from hierarchical_reasoning.results.intervals import Accuracy
from hierarchical_reasoning.results.sampling import best_of, majority_vote
from hierarchical_reasoning.training.values.attempts import Attempt
from hierarchical_reasoning.values.calibration import Calibration

_Of = TypeVar("_Of")


class Measured(BaseModel):
    """On attempts at test problems."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    problems: int
    attempts: int
    right: int
    """Of the attempts."""
    auc: float | None
    """The chance that the answer of a right attempt is valued higher than that of a wrong one, of any two attempts;
    ties count half. None where all are right, or all wrong."""
    auc_within: float | None
    """The same of two attempts at one problem; None where no problem has both."""
    calibration: Calibration
    """Of the values of answers."""
    first: Accuracy
    """Of the first attempt at each problem that has several, as are the three that follow."""
    majority: Accuracy
    """Of the answer that most attempts gave."""
    best: Accuracy
    """Of the attempt whose answer is valued most."""
    any: Accuracy
    """Of a chooser who knows: one of the attempts is right."""

    @property
    def chose(self) -> bool:
        """Whether there was anything to choose from."""
        return self.best.n > 0


def measure(attempts: Sequence[Attempt], values: Sequence[float], *, seed: int) -> Measured:
    """
    Args:
        attempts: one or more.
        values: of their answers.
        seed: draws the winners of tied votes.
    """
    by_problem = _grouped([attempt.problem.text for attempt in attempts], attempts)
    values_of = _grouped([attempt.problem.text for attempt in attempts], values)
    several = [problem for problem, found in by_problem.items() if len(found) > 1]
    within = [
        _wins([each.is_correct for each in by_problem[problem]], values_of[problem]) for problem in by_problem
    ]
    rights = [attempt.is_correct for attempt in attempts]

    def chosen(right: Mapping[str, bool]) -> Accuracy:
        return Accuracy.of(sum(right.values()), len(right))

    return Measured(
        problems=len(by_problem),
        attempts=len(attempts),
        right=sum(rights),
        auc=_share(*_wins(rights, values)),
        auc_within=_share(sum(won for won, _ in within), sum(pairs for _, pairs in within)),
        calibration=Calibration.of(values, [float(right) for right in rights]),
        first=chosen({problem: by_problem[problem][0].is_correct for problem in several}),
        majority=chosen({problem: _majority(by_problem[problem], seed) for problem in several}),
        best=chosen({problem: _best(by_problem[problem], values_of[problem]) for problem in several}),
        any=chosen({problem: any(each.is_correct for each in by_problem[problem]) for problem in several}),
    )


def _grouped(problems: Sequence[str], of: Sequence[_Of]) -> dict[str, list[_Of]]:
    found: dict[str, list[_Of]] = {}
    for problem, each in zip(problems, of, strict=True):
        found.setdefault(problem, []).append(each)
    return found


def _majority(attempts: Sequence[Attempt], seed: int) -> bool:
    vote = majority_vote([attempt.answer for attempt in attempts], seed=f"{seed}/{attempts[0].problem.text}")
    return vote is not None and attempts[vote.winner].is_correct


def _best(attempts: Sequence[Attempt], values: Sequence[float]) -> bool:
    """Of the answer valued most; without any, nothing is right."""
    chosen = best_of(
        [None if attempt.answer is None else value for attempt, value in zip(attempts, values, strict=True)]
    )
    return chosen is not None and attempts[chosen[0]].is_correct


def _wins(rights: Sequence[bool], values: Sequence[float]) -> tuple[float, int]:
    """How many of the pairs of a right and a wrong one have the right one valued higher, ties half; and the pairs."""
    from scipy.stats import rankdata

    n_right = sum(rights)
    pairs = n_right * (len(rights) - n_right)
    if not pairs:
        return 0.0, 0
    ranks = rankdata(values)
    of_right = sum(float(rank) for rank, right in zip(ranks, rights, strict=True) if right)
    return of_right - n_right * (n_right + 1) / 2, pairs


def _share(won: float, pairs: int) -> float | None:
    return won / pairs if pairs else None
