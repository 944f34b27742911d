"""Results of the stages of a build, kept as files, so that only what changed is computed again.

A stage's result is a file of its own, and beside it stands what it was made from: a hash of the stage's parameters
and of the results of the stages before it. Both are written atomically, the result first, so a kill leaves a stage
either done or to be done again. A result that is not what its hash says is computed anew.
"""

import hashlib
import json
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Generic, TypeVar

from taxonomy.atomic import write_atomically
from taxonomy.errors import OutputDirectoryError

FORMAT = 2
"""Raised whenever a stage computes something else from the same input."""
Result = TypeVar("Result")


@dataclass(frozen=True)
class StageReport:
    """A stage that is done."""

    name: str
    kept: bool
    """Its result was there from before."""
    sha256: str
    """Of the result."""


@dataclass(frozen=True)
class Codec(Generic[Result]):
    """How results of one type become a file, and back."""

    suffix: str
    encode: Callable[[Result], bytes]
    decode: Callable[[bytes], Result]
    is_whole: Callable[[Result], bool] = lambda _: True
    """Whether what a result from disk refers to, such as a model in a directory, is there too."""


class Stages:
    """The stages of one build, in one directory."""

    def __init__(self, directory: Path, on_stage: Callable[[StageReport], None] | None = None) -> None:
        """
        :param on_stage: called after each stage, when its result is on disk.
        """
        self.directory = directory
        self.reports: list[StageReport] = []
        self._on_stage = on_stage

    @property
    def hashes(self) -> dict[str, str]:
        """Of the results so far, by stage."""
        return {report.name: report.sha256 for report in self.reports}

    async def run(
        self,
        name: str,
        made_from: Mapping[str, object],
        make: Callable[[], Awaitable[Result]],
        codec: Codec[Result],
    ) -> Result:
        """The result of a stage: the one on disk if it was made from the same, else a new one.

        Args:
            name: of the stage, and of its files.
            made_from: parameters and hashes that decide the result; values that JSON can hold.
            make: computes the result.
            codec: for the file.

        Raises:
            OutputDirectoryError: the directory cannot be written.
        """
        content = json.dumps([FORMAT, name, made_from], sort_keys=True)
        key = hashlib.sha256(content.encode()).hexdigest()
        result_file = self.directory / f"{name}{codec.suffix}"
        data = self._kept(result_file, key)
        if data is not None and not codec.is_whole(codec.decode(data)):
            data = None
        kept = data is not None
        if data is None:
            data = codec.encode(await make())
            self._keep(name, result_file, key, data)
        report = StageReport(name, kept, hashlib.sha256(data).hexdigest())
        self.reports.append(report)
        if self._on_stage is not None:
            self._on_stage(report)
        # Decoded in both cases, so that a result from disk is in no way another one.
        return codec.decode(data)

    def _keep(self, name: str, result_file: Path, key: str, data: bytes) -> None:
        stamp = {"key": key, "sha256": hashlib.sha256(data).hexdigest()}
        try:
            self._stamp(result_file).unlink(missing_ok=True)
            for left_by_a_kill in self.directory.glob(f".{result_file.name}.*"):
                left_by_a_kill.unlink()
            write_atomically(result_file, data)
            write_atomically(self._stamp(result_file), json.dumps(stamp).encode())
        except OSError as error:
            raise OutputDirectoryError(
                f"{self.directory}: the stage {name!r} cannot be kept: {error.strerror or error} "
                "(--stages_dir, which is beside --output unless given)"
            ) from error

    def _kept(self, result_file: Path, key: str) -> bytes | None:
        try:
            stamp = json.loads(self._stamp(result_file).read_bytes())
            data = result_file.read_bytes()
        except (OSError, ValueError):
            return None
        if not isinstance(stamp, dict) or stamp.get("key") != key:
            return None
        return data if stamp.get("sha256") == hashlib.sha256(data).hexdigest() else None

    def _stamp(self, result_file: Path) -> Path:
        return result_file.with_name(f"{result_file.name}.made_from.json")
