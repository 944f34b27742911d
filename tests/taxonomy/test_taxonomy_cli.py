import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from taxonomy import Rollout, Taxonomy, TaxonomyNode, load_taxonomy, read_rollouts, write_rollouts
from taxonomy.cli import main
from taxonomy.gml import gml_bytes, taxonomy_graph
from taxonomy.terminal import visible


def run(*arguments: object) -> Result:
    return CliRunner().invoke(main, [str(argument) for argument in arguments])


def test_build_then_show(tmp_path: Path, rollouts: list[Rollout]) -> None:
    write_rollouts(rollouts, tmp_path / "r.jsonl.gz")
    result = run("build", tmp_path / "r.jsonl.gz", "--output", tmp_path / "tree", "--levels", 4, "--seed", 3)
    assert result.exit_code == 0, result.output
    assert "400 labeled chunks, 10 given labels" in result.output
    assert load_taxonomy(tmp_path / "tree").levels == range(4)
    tree = run("show", tmp_path / "tree")
    assert tree.exit_code == 0
    assert tree.output.startswith("Reasoning Step (400)\n")
    assert "Constant Transfer (40)" in tree.output
    assert "levels 0 to 3, with 1, " in tree.output
    options = run("show", tmp_path / "tree", "--level", 3)
    assert '"Addition" (40): Add two numbers.\n' in options.output
    assert len(options.output.splitlines()) == 10


def test_fewer_levels_are_a_warning(tmp_path: Path, rollouts: list[Rollout]) -> None:
    write_rollouts(rollouts, tmp_path / "r.jsonl")
    result = run("build", tmp_path / "r.jsonl", "--output", tmp_path / "tree", "--levels", 12)
    assert result.exit_code == 0
    assert "warning: 12 levels were asked for, but 10 given labels carry 10 at most" in result.stderr


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("build", "absent.jsonl", "--output", "x"), "Error: absent.jsonl: no such file (ROLLOUTS)"),
        (("build", "broken.jsonl", "--output", "x"), "broken.jsonl, line 1: not valid JSON"),
        (
            ("build", "r.jsonl", "--output", "x", "--levels", "0"),
            "levels is 0, at least 1 is allowed (--levels)",
        ),
        (("build", "r.jsonl", "--output", "r.jsonl"), "is a file, expected a directory (--output)"),
        (("build", "r.jsonl"), "Missing option '--output'"),
        (
            ("build", "r.jsonl", "--output", "tree"),
            "tree: holds a taxonomy; choose another directory (--output), or",
        ),
        (("show", "absent"), ".gml file (TREE_PATH)"),
        (("show", "r.jsonl"), "nor a .gml file (TREE_PATH)"),
        (("show", "tree", "--level", "9"), "level 9 does not exist; the levels are 0 to 3 (--level)"),
    ],
)
def test_mistakes_end_with_status_2_and_no_traceback(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    rollouts: list[Rollout],
    arguments: tuple[str, ...],
    message: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    write_rollouts(rollouts, Path("r.jsonl"))
    Path("broken.jsonl").write_text("{\n")
    if "tree" in arguments:
        run("build", "r.jsonl", "--output", "tree", "--levels", 4)
    result = run(*arguments)
    assert result.exit_code == 2
    assert message in result.stderr
    assert "Traceback" not in result.output


def test_a_taxonomy_is_replaced_only_when_told_to(tmp_path: Path, rollouts: list[Rollout]) -> None:
    write_rollouts(rollouts, tmp_path / "r.jsonl")
    build = ("build", tmp_path / "r.jsonl", "--output", tmp_path / "tree")
    assert run(*build, "--levels", 4).exit_code == 0
    assert run(*build, "--levels", 2).exit_code == 2
    assert load_taxonomy(tmp_path / "tree").levels == range(4)
    assert run(*build, "--levels", 2, "--overwrite").exit_code == 0
    assert load_taxonomy(tmp_path / "tree").levels == range(2)


def test_the_help_shows_a_rollout_that_can_be_read(tmp_path: Path) -> None:
    shown = run("build", "--help").output
    example = shown[shown.index("{") : shown.rindex("}") + 1]
    (tmp_path / "r.jsonl").write_text(" ".join(example.split()))
    (rollout,) = read_rollouts(tmp_path / "r.jsonl")
    assert rollout.is_correct
    assert all(chunk.label and chunk.description for chunk in rollout.chunks)
    assert run("build", tmp_path / "r.jsonl", "--output", tmp_path / "tree").exit_code == 0


def test_help_and_import_load_no_heavy_library() -> None:
    program = (
        "import sys, taxonomy, taxonomy.cli\n"
        "heavy = {'numpy', 'scipy', 'sklearn', 'networkx', 'torch', 'transformers', 'matplotlib'}\n"
        "sys.exit(', '.join(sorted(heavy & set(sys.modules))) or 0)"
    )
    root = Path(__file__).resolve().parents[2]
    found = subprocess.run(
        [sys.executable, "-c", program], cwd=root, capture_output=True, text=True, check=False
    )
    assert found.returncode == 0, found.stderr
    shown = subprocess.run(
        [sys.executable, "-m", "taxonomy", "--help"], cwd=root, capture_output=True, text=True, check=False
    )
    assert "build" in shown.stdout
    assert "show" in shown.stdout


HOSTILE = "Pl\x1b[31man\x07 \x9b2J\x7f\x1f :smile: [bold]x[/bold]"
SEEN = r"Pl\x1b[31man\x07 \x9b2J\x7f\x1f :smile: [bold]x[/bold]"


def test_control_characters_are_shown_and_not_sent_to_the_terminal(tmp_path: Path) -> None:
    root = TaxonomyNode("0", HOSTILE, f"{HOSTILE}\nsecond\tline", size=3)
    tree = tmp_path / "tree\x1b.gml"
    tree.write_bytes(gml_bytes(taxonomy_graph(Taxonomy((root,)))))
    shown = run("show", tree)
    assert shown.output.splitlines()[0] == f"{SEEN} (3)"
    options = run("show", tree, "--level", 0)
    assert options.output.endswith(f" (3): {SEEN} second line\n")
    absent = run("show", tree, "--level", 5)
    assert r"tree\x1b.gml: level 5 does not exist" in absent.stderr
    mistaken = run("sh\x1bow", tree)
    assert r"sh\x1bow" in mistaken.stderr
    for result in (shown, options, absent, mistaken):
        assert visible(result.output) == result.output


def test_control_characters_of_rollouts_are_shown_while_building(
    tmp_path: Path, rollouts: list[Rollout]
) -> None:
    write_rollouts(rollouts, tmp_path / "r.jsonl")
    result = run("build", tmp_path / "r.jsonl", "--output", tmp_path / "tr\x07ee", "--levels", 3)
    assert result.exit_code == 0, result.output
    assert r"tr\x07ee" in result.output
    assert visible(result.output) == result.output


@pytest.mark.shared_data
def test_show_real_trees(shared_data: Path) -> None:
    chess = shared_data / "taxonomies" / "chess_qwq_thought_tree_reconstructed.gml"
    assert "levels 0 to 6, with 1, 2, 4, 5, 12, 14, 15 thought types" in run("show", chess).output
    assert '"Tactical Analysis (Tactical Moves)": ' in run("show", chess, "--level", 6).output


def test_show_prints_what_no_level_divides_once(tmp_path: Path) -> None:
    (tmp_path / "tree.gml").write_text(
        "graph [ directed 1\n"
        + "".join(
            f'node [ id {number} label "{number}" node_label "{label}" size {size} ]\n'
            for number, (label, size) in enumerate(
                [("All", 5), ("Plan", 3), ("Work", 2), ("Plan", 3), ("Work", 2)]
            )
        )
        + "".join(f"edge [ source {a} target {b} ]\n" for a, b in ((0, 1), (0, 2), (1, 3), (2, 4)))
        + "]"
    )
    shown = run("show", tmp_path / "tree.gml").stdout
    assert shown.count("Plan (3), levels 1 to 2") == shown.count("Plan") == 1
    assert "All (5)\n" in shown
