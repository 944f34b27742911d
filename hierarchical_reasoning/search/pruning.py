"""What is dropped because it promises too little."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from hierarchical_reasoning.search.grown import Grown
from hierarchical_reasoning.search.selection import best_answer
from hierarchical_reasoning.search.settings import SearchSettings


def prune(grown: Grown, settings: SearchSettings) -> int:
    """Drop thoughts that promise less than the threshold, with all below them; returns how many nodes these are.

    Where something below a thought is still open, it is dropped when even promise + uncertainty stays under the
    threshold: as long as nothing is known of it, the uncertainty is so great that it stays. Where nothing is open any
    more, nothing is uncertain, and it goes when its total is under the threshold. The deepest level is excepted (HATO,
    spec/000), and so is the path of the answer that is best so far; before there is one, that of the open thought that
    promises most: a search that doubts everything still goes on.
    """
    if settings.no_pruning:
        return 0
    safe = set(_best_path(grown))
    with_open = _at_or_above(grown, grown.open)
    dropped = 0
    for node, thought in list(grown.thoughts.items()):
        if node not in grown.thoughts or node in safe or not 0 < thought.depth < settings.max_depth:
            continue
        uncertainty = grown.value(node).uncertainty if node in with_open else 0.0
        if (most := grown.promise(node) + uncertainty) < settings.pruning_threshold:
            before = len(grown.tree)
            grown.prune(
                node, f"{most:.3g} at most, under {settings.pruning_threshold:g} (--pruning_threshold)"
            )
            dropped += before - len(grown.tree)
    return dropped


def _at_or_above(grown: Grown, nodes: Iterable[int]) -> set[int]:
    """The nodes and all above them, each gone through once."""
    found: set[int] = set()
    for node in nodes:
        above: int | None = node
        while above is not None and above not in found:
            found.add(above)
            above = grown.tree.node(above).parent
    return found


def _best_path(grown: Grown) -> Sequence[int]:
    best = best_answer(grown)
    if best is not None:
        return grown.tree.path(best.id)
    return grown.tree.path(max(grown.open, key=grown.exploration)) if grown.open else ()
