"""Trees as one HTML file that needs no network and runs no script.

Model text is escaped, its control characters are written out, and a content security policy keeps the page from running
or loading anything all the same. Branches fold. What goes on alone stands below what it follows, so that a long path is
no deep nesting, which browsers cut off. The same trees give the same bytes.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import jinja2
from markupsafe import Markup

from hierarchical_reasoning.trees.below import Below, leaves_below, sibling_rewards
from hierarchical_reasoning.trees.file import PlacedTree
from hierarchical_reasoning.trees.node import Node
from hierarchical_reasoning.trees.statistics import TreeStatistics, tree_statistics
from hierarchical_reasoning.trees.tree import ReasoningTree
from hierarchical_reasoning.wording import counted
from taxonomy.terminal import visible

_FOLDER = Path(__file__).parent
_DEEPEST_FORK = 100
"""Forks within forks that fold; below them, branches tell their depth instead. Browsers nest 512 elements at most."""


@dataclass(frozen=True)
class _Part:
    """A node; or, where there is none, the beginning (`opens`) or the end of a fork."""

    node: Node | None = None
    below: Below | None = None
    is_leaf: bool = False
    branch: tuple[int, int] | None = None
    """Its number among its siblings, and how many there are; None where it has none."""
    depth: int | None = None
    """Where the page does not show it by nesting."""
    opens: str | None = None
    """What the fork holds."""


@dataclass(frozen=True)
class _Place:
    """A node that is to be shown."""

    node_id: int
    depth: int = 0
    forks: int = 0
    """In which it is nested."""
    branch: tuple[int, int] | None = None


@dataclass(frozen=True)
class _Shown:
    """A tree as it stands in the page."""

    line: int
    problem_id: str
    update: int | None
    statistics: str
    correct: tuple[int, ...]
    """Leaves."""
    parts: tuple[_Part, ...]


def trees_page(
    trees: Sequence[PlacedTree], *, title: str, statistics: TreeStatistics, left_out: int = 0
) -> bytes:
    """The page, UTF-8.

    Args:
        trees: what it shows; folded where there are several.
        title: of the page.
        statistics: of all trees, those left out included.
        left_out: how many trees are not among those shown.
    """
    page = (
        _environment()
        .get_template("page.html.j2")
        .render(
            title=title,
            summary=statistics.in_words(),
            left_out=left_out,
            style=Markup((_FOLDER / "page.css").read_text(encoding="utf-8")),  # noqa: S704 - our own
            trees=[_shown(placed) for placed in trees],
        )
    )
    # A lone surrogate, which no UTF-8 can hold, becomes a reference that browsers show as a placeholder.
    return page.encode("utf-8", "xmlcharrefreplace")


@cache
def _environment() -> jinja2.Environment:
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(_FOLDER),
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        autoescape=True,
    )
    environment.filters.update(visible=visible, one_line=_one_line, counted=counted)
    return environment


def _shown(placed: PlacedTree) -> _Shown:
    tree = placed.tree
    below = leaves_below(tree)
    return _Shown(
        line=placed.line,
        problem_id=tree.problem_id,
        update=tree.update,
        statistics=tree_statistics(tree, sibling_rewards(tree, below)).in_words(),
        correct=tuple(leaf for leaf in tree.leaves() if below[leaf].correct),
        parts=tuple(_parts(tree, below)),
    )


def _parts(tree: ReasoningTree, below: Mapping[int, Below]) -> Iterator[_Part]:
    waiting: list[_Place | None] = [_Place(tree.root)]
    while waiting:
        place = waiting.pop()
        if place is None:
            yield _Part()
            continue
        node_id = place.node_id
        yield _Part(
            node=tree.node(node_id),
            below=below[node_id],
            is_leaf=tree.is_leaf(node_id),
            branch=place.branch,
            depth=place.depth if place.forks >= _DEEPEST_FORK else None,
        )
        children = tree.children(node_id)
        forked = len(children) > 1
        nested = forked and place.forks < _DEEPEST_FORK
        if nested:
            of_leaves = f"{below[node_id].correct:,} of {below[node_id].leaves:,} leaves correct"
            yield _Part(opens=f"{len(children):,} branches, {of_leaves}")
            waiting.append(None)
        waiting.extend(
            _Place(child, place.depth + 1, place.forks + nested, (number, len(children)) if forked else None)
            for number, child in reversed(list(enumerate(children, start=1)))
        )


def _one_line(text: str) -> str:
    return " ".join(visible(text).split())
