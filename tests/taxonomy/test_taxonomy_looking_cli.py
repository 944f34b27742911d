import csv
import json
import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree

import click
import pytest
from click.testing import CliRunner, Result

from taxonomy import Rollout, Taxonomy, TaxonomyError, TaxonomyNode, load_taxonomy, write_rollouts
from taxonomy.building.directory_writer import write_taxonomy_directory
from taxonomy.building.given_labels import build_taxonomy
from taxonomy.cli_looking import COMMANDS
from taxonomy.drawing import draw_tree, tree_figure
from taxonomy.gml import gml_bytes, taxonomy_graph
from taxonomy.looking.errors import LookingError, MissingPackageError
from taxonomy.looking.plot import plot_taxonomy
from taxonomy.terminal import visible

BUNDLED = Path(__file__).resolve().parents[2] / "hierarchical_reasoning" / "assets" / "taxonomy"
SVG = "{http://www.w3.org/2000/svg}"


def run(*arguments: object) -> Result:
    group = click.Group(commands={str(command.name): command for command in COMMANDS})
    return CliRunner().invoke(group, [str(argument) for argument in arguments])


@pytest.fixture
def tree(tmp_path: Path, rollouts: list[Rollout]) -> Path:
    write_rollouts(rollouts, tmp_path / "r.jsonl")
    write_taxonomy_directory(build_taxonomy(rollouts, levels=4), tmp_path / "tree")
    return tmp_path / "tree"


def test_the_commands() -> None:
    assert [command.name for command in COMMANDS] == ["stats", "plot", "trajectories", "diff"]


def test_stats(tree: Path, tmp_path: Path) -> None:
    result = run("stats", tree, "--seeds", 1, "--bootstraps", 1, "--output", tmp_path / "s.json")
    assert result.exit_code == 0, result.output
    assert "level  types  chunks  smallest" in result.output
    assert "agreement with the given labels that level 3 keeps apart" in result.output
    content = json.loads((tmp_path / "s.json").read_text())
    assert len(content["levels"]) == 4
    assert len(content["rebuilds"]) == 8
    table = run("stats", tree, "--seeds", 0, "--bootstraps", 0, "--output", tmp_path / "s.csv")
    assert "note: stability is not measured: not asked for" in table.stderr
    with (tmp_path / "s.csv").open(newline="") as handle:
        assert [row["chunks"] for row in csv.DictReader(handle)] == ["400"] * 4


def test_plot_in_every_format(tree: Path, tmp_path: Path) -> None:
    names = ["t.png", "t.svg", "t.html", "t.csv"]
    outputs = [part for name in names for part in ("--output", tmp_path / "new" / name)]
    result = run("plot", tree, *outputs)
    assert result.exit_code == 0, result.output
    found = [(tmp_path / "new" / name).read_bytes() for name in names]
    assert found[0].startswith(b"\x89PNG")
    assert found[1].startswith(b"<?xml")
    assert found[2].startswith(b"<!doctype html>")
    assert len(found[3].splitlines()) == 1 + len(load_taxonomy(tree).nodes)


@pytest.mark.parametrize("show", ["positions", "transitions"])
@pytest.mark.parametrize("suffix", ["png", "svg", "csv"])
def test_trajectories(tree: Path, tmp_path: Path, show: str, suffix: str) -> None:
    output = tmp_path / f"t.{suffix}"
    flags = ("--level", 3, "--show", show, "--output", output, "--rollouts_file", tmp_path / "r.jsonl")
    result = run("trajectories", tree, *flags)
    assert result.exit_code == 0, result.output
    assert "rollouts: all 40, correct 26, wrong 14" in result.output
    assert output.stat().st_size > 500


def test_diff(tree: Path, tmp_path: Path, rollouts: list[Rollout]) -> None:
    write_taxonomy_directory(build_taxonomy(rollouts, levels=3), tmp_path / "other")
    result = run("diff", tree, tmp_path / "other", "--output", tmp_path / "d.json")
    assert result.exit_code == 0, result.output
    assert "note: only A has the levels 3" in result.stderr
    assert "agreement on shared chunks" in result.output
    assert "-> level 2, under" in result.output
    assert len(json.loads((tmp_path / "d.json").read_text())["levels"]) == 3
    assert run("diff", tree, tree, "--output", tmp_path / "d.csv").exit_code == 0


@pytest.mark.parametrize(
    "command",
    [
        ("stats", "TREE", "--seeds", 0, "--bootstraps", 0, "--output", "x.csv"),
        ("plot", "TREE", "--output", "x.html"),
        ("trajectories", "TREE", "--level", 1, "--output", "x.csv"),
        ("diff", "TREE", "TREE", "--output", "x.json"),
    ],
)
def test_nothing_is_replaced_unasked(tree: Path, tmp_path: Path, command: tuple[object, ...]) -> None:
    (tmp_path / str(command[-1])).write_text("mine")
    arguments = [{"TREE": tree, command[-1]: tmp_path / str(command[-1])}.get(part, part) for part in command]
    refused = run(*arguments)
    assert isinstance(refused.exception, TaxonomyError)
    assert "exists; choose another name (--output), or give --overwrite" in str(refused.exception)
    assert (tmp_path / str(command[-1])).read_text() == "mine"
    assert run(*arguments, "--overwrite").exit_code == 0
    assert (tmp_path / str(command[-1])).read_text() != "mine"


def test_the_name_says_the_format(tree: Path, tmp_path: Path) -> None:
    result = run("plot", tree, "--output", tmp_path / "t.pdf")
    assert "'.pdf', allowed are .png, .svg, .html, .csv (--output)" in str(result.exception)
    (tmp_path / "d.png").mkdir()
    assert "is a directory" in str(run("plot", tree, "--output", tmp_path / "d.png", "--overwrite").exception)
    (tmp_path / "file").write_text("")
    blocked = run("plot", tree, "--output", tmp_path / "file" / "t.csv")
    assert "cannot be written" in str(blocked.exception)


def test_control_characters_are_not_sent_to_the_terminal(tmp_path: Path) -> None:
    paths = []
    for name in "ab":
        paths.append(tmp_path / f"{name}\x1b.gml")
        root = TaxonomyNode("0", f"Pl\x1b[31man\x07 {name}")
        paths[-1].write_bytes(gml_bytes(taxonomy_graph(Taxonomy((root,)))))
    for result in (
        run("diff", *paths, "--output", tmp_path / "d\x07.json"),
        run("stats", paths[0]),
        run("plot", paths[0], "--output", tmp_path / "p\x07.svg"),
    ):
        assert result.exit_code == 0, result.exception
        assert visible(result.output) == result.output
    ElementTree.parse(tmp_path / "p\x07.svg")


def test_importing_loads_nothing_heavy() -> None:
    program = (
        "import sys, taxonomy.cli_looking, taxonomy.looking\n"
        "heavy = {'numpy', 'scipy', 'sklearn', 'networkx', 'matplotlib', 'pandas', 'torch'}\n"
        "sys.exit(', '.join(sorted(heavy & set(sys.modules))) or 0)"
    )
    root = Path(__file__).resolve().parents[2]
    found = subprocess.run(
        [sys.executable, "-c", program], cwd=root, capture_output=True, text=True, check=False
    )
    assert found.returncode == 0, found.stderr


def test_without_matplotlib_a_page_is_still_written(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(MissingPackageError, match=r"pip install 'hierarchical-reasoning\[plot\]'"):
        plot_taxonomy(BUNDLED, ".png")
    assert plot_taxonomy(BUNDLED, ".html", examples=0)
    with pytest.raises(LookingError, match=r"format is '\.gif'"):
        plot_taxonomy(BUNDLED, ".gif")


def test_the_bundled_picture_is_drawn_again_as_it_is() -> None:
    from taxonomy.directory import PICTURE_FILE

    picture = plot_taxonomy(BUNDLED, ".png")
    assert picture == draw_tree(load_taxonomy(BUNDLED))
    if (BUNDLED / PICTURE_FILE).read_bytes() != picture:
        pytest.skip("the bundled picture was drawn by another version of matplotlib")


def long_tree() -> Taxonomy:
    words = [
        "Verify",
        "WWWWWWWWWWWWWWWWWWWWWWWWWWWWWW",
        "every",
        "intermediate",
        "result",
        "before",
        "going",
        "on",
        "with",
        "the",
        "plan",
    ]
    nodes = [TaxonomyNode("r", "root")]
    for group in range(6):
        nodes.append(TaxonomyNode(f"g{group}", " ".join(words[: 3 + 2 * group]), parent_id="r", size=99))
        for leaf in range(1 + 3 * (group % 4)):
            label = " ".join(words[leaf:] + words[: 3 * leaf])
            nodes.append(TaxonomyNode(f"g{group}l{leaf}", label, parent_id=f"g{group}", size=12_345))
    return Taxonomy(tuple(nodes))


def assert_no_boxes_overlap(taxonomy: Taxonomy) -> None:
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    figure = tree_figure(taxonomy, {node.node_id: 12_345 for node in taxonomy.nodes})
    axes = figure.axes[0]
    FigureCanvasAgg(figure).draw()
    boxes = [text.get_bbox_patch().get_window_extent() for text in axes.texts if text.get_bbox_patch()]
    assert len(boxes) == len(taxonomy.nodes)
    for position, box in enumerate(boxes):
        assert box.x1 <= figure.bbox.x1
        assert box.y0 >= 0
        assert not any(box.overlaps(other) for other in boxes[:position])


def test_no_boxes_of_a_picture_overlap() -> None:
    assert_no_boxes_overlap(load_taxonomy(BUNDLED))
    assert_no_boxes_overlap(long_tree())


def test_a_picture_in_svg_holds_text() -> None:
    nodes = (TaxonomyNode("0", "a & <b> \x1b推論 $x$"), TaxonomyNode("1", "leaf", parent_id="0", size=7))
    drawn = draw_tree(Taxonomy(nodes), image_format="svg")
    assert drawn is not None
    written = ["".join(e.itertext()).strip() for e in ElementTree.fromstring(drawn).iter(f"{SVG}text")]
    assert r"a & <b> \x1b推論 $x$" in written
    assert "leaf (7)" in written
    assert drawn == draw_tree(Taxonomy(nodes), image_format="svg")


def test_a_tree_too_tall_for_its_resolution_is_drawn_at_a_lower_one() -> None:
    leaves = [TaxonomyNode(str(n), f"step {n}", parent_id="r") for n in range(700)]
    picture = draw_tree(Taxonomy((TaxonomyNode("r", "root"), *leaves)))
    assert picture is not None
    height = int.from_bytes(picture[20:24], "big")
    assert 2**15 - 2 <= height <= 2**15


@pytest.mark.shared_data
@pytest.mark.parametrize(
    "name", ["chess_qwq_thought_tree_reconstructed.gml", "reasoningflow_node_taxonomy.gml"]
)
def test_foreign_trees_are_drawn_without_overlap(shared_data: Path, name: str) -> None:
    path = shared_data / "taxonomies" / name
    assert_no_boxes_overlap(load_taxonomy(path))
    drawn = ElementTree.fromstring(plot_taxonomy(path, ".svg"))
    assert len(list(drawn.iter(f"{SVG}text"))) >= len(load_taxonomy(path).nodes)
