import random
from collections.abc import Callable
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from taxonomy import BuildError, Chunk, Rollout, UnknownLabelError, label_transition_counts, read_rollouts
from taxonomy.building.given_labels import build_taxonomy
from taxonomy.clustering.item_levels import choose_sizes
from taxonomy.embedding.masked_tfidf import mask_content
from taxonomy.naming.composed import MAX_DESCRIPTION_WORDS, Member, display_label, name_node
from taxonomy.transitions import END, START

MakeRollouts = Callable[..., list[Rollout]]


def test_every_level_grows_nests_and_covers_the_given_labels(rollouts: list[Rollout]) -> None:
    built = build_taxonomy(rollouts, levels=6)
    taxonomy = built.taxonomy
    sizes = [len(taxonomy.at_level(level)) for level in taxonomy.levels]
    assert sizes == [cut.n_clusters for cut in built.cuts]
    assert sizes[0] == 1
    assert sizes[-1] == len(taxonomy.given_labels) == 10
    assert all(smaller < larger for smaller, larger in pairwise(sizes))
    assert built.warnings == ()
    for level in taxonomy.levels:
        kinds = taxonomy.at_level(level)
        assert {kind.depth for kind in kinds} == {level}
        covered = [label for kind in kinds for label in taxonomy.node(kind.node_id).given_labels]
        assert sorted(covered) == list(taxonomy.given_labels)
    for label in taxonomy.given_labels:
        leaf = taxonomy.node_for_label(label, 5)
        assert leaf.name == label
        for level in taxonomy.levels:
            assert taxonomy.ancestor_at(leaf.node_id, level) == taxonomy.node_for_label(label, level)
    assert taxonomy.root.size == len(built.chunks) == 400


def test_labels_that_do_alike_are_merged_first(rollouts: list[Rollout]) -> None:
    taxonomy = build_taxonomy(rollouts, levels=4).taxonomy
    on_both_sides = {
        taxonomy.node_for_label(x, 2).node_id for x in ("Constant Transfer", "Coefficient Division")
    }
    assert len(on_both_sides) == 1
    assert taxonomy.node_for_label("Answer Statement", 2).node_id not in on_both_sides


def test_shuffled_rollouts_give_the_same_taxonomy(rollouts: list[Rollout]) -> None:
    built = build_taxonomy(rollouts)
    for seed in range(3):
        shuffled = random.Random(seed).sample(rollouts, len(rollouts))
        assert build_taxonomy(shuffled) == built


def test_too_few_labels_give_fewer_levels_and_say_so(rollouts_with: MakeRollouts) -> None:
    few = rollouts_with(5, labels=("Addition", "Division", "Result Check"))
    built = build_taxonomy(few, levels=7)
    assert [cut.n_clusters for cut in built.cuts] == [1, 2, 3]
    assert any("7 levels were asked for, but 3 given labels" in warning for warning in built.warnings)
    (only,) = build_taxonomy(rollouts_with(1, labels=("Addition",))).taxonomy.nodes
    assert (only.label, only.given_labels, only.size) == ("Addition", ("Addition",), 1)


def test_texts_all_alike_still_build(rollouts: list[Rollout]) -> None:
    alike = [
        replace(rollout, chunks=tuple(replace(chunk, text="so", description="d") for chunk in rollout.chunks))
        for rollout in rollouts
    ]
    built = build_taxonomy(alike, description_weight=0.0)
    assert [cut.n_clusters for cut in built.cuts][-1] == 10


def test_unlabeled_chunks_and_missing_descriptions_are_said(rollouts: list[Rollout]) -> None:
    first = rollouts[0]
    bare = tuple(replace(chunk, description=None, label="fact-check") for chunk in first.chunks[:3])
    changed = [replace(first, chunks=(*bare, Chunk(9, "no label"))), *rollouts[1:]]
    built = build_taxonomy(changed)
    assert built.warnings[0] == "1 of 394 chunks have no label and were left out"
    assert "described by what the words in them usually mean: 'fact-check'" in built.warnings[1]
    leaf = built.taxonomy.node_for_label("fact-check", built.taxonomy.levels[-1])
    assert leaf.label == "Fact Check"
    assert leaf.description == "Check something that was done or found before."


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda rollouts: [], "no rollouts"),
        (lambda rollouts: [rollouts[0], rollouts[0]], "used more than once: 'r000'"),
        (lambda rollouts: [Rollout("a", "p", (Chunk(0, "t"),))], "none of the 1 chunks has a 'label'"),
        (lambda rollouts: [Rollout("a", "p", (Chunk(0, " ", "l"),))], "no words"),
        (
            lambda rollouts: [Rollout("a", "p", tuple(Chunk(i, "t", f"l{i}") for i in range(600)))],
            "600 different labels",
        ),
    ],
)
def test_what_cannot_be_built(
    rollouts: list[Rollout], change: Callable[[list[Rollout]], list[Rollout]], message: str
) -> None:
    with pytest.raises(BuildError, match=message):
        build_taxonomy(change(rollouts))


@pytest.mark.parametrize(
    ("parameters", "flag"),
    [({"levels": 0}, "--levels"), ({"dimensions": 0}, "--dimensions"), ({"description_weight": 2}, "0 to 1")],
)
def test_parameters_out_of_range(rollouts: list[Rollout], parameters: dict[str, int], flag: str) -> None:
    with pytest.raises(BuildError, match=flag):
        build_taxonomy(rollouts, **parameters)


@given(st.integers(1, 60), st.integers(2, 12), st.integers())
def test_sizes_grow_strictly_from_one_to_all(n_items: int, levels: int, seed: int) -> None:
    levels = min(levels, n_items)
    scores = random.Random(seed)
    sizes = choose_sizes(n_items, levels, lambda size: scores.random())
    assert len(sizes) == levels
    assert sizes[0] == 1
    assert sizes[-1] == (n_items if levels > 1 else 1)
    assert all(smaller < larger for smaller, larger in pairwise(sizes))


def test_the_best_scoring_size_of_a_window_is_taken() -> None:
    assert choose_sizes(100, 3, lambda size: 1.0 if size == 27 else 0.0) == (1, 27, 100)
    assert choose_sizes(100, 3, lambda size: 0.0) == (1, 10, 100)


def test_names_of_merged_nodes() -> None:
    def members(*labels: str) -> list[Member]:
        return [Member(label, f"Do {label}.", 9 - rank) for rank, label in enumerate(labels)]

    assert name_node(members("Addition")) == ("Addition", "Do Addition.")
    assert name_node(members("Multiplication", "Division")) == (
        "Multiplication and Division",
        "Do Multiplication; or do Division.",
    )
    assert name_node(members("Constant Merging", "Constant Transfer"))[0] == "Constant Merging and Transfer"
    assert name_node(members("Constant Merging", "Term Merging"))[0] == "Constant and Term Merging"
    assert name_node(members("A b", "C", "D", "E"))[0] == "A b, C and Related Steps"
    assert name_node(members("Addition", "Division"), is_root=True)[0] == "Reasoning Step"
    long = [Member(f"Kind {number}", "word " * 20, 1) for number in range(40)]
    label, description = name_node(long)
    assert label == "Kind 0, Kind 1 and Related Steps"
    assert description.startswith("One of these: kind 0, kind 1, ")
    assert description.endswith(" more.")
    assert len(description.split()) <= MAX_DESCRIPTION_WORDS


@pytest.mark.parametrize(
    ("given_label", "shown"),
    [
        ("plan_generation", "Plan Generation"),
        ("FEN check", "FEN check"),
        ("Result Check", "Result Check"),
        ("_", "_"),
    ],
)
def test_given_labels_are_shown_readably(given_label: str, shown: str) -> None:
    assert display_label(given_label) == shown


@pytest.mark.parametrize(
    ("text", "masked"),
    [
        ("Multiply 12 by 3 to get 36.", "Multiply NUMBER by NUMBER to get NUMBER ."),
        ("So 3x + 5 = 20, and I see a way.", "So FORMULA , and I see a way."),
        (r"Let $x^2$ be, or \frac{1}{2}?", "Let FORMULA be, or FORMULA ?"),
        ("double-check **this** and/or that", "double-check **this** and/or that"),
    ],
)
def test_content_is_masked(text: str, masked: str) -> None:
    assert mask_content(text) == masked


def test_transitions_run_from_start_to_end() -> None:
    def rollout(name: str, labels: list[str | None], is_correct: bool | None) -> Rollout:
        chunks = tuple(Chunk(idx, f"text of {label}", label, label) for idx, label in enumerate(labels))
        return Rollout(name, "p", chunks, is_correct=is_correct)

    rollouts = [
        rollout("a", ["read", "add", "add"], True),
        rollout("b", ["read", "check"], False),
        rollout("c", ["read", None, "add"], None),
    ]
    taxonomy = build_taxonomy(rollouts).taxonomy
    node = {label: taxonomy.node_for_label(label, 2).node_id for label in ("read", "add", "check")}
    found = label_transition_counts(rollouts, taxonomy, 2)
    assert found.counts == {
        START: {node["read"]: 3},
        node["read"]: {node["add"]: 1, node["check"]: 1},
        node["add"]: {node["add"]: 1, END: 2},
        node["check"]: {END: 1},
    }
    assert (found.rollouts, found.unlabeled_chunks) == (3, 1)
    correct = label_transition_counts(rollouts, taxonomy, 2, only_correct=True)
    assert (correct.rollouts, correct.counts[START]) == (1, {node["read"]: 1})
    root = label_transition_counts(rollouts[:2], taxonomy, 0)
    assert root.counts == {
        START: {taxonomy.root.node_id: 2},
        taxonomy.root.node_id: {taxonomy.root.node_id: 3, END: 2},
    }
    with pytest.raises(UnknownLabelError, match="'guess'"):
        label_transition_counts([rollout("d", ["guess"], True)], taxonomy, 2)


@pytest.mark.shared_data
def test_real_rollouts_build(shared_data: Path) -> None:
    rollouts = read_rollouts(shared_data / "rollouts" / "thought_anchors_labeled_rollouts.jsonl.gz")[:10]
    taxonomy = build_taxonomy(rollouts, levels=4).taxonomy
    assert len(taxonomy.at_level(3)) == len(taxonomy.given_labels) == 8
    assert taxonomy.node_for_label("self_checking", 3).name == "Self Checking"
