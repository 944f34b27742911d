"""How far two ways of grouping the same items agree."""

from collections.abc import Hashable, Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Agreement:
    """Of groups with classes, over the same items. All are 1 where the groups are the classes."""

    items: int
    ari: float
    """Rand index adjusted for chance (Hubert and Arabie 1985): 0 is what chance gives."""
    nmi: float
    """Mutual information over the arithmetic mean of the entropies. It equals the V-measure by definition;
    both are named, since readers look for either."""
    v_measure: float
    """Harmonic mean of the next two (Rosenberg and Hirschberg 2007)."""
    homogeneity: float
    """1 where each group holds items of one class."""
    completeness: float
    """1 where each class lies in one group."""
    purity: float
    """Share of items that are of their group's most frequent class; grows with the number of groups."""


def agreement(groups: Sequence[Hashable], classes: Sequence[Hashable]) -> Agreement:
    """Item by item; at least one item.

    Raises:
        ValueError: the lengths differ, or there is no item.
    """
    if len(groups) != len(classes) or not groups:
        raise ValueError(f"{len(groups)} groups for {len(classes)} classes, allowed are as many, 1 or more")
    from sklearn.metrics import (
        adjusted_rand_score,
        homogeneity_completeness_v_measure,
        normalized_mutual_info_score,
    )
    from sklearn.metrics.cluster import contingency_matrix

    found, wanted = _numbered(groups), _numbered(classes)
    homogeneity, completeness, v_measure = homogeneity_completeness_v_measure(wanted, found)
    table = contingency_matrix(wanted, found)
    return Agreement(
        items=len(found),
        ari=_rounded(adjusted_rand_score(wanted, found)),
        nmi=_rounded(normalized_mutual_info_score(wanted, found)),
        v_measure=_rounded(v_measure),
        homogeneity=_rounded(homogeneity),
        completeness=_rounded(completeness),
        purity=_rounded(table.max(axis=0).sum() / table.sum()),
    )


def _rounded(value: float) -> float:
    """Without the last bits of a sum, which would put a perfect score beside 1."""
    return round(float(value), 9)


def _numbered(groups: Sequence[Hashable]) -> list[int]:
    numbers: dict[Hashable, int] = {}
    return [numbers.setdefault(group, len(numbers)) for group in groups]
