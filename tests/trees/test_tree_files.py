"""Trees in files: read as they were written, or refused with file, line and field."""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from made_up_trees import grown, path_tree, trees

from hierarchical_reasoning.errors import TreeFileError
from hierarchical_reasoning.training.log import JsonLines
from hierarchical_reasoning.trees import ReasoningTree, Scores
from hierarchical_reasoning.trees.file import PlacedTree, TreeFile
from hierarchical_reasoning.trees.records import as_record, tree_from


@given(trees())
def test_a_tree_is_read_as_it_was_written(tree: ReasoningTree) -> None:
    again = tree_from(json.loads(json.dumps(as_record(tree), allow_nan=False)))
    assert again == tree
    assert list(again.walk()) == list(tree.walk())
    assert again.rewards() == tree.rewards()
    assert [type(value) for node in again.nodes.values() for value in node.tokens + node.log_probs] == [
        type(value) for node in tree.nodes.values() for value in node.tokens + node.log_probs
    ]


def test_a_long_path_is_read_as_it_was_written() -> None:
    tree = path_tree(100_000)
    assert tree_from(json.loads(json.dumps(as_record(tree)))) == tree


def test_what_is_as_usual_takes_no_room() -> None:
    tree = ReasoningTree("p", [1], "?")
    tree.add(0, [2], "a")
    root, node = as_record(tree)["nodes"]
    assert node == {"id": 1, "parent": 0, "tokens": (2,), "text": "a"}
    assert root["kind"] == "prompt"


def test_a_file_is_read_tree_by_tree_and_grows(tmp_path: Path) -> None:
    path = tmp_path / "trees.jsonl"
    written = [grown(random.Random(seed), 12) for seed in range(4)]
    JsonLines(path).extend([as_record(tree) for tree in written])
    file = TreeFile(path)
    assert list(file) == [PlacedTree(line, tree) for line, tree in enumerate(written, 1)]
    JsonLines(path).append(as_record(written[0]))
    assert len(list(file)) == 5
    assert not file.torn


def test_trees_are_read_again_in_any_order(tmp_path: Path) -> None:
    path = tmp_path / "trees.jsonl"
    JsonLines(path).extend([as_record(grown(random.Random(seed), 12)) for seed in range(4)])
    file = TreeFile(path)
    placed = [list(file)[index] for index in (2, 0, 3)]
    again = file.in_order((each.line, each.start) for each in placed)
    assert list(again) == [each.tree for each in placed]
    with pytest.raises(TreeFileError, match=r"trees\.jsonl, line 9: the file changed"):
        list(file.in_order([(9, path.stat().st_size)]))


def test_a_torn_last_line_is_left_out_and_told(tmp_path: Path) -> None:
    path = tmp_path / "trees.jsonl"
    whole = json.dumps(as_record(grown(random.Random(1), 9)))
    path.write_text(f"{whole}\n{whole[:-20]}")
    file = TreeFile(path)
    assert [placed.line for placed in file] == [1]
    assert file.torn
    path.write_text(f"{whole}\n{whole}")  # it does not end, and is whole
    assert len(list(file)) == 2
    assert not file.torn
    path.write_text(f"{whole[:-20]}\n{whole}\n")
    with pytest.raises(TreeFileError, match=r"trees\.jsonl, line 1: is not JSON"):
        list(file)


def changed(name: str, value: Any) -> Callable[[dict[str, Any]], None]:
    def change(record: dict[str, Any]) -> None:
        *above, last = (int(step) if step.isdigit() else step for step in name.split("."))
        target: Any = record
        for step in above:
            target = target[step]
        if value is None:
            del target[last]
        else:
            target[last] = value

    return change


GRADED = {"outcome": "wrong", "reward": 0.0}
SECOND_ROOT = {"id": 3, "parent": None, "tokens": [], "text": "", "kind": "prompt"}
FAULTS = {
    "parent unknown": (changed("nodes.2.parent", 9), "`parent` of node 2 is 9, and there is no such node"),
    "cycle": (changed("nodes.1.parent", 2), "`parent` of node 1: .*a cycle"),
    "own parent": (changed("nodes.2.parent", 2), "`parent` of node 2: .*a cycle"),
    "repeated id": (changed("nodes.2.id", 1), "`id` 1 is that of two nodes"),
    "id too large": (changed("nodes.3.id", 5), "`id` is 5, expected 0 to 4, below `next_id`"),
    "id below 0": (changed("nodes.3.id", -1), "`id` is -1"),
    "second root": (changed("nodes.3", SECOND_ROOT), "node 3 is None; node 0 alone has none"),
    "no root": (lambda record: record["nodes"].pop(0), "`parent` of node 1 is 0, and there is no such node"),
    "nothing": (changed("nodes", []), "there is no node 0, the root"),
    "log-prob NaN": (changed("nodes.1.log_probs", [float("nan")]), "`nodes.1.log_probs.0` is nan: .*finite"),
    "reward infinite": (changed("nodes.3.leaf.reward", float("inf")), "`nodes.3.leaf.reward` is inf: .*finite"),
    "reward text": (changed("nodes.3.leaf.reward", "1"), "`nodes.3.leaf.reward` is '1'"),
    "outcome unknown": (changed("nodes.3.leaf.outcome", "good"), "`nodes.3.leaf.outcome` is 'good'.*'correct'"),
    "too many log-probs": (changed("nodes.1.log_probs", [-1.0, -2.0]), "node 1: `log_probs` has 2.*none, or 1"),
    "given too many": (changed("nodes.1.given", 5), "node 1: `given` is 5, expected 0 to 1"),
    "token below 0": (changed("nodes.1.tokens", [-4]), "node 1: `tokens` has -4"),
    "token as text": (changed("nodes.1.tokens", ["4"]), "`nodes.1.tokens.0` is '4'"),
    "token true": (changed("nodes.1.tokens", [True]), "`nodes.1.tokens.0` is True"),
    "kind unknown": (changed("nodes.1.kind", "odd"), "`nodes.1.kind` is 'odd'.*'alternative'"),
    "graded with child": (changed("nodes.1.leaf", GRADED), "node 1 has a `leaf` and a child, 2"),
    "graded root": (changed("nodes.0.leaf", GRADED), "node 0: `leaf` is that of the root"),
    "field unknown": (changed("nodes.1.colour", "red"), "`nodes.1.colour` is 'red': Extra"),
    "field missing": (changed("nodes.1.text", None), "`nodes.1.text`: Field required"),
    "score NaN": (changed("nodes.2.scores.path", float("nan")), "`nodes.2.scores.path` is nan: .*finite"),
    "score missing": (changed("nodes.2.scores.visits", None), "`nodes.2.scores.visits`: Field required"),
    "pruned in tree": (changed("nodes.2.pruned", "beam"), "node 2 says that it is pruned, and is in the tree"),
    "pruned says nothing": (changed("pruned.0.pruned", None), "node 4 is among the pruned ones"),
    "pruned id taken": (changed("pruned.0.id", 1), "`id` 1 of a pruned node is taken"),
    "pruned root": (changed("pruned.0", SECOND_ROOT | {"pruned": "beam"}), "node 3: `pruned` is that of the root"),
    "pruned apart": (changed("pruned.0.parent", 9), "`parent` of pruned node 4: it does not hang on the tree"),
    "chosen unknown": (changed("chosen", 9), "`chosen` is 9, and the tree has no such node"),
    "chosen pruned": (changed("chosen", 4), "`chosen` is 4, and the tree has no such node"),
    "chosen no leaf": (changed("chosen", 2), "node 2 is no leaf, and cannot be chosen"),
    "version": (changed("version", 2), "`version` is 2: Input should be 1"),
    "format": (changed("format", "other"), "`format` is 'other': Input should be 'reasoning_tree'"),
    "no format": (changed("format", None), "`format`: Field required"),
}  # fmt: skip


@pytest.mark.parametrize("fault", FAULTS)
def test_what_is_wrong_is_named_by_file_line_and_field(tmp_path: Path, fault: str) -> None:
    tree = path_tree(3)
    tree.score(2, Scores(total=0.5))
    tree.prune(tree.add(1, [3], "b"), "beam")
    tree.choose(3)
    record = json.loads(json.dumps(as_record(tree)))
    path = tmp_path / "trees.jsonl"
    path.write_text(json.dumps(record) + "\n")
    assert list(TreeFile(path)) == [PlacedTree(1, tree)]
    change, said = FAULTS[fault]
    change(record)
    with path.open("a") as file:
        file.write(json.dumps(record) + "\n")
    with pytest.raises(
        TreeFileError, match=rf"trees\.jsonl, line 2: is no tree that this version reads: .*{said}"
    ):
        list(TreeFile(path))


@pytest.mark.parametrize(
    "content",
    [b"", b"[1]\n", b"null\n", b"{}\n", b"\n", b"\xff\xfe\n", b"[" * 10_000 + b"\n", b"1" * 5000 + b"\n"],
)
def test_a_file_of_something_else_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "other.jsonl"
    path.write_bytes(content)
    with pytest.raises(TreeFileError, match=r"other\.jsonl"):
        list(TreeFile(path))


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(TreeFileError, match=r"none\.jsonl: cannot be read: No such file"):
        list(TreeFile(tmp_path / "none.jsonl"))
    with pytest.raises(TreeFileError, match="Is a directory"):
        list(TreeFile(tmp_path))


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-2, 9) | st.floats() | st.text(max_size=4),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=6,
)


@given(trees(6), st.randoms(use_true_random=False), JSON)
def test_a_damaged_record_is_read_or_refused_but_never_breaks(
    tree: ReasoningTree, chance: random.Random, value: Any
) -> None:
    record = json.loads(json.dumps(as_record(tree)))
    target = chance.choice([record, *record["nodes"]])
    target[chance.choice(list(target))] = value
    try:
        again = tree_from(record)
    except ValueError:
        return
    assert tree_from(json.loads(json.dumps(as_record(again)))) == again
