"""Files of trees: a tree a line of JSON, read one by one, so that a file of any number of them fits in memory."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO

from hierarchical_reasoning.errors import TreeFileError
from hierarchical_reasoning.trees.records import tree_from
from hierarchical_reasoning.trees.tree import ReasoningTree

MAX_LINE_BYTES = 512 * 2**20
"""Of one tree; a longer line is an error, whatever it holds."""


@dataclass(frozen=True)
class PlacedTree:
    """A tree and where it stands."""

    line: int
    """From 1."""
    tree: ReasoningTree
    start: int = field(default=0, compare=False)
    """Where its line begins, in bytes."""


class TreeFile:
    """The trees of a file; each time it is iterated over, the file is read anew.

    A last line that does not end and is no JSON is one that is being written, or was when its writer was killed: it is
    left out, and `torn` is true then, when the iteration has come to the end.

    Iterating raises TreeFileError: the file cannot be read, is empty, or has a line that is no tree; the message names
    line and field.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.torn = False

    def __iter__(self) -> Iterator[PlacedTree]:
        self.torn = False
        number = start = 0
        try:
            with self.path.open("rb") as file:
                for number, line in enumerate(_lines(self.path, file), start=1):
                    tree = self._tree(number, line)
                    if tree is not None:
                        yield PlacedTree(number, tree, start)
                    start += len(line)
        except OSError as error:
            raise TreeFileError(f"{self.path}: cannot be read: {error.strerror or error}") from error
        if number == 0:
            raise TreeFileError(f"{self.path}: is empty, expected a tree a line")

    def in_order(self, placed: Iterable[tuple[int, int]]) -> Iterator[ReasoningTree]:
        """Trees that were found before, in another order.

        Args:
            placed: `line` and `start` of each.

        Raises:
            TreeFileError: the file cannot be read, or is not as it was.
        """
        try:
            with self.path.open("rb") as file:
                for number, start in placed:
                    file.seek(start)
                    tree = self._tree(number, next(_lines(self.path, file), b""))
                    if tree is None:
                        raise TreeFileError(f"{self.path}, line {number}: the file changed while it was read")
                    yield tree
        except OSError as error:
            raise TreeFileError(f"{self.path}: cannot be read: {error.strerror or error}") from error

    def _tree(self, number: int, line: bytes) -> ReasoningTree | None:
        where = f"{self.path}, line {number}"
        try:
            record = json.loads(line)
        except (ValueError, RecursionError) as error:
            if not line.endswith(b"\n"):
                self.torn = True
                return None
            raise TreeFileError(f"{where}: is not JSON ({error}); expected a tree a line") from error
        try:
            return tree_from(record)
        except ValueError as error:
            raise TreeFileError(f"{where}: is no tree that this version reads: {error}") from error


def _lines(path: Path, file: BinaryIO) -> Iterator[bytes]:
    number = 0
    while line := file.readline(MAX_LINE_BYTES + 1):
        number += 1
        if len(line) > MAX_LINE_BYTES:
            raise TreeFileError(f"{path}, line {number}: longer than {MAX_LINE_BYTES // 2**20} MiB")
        yield line
