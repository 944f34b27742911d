"""Where nodes stand in a picture: apart, parents in the middle, close together, in linear time."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from hierarchical_reasoning.trees.layout import Place, tidy_layout

Children = dict[int, list[int]]


@st.composite
def shapes(draw: st.DrawFn) -> Children:
    children: Children = {0: []}
    for node in range(1, draw(st.integers(1, 40))):
        children[draw(st.integers(0, node - 1))].append(node)
        children[node] = []
    return children


def laid_out(children: Children) -> dict[int, Place]:
    return tidy_layout(0, children.__getitem__)


@given(shapes())
def test_nodes_are_apart_in_order_and_parents_in_the_middle(children: Children) -> None:
    places = laid_out(children)
    assert places.keys() == children.keys()
    columns: defaultdict[int, list[float]] = defaultdict(list)
    walk, waiting = [], [0]
    while waiting:
        walk.append(node := waiting.pop())
        waiting.extend(reversed(children[node]))
    for node in walk:
        columns[places[node].column].append(places[node].row)
        for child in children[node]:
            assert places[child].column == places[node].column + 1
        if children[node]:
            ends = [places[child].row for child in (children[node][0], children[node][-1])]
            assert abs(places[node].row - sum(ends) / 2) < 1e-9
    for rows in columns.values():  # in the order of a walk, so that no lines cross
        assert all(later - earlier > 1 - 1e-9 for earlier, later in pairwise(rows))
    assert min(place.row for place in places.values()) == 0


@given(shapes())
def test_two_subtrees_of_a_shape_are_drawn_alike(children: Children) -> None:
    size = len(children)
    twice: Children = {0: [1, 1 + size]}
    for number in (0, 1):
        twice |= {
            node + 1 + number * size: [child + 1 + number * size for child in below]
            for node, below in children.items()
        }
    alone, places = laid_out(children), laid_out(twice)
    for number in (0, 1):
        start = places[1 + number * size].row - alone[0].row
        assert all(
            abs(places[node + 1 + number * size].row - start - place.row) < 1e-9
            for node, place in alone.items()
        )


def test_a_shallow_subtree_stands_beside_a_deep_one_and_not_below_all_of_it() -> None:
    #  0 - 1 - 3, 4, 5; 0 - 2: in the column of 1 there is room for 2 right below
    places = laid_out({0: [1, 2], 1: [3, 4, 5], 2: [], 3: [], 4: [], 5: []})
    assert places[2].row - places[1].row == 1
    assert [places[node].row for node in (3, 4, 5)] == [0, 1, 2]


def test_large_trees_take_linear_time() -> None:
    asked = 0

    def children(node: int) -> Sequence[int]:
        """A path of 100,000 nodes with a leaf at each."""
        nonlocal asked
        asked += 1
        return [node + 1, node + 2] if node % 2 == 0 and node < 200_000 else []

    places = tidy_layout(0, children)
    assert len(places) == 200_001
    assert asked == 3 * len(places)
    assert max(place.column for place in places.values()) == 100_000
