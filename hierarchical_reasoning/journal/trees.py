"""The trees of a run, in a file beside its journal: a tree a line, appended when its attempt is finished.

A tree is written before its attempt is in the journal, so that every attempt there has one. What a kill leaves besides,
a torn line or the tree of an attempt that is owed, is dropped when the run goes on.
"""

from __future__ import annotations

import os
from collections.abc import Collection, Iterable, Iterator
from pathlib import Path

from hierarchical_reasoning.errors import OutputError
from hierarchical_reasoning.trees.file import TreeFile
from hierarchical_reasoning.trees.tree import ReasoningTree
from hierarchical_reasoning.trees.writing import tree_line, write_trees

SUFFIX = "-trees"
"""Behind the journal's name."""


def trees_of(journal: Path) -> Path:
    """The file of trees beside a journal; there is none where nothing was searched."""
    return journal.with_name(f"{journal.stem}{SUFFIX}.jsonl")


class RunTrees:
    """The trees of one run; the journal's lock is theirs too. Iterating reads those that are there, one by one."""

    def __init__(self, journal: Path, kept: Collection[tuple[str, int]]) -> None:
        """
        Args:
            journal: of the run.
            kept: problem id and sample of the attempts whose trees stay.

        Raises:
            TreeFileError: a line that is there is no tree.
            OutputError: the file cannot be written.
        """
        self.path = trees_of(journal)
        if self.path.exists() and not self._holds_only(kept):
            write_trees(self.path, (tree for tree in self if _key(tree) in kept))

    def __iter__(self) -> Iterator[ReasoningTree]:
        if self.path.exists() and self.path.stat().st_size:
            for placed in TreeFile(self.path):
                yield placed.tree

    def in_order(self, wanted: Iterable[tuple[str, int]]) -> Iterator[ReasoningTree]:
        """Those that are there, one by one, in the order of these problem ids and samples."""
        if self.path.exists() and self.path.stat().st_size:
            file = TreeFile(self.path)
            places = {_key(placed.tree): (placed.line, placed.start) for placed in file}
            yield from file.in_order(places[key] for key in wanted if key in places)

    def append(self, tree: ReasoningTree) -> None:
        """
        Raises:
            OutputError: it cannot be written.
        """
        try:
            with self.path.open("ab") as file:
                file.write(tree_line(tree))
                file.flush()
                os.fsync(file.fileno())
        except OSError as error:
            raise OutputError(
                f"{self.path} cannot be written ({error.strerror or error}); make room, then go on with --resume"
            ) from error

    def _holds_only(self, kept: Collection[tuple[str, int]]) -> bool:
        """Whether every tree in the file stays, and its last line is whole."""
        if not self.path.stat().st_size:
            return True
        file = TreeFile(self.path)
        return all(_key(placed.tree) in kept for placed in file) and not file.torn


def _key(tree: ReasoningTree) -> tuple[str, int]:
    return tree.problem_id, tree.sample or 0
