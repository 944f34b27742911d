import csv
import io
import json
import pickle
import sys
from dataclasses import dataclass, replace
from pathlib import Path
from types import ModuleType

import pytest
from hypothesis import given
from hypothesis import strategies as st

from taxonomy import Chunk, Rollout, TaxonomyFileError, load_taxonomy, read_rollouts
from taxonomy.building.directory_writer import write_taxonomy_directory
from taxonomy.building.given_labels import build_taxonomy
from taxonomy.looking import Frame, LookingError, MissingPackageError, OutputFileError
from taxonomy.looking.agreement import agreement
from taxonomy.looking.assignments import node_sizes, read_assignments
from taxonomy.looking.nodes import node_frame
from taxonomy.looking.rebuilding import Rebuild, rebuild_of_directory
from taxonomy.looking.stability import Variation, measure_stability
from taxonomy.looking.stats import taxonomy_stats

ASSETS = Path(__file__).resolve().parents[2] / "hierarchical_reasoning" / "assets"
BUNDLED = ASSETS / "taxonomy"


@pytest.fixture
def tree(tmp_path: Path, rollouts: list[Rollout]) -> Path:
    write_taxonomy_directory(build_taxonomy(rollouts, levels=4, seed=3), tmp_path / "tree")
    return tmp_path / "tree"


def test_agreement_by_hand() -> None:
    # Group x: 2 of A, 1 of B; group y: 1 of B. Purity (2 + 1) / 4.
    found = agreement(["x", "x", "x", "y"], ["A", "A", "B", "B"])
    assert found.items == 4
    assert found.purity == 0.75
    assert found.homogeneity == pytest.approx(0.311278, abs=1e-6)
    assert found.completeness == pytest.approx(0.383689, abs=1e-6)
    assert found.v_measure == pytest.approx(0.343711, abs=1e-6)
    assert found.nmi == pytest.approx(found.v_measure)
    assert found.ari == 0.0


@given(st.lists(st.sampled_from("abcd"), min_size=1, max_size=30))
def test_what_agrees_with_itself_agrees_fully(labels: list[str]) -> None:
    found = agreement([label.upper() for label in labels], labels)
    assert (found.ari, found.nmi, found.v_measure, found.purity) == (1.0, 1.0, 1.0, 1.0)


def test_agreement_needs_items() -> None:
    with pytest.raises(ValueError, match="2 groups for 1 classes"):
        agreement([1, 2], [1])
    with pytest.raises(ValueError, match="0 groups"):
        agreement([], [])


def test_figures_of_the_bundled_taxonomy() -> None:
    stats = taxonomy_stats(BUNDLED, seeds=0, bootstraps=0)
    levels = list(stats.levels)
    assert [row.thought_types for row in levels] == [1, 2, 4, 7, 10, 13, 15]
    assert {row.chunks for row in levels} == {2327}
    assert (levels[6].smallest, levels[6].median, levels[6].largest) == (43, 137, 362)
    assert levels[3].silhouette == 0.110221
    assert levels[0].silhouette is None
    assert (levels[6].nmi, levels[6].purity, levels[6].ari) == (1.0, 1.0, 1.0)
    assert [row.completeness for row in levels] == [1.0] * 7
    homogeneity = [row.homogeneity for row in levels]
    assert homogeneity == sorted(homogeneity)  # type: ignore[type-var]
    assert stats.given_labels == "the given labels that level 6 keeps apart"
    assert any("not asked for" in note for note in stats.notes)
    with_rollouts = taxonomy_stats(
        BUNDLED, rollouts=read_rollouts(ASSETS / "rollouts.jsonl.gz"), seeds=0, bootstraps=0
    )
    assert with_rollouts.levels == stats.levels
    assert with_rollouts.given_labels == "the rollouts' labels"


def test_labels_of_other_rollouts_are_what_counts(tree: Path, rollouts: list[Rollout]) -> None:
    def relabeled(rollout: Rollout) -> Rollout:
        chunks = (replace(chunk, label=f"L{chunk.idx % 2}") for chunk in rollout.chunks[:4])
        return replace(rollout, chunks=tuple(chunks))

    stats = taxonomy_stats(tree, rollouts=map(relabeled, rollouts), seeds=0, bootstraps=0)
    last = stats.levels.rows[-1]
    assert last.chunks == 400
    assert last.labeled_chunks == 160
    assert last.purity == 1.0
    assert last.completeness is not None
    assert last.completeness < 1.0


def test_rollouts_of_something_else_are_refused(tree: Path, rollouts: list[Rollout]) -> None:
    strangers = [replace(rollout, id=f"other {rollout.id}") for rollout in rollouts]
    with pytest.raises(LookingError, match=r"none of its chunks is in the rollouts.*--rollouts_file"):
        taxonomy_stats(tree, rollouts=strangers, seeds=0, bootstraps=0)


def test_the_same_seed_rebuilds_the_same_taxonomy(tree: Path) -> None:
    rebuild = rebuild_of_directory(tree)
    assert isinstance(rebuild, Rebuild)
    assert rebuild.seed == 3
    taxonomy = load_taxonomy(tree)
    groupings = rebuild.group(rebuild.rollouts, rebuild.seed)
    assert len(groupings) == len(taxonomy.levels)
    for level, grouping in enumerate(groupings):
        wanted = {
            (chunk.rollout_id, chunk.chunk_idx): chunk.node_id
            for chunk in read_assignments(taxonomy, tree, level).chunks
        }
        assert grouping == wanted


def test_stability_of_a_directory(tree: Path) -> None:
    stability = measure_stability(tree, seeds=2, bootstraps=3)
    assert stability.reason is None
    assert len(stability.frame) == (2 + 3) * 4
    assert {row.run for row in stability.frame if row.variation is Variation.SEED} == {4, 5}
    assert stability.values(Variation.SEED, 3) == (1.0, 1.0)
    chunks = {row.chunks for row in stability.frame if row.variation is Variation.BOOTSTRAP}
    assert all(chunk_count < 400 for chunk_count in chunks)
    assert stability == measure_stability(tree, seeds=2, bootstraps=3)
    row = taxonomy_stats(tree, seeds=1, bootstraps=2).levels.rows[2]
    assert row.bootstrap_ari is not None
    assert row.bootstrap_ari_min is not None
    assert row.bootstrap_ari_min <= row.bootstrap_ari <= 1.0


def test_stability_sees_what_a_rebuild_does(tree: Path) -> None:
    found = rebuild_of_directory(tree)
    assert isinstance(found, Rebuild)

    def everything_alone(rollouts: object, seed: int) -> list[dict[tuple[str, int], str]]:
        assert isinstance(rollouts, list | tuple)
        chunks = [(rollout.id, chunk.idx) for rollout in rollouts for chunk in rollout.chunks]
        return [{key: str(key) for key in chunks}] * 4

    stability = measure_stability(tree, seeds=1, bootstraps=0, rebuild=replace(found, group=everything_alone))
    assert [row.ari for row in stability.frame] == [0.0] * 4


def test_a_rare_label_that_a_draw_misses(tmp_path: Path, rollouts: list[Rollout]) -> None:
    odd = Rollout("odd", "p", (Chunk(0, "Something else happens here.", "Odd One", "Do what is odd."),))
    write_taxonomy_directory(build_taxonomy([*rollouts[:6], odd], levels=3), tmp_path / "tree")
    stability = measure_stability(tmp_path / "tree", seeds=0, bootstraps=6)
    assert {row.run for row in stability.frame} == set(range(6))


def test_what_cannot_be_known_is_said(tmp_path: Path, tree: Path) -> None:
    bare = taxonomy_stats(tree / "labeled_hierarchical_tree.gml")
    assert [row.chunks for row in bare.levels] == [None] * 4
    assert any("holds no labeled chunks" in note for note in bare.notes)
    assert any("no manifest.json records how it was built" in note for note in bare.notes)
    manifest = json.loads((tree / "manifest.json").read_text())
    del manifest["parameters"]
    (tree / "manifest.json").write_text(json.dumps(manifest))
    assert measure_stability(tree).reason == "no manifest.json records how it was built"
    (tree / "manifest.json").write_text("{")
    with pytest.raises(TaxonomyFileError, match=r"manifest\.json: cannot be read as JSON"):
        measure_stability(tree)


def test_rows_of_unknown_thought_types_are_said(tree: Path) -> None:
    table = tree / "labeled_chunks__level-3.csv"
    table.write_text(table.read_text().replace('"Addition"', '"Nobody"'))
    stats = taxonomy_stats(tree, seeds=0, bootstraps=0)
    assert stats.levels.rows[3].chunks == 360
    assert stats.levels.rows[3].smallest == 0
    assert any("level 3: 40 chunks labeled 'Nobody' are left out" in note for note in stats.notes)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("threshold,n_clusters\n1,2\n", "lacks the column 'silhouette_score'"),
        ("threshold,n_clusters,silhouette_score\n1,x,0.5\n", "cannot be read"),
        ("threshold,n_clusters,silhouette_score\n1,2,high\n", "cannot be read"),
    ],
)
def test_broken_silhouettes(tree: Path, content: str, message: str) -> None:
    (tree / "optimal_thresholds.csv").write_text(content)
    with pytest.raises(TaxonomyFileError, match=message):
        taxonomy_stats(tree, seeds=0, bootstraps=0)


@pytest.mark.parametrize("setting", ["seeds", "bootstraps"])
def test_negative_numbers(tree: Path, setting: str) -> None:
    with pytest.raises(LookingError, match=rf"{setting} is -1, 0 or more is allowed \(--{setting}\)"):
        taxonomy_stats(tree, **{setting: -1})  # type: ignore[arg-type]


def test_sizes_are_counted_where_there_are_chunks(tree: Path) -> None:
    taxonomy = load_taxonomy(tree)
    assert node_sizes(taxonomy, tree) == {node.node_id: node.size for node in taxonomy.nodes}
    rows = list(node_frame(tree))
    assert rows[0].share == 1.0
    assert rows[0].share_of_parent is None
    assert sum(row.share or 0 for row in rows if row.level == 3) == pytest.approx(1.0)
    (tree / "labeled_chunks__level-3.csv").write_text('"index","chunks","chunk_idx","labels"\n')
    assert node_sizes(taxonomy, tree) == {node.node_id: node.size for node in taxonomy.nodes}


@dataclass(frozen=True)
class Point:
    x: int
    name: str | None
    kind: Variation


def test_frames() -> None:
    frame = Frame(Point, (Point(1, 'a,"b"\n\r', Variation.SEED), Point(2, None, Variation.BOOTSTRAP)))
    assert frame.columns() == {"x": [1, 2], "name": ['a,"b"\n\r', None], "kind": ["seed", "bootstrap"]}
    assert list(csv.reader(io.StringIO(frame.csv_bytes().decode(), newline=""))) == [
        ["x", "name", "kind"],
        ["1", 'a,"b"\n\r', "seed"],
        ["2", "", "bootstrap"],
    ]
    empty = Frame(Point, ())
    assert empty.columns() == {"x": [], "name": [], "kind": []}
    assert empty.csv_bytes() == b'"x","name","kind"\n'


def test_a_data_frame_only_where_pandas_is(monkeypatch: pytest.MonkeyPatch) -> None:
    frame = Frame(Point, (Point(1, "a", Variation.SEED),))
    monkeypatch.setitem(sys.modules, "pandas", None)
    with pytest.raises(MissingPackageError, match="pip install pandas"):
        frame.to_pandas()
    stand_in = ModuleType("pandas")
    stand_in.DataFrame = lambda columns_of, columns: (columns_of, columns)  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "pandas", stand_in)
    assert frame.to_pandas() == ({"x": [1], "name": ["a"], "kind": ["seed"]}, ["x", "name", "kind"])


@pytest.mark.parametrize("kind", [LookingError, MissingPackageError, OutputFileError])
def test_errors_can_be_pickled(kind: type[Exception]) -> None:
    assert str(pickle.loads(pickle.dumps(kind("what (--flag)")))) == "what (--flag)"


@pytest.mark.shared_data
def test_foreign_trees(shared_data: Path) -> None:
    sizes = {}
    for path in sorted((shared_data / "taxonomies").glob("*.gml")):
        sizes[path.stem] = [row.thought_types for row in taxonomy_stats(path).levels]
    assert sizes["chess_qwq_thought_tree_reconstructed"] == [1, 2, 4, 5, 12, 14, 15]
    assert sizes["reasoningflow_node_taxonomy"] == [1, 9, 33]
