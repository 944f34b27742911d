"""What is fuzzed: every reader of files, the files it starts from, and the errors that it may raise."""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from mutators import changed_value, gzip_mutated, mutated

from hierarchical_reasoning.errors import JournalError, ReasoningError, ResultsFileError
from hierarchical_reasoning.examples_file import read_examples as read_examples_file
from hierarchical_reasoning.journal.file import read_header, read_journal
from hierarchical_reasoning.journal.lines import line_of
from hierarchical_reasoning.problems import read_problems
from hierarchical_reasoning.results.reader import open_run, total_usage
from hierarchical_reasoning.verifiers import verifier_for
from taxonomy import ThoughtType, load_taxonomy
from taxonomy.directory import read_examples, read_labeled_chunks
from taxonomy.errors import ExamplesCacheError, RolloutFileError, TaxonomyFileError
from taxonomy.examples import read_examples_cache
from taxonomy.pickle_cache import import_pickle_cache
from taxonomy.reading import read_inputs


@dataclass(frozen=True)
class Reader:
    """One of them."""

    share: int
    """Inputs of every 20,000."""
    seeds: tuple[str, ...]
    """Names of the files that inputs are made from."""
    read: Callable[[Path], object]
    errors: tuple[type[Exception], ...]
    """What it may raise: these, with a message."""
    beside: tuple[str, ...] = ()
    """Files that stand in the same directory, unchanged."""
    mutate: Callable[[bytes, random.Random], bytes] = mutated


def _signed(seed: bytes, draw: random.Random) -> bytes:
    """A journal with one line changed whose checksum is right all the same, as another version could write it."""
    lines = seed.splitlines(keepends=True)
    chosen = draw.randrange(len(lines))
    content = json.loads(lines[chosen])
    del content["crc"]
    for _ in range(draw.choice((1, 1, 3))):
        content = changed_value(content, draw)
    try:
        lines[chosen] = line_of(content)
    except (ValueError, TypeError):  # NaN, or nothing that has fields
        lines[chosen] = b"{}\n"
    return b"".join(lines)


def _problems(path: Path) -> None:
    found = read_problems(path)
    verifier_for(None, found.problems)


def _category(path: Path) -> None:
    read_problems(path, category="expression", n_rows=2)


def _run(path: Path) -> None:
    for entry in open_run(path).entries():
        total_usage(entry)


def _journal(path: Path) -> None:
    read_header(path)
    read_journal(path)
    _run(path)


def _directory(path: Path) -> None:
    taxonomy = load_taxonomy(path.parent)
    for level in taxonomy.levels:
        taxonomy.at_level(level)
        read_labeled_chunks(path.parent, level)
    read_examples(path.parent)


def _examples_cache(path: Path) -> None:
    found = read_examples_cache(path, 1, key="k")
    if found is not None:
        found.shown(2)


def _examples_file(path: Path) -> None:
    read_examples_file(path, [ThoughtType("1", "Check", "It checks.", depth=1, name="Check")])


READERS = {
    "problems": Reader(
        3000, ("problems.jsonl", "problems.json", "problems.csv"), _problems, (ReasoningError,)
    ),
    "problems of a category": Reader(1500, ("problems.jsonl", "problems.json"), _category, (ReasoningError,)),
    "packed problems": Reader(
        1000, ("problems.jsonl.gz", "problems.csv.gz"), _problems, (ReasoningError,), mutate=gzip_mutated
    ),
    "parquet problems": Reader(700, ("problems.parquet",), _problems, (ReasoningError,)),
    "results": Reader(2500, ("results.json", "results_indented.json"), _run, (ResultsFileError,)),
    "journals": Reader(1500, ("journal.jsonl",), _journal, (JournalError, ResultsFileError)),
    "signed journals": Reader(
        1000, ("journal.jsonl",), _journal, (JournalError, ResultsFileError), mutate=_signed
    ),
    "taxonomies": Reader(1200, ("labeled_hierarchical_tree.gml",), _directory, (TaxonomyFileError,)),
    "tables of a taxonomy": Reader(
        800,
        (
            "inner_node_labels.csv",
            "labels_and_descriptions.csv",
            "labeled_chunks__level-1.csv",
            "examples.csv",
        ),
        _directory,
        (TaxonomyFileError,),
        beside=("hierarchical_tree.gml",),
    ),
    "rollouts": Reader(
        3000,
        ("rollouts.jsonl", "rollouts.json", "chunks.csv", "results.json"),
        lambda path: read_inputs([path]),
        (RolloutFileError,),
    ),
    "packed rollouts": Reader(
        500,
        ("rollouts.jsonl.gz",),
        lambda path: read_inputs([path]),
        (RolloutFileError,),
        mutate=gzip_mutated,
    ),
    "caches of examples": Reader(500, ("examples_cache.json",), _examples_cache, (ExamplesCacheError,)),
    "pickles of examples": Reader(500, ("examples.pkl",), import_pickle_cache, (ExamplesCacheError,)),
    "files of examples": Reader(
        300, ("examples.json",), _examples_file, (ReasoningError, ExamplesCacheError)
    ),
}
