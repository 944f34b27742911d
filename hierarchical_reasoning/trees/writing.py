"""Trees onto disk."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path

from hierarchical_reasoning.errors import OutputError
from hierarchical_reasoning.trees.records import as_record
from hierarchical_reasoning.trees.tree import ReasoningTree
from taxonomy.atomic import written_atomically


def tree_line(tree: ReasoningTree) -> bytes:
    """A tree as a line of a file, its end included."""
    line = json.dumps(as_record(tree), ensure_ascii=True, allow_nan=False, separators=(",", ":"))
    return line.encode() + b"\n"


def write_trees(path: Path, trees: Iterable[ReasoningTree]) -> None:
    """A tree a line, as `TreeFile` reads them; the file is whole or not there.

    Raises:
        OutputError: it cannot be written.
    """
    try:
        with written_atomically(path) as file:
            for tree in trees:
                file.write(tree_line(tree))
    except OSError as error:
        raise OutputError(
            f"{path} cannot be written ({error.strerror or error}); make room, or choose another place"
        ) from error
