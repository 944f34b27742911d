"""How sequences that share prefixes are laid out in one row, and how trees are divided among passes: against sets of
prefixes."""

from __future__ import annotations

import pytest
import torch
from drawn_forests import SEQUENCES, prefixes
from hypothesis import given
from hypothesis import strategies as st

from hierarchical_reasoning.training.packed.packing import PackedPass, pack
from hierarchical_reasoning.training.packed.prefix_trie import UniqueTokens, merge, outermost, sort_key
from hierarchical_reasoning.training.packed.token_forest import NO_PLACE, TokenForest, lay_out


def path_of(forest: TokenForest, place: int) -> tuple[int, ...]:
    """The tokens of a place and of those before it, by following them one by one."""
    tokens: list[int] = []
    while place != NO_PLACE:
        tokens.append(int(forest.tokens_T[place]))
        place = int(forest.previous_T[place])
    return tuple(reversed(tokens))


def check_row(forest: TokenForest) -> None:
    """All that is said of a forest, from the tokens before each token alone."""
    for place in range(len(forest)):
        above = []
        before = int(forest.previous_T[place])
        while before != NO_PLACE:
            above.append(before)
            before = int(forest.previous_T[before])
        assert forest.path_above(place).tolist() == above[::-1]
        assert int(forest.positions_T[place]) == len(above)
        seen = [key for key in range(place + 1) if place < int(forest.end_T[key])]
        assert seen == [*above[::-1], place]


@given(SEQUENCES)
def test_merged_sequences_have_each_token_once(sequences: list[list[int]]) -> None:
    forest, places = merge(sequences)
    check_row(forest)
    assert len(forest) == len(prefixes(sequences))
    for sequence, places_T in zip(sequences, places, strict=True):
        assert forest.tokens_T[places_T].tolist() == sequence
        if sequence:
            assert path_of(forest, int(places_T[-1])) == tuple(sequence)


@given(SEQUENCES)
def test_the_longest_path_stands_at_the_front_in_one_piece(sequences: list[list[int]]) -> None:
    forest, _ = merge(sequences)
    longest_of = {}
    for sequence in filter(None, sequences):
        longest_of[sequence[0]] = max(longest_of.get(sequence[0], 0), len(sequence))
    roots = (forest.previous_T == NO_PLACE).nonzero().squeeze(1).tolist()
    heads = [*forest.heads(), len(forest)]
    for root in roots:
        stop = next(head for head in heads if head > root)
        assert stop - root == longest_of[int(forest.tokens_T[root])]


@given(SEQUENCES)
def test_counting_as_sequences_come_is_counting_the_set(sequences: list[list[int]]) -> None:
    arrays = [path for each in sequences for path in outermost([each])[0]]
    count = UniqueTokens()
    for number, array in enumerate(arrays):
        assert count.add([array]) == len(prefixes(sequences[: number + 1]))


@given(SEQUENCES)
def test_the_outermost_sequences_begin_with_all_others(sequences: list[list[int]]) -> None:
    found, number_of = outermost(sequences)
    assert prefixes([path.tolist() for path in found]) == prefixes(sequences)
    assert [*found] == sorted(found, key=sort_key)
    for number, path in enumerate(found):
        others = [other for index, other in enumerate(found) if index != number]
        assert not any(other[: len(path)].tolist() == path.tolist() for other in others)
    for sequence, number in zip(sequences, number_of, strict=True):
        assert found[number][: len(sequence)].tolist() == sequence


SEGMENTS = st.lists(st.tuples(st.integers(-1, 9), st.lists(st.integers(0, 9), max_size=5)), max_size=10)


@given(SEGMENTS)
def test_segments_given_directly_keep_their_paths(segments: list[tuple[int, list[int]]]) -> None:
    """Segments without tokens are passed through; siblings that begin alike stay apart."""
    parents = [min(parent, number - 1) for number, (parent, _) in enumerate(segments)]
    tokens = [run for _, run in segments]
    forest, places_S = lay_out(parents, tokens)
    check_row(forest)
    assert sorted(place for places in places_S for place in places) == list(range(len(forest)))
    for number, places in enumerate(places_S):
        path: list[int] = []
        above = number
        while above != NO_PLACE:
            path = tokens[above] + path
            above = parents[above]
        assert forest.tokens_T[list(places)].tolist() == tokens[number]
        if places:
            assert path_of(forest, places[-1]) == tuple(path)


def test_a_parent_that_comes_later_is_an_error() -> None:
    with pytest.raises(ValueError, match="segment 0 follows segment 1"):
        lay_out([1, NO_PLACE], [[1], [2]])


def test_a_path_of_many_segments_is_no_recursion() -> None:
    forest, _ = lay_out(range(-1, 99_999), [[7]] * 100_000)
    assert forest.heads() == [0]
    assert int(forest.positions_T[-1]) == 99_999


FORESTS = st.lists(SEQUENCES, max_size=5).map(
    lambda drawn: [forest for forest in (merge(sequences)[0] for sequences in drawn) if len(forest)]
)


@given(FORESTS, st.integers(1, 60))
def test_each_token_counts_in_one_pass_and_has_its_path_there(
    forests: list[TokenForest], tokens_per_pass: int
) -> None:
    passes = pack(forests, tokens_per_pass)
    counted = []
    for packed in passes:
        check_row(packed.forest)
        trees, places = packed.tree_T.tolist(), packed.place_T.tolist()
        for place, (tree, there) in enumerate(zip(trees, places, strict=True)):
            assert path_of(packed.forest, place) == path_of(forests[tree], there)
        counted += [
            key
            for key, own in zip(zip(trees, places, strict=True), packed.counts_T.tolist(), strict=True)
            if own
        ]
    assert sorted(counted) == [(tree, at) for tree, each in enumerate(forests) for at in range(len(each))]


@given(FORESTS, st.integers(1, 60))
def test_a_pass_is_over_its_budget_only_for_one_long_path(
    forests: list[TokenForest], tokens_per_pass: int
) -> None:
    for packed in pack(forests, tokens_per_pass):
        if len(packed.forest) > tokens_per_pass:
            assert int(packed.forest.positions_T.max()) + 1 == len(packed.forest)


@given(FORESTS, st.integers(1, 200))
def test_what_fits_is_computed_once(forests: list[TokenForest], tokens_per_pass: int) -> None:
    passes = pack(forests, tokens_per_pass)
    divided = {tree for tree, forest in enumerate(forests) if len(forest) > tokens_per_pass}
    for packed in passes:
        fits = torch.tensor([tree not in divided for tree in packed.tree_T.tolist()])
        assert packed.counts_T[fits].all()
    computed, unique = sum(len(packed.forest) for packed in passes), sum(map(len, forests))
    if not divided:
        assert computed == unique
        assert sum(len(packed.forest) <= tokens_per_pass // 2 for packed in passes) <= 1


def test_a_divided_tree_repeats_its_path_alone() -> None:
    """A prompt of 10 tokens and four answers of 20, two of which fit into a pass."""
    forest, _ = merge([[0] * 10 + [answer] * 20 for answer in (1, 2, 3, 4)])
    passes = pack([forest], 50)
    assert [len(packed.forest) for packed in passes] == [50, 50]
    assert [int(packed.counts_T.sum()) for packed in passes] == [50, 40]
    assert all(isinstance(packed, PackedPass) for packed in passes)
