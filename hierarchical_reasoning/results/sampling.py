"""What several independent samples of a problem say together: majority vote, pass@k, mean@k, and, where a value head
valued their answers, the best of them.

Pure functions. pass@k is the unbiased estimator of Chen, M. et al. (2021), "Evaluating large language models trained
on code": with c of n samples right, ``1 - C(n - c, k) / C(n, k)``, the share of the sets of k samples that hold a
right one. The majority vote is the self-consistency of Wang, X. et al. (2022), with ties drawn. The best of n samples
is the one that is valued most, as in Cobbe, K. et al. (2021), "Training verifiers to solve math word problems"; in the
weighted vote every sample votes with its value, as in Li, Y. et al. (2022), "Making language models better reasoners
with step-aware verifier".
"""

from __future__ import annotations

import math
import random
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
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
    value: float | None = None
    """What a value head expects of it; None where none was asked, or nothing came of the sample."""


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


class ValuedAnswer(BaseModel):
    """The answer to one problem that values chose."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    problem_id: str
    answer: str | None
    """As the first sample that gave it wrote it; None where no sample gave an answer."""
    value: float | None
    """Of the sample, or, in a vote, of all samples that gave the answer together; None where none was valued."""
    is_correct: bool | None


class ValuedSamples(BaseModel):
    """What a value head makes of several samples a problem."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    best: Accuracy
    """Of the answers valued most, the first of several; over the problems with a ground truth."""
    weighted: Accuracy
    """Of the answers whose samples have the highest values together; over the same."""
    best_answers: tuple[ValuedAnswer, ...]
    """One a problem."""
    weighted_answers: tuple[ValuedAnswer, ...]
    """One a problem."""
    not_valued: int = 0
    """Samples with an answer among which the head could not choose, since it could not value them."""


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
    valued: ValuedSamples | None = None
    """None where no value head was asked, or none of the samples could be valued."""


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
    won = _drawn_among(votes, seed=seed)
    tied = sum(count == votes[won] for count in votes.values()) > 1
    return Vote(ballots.index(won), votes[won], votes.total(), tied)


def _drawn_among(weights: Mapping[str, float], *, seed: str) -> str:
    """The heaviest; of several, one that is drawn by the seed, whatever their order."""
    most = max(weights.values())
    leading = sorted(ballot for ballot, weight in weights.items() if weight == most)
    return random.Random(seed).choice(leading)


def best_of(values: Sequence[float | None]) -> tuple[int, float] | None:
    """The place and the value of the highest, the first of several; None where there is none.

    Args:
        values: of the samples, in their order; None for one that gave no answer, or was not valued.
    """
    known = [(at, value) for at, value in enumerate(values) if value is not None]
    return max(known, key=lambda pair: pair[1], default=None)


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
    return SamplingSummary(
        samples=samples,
        mean_at_k=Estimate.of({(c, samples): count for c, count in right.items()}, seed),
        pass_at_k={k: Estimate.of(_passed(right, samples, k), seed) for k in range(1, samples + 1)},
        majority=_accuracy(votes, graded),
        ties=sum(vote.tied for vote in votes),
        no_answer=sum(vote.answer is None for vote in votes),
        votes=tuple(votes),
        valued=_valued(problems, graded, seed),
    )


def _accuracy(answers: Sequence[VotedAnswer | ValuedAnswer], graded: Collection[str]) -> Accuracy:
    rights = [answer.is_correct is True for answer in answers if answer.problem_id in graded]
    return Accuracy.of(sum(rights), len(rights))


def _passed(right: Counter[int], samples: int, k: int) -> Counter[tuple[float, float]]:
    passed: Counter[tuple[float, float]] = Counter()
    for correct, count in right.items():
        passed[pass_at_k(samples, correct, k), 1.0] += count
    return passed


def _valued(
    problems: Mapping[str, Sequence[Sampled]], graded: Collection[str], seed: int
) -> ValuedSamples | None:
    if all(one.value is None for sampled in problems.values() for one in sampled):
        return None
    best = [_valued_answer(name, sampled, _best(sampled)) for name, sampled in problems.items()]
    weighted = [
        _valued_answer(name, sampled, _heaviest(sampled, f"{seed}/{name}"))
        for name, sampled in problems.items()
    ]
    return ValuedSamples(
        best=_accuracy(best, graded),
        weighted=_accuracy(weighted, graded),
        best_answers=tuple(best),
        weighted_answers=tuple(weighted),
        not_valued=sum(
            one.ballot is not None and one.value is None for sampled in problems.values() for one in sampled
        ),
    )


def _best(sampled: Sequence[Sampled]) -> tuple[Sampled, float] | None:
    """Of the samples that gave an answer, the one valued most, and its value."""
    chosen = best_of([None if one.ballot is None else one.value for one in sampled])
    return None if chosen is None else (sampled[chosen[0]], chosen[1])


def _heaviest(sampled: Sequence[Sampled], seed: str) -> tuple[Sampled, float] | None:
    """The first sample that gave the answer whose values add up to most, and what they add up to."""
    values: dict[str, list[float]] = {}
    for one in sampled:
        if one.ballot is not None and one.value is not None:
            values.setdefault(one.ballot, []).append(one.value)
    if not values:
        return None
    sums = {ballot: math.fsum(each) for ballot, each in values.items()}
    won = _drawn_among(sums, seed=seed)
    return next(one for one in sampled if one.ballot == won), sums[won]


def _valued_answer(
    problem_id: str, sampled: Sequence[Sampled], chosen: tuple[Sampled, float] | None
) -> ValuedAnswer:
    if chosen is None:
        wrong = False if any(one.has_truth for one in sampled) else None
        return ValuedAnswer(problem_id=problem_id, answer=None, value=None, is_correct=wrong)
    one, value = chosen
    return ValuedAnswer(problem_id=problem_id, answer=one.answer, value=value, is_correct=one.is_correct)


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
