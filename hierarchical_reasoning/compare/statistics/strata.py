"""The difference by category and by difficulty, and whether it is the same in all of them. Exploratory.

The test of that takes the strata's names off the problems and deals them out again (Pitman, E. J. G. 1938,
"Significance tests which may be applied to samples from any populations: III. The analysis of variance test"); the
statistic is the sum over strata of n (mean difference)². Its hypothesis is that differences are *distributed* alike in
all strata, which is more than equal means: where nearly every problem is solved, arms also disagree less.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from fractions import Fraction
from statistics import quantiles
from typing import Literal

from hierarchical_reasoning.compare.statistics.differences import (
    Shares,
    differences_of,
    estimate_difference,
    oriented,
)
from hierarchical_reasoning.compare.statistics.inputs import ProblemFacts
from hierarchical_reasoning.compare.statistics.records import PValue, Stratification, Stratum

DRAWS = 9_999
MOST_NUMBERS = 6
"""Numbers of difficulty that are strata by themselves; more are cut at their quartiles."""
_SAME = 1e-9
"""Statistics that differ relatively by less are taken for ties."""

Groups = Mapping[str | None, Sequence[str]]
"""Ids of problems by stratum, in the order in which strata are shown; None: those that have no name, last."""


def stratify(
    shares: Mapping[str, Shares], problems: Mapping[str, ProblemFacts], *, samples: int, seed: int
) -> tuple[Stratification, ...]:
    """By category and by difficulty, each where the problems have two or more.

    Args:
        shares: by the problem's id.
        problems: all of the study, which decide where difficulties are cut.
        samples: a problem, at most.
        seed: of intervals and tests.
    """
    groupings: dict[Literal["category", "difficulty"], Groups] = {
        "category": _named({problem_id: facts.category for problem_id, facts in problems.items()}),
        "difficulty": difficulty_groups(problems),
    }
    found = []
    for by, groups in groupings.items():
        strata = {
            name: differences_of(Counter(shares[one] for one in ids if one in shares))
            for name, ids in groups.items()
        }
        strata = {name: inside for name, inside in strata.items() if inside}
        if len(strata) < 2:
            continue
        each = tuple(
            Stratum(name=name, difference=estimate_difference(inside, samples=samples, seed=seed))
            for name, inside in strata.items()
        )
        test = heterogeneity(list(strata.values()), seed=seed)
        found.append(Stratification(by=by, strata=each, heterogeneity=test))
    return tuple(found)


def difficulty_groups(problems: Mapping[str, ProblemFacts]) -> Groups:
    """By difficulty. Where all are numbers, and more than six, they are cut at their quartiles, and a stratum is named
    for the smallest and the largest in it."""
    known = {problem_id: facts.difficulty for problem_id, facts in problems.items()}
    numbers = {one: value for one, value in known.items() if isinstance(value, (int, float))}
    all_numbers = len(numbers) == sum(value is not None for value in known.values())
    if not all_numbers or not numbers:
        return _named({one: None if value is None else str(value) for one, value in known.items()})
    values = sorted(set(numbers.values()))
    cuts = values if len(values) <= MOST_NUMBERS else quantiles(numbers.values(), n=4, method="inclusive")
    by_bin: defaultdict[int, list[str]] = defaultdict(list)
    for one, value in numbers.items():
        by_bin[bisect_left(cuts, value)].append(one)
    groups: dict[str | None, Sequence[str]] = {}
    for _, ids in sorted(by_bin.items()):
        low, high = min(numbers[one] for one in ids), max(numbers[one] for one in ids)
        groups[f"{low:g}" if low == high else f"{low:g} to {high:g}"] = ids
    without = [one for one in known if one not in numbers]
    return {**groups, None: without} if without else groups


def _named(names: Mapping[str, str | None]) -> Groups:
    groups: defaultdict[str | None, list[str]] = defaultdict(list)
    for problem_id, name in names.items():
        groups[name].append(problem_id)
    return {name: groups[name] for name in sorted(groups, key=lambda name: (name is None, name))}


def heterogeneity(strata: Sequence[Mapping[Fraction, int]], *, seed: int) -> PValue:
    """Whether the strata, none of them empty, differ by more than names dealt out at random.

    Problems with the same difference are alike, so dealing out names is drawing a table of differences by strata with
    the sums of its rows and columns given.

    Args:
        strata: of each, how many problems have each difference.
        seed: of what is dealt out.
    """
    import numpy as np
    from scipy.stats import random_table

    sign, together = oriented(sum(map(Counter, strata), Counter[Fraction]()))
    observed_VS = np.array([[inside.get(sign * value, 0) for inside in strata] for value in together])
    of_stratum_S, of_value_V = observed_VS.sum(axis=0), observed_VS.sum(axis=1)
    drawn_RVS = random_table(of_value_V, of_stratum_S).rvs(
        size=DRAWS, random_state=np.random.default_rng(seed)
    )
    tables = np.concatenate([observed_VS[None], drawn_RVS])
    sums = np.einsum("v,rvs->rs", np.array([float(value) for value in together]), tables)
    statistics = (sums**2 / of_stratum_S).sum(axis=1)
    as_far = int((statistics >= statistics[0] * (1 - _SAME)).sum())
    n = int(of_stratum_S.sum())
    return PValue(test="Monte-Carlo permutation of strata", n=n, p=as_far / (1 + DRAWS), draws=DRAWS)
