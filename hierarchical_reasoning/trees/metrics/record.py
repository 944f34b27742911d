"""The metrics of trees as a record that adds up (spec/000, sections 2.2 and 9)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, fields
from typing import Any

from hierarchical_reasoning.wording import counted


@dataclass(frozen=True)
class Ratio:
    """A share or a mean whose parts add up."""

    above: float = 0.0
    below: float = 0.0

    def __add__(self, other: Ratio) -> Ratio:
        return Ratio(self.above + other.above, self.below + other.below)

    @property
    def value(self) -> float | None:
        """None where there is nothing to divide by."""
        return self.above / self.below if self.below else None


@dataclass(frozen=True)
class TreeMetrics:
    """Of one tree, or added up over many. What was pruned plays no part, where nothing else is said.

    An *answer* is a leaf that was graded, whether there is a ground truth or not, unless grading failed. With one it is
    right or wrong, and a tree is *solved* with a right answer, *failed* with wrong ones alone. The depth of an answer
    is the number of thoughts, or segments, on its path. An *inner* node has children besides answers, if only pruned
    ones.
    """

    trees: int = 0
    solved: Ratio = Ratio()
    """Solved trees, of those that are solved or failed."""
    pass_at_k: Mapping[int, Ratio] = field(default_factory=dict)
    """By k, over the trees with k or more answers that are right or wrong: is one of k of them right? (Chen, M. et al.
    2021, the unbiased estimator)"""
    all_at_k: Mapping[int, Ratio] = field(default_factory=dict)
    """Likewise: are all of k right? (Yao, S. et al. 2024) What robust solving looks like where the truth is known."""
    robustness: Ratio = Ratio()
    """Over the trees with two or more answers: the share of pairs of answers that agree (Elazar, Y. et al. 2021)."""
    node_reward: Ratio = Ratio()
    """Mean total reward of nodes that have scores, but the root."""
    path_reward: Ratio = Ratio()
    """Mean path reward of answers that have scores: what was backed up from them."""
    shallowest: Ratio = Ratio()
    """Over solved trees, the depth of the right answer that is the least deep."""
    right_depth: Ratio = Ratio()
    """Mean depth of right answers."""
    branching_solved: Ratio = Ratio()
    """Children, answers left out, of an inner node of a solved tree."""
    branching_failed: Ratio = Ratio()
    """And of a failed one."""
    pruned_solved: Ratio = Ratio()
    """Children that were pruned, of an inner node of a solved tree."""
    pruned_failed: Ratio = Ratio()
    """And of a failed one."""
    diversity: Ratio = Ratio()
    """Distinct-2 of siblings (Li, J. et al. 2016, "A diversity-promoting objective function"): of all bigrams that the
    children of a node say, how many are different, over nodes with two or more children; 1: no two are alike."""
    type_paths: Ratio = Ratio()
    """Different sequences of thought types that lead to an answer, of all answers of trees with thought types."""
    novelty: Ratio = Ratio()
    """Of the n-grams of a tree, those that no earlier one had (McCoy, R. T. et al. 2023, "How much do language models
    copy from their training data?", with earlier trees in the place of training data)."""

    def __add__(self, other: TreeMetrics) -> TreeMetrics:
        added = {
            each.name: _added(getattr(self, each.name), getattr(other, each.name)) for each in fields(self)
        }
        return TreeMetrics(**added)

    def figures(self) -> dict[str, float]:
        """All that there are, by name, for logs: such as ``diversity`` and ``pass_at_4``."""
        return {"trees": float(self.trees)} | {
            name: ratio.value for name, ratio in self._ratios() if ratio.value is not None
        }

    def in_words(self) -> str:
        """In one line; what does not exist is left out."""
        said = (f"{what} {text}" for what, text in figures_in_words(self.figures()))
        return "; ".join((counted(self.trees, "tree"), *said))

    def _ratios(self) -> Iterator[tuple[str, Ratio]]:
        for each in fields(self):
            value = getattr(self, each.name)
            if isinstance(value, Ratio):
                yield each.name, value
            elif isinstance(value, Mapping):
                for k, ratio in sorted(value.items()):
                    yield each.name.replace("_k", f"_{k}"), ratio


def figures_in_words(figures: Mapping[str, float]) -> list[tuple[str, str]]:
    """What each of `TreeMetrics.figures` is, but for the number of trees, and how it is written; likewise ``ece`` and
    ``brier`` of what a value head told of their thoughts."""
    at_k = {name: name.replace("_at_", "@") for name in figures if "_at_" in name}
    shares = {"solved": "solved", **at_k, **_SHARES}
    said = [(words, f"{100 * figures[name]:.1f} %") for name, words in shares.items() if name in figures]
    said += [(words, f"{figures[name]:.2f}") for name, words in _MEANS.items() if name in figures]
    return said + [(words, f"{figures[name]:.3f}") for name, words in _OF_VALUES.items() if name in figures]


_SHARES = {
    "robustness": "agreement of answers",
    "diversity": "diversity of siblings",
    "novelty": "novelty against trees before",
    "type_paths": "ways of thinking per answer",
}
_MEANS = {
    "node_reward": "reward of a node",
    "path_reward": "reward of a path",
    "right_depth": "depth of right answers",
    "shallowest": "depth of a tree's first right answer",
    "branching_solved": "branching where solved",
    "branching_failed": "branching where failed",
    "pruned_solved": "pruned children where solved",
    "pruned_failed": "pruned children where failed",
}
_OF_VALUES = {"ece": "ECE of values", "brier": "Brier score of values"}


def _added(own: Any, other: Any) -> Any:
    if isinstance(own, Mapping):
        return {k: own.get(k, Ratio()) + other.get(k, Ratio()) for k in sorted({*own, *other})}
    return own + other
