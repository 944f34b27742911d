"""The files that fuzzed inputs are made from: real ones, made small."""

from __future__ import annotations

import csv
import gzip
import io
import json
import pickle
import shutil
from itertools import islice
from pathlib import Path
from typing import Any

import pytest
from scripted_run import config_for, run_with

from hierarchical_reasoning.assets import ROLLOUTS, TAXONOMY, TEST_PROBLEMS
from taxonomy import Taxonomy, load_taxonomy
from taxonomy.gml import gml_bytes, taxonomy_graph

SMALL = 12
"""Rows of a file, and nodes of a taxonomy."""


def _csv(rows: list[dict[str, Any]]) -> bytes:
    text = io.StringIO()
    writer = csv.DictWriter(text, list(rows[0]))
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue().encode()


def _lines(rows: list[Any]) -> bytes:
    return b"".join(json.dumps(row).encode() + b"\n" for row in rows)


def _head(table: Path) -> list[dict[str, Any]]:
    with table.open(newline="") as file:
        return list(islice(csv.DictReader(file), SMALL))


def _files() -> dict[str, bytes]:
    import pyarrow
    from pyarrow import parquet

    problems = [json.loads(line) for line in TEST_PROBLEMS.read_text().splitlines()[:SMALL]]
    with gzip.open(ROLLOUTS) as file:
        rollouts = [json.loads(line) for line in islice(file, 4)]
    chunks = [
        {
            "rollout_id": rollout["id"],
            "chunk_idx": chunk["idx"],
            "text": chunk["text"],
            "label": chunk["label"],
        }
        for rollout in rollouts
        for chunk in rollout["chunks"]
    ]
    packed = io.BytesIO()
    parquet.write_table(pyarrow.Table.from_pylist(problems), packed)
    taxonomy = load_taxonomy(TAXONOMY)
    small = Taxonomy(taxonomy.nodes[:SMALL], source=taxonomy.source)
    labels = {name: ["text one", "text two"] for name in ("Check", "Add")}
    return {
        "problems.jsonl": _lines(problems),
        "problems.json": json.dumps(problems, indent=1).encode(),
        "problems.csv": _csv(problems),
        "problems.jsonl.gz": _lines(problems),
        "problems.csv.gz": _csv(problems),
        "problems.parquet": packed.getvalue(),
        "rollouts.jsonl": _lines(rollouts),
        "rollouts.jsonl.gz": _lines(rollouts),
        "rollouts.json": json.dumps(rollouts).encode(),
        "chunks.csv": _csv(chunks),
        "hierarchical_tree.gml": gml_bytes(taxonomy_graph(small)),
        "labeled_hierarchical_tree.gml": gml_bytes(taxonomy_graph(small)),
        "inner_node_labels.csv": (TAXONOMY / "inner_node_labels.csv").read_bytes(),
        "labels_and_descriptions.csv": (TAXONOMY / "labels_and_descriptions.csv").read_bytes(),
        "labeled_chunks__level-1.csv": _csv(_head(TAXONOMY / "labeled_chunks__level-1.csv")),
        "examples.csv": _csv(
            [{"node_id": "1", "chunks": "We check it."}, {"node_id": "2", "chunks": "We add."}]
        ),
        "examples.json": json.dumps({"check": ["one", "two"]}).encode(),
        "examples.pkl": pickle.dumps(labels),
        "examples_cache.json": json.dumps(
            {"version": 1, "key": "k", "level": 1, "superset": labels, "notes": ["a note"]}
        ).encode(),
    }


@pytest.fixture(scope="session")
def seeds(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory with them."""
    import asyncio

    folder = tmp_path_factory.mktemp("seeds")
    for name, content in _files().items():
        (folder / name).write_bytes(content)
    run = tmp_path_factory.mktemp("run")
    finished = asyncio.run(run_with(config_for(run)))
    shutil.copy(finished.journal, folder / "journal.jsonl")
    results = json.loads(finished.path.read_bytes())
    (folder / "results_indented.json").write_text(json.dumps(results, indent=2))
    entries = ",\n".join(json.dumps(entry) for entry in results.pop("results"))
    (folder / "results.json").write_text(json.dumps(results)[:-1] + f', "results": [\n{entries}\n]}}\n')
    return folder
