"""The metrics of one tree, in linear time."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence

from hierarchical_reasoning.outcomes import Outcome
from hierarchical_reasoning.results.sampling import pass_at_k
from hierarchical_reasoning.trees.metrics.answers import agreement, all_at_k
from hierarchical_reasoning.trees.metrics.ngrams import SeenNgrams, distinct
from hierarchical_reasoning.trees.metrics.record import Ratio, TreeMetrics
from hierarchical_reasoning.trees.node import Node
from hierarchical_reasoning.trees.tree import ReasoningTree

KS = (1, 2, 4, 8, 16)
_BIGRAMS = 2


def tree_metrics(
    tree: ReasoningTree,
    *,
    ks: Sequence[int] = KS,
    seen: SeenNgrams | None = None,
    ballot: Callable[[str], str] = str,
) -> TreeMetrics:
    """
    Args:
        ks: of pass@k and all@k.
        seen: what novelty is against, and is not changed; None: no novelty.
        ballot: of an answer, the form that equal answers share (`Verifier.ballot`).
    """
    depths = _thoughts_above(tree)
    graded = {node: leaf for node in tree.leaves() if (leaf := tree.node(node).leaf) is not None}
    answers = {node: leaf for node, leaf in graded.items() if leaf.outcome is not Outcome.ERROR}
    n = sum(leaf.outcome is not Outcome.UNGRADED for leaf in answers.values())
    right = [depths[node] for node, leaf in answers.items() if leaf.outcome is Outcome.CORRECT]
    in_reach = [k for k in ks if k <= n]
    same = agreement(None if leaf.extracted is None else ballot(leaf.extracted) for leaf in answers.values())
    branching, pruned = _branching(tree)
    solved, failed = bool(right), n > 0 and not right
    totals = [node.scores.total for node in tree.nodes.values() if node.scores and node.parent is not None]
    paths = [scores.path for node in answers if (scores := tree.node(node).scores) is not None]
    return TreeMetrics(
        trees=1,
        solved=Ratio(int(solved), int(solved or failed)),
        pass_at_k={k: Ratio(pass_at_k(n, len(right), k), 1) for k in in_reach},
        all_at_k={k: Ratio(all_at_k(n, len(right), k), 1) for k in in_reach},
        robustness=Ratio() if same is None else Ratio(same, 1),
        node_reward=_mean(totals),
        path_reward=_mean(paths),
        shallowest=Ratio(min(right), 1) if right else Ratio(),
        right_depth=_mean(right),
        branching_solved=branching if solved else Ratio(),
        branching_failed=branching if failed else Ratio(),
        pruned_solved=pruned if solved else Ratio(),
        pruned_failed=pruned if failed else Ratio(),
        diversity=_diversity(tree),
        type_paths=_type_paths(tree, answers),
        novelty=Ratio() if seen is None else Ratio(*seen.novel(tree)),
    )


def _mean(values: Sequence[float]) -> Ratio:
    return Ratio(sum(values), len(values))


def _is_thought(node: Node) -> bool:
    """Also a segment of tokens."""
    return node.kind not in ("prompt", "answer")


def _thoughts_above(tree: ReasoningTree) -> dict[int, int]:
    """Of each node, how many thoughts its path has, its own included."""
    depths = {tree.root: 0}
    for node_id in tree.walk():
        for child in tree.children(node_id):
            depths[child] = depths[node_id] + _is_thought(tree.node(child))
    return depths


def _branching(tree: ReasoningTree) -> tuple[Ratio, Ratio]:
    """Children of an inner node, and children of one that were pruned; pruned nodes below pruned ones are neither."""
    kept = Counter(node.parent for node in tree.nodes.values() if _is_thought(node))
    pruned = Counter(
        node.parent for node in tree.pruned.values() if _is_thought(node) and node.parent in tree.nodes
    )
    inner = len({*kept, *pruned})
    return Ratio(kept.total(), inner), Ratio(pruned.total(), inner)


def _diversity(tree: ReasoningTree) -> Ratio:
    found = Ratio()
    for node_id in tree.nodes:
        children = tree.children(node_id)
        if len(children) > 1:
            found += Ratio(*distinct(map(tree.node, children), _BIGRAMS))
    return found


def _type_paths(tree: ReasoningTree, answers: Iterable[int]) -> Ratio:
    """Sequences are numbered as they are met, each by that of all but its last thought type, and that type."""
    numbers: dict[tuple[int, str], int] = {}
    sequence = {tree.root: 0}
    for node_id in tree.walk():
        for child in tree.children(node_id):
            name = tree.node(child).thought_type
            so_far = sequence[node_id]
            sequence[child] = so_far if name is None else numbers.setdefault((so_far, name), len(numbers) + 1)
    ending = [sequence[node] for node in answers]
    return Ratio(len(set(ending)), len(ending)) if numbers else Ratio()
