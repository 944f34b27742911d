"""The rollouts that a taxonomy directory was built from: as its build kept them, or read again from their files.

A build keeps its stages beside the directory, and the directory's manifest says what their hashes were. What is there,
and is still that, is the surest source: divided into chunks and labeled exactly as for the build.
"""

import hashlib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from taxonomy.building.pipeline import stages_beside
from taxonomy.chunking.rules import CHUNKERS, chunk_by_rules, is_unchunked
from taxonomy.directory import MANIFEST_FILE
from taxonomy.errors import TaxonomyFileError
from taxonomy.reading import read_inputs
from taxonomy.rollouts import Rollout, with_distinct_places

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from taxonomy.building.stages import Codec

Result = TypeVar("Result")


def read_manifest(tree_path: Path | str) -> Mapping[str, Any] | None:
    """What a directory says of its build; None for one without a manifest, and for a bare GML file.

    Raises:
        TaxonomyFileError: the manifest is broken.
    """
    path = Path(tree_path) / MANIFEST_FILE
    try:
        content: object = json.loads(path.read_bytes())
    except (FileNotFoundError, NotADirectoryError):
        return None
    except (OSError, ValueError, RecursionError) as error:
        raise TaxonomyFileError(f"{path}: cannot be read as JSON: {error}") from error
    return content if isinstance(content, dict) else None


class KeptStages:
    """The stages that a directory's build kept, as far as they are still there."""

    def __init__(self, tree_path: Path | str, stages_dir: Path | None = None) -> None:
        """
        :param stages_dir: where the build kept them; None for beside the directory.
        """
        manifest = read_manifest(tree_path) or {}
        hashes = manifest.get("stages")
        self._hashes: Mapping[str, object] = hashes if isinstance(hashes, dict) else {}
        self.directory = stages_dir or stages_beside(Path(tree_path))

    def given_rollouts(self) -> tuple[Rollout, ...] | None:
        """Divided into chunks, with the labels that they came with."""
        return self._rollouts("chunk" if "chunk" in self._hashes else "read")

    def labeled_rollouts(self) -> tuple[Rollout, ...] | None:
        """With the labels that the tree was grown from, those by a model where one labeled."""
        return self._rollouts("label") if "label" in self._hashes else self.given_rollouts()

    def vectors(self) -> "NDArray[np.floating[Any]] | None":
        """Of every chunk of the labeled rollouts, in order."""
        from taxonomy.building.stage_files import VECTORS

        return self._result("embed", VECTORS)

    def _rollouts(self, stage: str) -> tuple[Rollout, ...] | None:
        from taxonomy.building.stage_files import ROLLOUTS

        found = self._result(stage, ROLLOUTS)
        return None if found is None else found[0]

    def _result(self, stage: str, codec: "Codec[Result]") -> Result | None:
        if stage not in self._hashes:
            return None
        try:
            data = (self.directory / f"{stage}{codec.suffix}").read_bytes()
        except OSError:
            return None
        return codec.decode(data) if hashlib.sha256(data).hexdigest() == self._hashes[stage] else None


def read_source_files(
    tree_path: Path | str, paths: Sequence[Path], *, flag: str
) -> tuple[tuple[Rollout, ...], tuple[str, ...]]:
    """The rollouts of files, and what is to be said of them, in sentences.

    They are divided as for the directory: traces that come as one text by the rules that the manifest records. Where
    a model divided them, such traces are left without chunks.

    Raises:
        RolloutFileError: as `read_inputs` raises it.
        TaxonomyFileError: the manifest is broken.
    """
    asked_for = (read_manifest(tree_path) or {}).get("asked_for")
    chunker = asked_for.get("chunker") if isinstance(asked_for, dict) else None
    reading = read_inputs(paths, flag=flag)
    ordered = sorted(reading.rollouts, key=lambda rollout: rollout.id)
    rollouts = tuple(map(with_distinct_places, ordered))
    if isinstance(chunker, str) and chunker in CHUNKERS:
        rollouts = tuple(chunk_by_rules(rollout, chunker) for rollout in rollouts)
    undivided = sum(map(is_unchunked, rollouts))
    note = f"{undivided} of {len(rollouts)} rollouts come undivided, and nothing says by which rules to divide them"
    return rollouts, (*reading.notes, *(note,) * bool(undivided))
