"""The directory that `--tree_model_path` takes: names of its files, and reading them.

A directory holds `labeled_hierarchical_tree.gml` (or, failing that, `hierarchical_tree.gml`), tables of
labels for nodes that the GML leaves unlabeled, one table of chunks per level, and maybe one of each node's most typical
chunks. A bare `.gml` file is a taxonomy too, only without chunks; one of the two names above is labeled by the tables
beside it. Writing is in `taxonomy.building.directory_writer`.
"""

import csv
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from taxonomy.errors import TaxonomyFileError
from taxonomy.gml import LabelText, read_gml
from taxonomy.model import Taxonomy

TREE_FILE = "hierarchical_tree.gml"
LABELED_TREE_FILE = "labeled_hierarchical_tree.gml"
THRESHOLDS_FILE = "optimal_thresholds.csv"
INNER_LABELS_FILE = "inner_node_labels.csv"
LABELS_FILE = "labels_and_descriptions.csv"
EXAMPLES_FILE = "examples.csv"
PICTURE_FILE = "labeled_tree_visualization.png"
MANIFEST_FILE = "manifest.json"
MAX_FIELD_CHARACTERS = 16 * 2**20
"""Of one cell of a table."""
MAX_INDEX_DIGITS = 18


def labeled_chunks_file(level: int) -> str:
    return f"labeled_chunks__level-{level}.csv"


def clusters_file(level: int, n_clusters: int) -> str:
    return f"clusters_level_{level}_{n_clusters}_clusters.csv"


@dataclass(frozen=True)
class ChunkRow:
    """One row of a level's table of chunks."""

    rollout_id: str
    chunk_idx: int
    text: str
    label: str
    """Name or label of a thought type of that level."""


def load_taxonomy(path: Path | str, *, flag: str = "--tree_model_path") -> Taxonomy:
    """The taxonomy of a directory or of a bare `.gml` file.

    Args:
        path: the directory or file. Beside one that is named as a directory's are, the tables of labels count.
        flag: what the command calls it, for messages.

    Raises:
        TaxonomyFileError: the path does not exist, holds no GML, or holds one that is no tree of labeled
            nodes.
    """
    path = Path(path)
    if path.is_dir():
        return _load_directory(path, flag)
    if not path.exists():
        raise TaxonomyFileError(
            f"{path}: does not exist; a taxonomy is a directory with {LABELED_TREE_FILE}, or a .gml file ({flag})"
        )
    if path.suffix != ".gml":
        raise TaxonomyFileError(
            f"{path}: neither a directory with {LABELED_TREE_FILE} nor a .gml file ({flag})"
        )
    return read_gml(path, _labels_in(path.parent) if path.name in (TREE_FILE, LABELED_TREE_FILE) else None)


def read_labeled_chunks(directory: Path | str, level: int) -> tuple[ChunkRow, ...]:
    """The chunks of one level's table; empty where the directory has no such table, or is a bare GML file.

    Raises:
        TaxonomyFileError: the table is broken.
    """
    table = Path(directory) / labeled_chunks_file(level)
    if not table.is_file():
        return ()
    rows = []
    for line, row in _table_rows(table, ("index", "chunks", "chunk_idx", "labels")):
        index = row["chunk_idx"]
        if not index.isdecimal() or len(index) > MAX_INDEX_DIGITS:
            shown = index if len(index) <= MAX_INDEX_DIGITS else f"{index[:MAX_INDEX_DIGITS]}..."
            raise TaxonomyFileError(f"{table}, line {line}: 'chunk_idx' is {shown!r}, expected a number")
        rows.append(ChunkRow(row["index"], int(index), row["chunks"], row["labels"]))
    return tuple(rows)


def read_examples(directory: Path | str) -> dict[str, tuple[str, ...]]:
    """By node id, the texts of its most typical chunks, the best first; empty where the directory has no table of them,
    or is a bare GML file.

    Raises:
        TaxonomyFileError: the table is broken.
    """
    table = Path(directory) / EXAMPLES_FILE
    if not table.is_file():
        return {}
    found: dict[str, list[str]] = {}
    for _, row in _table_rows(table, ("node_id", "chunks")):
        found.setdefault(row["node_id"], []).append(row["chunks"])
    return {node_id: tuple(texts) for node_id, texts in found.items()}


def _load_directory(directory: Path, flag: str) -> Taxonomy:
    for name in (LABELED_TREE_FILE, TREE_FILE):
        if (directory / name).is_file():
            return read_gml(directory / name, _labels_in(directory))
    raise TaxonomyFileError(
        f"{directory}: no taxonomy, holds neither {LABELED_TREE_FILE} nor {TREE_FILE} ({flag})"
    )


def _labels_in(directory: Path) -> dict[str, LabelText]:
    """By node id, what the tables of a directory say; nothing where there are none."""
    labels: dict[str, LabelText] = {}
    for name in (INNER_LABELS_FILE, LABELS_FILE):
        if (directory / name).is_file():
            labels.update(_read_labels(directory / name))
    return labels


def _read_labels(table: Path) -> dict[str, LabelText]:
    rows = _table_rows(table, ("node_id", "label", "description"))
    return {row["node_id"]: LabelText(row["label"], row["description"]) for _, row in rows if row["label"]}


def _table_rows(table: Path, columns: tuple[str, ...]) -> Iterator[tuple[int, dict[str, str]]]:
    """(line number, the named columns) for each row of a CSV file."""
    limit_before = csv.field_size_limit(MAX_FIELD_CHARACTERS)
    try:
        with table.open(encoding="utf-8-sig", newline="") as handle:
            reader = csv.DictReader(handle)
            missing = [column for column in columns if column not in (reader.fieldnames or ())]
            if missing:
                raise TaxonomyFileError(f"{table}: lacks the columns {', '.join(missing)}")
            for row in reader:
                if any(row[column] is None for column in columns):
                    raise TaxonomyFileError(f"{table}, line {reader.line_num}: has fewer cells than columns")
                yield reader.line_num, {column: row[column] for column in columns}
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise TaxonomyFileError(f"{table}: cannot be read: {error}") from error
    finally:
        csv.field_size_limit(limit_before)
