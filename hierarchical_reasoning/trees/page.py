"""Trees as one HTML file that needs no network and runs no script.

Model text is escaped, its control characters are written out, and a content security policy keeps the page from running
or loading anything all the same. Branches fold, and so does what is behind the beginning of a long text; what a search
pruned is folded from the start, right below what it hung on. What goes on alone stands below what it follows, so that a
long path is no deep nesting, which browsers cut off. The same trees give the same bytes.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import jinja2
from markupsafe import Markup

from hierarchical_reasoning.html_pages import page_bytes, page_environment
from hierarchical_reasoning.thought_colours import hue_of
from hierarchical_reasoning.trees.below import Below, sibling_rewards
from hierarchical_reasoning.trees.file import PlacedTree
from hierarchical_reasoning.trees.node import Node
from hierarchical_reasoning.trees.statistics import TreeStatistics, tree_statistics
from hierarchical_reasoning.trees.view import TreeView, grade_mark, score_figures
from hierarchical_reasoning.wording import counted

_FOLDER = Path(__file__).parent
_DEEPEST_FOLD = 100
"""Forks within forks that fold; below them, branches tell their depth instead. Browsers nest 512 elements at most."""
_BEGINNING = 4000
"""Characters of a text that are not folded."""


@dataclass(frozen=True)
class _Part:
    """A node; or, where there is none, the beginning (`opens`) or the end of what folds."""

    node: Node | None = None
    below: Below | None = None
    """None for what was pruned."""
    is_leaf: bool = False
    is_chosen: bool = False
    """It is on the path of the chosen leaf."""
    branch: tuple[int, int] | None = None
    """Its number among its siblings, and how many there are; None where it has none."""
    depth: int | None = None
    """Where the page does not show it by nesting."""
    opens: str | None = None
    """What it holds that folds."""
    is_folded: bool = False


@dataclass(frozen=True)
class _Place:
    """A node that is to be shown."""

    node_id: int
    depth: int = 0
    folds: int = 0
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
    chosen: Node | None
    pruned: str
    """How many nodes were pruned, and why; empty where none was."""
    parts: tuple[_Part, ...]


def trees_page(
    trees: Sequence[PlacedTree],
    *,
    title: str,
    statistics: TreeStatistics,
    left_out: int = 0,
    hide_pruned: bool = False,
) -> bytes:
    """The page, UTF-8.

    Args:
        trees: what it shows; folded where there are several.
        title: of the page.
        statistics: of all trees, those left out included.
        left_out: how many trees are not among those shown.
        hide_pruned: whether what was pruned is left out; it is counted all the same.
    """
    page = (
        _environment()
        .get_template("page.html.j2")
        .render(
            title=title,
            summary=statistics.in_words(),
            left_out=left_out,
            style=Markup((_FOLDER / "page.css").read_text(encoding="utf-8")),  # noqa: S704 - our own
            has_chosen=any(placed.tree.chosen is not None for placed in trees),
            trees=[_shown(placed, hide_pruned) for placed in trees],
        )
    )
    return page_bytes(page)


@cache
def _environment() -> jinja2.Environment:
    return page_environment(
        _FOLDER,
        {
            "counted": counted,
            "parted": _parted,
            "degrees": lambda thought_type: round(360 * hue_of(thought_type)),
            "mark": grade_mark,
            "figures": score_figures,
        },
    )


def _shown(placed: PlacedTree, hide_pruned: bool) -> _Shown:
    tree = placed.tree
    view = TreeView(tree, hide_pruned=hide_pruned)
    return _Shown(
        line=placed.line,
        problem_id=tree.problem_id,
        update=tree.update,
        statistics=tree_statistics(tree, sibling_rewards(tree, view.below)).in_words(),
        correct=tuple(leaf for leaf in tree.leaves() if view.leads_to_correct(leaf)),
        chosen=None if tree.chosen is None else tree.node(tree.chosen),
        pruned=_pruned_in_words(view),
        parts=tuple(_parts(view)),
    )


def _pruned_in_words(view: TreeView) -> str:
    reasons = "; ".join(f"{why}: {count:,}" for why, count in view.why_pruned())
    if not reasons:
        return ""
    return (
        f"{counted(len(view.tree.pruned), 'node')} pruned{', not shown' if view.hidden else ''} ({reasons})"
    )


def _parts(view: TreeView) -> Iterator[_Part]:
    waiting: list[_Place | _Part] = [_Place(view.tree.root)]
    while waiting:
        place = waiting.pop()
        if isinstance(place, _Part):
            yield place
            continue
        yield _Part(
            node=view.node(place.node_id),
            below=view.below.get(place.node_id),
            is_leaf=not view.children(place.node_id),
            is_chosen=place.node_id in view.chosen_path,
            branch=place.branch,
            depth=place.depth if place.folds >= _DEEPEST_FOLD else None,
        )
        waiting.extend(reversed(list(_following(view, place))))


def _following(view: TreeView, place: _Place) -> Iterator[_Place | _Part]:
    """What is below a node: what was pruned there, folded; then its branches, or what goes on alone."""
    if view.node(place.node_id).pruned is not None:
        branches = view.children(place.node_id)
    else:
        if pruned := view.pruned(place.node_id):
            yield from _folding(place, pruned, _Part(opens=f"{len(pruned):,} pruned", is_folded=True))
        branches = view.kept(place.node_id)
    if len(branches) > 1:
        below = view.below.get(place.node_id)
        correct = "" if below is None else f", {below.correct:,} of {below.leaves:,} leaves correct"
        yield from _folding(place, branches, _Part(opens=f"{len(branches):,} branches{correct}"))
    elif branches:
        yield _Place(branches[0], place.depth + 1, place.folds)


def _folding(place: _Place, children: Sequence[int], opening: _Part) -> Iterator[_Place | _Part]:
    nested = place.folds < _DEEPEST_FOLD
    if nested:
        yield opening
    for number, child in enumerate(children, start=1):
        branch = None if opening.is_folded else (number, len(children))
        yield _Place(child, place.depth + 1, place.folds + nested, branch)
    if nested:
        yield _Part()


def _parted(text: str) -> tuple[str, str]:
    """The beginning of a text, up to a blank if there is one near, and the rest; empty where there is none."""
    if len(text) <= _BEGINNING:
        return text, ""
    blank = max(text.rfind(" ", _BEGINNING // 2, _BEGINNING), text.rfind("\n", _BEGINNING // 2, _BEGINNING))
    end = blank + 1 if blank >= 0 else _BEGINNING
    return text[:end], text[end:]
