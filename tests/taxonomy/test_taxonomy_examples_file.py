import csv
from pathlib import Path

import numpy as np
import pytest

from taxonomy import Chunk, Rollout, TaxonomyFileError, load_taxonomy
from taxonomy.building.built import BuiltTaxonomy
from taxonomy.building.directory_writer import write_taxonomy_directory
from taxonomy.building.given_labels import build_taxonomy
from taxonomy.building.parameters import PipelineParameters
from taxonomy.building.pipeline import build_directory
from taxonomy.building.typical_chunks import CHUNKS_A_NODE, READABLE_WORDS, typical_chunks
from taxonomy.directory import EXAMPLES_FILE, read_examples
from taxonomy.embedding.masked_tfidf import embed_texts
from taxonomy.examples import examples_for_level
from taxonomy.looking.html import tree_page
from taxonomy.rollouts import write_rollouts


async def built_in(directory: Path, rollouts: list[Rollout]) -> BuiltTaxonomy:
    write_rollouts(rollouts, directory / "rollouts.jsonl")
    result = await build_directory(
        [directory / "rollouts.jsonl"], directory / "tree", PipelineParameters(levels=4)
    )
    assert result.built is not None
    return result.built


async def test_the_file_has_the_most_typical_chunks_of_every_node(
    tmp_path: Path, rollouts: list[Rollout]
) -> None:
    built = await built_in(tmp_path, rollouts)
    with (tmp_path / "tree" / EXAMPLES_FILE).open(newline="") as handle:
        rows = list(csv.DictReader(handle))
    taxonomy = load_taxonomy(tmp_path / "tree")
    text_of = {(r.id, str(c.idx)): c.text for r in rollouts for c in r.chunks}
    vectors = embed_texts([chunk.text for chunk in built.chunks], dimensions=100, seed=0)
    for node in taxonomy.nodes:
        level = taxonomy.depth(node.node_id)
        own = [row for row in rows if row["node_id"] == node.node_id]
        assert [int(row["rank"]) for row in own] == list(range(1, len(own) + 1))
        assert 1 <= len(own) <= CHUNKS_A_NODE
        assert {row["level"] for row in own} == {str(level)}
        assert len({row["chunks"] for row in own}) == len(own)
        members = [i for i, c in enumerate(built.chunks) if built.node_id(c.sample, level) == node.node_id]
        places = {(built.chunks[i].rollout_id, str(built.chunks[i].idx)): i for i in members}
        assert all(row["chunks"] == text_of[row["index"], row["chunk_idx"]] for row in own)
        assert {(row["index"], row["chunk_idx"]) for row in own} <= set(places)
        nearness = vectors[members] @ vectors[members].mean(axis=0)
        readable = [
            near
            for near, i in zip(nearness, members, strict=True)
            if len(built.chunks[i].text.split()) in READABLE_WORDS
        ]
        first = places[own[0]["index"], own[0]["chunk_idx"]]
        best = max(readable) if readable else max(nearness)
        assert np.isclose(vectors[first] @ vectors[members].mean(axis=0), best, atol=1e-6)
    root = [row for row in rows if row["node_id"] == taxonomy.root.node_id]
    assert len({row["index"] for row in root}) == len(root) == CHUNKS_A_NODE


async def test_readers_take_directories_with_the_file_and_without_it(
    tmp_path: Path, rollouts: list[Rollout]
) -> None:
    built = await built_in(tmp_path, rollouts)
    write_taxonomy_directory(build_taxonomy(rollouts, levels=4), tmp_path / "plain")
    assert not (tmp_path / "plain" / EXAMPLES_FILE).exists()
    assert read_examples(tmp_path / "plain") == {}
    assert read_examples(tmp_path / "plain" / "hierarchical_tree.gml") == {}
    assert load_taxonomy(tmp_path / "plain") == load_taxonomy(tmp_path / "tree") or (
        load_taxonomy(tmp_path / "plain").walk() == load_taxonomy(tmp_path / "tree").walk()
    )
    assert examples_for_level(tmp_path / "plain", 2) == examples_for_level(tmp_path / "tree", 2)
    found = read_examples(tmp_path / "tree")
    assert set(found) == {node.node_id for node in built.taxonomy.nodes}
    best = found[built.taxonomy.root.node_id][0]
    assert best in tree_page(tmp_path / "tree", examples=1).decode()
    for examples in (1, 3):
        page = tree_page(tmp_path / "plain", examples=examples).decode()
        assert '"examples":["' in page


async def test_a_broken_table_is_an_error_that_names_it(tmp_path: Path, rollouts: list[Rollout]) -> None:
    await built_in(tmp_path, rollouts)
    (tmp_path / "tree" / EXAMPLES_FILE).write_text("node_id,level\n1,2\n")
    with pytest.raises(TaxonomyFileError, match=r"examples\.csv: lacks the columns chunks"):
        tree_page(tmp_path / "tree")


def test_few_rollouts_and_odd_lengths_fill_up_what_is_missing() -> None:
    texts = [
        "One.",
        "This one has quite enough words.",
        "",
        "many words " * 90,
        "Five words stand right here.",
    ]
    chunks = tuple(Chunk(idx, text, "step") for idx, text in enumerate([*texts, texts[1]]))
    built = build_taxonomy([Rollout("a", "p", chunks)])
    vectors = embed_texts([chunk.text for chunk in built.chunks], dimensions=10, seed=0)
    found = [example.chunk.text for example in typical_chunks(built, vectors)]
    assert set(found[:2]) == {texts[1], texts[4]}
    assert sorted(found[2:]) == sorted([texts[0], texts[3]])
