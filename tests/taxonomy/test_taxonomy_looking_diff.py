from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from taxonomy import Rollout, Taxonomy, TaxonomyNode, load_taxonomy
from taxonomy.building.directory_writer import write_taxonomy_directory
from taxonomy.building.given_labels import build_taxonomy
from taxonomy.gml import gml_bytes, taxonomy_graph
from taxonomy.looking.diff import Change, TaxonomyDiff, diff_taxonomies

BUNDLED = Path(__file__).resolve().parents[2] / "hierarchical_reasoning" / "assets" / "taxonomy"

Tree = dict[str, str | None]
"""Parent's label by label."""


def write(path: Path, tree: Tree, descriptions: dict[str, str] | None = None) -> Path:
    nodes = tuple(
        TaxonomyNode(label, label, (descriptions or {}).get(label, ""), parent_id=parent)
        for label, parent in tree.items()
    )
    path.write_bytes(gml_bytes(taxonomy_graph(Taxonomy(nodes))))
    return path


def rows(
    diff: TaxonomyDiff, change: Change
) -> list[tuple[str, int | None, str | None, int | None, str | None]]:
    return [
        (row.label, row.level_a, row.parent_a, row.level_b, row.parent_b)
        for row in diff.nodes
        if row.change is change
    ]


def test_nodes_added_removed_moved_and_described_anew(tmp_path: Path) -> None:
    a: Tree = {"root": None, "plan": "root", "check": "root", "redo": "check", "gone": "plan"}
    b: Tree = {"root": None, "plan": "root", "check": "root", "redo": "plan", "new": "plan"}
    diff = diff_taxonomies(
        write(tmp_path / "a.gml", a, {"plan": "Plan."}), write(tmp_path / "b.gml", b, {"plan": "Plan on."})
    )
    assert rows(diff, Change.REMOVED) == [("gone", 2, "plan", None, None)]
    assert rows(diff, Change.ADDED) == [("new", None, None, 2, "plan")]
    assert rows(diff, Change.MOVED) == [("redo", 2, "check", 2, "plan")]
    assert [row.label for row in diff.nodes if row.redescribed] == ["plan"]
    assert diff.labels_added == ("new",)
    assert diff.labels_removed == ("gone",)
    assert diff.labels_moved == ("redo",)
    assert any("share no labeled chunks" in note for note in diff.notes)


def test_a_label_that_is_repeated_more_often(tmp_path: Path) -> None:
    def tree(*levels: str) -> Taxonomy:
        nodes = [TaxonomyNode("r", "root")]
        for number, name in enumerate(levels):
            nodes.append(TaxonomyNode(str(number), name, parent_id=nodes[-1].node_id))
        return Taxonomy(tuple(nodes))

    paths = []
    for name, taxonomy in (("a", tree("x", "x")), ("b", tree("x", "x", "x"))):
        paths.append(tmp_path / f"{name}.gml")
        paths[-1].write_bytes(gml_bytes(taxonomy_graph(taxonomy)))
    diff = diff_taxonomies(*paths)
    assert rows(diff, Change.ADDED) == [("x", None, None, 3, "x")]
    assert diff.labels_added == ()
    assert diff.count(Change.KEPT) == 3
    assert "only B has the levels 3" in diff.notes


@st.composite
def trees(draw: st.DrawFn) -> Taxonomy:
    nodes = [TaxonomyNode("0", draw(st.sampled_from("ab")))]
    for number in range(1, draw(st.integers(1, 8))):
        parent = draw(st.sampled_from(nodes)).node_id
        nodes.append(TaxonomyNode(str(number), draw(st.sampled_from("abcd")), parent_id=parent))
    return Taxonomy(tuple(nodes))


@given(trees(), trees())
def test_every_node_is_accounted_for_once(
    tmp_path_factory: pytest.TempPathFactory, a: Taxonomy, b: Taxonomy
) -> None:
    directory = tmp_path_factory.mktemp("trees")
    for name, taxonomy in (("a", a), ("b", b)):
        (directory / f"{name}.gml").write_bytes(gml_bytes(taxonomy_graph(taxonomy)))
    diff = diff_taxonomies(directory / "a.gml", directory / "b.gml")
    both = diff.count(Change.KEPT) + diff.count(Change.MOVED)
    assert both + diff.count(Change.REMOVED) == len(a.nodes)
    assert both + diff.count(Change.ADDED) == len(b.nodes)
    back = diff_taxonomies(directory / "b.gml", directory / "a.gml")
    assert back.count(Change.KEPT) == diff.count(Change.KEPT)
    assert back.count(Change.ADDED) == diff.count(Change.REMOVED)
    assert back.labels_added == diff.labels_removed


def test_a_taxonomy_and_itself() -> None:
    diff = diff_taxonomies(BUNDLED, BUNDLED)
    assert diff.count(Change.KEPT) == len(diff.nodes) == len(load_taxonomy(BUNDLED).nodes)
    assert [row.ari for row in diff.levels] == [1.0] * 7
    assert {row.same_label for row in diff.levels} == {1.0}
    assert {row.shared_chunks for row in diff.levels} == {2327}
    assert not any(row.redescribed for row in diff.nodes)
    assert diff.notes == ()


def test_agreement_is_about_shared_chunks(tmp_path: Path, rollouts: list[Rollout]) -> None:
    write_taxonomy_directory(build_taxonomy(rollouts[:30], level_sizes=(1, 3, 10)), tmp_path / "a")
    write_taxonomy_directory(build_taxonomy(rollouts[10:], level_sizes=(1, 4, 10)), tmp_path / "b")
    levels = diff_taxonomies(tmp_path / "a", tmp_path / "b").levels.rows
    assert [(row.shared_chunks, row.only_a, row.only_b) for row in levels] == [(200, 100, 100)] * 3
    assert (levels[1].thought_types_a, levels[1].thought_types_b) == (3, 4)
    assert levels[1].ari is not None
    assert levels[1].ari < 1.0
    assert (levels[2].ari, levels[2].nmi, levels[2].same_label) == (1.0, 1.0, 1.0)


def test_a_chunk_with_another_text_is_another_chunk(tmp_path: Path, rollouts: list[Rollout]) -> None:
    for name in "ab":
        write_taxonomy_directory(build_taxonomy(rollouts, levels=2), tmp_path / name)
    table = tmp_path / "b" / "labeled_chunks__level-1.csv"
    lines = table.read_text().splitlines(keepends=True)
    table.write_text(
        "".join([*lines[:1], lines[1].replace('"r000","', '"r000","Well, '), *lines[2:], lines[2]])
    )
    diff = diff_taxonomies(tmp_path / "a", tmp_path / "b")
    assert (diff.levels.rows[1].shared_chunks, diff.levels.rows[1].only_b) == (399, 1)
    assert "B, level 1: 1 rows repeat another row's chunk; the last counts" in diff.notes


@pytest.mark.shared_data
def test_foreign_trees_differ(shared_data: Path) -> None:
    chess, flow = sorted((shared_data / "taxonomies").glob("*.gml"))
    diff = diff_taxonomies(chess, flow)
    assert (diff.count(Change.REMOVED), diff.count(Change.ADDED)) == (53, 42)
    assert diff_taxonomies(chess, chess).count(Change.KEPT) == 53
