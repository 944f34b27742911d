"""Vectors of chunk texts without a model: TF-IDF of 1- to 3-grams, reduced by SVD.

A thought type is what a step does, not what it is about, so numbers and formulas are masked first, and
punctuation counts as words.
"""

import re
from collections.abc import Sequence
from itertools import groupby

import numpy as np
from numpy.typing import NDArray
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.preprocessing import normalize
from sklearn.utils.extmath import randomized_svd

from taxonomy.errors import BuildError

MAX_FEATURES = 30_000

_DELIMITED_MATH = re.compile(r"\$\$.+?\$\$|\$[^$\n]+\$|\\\(.+?\\\)|\\\[.+?\\\]", re.DOTALL)
_MATH_WORD = re.compile(r"\d|[=+^\\<>×÷·−≤≥≠≈√_{}|]|(?<!\w)[-*/]|^[b-hj-zB-HJ-Z]$")
_NUMBER = re.compile(r"[-+$]?\d[\d.,]*%?")
_AROUND_WORDS = ".,;:!?()[]'\"“”‘’*#`"


def mask_content(text: str) -> str:
    """The text with every run of mathematical words as FORMULA, or as NUMBER where it is a single number."""
    text = _DELIMITED_MATH.sub(" FORMULA ", text)
    masked: list[str] = []
    for is_math, run in groupby(text.split(), key=_is_mathematical):
        words = list(run)
        if not is_math:
            masked.extend(words)
            continue
        is_number = len(words) == 1 and _NUMBER.fullmatch(words[0].strip(_AROUND_WORDS))
        masked.append("NUMBER" if is_number else "FORMULA")
        if words[-1][-1] in ".,:?!":
            masked.append(words[-1][-1])
    return " ".join(masked)


def _is_mathematical(word: str) -> bool:
    bare = word.strip(_AROUND_WORDS)
    return word in ("-", "*", "/") or _MATH_WORD.search(bare) is not None


def tfidf(texts: Sequence[str], *, mask: bool = True) -> NDArray[np.float64]:
    """TF-IDF of the texts: a sparse matrix with one unit-length row per text.

    Args:
        texts: any.
        mask: numbers and formulas, as in the text of a step, but not in a label such as `Step 2` or `L12`.

    Raises:
        BuildError: no text holds a word.
    """
    vectorizer = TfidfVectorizer(
        preprocessor=lambda text: (mask_content(text) if mask else text).lower(),
        token_pattern=r"\w+|[.,:?!]",  # noqa: S106 - a pattern of words, no secret
        ngram_range=(1, 3),
        sublinear_tf=True,
        max_features=MAX_FEATURES,
    )
    try:
        matrix: NDArray[np.float64] = vectorizer.fit_transform(texts)
    except ValueError as error:
        raise BuildError(f"the texts hold no words to compare them by: {error}") from error
    return matrix


def embed_texts(
    texts: Sequence[str], *, dimensions: int, seed: int, mask: bool = True
) -> NDArray[np.float64]:
    """Dense unit-length rows, one per text, masked or not; fewer dimensions where the texts carry fewer."""
    matrix = tfidf(texts, mask=mask)
    kept = min(dimensions, *matrix.shape)
    left, strengths, _ = randomized_svd(matrix, n_components=kept, random_state=seed)
    vectors: NDArray[np.float64] = normalize(left * strengths)
    return vectors
