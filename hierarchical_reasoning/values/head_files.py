"""A value head as a file: safetensors, with the rest as JSON in its metadata. Nothing in it can run code.

It holds the networks and the pairs that they learned from, so that one that is read goes on as if it had never been
written; the vector of a fixed place, by which it is known that an encoder makes the vectors that it learned from; and
which problems it learned from, since what it says of these tells nothing of others.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save

from hierarchical_reasoning.errors import OutputError, ValueHeadError
from hierarchical_reasoning.problems import Problem
from hierarchical_reasoning.values.base import Place
from taxonomy.atomic import write_atomically

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from hierarchical_reasoning.values.encoders.base import Vectors

FILE = "value_head.safetensors"
VERSION = 2
_WITHOUT_PROBLEMS = 1
"""The version before, which does not say which problems it learned from."""
PROBE = Place(Problem("probe", "What is 12 + 30?", None, None, {}), ("12 + 30 = 42.",))
_TOLERANCE = 0.1
"""By how much of its length the probe's vector may differ: more than half precision makes, so weights that differ by
less go unnoticed."""
_HEADER = "value_head"
_DIGEST_DIGITS = 16
_IN_HEADER = frozenset({"encoder", "n_calls", "n_seen", "problems", "settings", "temperature"})


def write_head(folder: Path, header: Mapping[str, Any], tensors: Mapping[str, NDArray[Any]]) -> None:
    """Raises OutputError where it cannot be written; one that was there is whole then."""
    data = save(
        {name: np.ascontiguousarray(array) for name, array in tensors.items()},
        metadata={_HEADER: json.dumps({"version": VERSION, **header})},
    )
    try:
        write_atomically(folder / FILE, data)
    except OSError as error:
        raise OutputError(
            f"the value head cannot be written to {folder} ({error.strerror or error})"
        ) from error


def digest_of(problem: Problem) -> str:
    """By what a head knows a problem again."""
    return hashlib.sha256(problem.text.encode(errors="surrogatepass")).hexdigest()[:_DIGEST_DIGITS]


def read_head(folder: Path) -> tuple[dict[str, Any], dict[str, NDArray[Any]]]:
    """Header and tensors. Raises ValueHeadError where there are none that can be read."""
    return _read(folder, with_tensors=True)


def read_head_header(folder: Path) -> dict[str, Any]:
    """What stands beside the tensors. Raises as `read_head`."""
    return _read(folder, with_tensors=False)[0]


def _read(folder: Path, *, with_tensors: bool) -> tuple[dict[str, Any], dict[str, NDArray[Any]]]:
    path = folder / FILE
    if folder.is_file():
        raise ValueHeadError(f"{folder} is a file; give the folder that it is in (--value_head)")
    if not path.is_file():
        raise ValueHeadError(f"{folder} holds no value head: it has no {FILE} (--value_head)")
    try:
        with safe_open(path, framework="numpy") as file:
            header = json.loads((file.metadata() or {})[_HEADER])
            names = file.keys() if with_tensors else ()
            tensors = {name: file.get_tensor(name) for name in names}
        version = header["version"]
        if version == _WITHOUT_PROBLEMS:
            header["problems"] = None
        elif version == VERSION and not all(isinstance(each, str) for each in header.get("problems") or ()):
            raise TypeError("its problems are no digests")
    except (OSError, SafetensorError, ValueError, KeyError, TypeError) as error:
        raise ValueHeadError(f"{path} is no value head that can be read: {error!r} (--value_head)") from error
    if version not in (VERSION, _WITHOUT_PROBLEMS):
        raise ValueHeadError(
            f"{path} has the version {version!r}; version {VERSION} can be read (--value_head)"
        )
    if missing := sorted(_IN_HEADER - header.keys()):
        raise ValueHeadError(
            f"{path} is no value head that can be read: it has no {missing[0]} (--value_head)"
        )
    return header, tensors


def check_encoder(folder: Path, header: Mapping[str, Any], known: Vectors, name: str, probe: Vectors) -> None:
    """
    Args:
        known: the probe's vector when the head was written.
        name: of the encoder that is to be used.
        probe: its vector of the probe.

    Raises:
        ValueHeadError: the head learned from the vectors of another encoder, or of another model.
    """
    if header["encoder"] != name or len(known) != len(probe):
        raise ValueHeadError(
            f"the value head in {folder} learned from {header['encoder']}, {len(known)} numbers a place; the encoder "
            f"here is {name}, with {len(probe)}: take the model it was trained with, or another head (--value_head)"
        )
    off = float(np.linalg.norm(known - probe) / max(float(np.linalg.norm(known)), 1e-12))
    if not off <= _TOLERANCE:
        raise ValueHeadError(
            f"the value head in {folder} learned from {name} of other weights: the vector of a fixed text differs by "
            f"{off:.0%} of its length, where {_TOLERANCE:.0%} is allowed: take the model that it was trained with, or "
            "another head (--value_head)"
        )
