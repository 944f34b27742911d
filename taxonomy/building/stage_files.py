"""How the results of the stages of a build become files: plain JSON and NumPy arrays, nothing pickled."""

import gzip
import io
import json
from collections import Counter
from dataclasses import asdict
from typing import Any

import numpy as np
from numpy.typing import NDArray

from taxonomy.building.built import Sample, cut_as_json, cut_of_json
from taxonomy.building.growing import Grown
from taxonomy.building.stages import Codec
from taxonomy.naming.nodes import Names, NodeName
from taxonomy.reading.rows import read_row
from taxonomy.refining.refinement import Refinement
from taxonomy.rollouts import Rollout, rollout_lines

Noted = tuple[tuple[Rollout, ...], tuple[str, ...]]
"""Rollouts, and notes on how they came about."""


def _rollouts_as_bytes(noted: Noted) -> bytes:
    rollouts, notes = noted
    lines = json.dumps({"notes": notes}).encode() + b"\n" + rollout_lines(rollouts)
    return gzip.compress(lines, compresslevel=3, mtime=0)


def _rollouts_of_bytes(data: bytes) -> Noted:
    first, *lines = gzip.decompress(data).split(b"\n")
    rows = (json.loads(line) for line in lines if line)
    rollouts = tuple(read_row(row, "a stage's file", "", Counter()) for row in rows)
    return rollouts, tuple(json.loads(first)["notes"])


def _vectors_as_bytes(vectors: NDArray[np.floating[Any]]) -> bytes:
    buffer = io.BytesIO()
    np.save(buffer, vectors, allow_pickle=False)
    return buffer.getvalue()


def _vectors_of_bytes(data: bytes) -> NDArray[np.floating[Any]]:
    vectors: NDArray[np.floating[Any]] = np.load(io.BytesIO(data), allow_pickle=False)
    return vectors


def _grown_as_bytes(grown: Grown) -> bytes:
    content = {
        "cuts": [cut_as_json(cut) for cut in grown.cuts],
        "samples": [[sample.given_label, sample.size] for sample in grown.samples],
        "sample_of_chunk": list(grown.sample_of_chunk),
        "warnings": list(grown.warnings),
    }
    return json.dumps(content).encode()


def _grown_of_bytes(data: bytes) -> Grown:
    content = json.loads(data)
    return Grown(
        cuts=tuple(map(cut_of_json, content["cuts"])),
        samples=tuple(Sample(label, size) for label, size in content["samples"]),
        sample_of_chunk=tuple(content["sample_of_chunk"]),
        warnings=tuple(content["warnings"]),
    )


def _names_as_bytes(named: tuple[Names, tuple[str, ...]]) -> bytes:
    names, notes = named
    content = {"names": [[asdict(name) for name in level] for level in names], "notes": notes}
    return json.dumps(content, indent=1).encode()


def _names_of_bytes(data: bytes) -> tuple[Names, tuple[str, ...]]:
    content = json.loads(data)
    names = [[NodeName(**name) for name in level] for level in content["names"]]
    return names, tuple(content["notes"])


def _refinement_as_bytes(refinement: Refinement) -> bytes:
    return json.dumps(asdict(refinement), indent=1).encode()


def _refinement_of_bytes(data: bytes) -> Refinement:
    content = json.loads(data)
    return Refinement(**{**content, "notes": tuple(content["notes"])})


def _choices_as_bytes(choices: tuple[str, ...]) -> bytes:
    return json.dumps(choices).encode()


def _choices_of_bytes(data: bytes) -> tuple[str, ...]:
    return tuple(json.loads(data))


ROLLOUTS: Codec[Noted] = Codec(".jsonl.gz", _rollouts_as_bytes, _rollouts_of_bytes)
VECTORS: Codec[NDArray[np.floating[Any]]] = Codec(".npy", _vectors_as_bytes, _vectors_of_bytes)
GROWN: Codec[Grown] = Codec(".json", _grown_as_bytes, _grown_of_bytes)
NAMES: Codec[tuple[Names, tuple[str, ...]]] = Codec(".json", _names_as_bytes, _names_of_bytes)
REFINEMENT: Codec[Refinement] = Codec(".json", _refinement_as_bytes, _refinement_of_bytes)
CHOICES: Codec[tuple[str, ...]] = Codec(".json", _choices_as_bytes, _choices_of_bytes)
