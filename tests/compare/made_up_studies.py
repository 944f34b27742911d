"""Studies made up outcome by outcome."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from fractions import Fraction

from hierarchical_reasoning.compare.statistics import ArmOutcomes, ProblemFacts, Solved, StudyOutcomes
from hierarchical_reasoning.compare.statistics.differences import Shares, differences_of
from hierarchical_reasoning.outcomes import Outcome

LETTERS = {
    "+": Outcome.CORRECT,
    "-": Outcome.WRONG,
    "n": Outcome.NO_ANSWER,
    "t": Outcome.TRUNCATED,
    "e": Outcome.ERROR,
    ".": None,
}


def arm(name: str, problems: Sequence[str] | Mapping[str, str], *, twin: str | None = None) -> ArmOutcomes:
    """An arm of problems "p0", "p1", ... with a letter a sample, such as "+-e"."""
    named = problems if isinstance(problems, Mapping) else {f"p{i}": text for i, text in enumerate(problems)}
    solved = {
        problem_id: Solved(tuple(LETTERS[letter] for letter in text), tokens=100 + place, cost_usd=0.01)
        for place, (problem_id, text) in enumerate(named.items())
    }
    return ArmOutcomes(name, solved, twin=twin)


def study(*arms: ArmOutcomes, facts: Mapping[str, ProblemFacts] | None = None) -> StudyOutcomes:
    """The study of these arms, with the problems of all of them."""
    ids = dict.fromkeys(problem_id for one in arms for problem_id in one.problems)
    return StudyOutcomes(facts or dict.fromkeys(ids, ProblemFacts()), arms)


def differences(arm_right: Sequence[int], baseline_right: Sequence[int], samples: int) -> dict[Fraction, int]:
    """How many problems have each difference, of the right samples of each problem."""
    counts: dict[Shares, int] = {}
    for pair in zip(arm_right, baseline_right, strict=True):
        shares = Shares(pair, (samples, samples))
        counts[shares] = counts.get(shares, 0) + 1
    return differences_of(counts)
