"""From steps of traces to vectors: one seam, several embedders.

Light to import: each embedder's libraries are loaded when it is called. `tfidf` and `discourse` need nothing
but what is installed; `minilm` and other sentence-transformers models, and embeddings from an
OpenAI-compatible server, need their libraries (sentence-transformers, openai).
"""

from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import TYPE_CHECKING

from taxonomy.embedding.steps import StepText, steps_of
from taxonomy.errors import BuildError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Vectors = NDArray[np.float64]
    Embedder = Callable[[Sequence[StepText], int | None, int], Vectors]

__all__ = ["DEFAULT_METHOD", "EMBEDDERS", "PREFIXES", "StepText", "embed", "identity", "steps_of"]

DEFAULT_METHOD = "discourse"
_TFIDF_DIMENSIONS = 100


def embed(
    steps: Sequence[StepText], *, method: str = DEFAULT_METHOD, dimensions: int | None = None, seed: int = 0
) -> "NDArray[np.float32]":
    """Vectors of unit length, one row per step; a step without any word may be a row of zeros.

    Args:
        steps: what to embed. `discourse` looks at text, problem and place; all others at
            `StepText.meaning`.
        method: a key of `EMBEDDERS`, `sentence-transformers:NAME_OR_PATH`, or `openai:MODEL`.
        dimensions: keep at most so many, by SVD; None for what the method has (100 for `tfidf`). There are
            never more than steps.
        seed: of the SVD, the only random part.

    Raises:
        BuildError: an unknown method, no steps, a library or server that is not there, or vectors that are
            not finite.
    """
    import numpy as np

    if dimensions is not None and dimensions < 1:
        raise BuildError(f"dimensions is {dimensions}, at least 1 is allowed (--dimensions)")
    if not steps:
        raise BuildError("there are no steps to embed")
    vectors = _embedder(method)(steps, dimensions, seed)
    if len(vectors) != len(steps) or not np.isfinite(vectors).all():
        raise BuildError(
            f"the embedder {method!r} gave an array of shape {vectors.shape} for {len(steps)} steps, or one with "
            "values that are not finite; another can be chosen (--embedder)"
        )
    if dimensions is not None and vectors.shape[1] > dimensions:
        vectors = _reduced(vectors, dimensions, seed)
    return vectors.astype(np.float32)


def identity(method: str) -> dict[str, str]:
    """What decides the vectors of a method besides the steps: packages, files, addresses."""
    prefix, _, model = method.partition(":")
    if method == "minilm" or prefix == "sentence-transformers":
        from taxonomy.embedding.sentences import minilm_path, model_identity

        return model_identity(minilm_path() if method == "minilm" else model)
    if prefix == "openai":
        from taxonomy.embedding.served import server_address

        return {"address": server_address()}
    return {}


def _embedder(method: str) -> "Embedder":
    if method in EMBEDDERS:
        return EMBEDDERS[method]
    prefix, _, model = method.partition(":")
    if prefix in PREFIXES and model:
        make = PREFIXES[prefix]
        return lambda steps, _dimensions, _seed: make(steps, model)
    allowed = ", ".join([*EMBEDDERS, *(f"{prefix}:MODEL" for prefix in PREFIXES)])
    raise BuildError(f"the embedder is {method!r}, allowed are {allowed} (--embedder)")


def _tfidf(steps: Sequence[StepText], dimensions: int | None, seed: int) -> "Vectors":
    from taxonomy.embedding.masked_tfidf import embed_texts, mask_content

    texts = [mask_content(step.meaning) if step.label is None else step.meaning for step in steps]
    return embed_texts(texts, dimensions=dimensions or _TFIDF_DIMENSIONS, seed=seed, mask=False)


def _discourse(steps: Sequence[StepText], _dimensions: int | None, _seed: int) -> "Vectors":
    from taxonomy.embedding.discourse import discourse_vectors

    return discourse_vectors(steps)


def _minilm(steps: Sequence[StepText], _dimensions: int | None, _seed: int) -> "Vectors":
    from taxonomy.embedding.sentences import minilm_path

    return _sentences(steps, minilm_path())


def _sentences(steps: Sequence[StepText], model: str) -> "Vectors":
    from taxonomy.embedding.sentences import sentence_vectors

    return sentence_vectors([step.meaning for step in steps], model=model)


def _openai(steps: Sequence[StepText], model: str) -> "Vectors":
    from taxonomy.embedding.served import served_vectors

    return served_vectors([step.meaning for step in steps], model=model)


def _reduced(vectors: "Vectors", dimensions: int, seed: int) -> "Vectors":
    from sklearn.preprocessing import normalize
    from sklearn.utils.extmath import randomized_svd

    left, strengths, _ = randomized_svd(
        vectors, n_components=min(dimensions, *vectors.shape), random_state=seed
    )
    reduced: Vectors = normalize(left * strengths)
    return reduced


EMBEDDERS: "Mapping[str, Embedder]" = MappingProxyType(
    {"discourse": _discourse, "tfidf": _tfidf, "minilm": _minilm}
)
"""What `embed` takes as a method."""

PREFIXES: "Mapping[str, Callable[[Sequence[StepText], str], Vectors]]" = MappingProxyType(
    {"sentence-transformers": _sentences, "openai": _openai}
)
"""What `embed` takes before a colon and a model."""
