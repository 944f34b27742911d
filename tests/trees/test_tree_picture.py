"""A tree as a picture: what is written in it, what it looks like, and that any tree can be drawn."""

from __future__ import annotations

import io
import json
import re
import sys
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from hypothesis import given, settings
from made_up_trees import path_tree, searched_tree, trees

from hierarchical_reasoning.cli.main import main
from hierarchical_reasoning.outcomes import Outcome
from hierarchical_reasoning.trees import Leaf, ReasoningTree, Scores
from hierarchical_reasoning.trees.layout import Place
from hierarchical_reasoning.trees.picture import tree_picture
from hierarchical_reasoning.trees.picture_style import Scale, look_of, scale_for
from hierarchical_reasoning.trees.records import as_record
from hierarchical_reasoning.trees.view import TreeView

pytest.importorskip("matplotlib")

SVG = "{http://www.w3.org/2000/svg}"
ORANGE = "#e08a00"


def drawn(tree: ReasoningTree, *, hide_pruned: bool = False) -> ElementTree.Element:
    return ElementTree.fromstring(tree_picture(TreeView(tree, hide_pruned=hide_pruned), "svg"))


def written(picture: ElementTree.Element) -> list[str]:
    return ["".join(text.itertext()).strip() for text in picture.iter(f"{SVG}text")]


def styles(picture: ElementTree.Element) -> str:
    return "\n".join(part.get("style", "") for part in picture.iter())


def test_a_picture_says_what_nodes_are_and_lights_the_chosen_path() -> None:
    tree = searched_tree()
    picture = drawn(tree)
    said = written(picture)
    assert "p · 7 nodes" in said
    assert "#1 Check the sum 0.61 ±0.12" in said
    assert "#5 ★ ✓ correct: 4 0.70" in said
    assert "#3 ✗ wrong: 5" in said
    assert "pruned, beam: no more" in said
    legend = ["Check the sum (1)", "Guess (1)", "problem (1)", "✓ correct (1)", "✗ wrong (1)"]
    assert [text for text in said if text in legend] == legend
    assert {"path of the chosen answer", "pruned (2)"} <= set(said)
    assert styles(picture).count(f"stroke: {ORANGE}") >= 3  # two lines, a ring, and the legend's
    assert "stroke-dasharray" in styles(picture)
    tree.choose(None)
    plain = drawn(tree)
    assert ORANGE not in styles(plain)
    assert "path of the chosen answer" not in written(plain)


def test_what_was_pruned_can_be_left_out_and_is_counted() -> None:
    picture = drawn(searched_tree(), hide_pruned=True)
    assert "p · 5 nodes, 2 pruned ones not shown" in written(picture)
    assert not any("beam" in text for text in written(picture))
    assert "stroke-dasharray" not in styles(picture)


def test_the_more_a_node_promises_the_larger_it_is() -> None:
    def size_of(total: float) -> float:
        tree = ReasoningTree("p", [], "?")
        tree.score(tree.add(0, (), "a", kind="thought", thought_type="Guess"), Scores(total=total))
        face = look_of(tree.node(1)).face
        for part in drawn(tree).iter(f"{SVG}g"):
            if part.get("id", "").startswith("PathCollection") and face in styles(part):
                outline = " ".join(path.get("d", "") for path in part.iter(f"{SVG}path"))
                return max(map(float, re.findall(r"[\d.]+", outline)))
        raise AssertionError("not drawn")

    assert size_of(-3.0) == size_of(0.0) < size_of(0.5) < size_of(1.0) == size_of(9.0)


def test_a_thought_type_looks_the_same_in_every_picture() -> None:
    found = []
    for others in (0, 5):
        tree = ReasoningTree("p", [], "?")
        for number in range(others):
            tree.add(0, (), "", kind="thought", thought_type=f"other {number}")
        found.append(look_of(tree.node(tree.add(0, (), "", kind="thought", thought_type="Check the sum"))))
    assert found[0] == found[1]
    looks = {look_of(searched_tree().node(node)).face for node in (1, 2)}
    assert len(looks) == 2


def test_scales_become_smaller_with_the_number_of_nodes() -> None:
    def scale(columns: int, rows: int, nodes: int) -> Scale:
        return scale_for([Place(columns - 1, rows - 1)] * nodes)

    assert scale(4, 20, 40).text_lines
    assert (scale(8, 100, 300).heading_cells > 0) > scale(8, 100, 300).text_lines
    assert not scale(8, 800, 1000).heading_cells
    for columns, rows, nodes in [
        (2, 5000, 5000),
        (5000, 2, 5000),
        (3000, 3000, 9000),
        (40, 2, 60),
        (1, 1, 1),
    ]:
        size = scale(columns, rows, nodes)
        assert size.column * columns < 40
        assert size.row * rows < 70
        assert size.marker >= 2


@pytest.mark.parametrize("image_format", ["png", "svg"])
def test_the_same_tree_gives_the_same_bytes(image_format: str) -> None:
    first, second = (tree_picture(TreeView(searched_tree()), image_format) for _ in range(2))  # type: ignore[arg-type]
    assert first == second
    assert first.startswith(b"\x89PNG" if image_format == "png" else b"<?xml")


@given(trees(12))
@settings(max_examples=15, deadline=None)
def test_whatever_a_tree_holds_it_can_be_drawn(tree: ReasoningTree) -> None:
    said = written(drawn(tree))
    numbers = {int(found[1]) for text in said if (found := re.match(r"#(\d+)\b", text))}
    assert numbers == {*tree.nodes, *tree.pruned}
    assert not {"\x1b", "\u0007"} & set("".join(said))


def test_text_is_only_text_and_ends_where_the_room_does() -> None:
    attack = "<script>1</script> $\\frac{1}{0}$ "
    tree = ReasoningTree(attack, [], attack * 30_000)
    for letter in ("思", "x", "$", "\x1b"):
        tree.add(0, (), letter * 10**6, kind="thought", thought_type=attack + letter * 5000)
    said = written(drawn(tree))
    assert not list(drawn(tree).iter(f"{SVG}script"))
    assert "<script>1</script> $\\frac{1}{0}$" in said[0] or any(
        "<script>1</script> $" in text for text in said
    )
    assert max(map(len, said)) < 80


def test_large_and_deep_trees_are_drawn_in_bounds() -> None:
    image = pytest.importorskip("PIL.Image")
    wide = ReasoningTree("wide", [], "?")
    for _ in range(1500):
        wide.grade(wide.add(0, (), "a", kind="answer"), Leaf(Outcome.WRONG, 0.0))
    for tree in (wide, path_tree(1500), ReasoningTree("root", [], "?")):
        picture = image.open(io.BytesIO(tree_picture(TreeView(tree), "png")))
        assert max(picture.size) < 3600
        colours = picture.convert("RGB").getcolors(2**24)
        assert len(colours) > 5


def invoke(*arguments: object) -> Result:
    return CliRunner().invoke(main, ["trees", *map(str, arguments)])


@pytest.fixture
def searches(tmp_path: Path) -> Path:
    path = tmp_path / "searches.jsonl"
    path.write_text("".join(json.dumps(as_record(tree)) + "\n" for tree in (searched_tree(), path_tree(3))))
    return path


def test_one_tree_is_drawn_to_a_file(searches: Path, tmp_path: Path) -> None:
    for name, start in (("a.png", b"\x89PNG"), ("b.SVG", b"<?xml")):
        done = invoke(searches, "--line", 1, "--plot", tmp_path / name)
        assert done.exit_code == 0, done.output
        assert done.output == f"7 nodes drawn to {tmp_path / name}\n"
        assert (tmp_path / name).read_bytes().startswith(start)
    both = invoke(
        searches, "--id", "p", "--plot", tmp_path / "c.svg", "--html", tmp_path / "c.html", "--hide-pruned"
    )
    assert both.output.startswith("5 nodes drawn")
    assert "1 tree written" in both.output


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--plot", "a.png"], "--plot draws one tree, and there are 2; choose one with --line"),
        (["--plot", "a.gif", "--line", 1], "the name ends in '.gif', allowed are .png, .svg (--plot)"),
        (["--plot", "a.png", "--line", 3], "--line 3: there are 2 trees, one a line"),
        (["--line", 2, "--id", "p"], "no tree of problem 'p' is of --line 2"),
        (["--hide_pruned"], "--hide_pruned says how to show a tree; give --id, --line, --html or --plot too"),
    ],
)
def test_what_cannot_be_drawn_is_refused(
    searches: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: list[object], said: str
) -> None:
    monkeypatch.chdir(tmp_path)
    done = invoke(searches, *arguments)
    assert done.exit_code == 2, done.output
    assert said in done.output
    assert list(tmp_path.iterdir()) == [searches]


def test_without_matplotlib_it_is_said_what_to_install(
    searches: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    done = invoke(searches, "--line", 1, "--plot", tmp_path / "a.png")
    assert done.exit_code == 2
    assert "pip install 'hierarchical-reasoning[plot]'" in done.output
