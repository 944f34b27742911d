"""What several independent samples of a problem say together: majority vote, pass@k, mean@k.

Pure functions. pass@k is the unbiased estimator of Chen, M. et al. (2021), "Evaluating large language models trained
on code": with c of n samples right, ``1 - C(n - c, k) / C(n, k)``, the share of the sets of k samples that hold a
right one. The majority vote is the self-consistency of Wang, X. et al. (2022), with ties drawn.
"""

from __future__ import annotations

import math
import random
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from pydantic import BaseModel, ConfigDict

from hierarchical_reasoning.results.intervals import Accuracy, Estimate


@dataclass(frozen=True)
class Vote:
    """What a majority of samples answered."""

    winner: int
    """The first sample that gave the answer that won."""
    votes: int
    """For it."""
    cast: int
    """Samples that gave an answer."""
    tied: bool
    """Another answer had as many votes, and which one won was drawn."""


@dataclass(frozen=True, slots=True)
class Sampled:
    """One sample, as far as the numbers need it."""

    answer: str | None
    """As it was written; None where there was none."""
    ballot: str | None
    """The answer in a form that equal answers share."""
    is_correct: bool | None
    """None where nothing was graded."""
    has_truth: bool


class VotedAnswer(BaseModel):
    """The majority's answer to one problem."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    problem_id: str
    answer: str | None
    """As the first sample that gave it wrote it; None where no sample gave an answer."""
    votes: int
    cast: int
    """Samples that gave an answer."""
    tied: bool
    """Another answer had as many votes; which one won was drawn, by the seed and the problem's id."""
    is_correct: bool | None


class SamplingSummary(BaseModel):
    """Several samples a problem, in numbers. A sample that ended in an error counts as not solved."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    samples: int
    """A problem, as asked for."""
    mean_at_k: Estimate
    """Mean share of right samples, over the problems with a ground truth and all their samples."""
    pass_at_k: dict[int, Estimate]
    """By k, from 1 to `samples`, over the same problems: is one of k samples right?"""
    majority: Accuracy
    """Of the majority's answers, over the problems with a ground truth; with Wilson's interval."""
    ties: int
    """Problems on which the vote was tied, and drawn."""
    no_answer: int
    """Problems to which no sample gave an answer."""
    votes: tuple[VotedAnswer, ...]
    """One a problem."""


def pass_at_k(n: int, correct: int, k: int) -> float:
    """The share of the sets of `k` out of `n` samples in which one or more of the `correct` ones is.

    Raises ValueError unless 0 <= correct <= n and 1 <= k <= n.
    """
    if not 0 <= correct <= n or not 1 <= k <= n:
        raise ValueError(f"correct must lie in 0 to n and k in 1 to n, not n={n}, correct={correct}, k={k}")
    return 1 - math.comb(n - correct, k) / math.comb(n, k)


def majority_vote(ballots: Sequence[str | None], *, seed: str) -> Vote | None:
    """The answer that most samples gave; None where none gave one.

    Args:
        ballots: the answer of each sample, equal where equal; None for a sample without an answer.
        seed: draws among answers with equally many votes, whatever the order of the samples.
    """
    votes = Counter(ballot for ballot in ballots if ballot is not None)
    if not votes:
        return None
    most = max(votes.values())
    leading = sorted(ballot for ballot, count in votes.items() if count == most)
    won = random.Random(seed).choice(leading)
    return Vote(ballots.index(won), most, votes.total(), len(leading) > 1)


def summarize_samples(problems: dict[str, list[Sampled]], *, samples: int, seed: int) -> SamplingSummary:
    """The numbers of all problems.

    Args:
        problems: the samples by problem, in order; of a run that was stopped early, perhaps not all of them.
        samples: asked for.
        seed: of ties and intervals.
    """
    votes = [_voted(name, sampled, seed) for name, sampled in problems.items()]
    graded = {name for name, sampled in problems.items() if any(one.has_truth for one in sampled)}
    right = Counter(
        sum(one.is_correct is True for one in problems[name])
        for name in graded
        if len(problems[name]) == samples
    )
    by_majority = [vote.is_correct is True for vote in votes if vote.problem_id in graded]
    return SamplingSummary(
        samples=samples,
        mean_at_k=Estimate.of({(c, samples): count for c, count in right.items()}, seed),
        pass_at_k={k: Estimate.of(_passed(right, samples, k), seed) for k in range(1, samples + 1)},
        majority=Accuracy.of(sum(by_majority), len(by_majority)),
        ties=sum(vote.tied for vote in votes),
        no_answer=sum(vote.answer is None for vote in votes),
        votes=tuple(votes),
    )


def _passed(right: Counter[int], samples: int, k: int) -> Counter[tuple[float, float]]:
    passed: Counter[tuple[float, float]] = Counter()
    for correct, count in right.items():
        passed[pass_at_k(samples, correct, k), 1.0] += count
    return passed


def _voted(problem_id: str, sampled: Sequence[Sampled], seed: int) -> VotedAnswer:
    vote = majority_vote([one.ballot for one in sampled], seed=f"{seed}/{problem_id}")
    if vote is None:
        has_truth = any(one.has_truth for one in sampled)
        return VotedAnswer(
            problem_id=problem_id,
            answer=None,
            votes=0,
            cast=0,
            tied=False,
            is_correct=False if has_truth else None,
        )
    won = sampled[vote.winner]
    return VotedAnswer(
        problem_id=problem_id,
        answer=won.answer,
        votes=vote.votes,
        cast=vote.cast,
        tied=vote.tied,
        is_correct=won.is_correct,
    )
