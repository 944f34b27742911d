import builtins
import csv
import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import pytest

from taxonomy import OutputDirectoryError, Rollout, TaxonomyFileError, load_taxonomy, write_rollouts
from taxonomy.building.directory_writer import write_taxonomy_directory
from taxonomy.building.given_labels import BuiltTaxonomy, build_taxonomy
from taxonomy.directory import read_labeled_chunks


@pytest.fixture
def built(rollouts: list[Rollout]) -> BuiltTaxonomy:
    return build_taxonomy(rollouts, levels=4)


def contents(directory: Path) -> Mapping[str, bytes]:
    return {entry.name: entry.read_bytes() for entry in directory.iterdir()}


def table(path: Path) -> list[dict[str, str]]:
    with path.open(newline="", encoding="utf-8") as handle:
        return list(csv.DictReader(handle))


def test_every_file_of_the_layout_is_written_and_reads_back(
    tmp_path: Path, built: BuiltTaxonomy, rollouts: list[Rollout]
) -> None:
    source = tmp_path / "rollouts.jsonl"
    write_rollouts(rollouts, source)
    directory = tmp_path / "new" / "tree"
    write_taxonomy_directory(built, directory, inputs=[source])
    sizes = [cut.n_clusters for cut in built.cuts]
    assert set(contents(directory)) == {
        "hierarchical_tree.gml",
        "labeled_hierarchical_tree.gml",
        "optimal_thresholds.csv",
        *(f"clusters_level_{level}_{size}_clusters.csv" for level, size in enumerate(sizes)),
        "inner_node_labels.csv",
        "labels_and_descriptions.csv",
        *(f"labeled_chunks__level-{level}.csv" for level in range(4)),
        "labeled_tree_visualization.png",
        "manifest.json",
    }
    read = load_taxonomy(directory)
    assert read.walk() == built.taxonomy.walk()
    manifest = json.loads((directory / "manifest.json").read_text())
    assert manifest["level_sizes"] == sizes
    assert manifest["inputs"][0]["file"] == "rollouts.jsonl"
    assert len(manifest["inputs"][0]["sha256"]) == 64
    thresholds = table(directory / "optimal_thresholds.csv")
    assert [int(row["n_clusters"]) for row in thresholds] == sizes
    assert [row["silhouette_score"] == "" for row in thresholds] == [True, False, False, True]
    falling = [float(row["threshold"]) for row in thresholds]
    assert falling == sorted(falling, reverse=True)
    assert (directory / "labeled_tree_visualization.png").read_bytes().startswith(b"\x89PNG")
    assert [entry.name for entry in (tmp_path / "new").iterdir()] == ["tree"]


def test_chunks_are_relabeled_at_every_level(tmp_path: Path, built: BuiltTaxonomy) -> None:
    write_taxonomy_directory(built, tmp_path / "tree")
    for level in built.taxonomy.levels:
        rows = read_labeled_chunks(tmp_path / "tree", level)
        assert [(row.rollout_id, row.chunk_idx, row.text) for row in rows] == [
            (chunk.rollout_id, chunk.idx, chunk.text) for chunk in built.chunks
        ]
        for row, chunk in zip(rows, built.chunks, strict=True):
            assert row.label == built.taxonomy.node_for_label(chunk.given_label, level).name
    assert list(table(tmp_path / "tree" / "labeled_chunks__level-1.csv")[0]) == [
        "",
        "index",
        "chunks",
        "chunk_idx",
        "labels",
    ]


def test_any_chunk_text_survives_the_table(tmp_path: Path, rollouts: list[Rollout]) -> None:
    awkward = 'a "quote", a comma\r\nlines\rmore\n\n=1+1 棋 ' + "x" * 200_000
    chunks = (replace(rollouts[0].chunks[0], text=awkward), *rollouts[0].chunks[1:])
    built = build_taxonomy([replace(rollouts[0], chunks=chunks), *rollouts[1:]], levels=2)
    write_taxonomy_directory(built, tmp_path / "tree")
    assert read_labeled_chunks(tmp_path / "tree", 1)[0].text == awkward


def test_the_same_input_gives_the_same_bytes(tmp_path: Path, rollouts: list[Rollout]) -> None:
    for name, order in (("one", 1), ("two", -1)):
        write_taxonomy_directory(build_taxonomy(rollouts[::order], levels=4), tmp_path / name)
    assert contents(tmp_path / "one") == contents(tmp_path / "two")


def test_a_taxonomy_is_replaced_whole(tmp_path: Path, built: BuiltTaxonomy, rollouts: list[Rollout]) -> None:
    directory = tmp_path / "tree"
    directory.mkdir()
    write_taxonomy_directory(built, directory)
    write_taxonomy_directory(build_taxonomy(rollouts, levels=2), directory, overwrite=True)
    assert load_taxonomy(directory).levels == range(2)
    assert not (directory / "labeled_chunks__level-3.csv").exists()
    assert [entry.name for entry in tmp_path.iterdir()] == ["tree"]


def test_a_taxonomy_is_kept_unless_it_is_said_to_be_overwritten(
    tmp_path: Path, built: BuiltTaxonomy, rollouts: list[Rollout]
) -> None:
    directory = tmp_path / "tree"
    write_taxonomy_directory(built, directory)
    before = contents(directory)
    with pytest.raises(OutputDirectoryError, match=r"holds a taxonomy; .*\(--output\), or give --overwrite"):
        write_taxonomy_directory(build_taxonomy(rollouts, levels=2), directory)
    assert contents(directory) == before


@pytest.mark.parametrize("already_a_taxonomy", [True, False])
def test_what_was_not_written_here_is_never_replaced(
    tmp_path: Path, built: BuiltTaxonomy, already_a_taxonomy: bool
) -> None:
    directory = tmp_path / "tree"
    if already_a_taxonomy:
        write_taxonomy_directory(built, directory)
    else:
        directory.mkdir()
    (directory / "thesis.tex").write_text("years of work")
    before = contents(directory)
    with pytest.raises(OutputDirectoryError, match=r"no part of a taxonomy written here: thesis\.tex"):
        write_taxonomy_directory(built, directory, overwrite=True)
    assert contents(directory) == before


def test_a_file_in_the_way(tmp_path: Path, built: BuiltTaxonomy) -> None:
    (tmp_path / "tree").write_text("")
    with pytest.raises(OutputDirectoryError, match="is a file"):
        write_taxonomy_directory(built, tmp_path / "tree")
    with pytest.raises(OutputDirectoryError, match="cannot be written"):
        write_taxonomy_directory(built, tmp_path / "tree" / "below")


def test_a_failed_write_leaves_the_old_taxonomy_and_no_debris(
    tmp_path: Path, built: BuiltTaxonomy, rollouts: list[Rollout]
) -> None:
    directory = tmp_path / "tree"
    write_taxonomy_directory(built, directory)
    before = contents(directory)
    smaller = build_taxonomy(rollouts, levels=2)
    with pytest.raises(OutputDirectoryError, match="cannot be written"):
        write_taxonomy_directory(smaller, directory, inputs=[tmp_path / "absent"], overwrite=True)
    assert contents(directory) == before
    assert [entry.name for entry in tmp_path.iterdir()] == ["tree"]


def test_without_matplotlib_there_is_no_picture_and_the_manifest_says_so(
    tmp_path: Path, built: BuiltTaxonomy, monkeypatch: pytest.MonkeyPatch
) -> None:
    real_import = builtins.__import__

    def import_without_matplotlib(name: str, *arguments: object) -> object:
        if name.startswith("matplotlib"):
            raise ImportError(name)
        return real_import(name, *arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(builtins, "__import__", import_without_matplotlib)
    write_taxonomy_directory(built, tmp_path / "tree")
    assert not (tmp_path / "tree" / "labeled_tree_visualization.png").exists()
    manifest = json.loads((tmp_path / "tree" / "manifest.json").read_text())
    assert manifest["picture"] == "not drawn: matplotlib is not installed"


def test_labels_that_a_picture_could_trip_over(tmp_path: Path, rollouts: list[Rollout]) -> None:
    odd = {"Addition": "棋 $x_", "Division": "a\nb & \\frac"}
    renamed = [
        replace(
            rollout,
            chunks=tuple(
                replace(chunk, label=odd.get(chunk.label or "", chunk.label)) for chunk in rollout.chunks
            ),
        )
        for rollout in rollouts
    ]
    built = build_taxonomy(renamed, levels=3)
    write_taxonomy_directory(built, tmp_path / "tree")
    assert load_taxonomy(tmp_path / "tree").given_labels == built.taxonomy.given_labels
    assert set(odd.values()) < set(built.taxonomy.given_labels)


UNLABELED = """graph [
  directed 1
  node [ id 0 label "2" type "cluster" ]
  node [ id 1 label "1" type "cluster" ]
  node [ id 2 label "0" type "sample" level "leaf" ]
  edge [ source 0 target 1 ]
  edge [ source 1 target 2 ]
]
"""


def test_labels_come_from_the_tables_where_the_gml_has_none(tmp_path: Path) -> None:
    (tmp_path / "hierarchical_tree.gml").write_text(UNLABELED)
    with pytest.raises(TaxonomyFileError, match="2 nodes have no label, such as 2, 1"):
        load_taxonomy(tmp_path)
    (tmp_path / "inner_node_labels.csv").write_text("node_id,label,description\n2,Root,all\n1,Old,old\n")
    (tmp_path / "labels_and_descriptions.csv").write_text(
        'node_id,label,description,level\n1,"Tactics, deep",look,1\n'
    )
    taxonomy = load_taxonomy(tmp_path)
    assert [(node.node_id, node.label, node.description) for node in taxonomy.walk()] == [
        ("2", "Root", "all"),
        ("1", "Tactics, deep", "look"),
    ]
    assert taxonomy.levels == range(2)


def test_a_bare_tree_is_labeled_by_the_tables_beside_it(tmp_path: Path, built: BuiltTaxonomy) -> None:
    write_taxonomy_directory(built, tmp_path / "tree")
    bare = load_taxonomy(tmp_path / "tree" / "hierarchical_tree.gml")
    assert [node.label for node in bare.walk()] == [node.label for node in built.taxonomy.walk()]
    (tmp_path / "tree" / "hierarchical_tree.gml").rename(tmp_path / "tree" / "of_my_own.gml")
    with pytest.raises(
        TaxonomyFileError, match=r"where the file is named hierarchical_tree\.gml, from labels_"
    ):
        load_taxonomy(tmp_path / "tree" / "of_my_own.gml")


def test_a_tree_of_another_name_keeps_its_own_labels(tmp_path: Path, built: BuiltTaxonomy) -> None:
    write_taxonomy_directory(built, tmp_path / "tree")
    own = tmp_path / "tree" / "of_my_own.gml"
    own.write_text(
        'graph [ directed 1 node [ id 0 label "10" ] node [ id 1 label "Mine" ] edge [ source 0 target 1 ] ]'
    )
    assert [node.label for node in load_taxonomy(own).walk()] == ["10", "Mine"]


def test_broken_tables(tmp_path: Path) -> None:
    (tmp_path / "hierarchical_tree.gml").write_text(UNLABELED)
    table_path = tmp_path / "labels_and_descriptions.csv"
    table_path.write_text("node_id,name\n1,x\n")
    with pytest.raises(TaxonomyFileError, match="lacks the columns label, description"):
        load_taxonomy(tmp_path)
    table_path.write_text("node_id,label,description\n1,x\n")
    with pytest.raises(TaxonomyFileError, match="line 2: has fewer cells"):
        load_taxonomy(tmp_path)
    table_path.write_bytes(b"node_id,label,description\n1,\xff,d\n")
    with pytest.raises(TaxonomyFileError, match="cannot be read"):
        load_taxonomy(tmp_path)


def test_paths_that_hold_no_taxonomy(tmp_path: Path) -> None:
    with pytest.raises(TaxonomyFileError, match=r"does not exist.*--tree_model_path"):
        load_taxonomy(tmp_path / "absent")
    with pytest.raises(TaxonomyFileError, match="holds neither labeled_hierarchical_tree"):
        load_taxonomy(tmp_path)
    (tmp_path / "tree.txt").write_text("")
    with pytest.raises(TaxonomyFileError, match=r"neither a directory.*\(--tree_model_path\)"):
        load_taxonomy(tmp_path / "tree.txt")
    for path in (tmp_path / "absent", tmp_path, tmp_path / "tree.txt"):
        with pytest.raises(TaxonomyFileError, match=r"\(TREE\)$"):
            load_taxonomy(path, flag="TREE")
