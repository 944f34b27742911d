"""One file of problems divided into one to train on and one to measure with."""

from __future__ import annotations

import json
import random
import re
from collections.abc import Container
from contextlib import ExitStack
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

from hierarchical_reasoning.errors import OutputError, ProblemFileError, UsageError
from hierarchical_reasoning.problems.reading import ProblemFile
from hierarchical_reasoning.problems.rows import Row
from taxonomy.atomic import written_atomically


@dataclass(frozen=True)
class Split:
    """What was written."""

    train_file: Path
    n_train: int
    val_file: Path
    n_val: int
    n_unanswered: int
    """Problems without a ground truth, in both."""
    n_shared: int
    """Problems of `val_file` whose text is also that of one in `train_file`."""


def write_split(
    file: ProblemFile,
    output: Path,
    *,
    train_share: Fraction = Fraction(9, 10),
    seed: int | None = None,
    name: str | None = None,
    overwrite: bool = False,
) -> Split:
    """Write `<name>_train.jsonl` with this share of the rows, rounded down, and `<name>_val.jsonl` with the others.

    The first rows are those to train on, or with a seed as many that are drawn; both files keep the order. Rows are
    written as they were read, one JSON object a line. Both files are new, or neither is.

    Args:
        file: where the rows come from.
        output: the directory; made where there is none.
        train_share: above 0 and below 1.
        seed: of the draw.
        name: None: that of the file, short of its ending and of `_train`.
        overwrite: whether files of these names are replaced.

    Raises:
        UsageError: a share that leaves one of the files empty, or a name that is none of a file.
        OutputError: a file is there already, is the one that is read, or cannot be written.
        ProblemFileError: a row is no problem.
    """
    if name is not None and (not name.strip() or re.search(r"[/\\\0]", name)):
        raise UsageError(
            f"--name {name!r} must be the beginning of a file's name, without / and \\; --output names the directory"
        )
    n = file.shape.columns.n_rows
    n_train = int(n * train_share)
    if not 0 < n_train < n:
        raise UsageError(
            f"--train_share {float(train_share):g} of {n} problems leaves {n_train} to train on and {n - n_train} to "
            "measure with; both need one, so it must lie between 0 and 1, and the file must have enough rows"
        )
    chosen: Container[int] = range(n_train) if seed is None else set(_drawn(n, n_train, seed))
    stem = name or _stem(file.source.path)
    train, val = output / f"{stem}_train.jsonl", output / f"{stem}_val.jsonl"
    for path in (train, val):
        _check_free(file, path, overwrite=overwrite)
    try:
        return _written(file, train, val, chosen)
    except OSError as error:
        raise OutputError(f"{output} cannot be written ({error.strerror or error}); see --output") from error


def _written(file: ProblemFile, train: Path, val: Path, chosen: Container[int]) -> Split:
    texts: dict[Path, list[int]] = {train: [], val: []}
    n_unanswered = 0
    with ExitStack() as stack:
        handles = {path: stack.enter_context(written_atomically(path)) for path in (train, val)}
        for index, (row, problem) in enumerate(file):
            path = train if index in chosen else val
            handles[path].write(_line(file, row))
            texts[path].append(hash(problem.text))
            n_unanswered += file.shape.has_answers and problem.answer is None
    trained_on = set(texts[train])
    n_shared = sum(text in trained_on for text in texts[val])
    return Split(train, len(texts[train]), val, len(texts[val]), n_unanswered, n_shared)


def _drawn(n: int, n_train: int, seed: int) -> list[int]:
    return random.Random(seed).sample(range(n), n_train)


def _line(file: ProblemFile, row: Row) -> bytes:
    try:
        return (json.dumps(row.fields) + "\n").encode()
    except TypeError as error:
        raise ProblemFileError(
            f"{file.source}, {row.place}: cannot be written as JSON ({error}); see {file.source.flag}"
        ) from error


def _stem(path: Path) -> str:
    name = path.name.removesuffix(path.suffix) if path.suffix.lower() == ".gz" else path.name
    return Path(name).stem.removesuffix("_train")


def _check_free(file: ProblemFile, path: Path, *, overwrite: bool) -> None:
    if not path.exists():
        return
    if path.samefile(file.source.path):
        raise OutputError(f"{path} is the file that is read; name another --output, or others with --name")
    if not overwrite:
        raise OutputError(f"{path} is there already; replace it with --overwrite, or name another --output")
