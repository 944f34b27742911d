"""Writing the directory that `--tree_model_path` takes, all of it or nothing.

Everything is written into a directory beside the target and moved there by renaming. A taxonomy that is to be
overwritten is first renamed away, so a kill between the two renames leaves it under `.NAME.replaced` beside the
target; that is where a later write removes it. The same input gives the same bytes, but for the versions in the
manifest and a picture drawn by another version of matplotlib.
"""

import csv
import glob
import hashlib
import io
import json
import platform
import shutil
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, replace
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING

from taxonomy.atomic import file_hash, make_staging_directory, write_atomically
from taxonomy.directory import (
    EXAMPLES_FILE,
    INNER_LABELS_FILE,
    LABELED_TREE_FILE,
    LABELS_FILE,
    MANIFEST_FILE,
    PICTURE_FILE,
    THRESHOLDS_FILE,
    TREE_FILE,
    clusters_file,
    labeled_chunks_file,
)
from taxonomy.drawing import draw_tree
from taxonomy.errors import OutputDirectoryError
from taxonomy.gml import gml_bytes, taxonomy_graph
from taxonomy.model import Taxonomy

if TYPE_CHECKING:
    import networkx as nx

    from taxonomy.building.built import BuiltTaxonomy

FORMAT = "thought-type taxonomy directory"
FORMAT_VERSION = 1
_STAGING = "staging-"
_VERSIONED_PACKAGES = ("numpy", "scipy", "scikit-learn", "networkx")


def write_taxonomy_directory(
    built: "BuiltTaxonomy",
    directory: Path | str,
    *,
    inputs: Sequence[Path] = (),
    overwrite: bool = False,
    about_the_build: Mapping[str, object] | None = None,
) -> None:
    """Write every file of the layout.

    Args:
        built: what `build_taxonomy` returned.
        directory: made if absent.
        inputs: the files that the rollouts came from; the manifest gives their names and hashes.
        overwrite: whether a taxonomy that this function wrote there before may be replaced.
        about_the_build: what else the manifest is to say, such as the hashes of stages.

    Raises:
        OutputDirectoryError: the path cannot be written, or holds anything that may not be replaced.
    """
    directory = Path(directory)
    check_output_directory(directory, overwrite=overwrite)
    try:
        staging = _staging_directory(directory)
        try:
            _write_files(built, staging, inputs, about_the_build or {})
            _move_into_place(staging, directory)
        finally:
            shutil.rmtree(staging, ignore_errors=True)
    except OSError as error:
        raise OutputDirectoryError(f"{directory}: cannot be written: {error.strerror or error}") from error


def check_output_directory(directory: Path | str, *, overwrite: bool = False) -> None:
    """Raises OutputDirectoryError where `write_taxonomy_directory` would refuse to replace what is there."""
    directory = Path(directory)
    if not directory.exists():
        return
    if not directory.is_dir():
        raise OutputDirectoryError(f"{directory}: is a file, expected a directory (--output)")
    present = {entry.name for entry in directory.iterdir()}
    strangers = sorted(present - _files_written_before(directory) - {MANIFEST_FILE})
    if strangers:
        raise OutputDirectoryError(
            f"{directory}: not replaced, since it holds what is no part of a taxonomy written here: "
            f"{', '.join(strangers[:5])}; choose another directory (--output)"
        )
    if present and not overwrite:
        raise OutputDirectoryError(
            f"{directory}: holds a taxonomy; choose another directory (--output), or give --overwrite to replace it"
        )


def _staging_directory(directory: Path) -> Path:
    """A new one beside the directory; those that killed builds of it left are removed."""
    for left_by_a_kill in directory.parent.glob(f".{glob.escape(directory.name)}.{_STAGING}*"):
        shutil.rmtree(left_by_a_kill, ignore_errors=True)
    return make_staging_directory(directory, marker=_STAGING)


def _files_written_before(directory: Path) -> set[str]:
    try:
        manifest = json.loads((directory / MANIFEST_FILE).read_bytes())
    except (OSError, ValueError):
        return set()
    if not isinstance(manifest, dict) or manifest.get("format") != FORMAT:
        return set()
    files = manifest.get("files")
    return set(files) if isinstance(files, dict) else set()


def _write_files(
    built: "BuiltTaxonomy", staging: Path, inputs: Sequence[Path], about_the_build: Mapping[str, object]
) -> None:
    hashes = {}
    for name, data in _files(built):
        write_atomically(staging / name, data)
        hashes[name] = hashlib.sha256(data).hexdigest()
    content = {**_manifest(built, inputs, hashes), **about_the_build}
    manifest = json.dumps(content, indent=2, ensure_ascii=False) + "\n"
    write_atomically(staging / MANIFEST_FILE, manifest.encode())


def _move_into_place(staging: Path, directory: Path) -> None:
    replaced = directory.parent / f".{directory.name}.replaced"
    shutil.rmtree(replaced, ignore_errors=True)
    if directory.exists():
        directory.rename(replaced)
    staging.rename(directory)
    shutil.rmtree(replaced, ignore_errors=True)


def _files(built: "BuiltTaxonomy") -> Iterator[tuple[str, bytes]]:
    """(name, content) of every file but the manifest."""
    taxonomy = built.taxonomy
    labeled = taxonomy_graph(taxonomy) if built.from_given_labels else _graph_with_centroids(built)
    for node in taxonomy.nodes:
        threshold = built.cuts[taxonomy.depth(node.node_id)].distance_threshold
        labeled.nodes[node.node_id]["distance_threshold"] = threshold
    yield TREE_FILE, gml_bytes(_without_labels(labeled))
    yield LABELED_TREE_FILE, gml_bytes(labeled)
    yield (
        THRESHOLDS_FILE,
        _csv_bytes(
            ("threshold", "n_clusters", "silhouette_score"),
            ((cut.distance_threshold, cut.n_clusters, cut.silhouette) for cut in built.cuts),
        ),
    )
    in_order = sorted(taxonomy.nodes, key=lambda node: int(node.node_id))
    yield (
        INNER_LABELS_FILE,
        _csv_bytes(
            ("node_id", "label", "description"),
            ((node.node_id, node.label, node.description) for node in in_order),
        ),
    )
    yield (
        LABELS_FILE,
        _csv_bytes(
            ("node_id", "label", "description", "level"),
            ((node.node_id, node.label, node.description, taxonomy.depth(node.node_id)) for node in in_order),
        ),
    )
    for level in taxonomy.levels:
        yield from _level_files(built, level)
    if built.examples:
        yield EXAMPLES_FILE, _examples(built)
    picture = draw_tree(taxonomy)
    if picture is not None:
        yield PICTURE_FILE, picture


def _level_files(built: "BuiltTaxonomy", level: int) -> Iterator[tuple[str, bytes]]:
    taxonomy = built.taxonomy
    name_of = {kind.node_id: kind.name for kind in taxonomy.at_level(level)}
    node_of = [built.node_id(sample, level) for sample in range(len(built.samples))]
    yield (
        clusters_file(level, built.cuts[level].n_clusters),
        _csv_bytes(
            ("sample", "given_label", "cluster"),
            (
                (number, sample.given_label or "", node_of[number])
                for number, sample in enumerate(built.samples)
            ),
        ),
    )
    yield (
        labeled_chunks_file(level),
        _csv_bytes(
            ("", "index", "chunks", "chunk_idx", "labels"),
            (
                (row, chunk.rollout_id, chunk.text, chunk.idx, name_of[node_of[chunk.sample]])
                for row, chunk in enumerate(built.chunks)
            ),
        ),
    )


def _examples(built: "BuiltTaxonomy") -> bytes:
    """`index`, `chunk_idx` and `chunks` are those of the tables of chunks, `label` is a name of the node's level."""
    taxonomy = built.taxonomy
    name_of = {kind.node_id: kind.name for level in taxonomy.levels for kind in taxonomy.at_level(level)}
    return _csv_bytes(
        ("node_id", "level", "label", "rank", "index", "chunk_idx", "chunks"),
        (
            (
                example.node_id,
                taxonomy.depth(example.node_id),
                name_of[example.node_id],
                example.rank,
                example.chunk.rollout_id,
                example.chunk.idx,
                example.chunk.text,
            )
            for example in built.examples
        ),
    )


def _graph_with_centroids(built: "BuiltTaxonomy") -> "nx.DiGraph[str]":
    """The taxonomy with its centroids as sample leaves; `datapoint_indices` are positions of these."""
    bare = tuple(replace(node, given_labels=()) for node in built.taxonomy.nodes)
    graph = taxonomy_graph(Taxonomy(bare))
    deepest = len(built.cuts) - 1
    for number, sample in enumerate(built.samples):
        name = str(number)
        graph.add_node(name, type="sample", level="leaf", orig_leaf_node_id=name, size=sample.size)
        if sample.given_label is not None:
            graph.nodes[name]["given_label"] = sample.given_label
        graph.add_edge(built.node_id(number, deepest), name)
    for level in built.taxonomy.levels:
        members: dict[str, list[int]] = {}
        for number in range(len(built.samples)):
            members.setdefault(built.node_id(number, level), []).append(number)
        for node_id, numbers in members.items():
            graph.nodes[node_id].update(
                samples=len(numbers), leaf_node_ids=list(map(str, numbers)), datapoint_indices=numbers
            )
    return graph


def _without_labels(labeled: "nx.DiGraph[str]") -> "nx.DiGraph[str]":
    graph = labeled.copy()
    for _, attributes in graph.nodes(data=True):
        for attribute in ("node_label", "description", "given_label"):
            attributes.pop(attribute, None)
    return graph


def _csv_bytes(header: Sequence[str], rows: Iterable[Sequence[object]]) -> bytes:
    buffer = io.StringIO()
    # Quoted throughout: before Python 3.13 a lone carriage return inside a text would otherwise go unquoted.
    writer = csv.writer(buffer, lineterminator="\n", quoting=csv.QUOTE_NONNUMERIC)
    writer.writerow(header)
    writer.writerows(rows)
    return buffer.getvalue().encode()


def _manifest(built: "BuiltTaxonomy", inputs: Sequence[Path], hashes: Mapping[str, str]) -> dict[str, object]:
    return {
        "format": FORMAT,
        "format_version": FORMAT_VERSION,
        "inputs": [{"file": path.name, "sha256": file_hash(path)} for path in inputs],
        "rollouts_sha256": built.rollouts_sha256,
        "parameters": asdict(built.parameters),
        "level_sizes": [cut.n_clusters for cut in built.cuts],
        "given_labels": list(built.taxonomy.given_labels),
        "labeled_chunks": len(built.chunks),
        "warnings": list(built.warnings),
        "picture": PICTURE_FILE if PICTURE_FILE in hashes else "not drawn: matplotlib is not installed",
        "versions": {
            "python": platform.python_version(),
            **{package: version(package) for package in _VERSIONED_PACKAGES},
        },
        "files": dict(hashes),
    }
