"""What is said in some chunks more than in others: phrases that tell groups of texts apart.

Of one- to three-word phrases, those are taken whose odds of occurring in a chunk of the group, against the others, are
surely higher: the log odds ratio with a prior, in standard deviations (Monroe, Colaresi and Quinn 2008). Numbers and
formulas are masked, and a phrase must occur in several traces, so that what problems are about counts for less.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array
from sklearn.feature_extraction.text import CountVectorizer

from taxonomy.embedding.masked_tfidf import mask_content

MAX_TEXTS = 40_000
"""Of more texts, every second, third, ... is looked at."""
_MAX_PHRASES = 20_000
_MIN_TRACES = 3
_LEAST_SHARE = 0.03
"""A phrase that fewer chunks of the group have says too little about it."""
_LEAST_DEVIATIONS = 2.0
_PRIOR = 1.0
_LONGER_SHARE = 0.75
"""A longer phrase with a shorter one inside takes its place if it is nearly as far above chance, by this share."""
_FUNCTION_WORDS = """
    a an the of and or is are was were be been in on at by to from for with as that this these those it its i we you he
    they me my our your has have had do does did can could will would so which there than then s t
"""
_SAYS_NOTHING = frozenset(_FUNCTION_WORDS.split())
"""Alone or among themselves."""
_MASKS = {"FORMULA": "[formula]", "NUMBER": "[number]"}
"""In capitals, unlike all words of the texts."""


def distinctive_phrases(
    texts: Sequence[str], groups: Sequence[int], traces: Sequence[str], *, most: int = 8
) -> list[tuple[str, ...]]:
    """The phrases of each group, the most telling first; none where nothing tells it apart.

    Args:
        texts: of the chunks.
        groups: of each chunk, counted from 0.
        traces: id of each chunk's trace.
        most: phrases a group.
    """
    n_groups = max(groups) + 1
    step = -(-len(texts) // MAX_TEXTS)
    texts, groups, traces = texts[::step], groups[::step], traces[::step]
    vectorizer = CountVectorizer(
        preprocessor=lambda text: mask_content(text.lower()),
        token_pattern=r"[^\W\d_]+(?:['’][^\W\d_]+)*",  # noqa: S106 - a pattern of words, no secret
        ngram_range=(1, 3),
        max_features=_MAX_PHRASES,
        binary=True,
    )
    try:
        presence = csr_array(vectorizer.fit_transform(texts))
    except ValueError:  # no words at all
        return [()] * n_groups
    phrases = vectorizer.get_feature_names_out().tolist()
    of_group = _sums(presence, np.asarray(groups), n_groups)
    sizes = np.bincount(groups, minlength=n_groups)[:, None].astype(np.float64)
    telling = _deviations(of_group, sizes)
    telling[of_group < np.maximum(_LEAST_SHARE * sizes, 2)] = -np.inf
    telling[:, ~_in_several_traces(presence, traces)] = -np.inf
    telling[:, [not _says_something(phrase) for phrase in phrases]] = -np.inf
    return [_best(row, phrases, most) for row in telling]


def _sums(presence: csr_array, rows_of: NDArray[np.int64], n: int) -> NDArray[np.float64]:
    membership = csr_array((np.ones(len(rows_of)), (rows_of, np.arange(len(rows_of)))), (n, len(rows_of)))
    sums: NDArray[np.float64] = (membership @ presence).toarray()
    return sums


def _deviations(having: NDArray[np.float64], sizes: NDArray[np.float64]) -> NDArray[np.float64]:
    """(groups, phrases) How many standard deviations the log odds in the group are above those outside."""
    lacking = sizes - having
    having_outside = having.sum(axis=0) - having
    lacking_outside = sizes.sum() - sizes - having_outside
    cells = [cell + _PRIOR for cell in (having, lacking, having_outside, lacking_outside)]
    log_odds = np.log(cells[0] / cells[1]) - np.log(cells[2] / cells[3])
    deviations: NDArray[np.float64] = log_odds / np.sqrt(sum(1 / cell for cell in cells))
    return deviations


def _in_several_traces(presence: csr_array, traces: Sequence[str]) -> NDArray[np.bool_]:
    names, number_of = np.unique(traces, return_inverse=True)
    needed = min(_MIN_TRACES, len(names))
    membership = csr_array(
        (np.ones(len(traces)), (number_of.ravel(), np.arange(len(traces)))), (len(names), len(traces))
    )
    occurs = (membership @ presence) > 0
    several: NDArray[np.bool_] = np.asarray(occurs.sum(axis=0)).ravel() >= needed
    return several


def _says_something(phrase: str) -> bool:
    words = phrase.split()
    return not set(words) <= _SAYS_NOTHING and words not in [[mask] for mask in _MASKS]


def _best(telling: NDArray[np.float64], phrases: Sequence[str], most: int) -> tuple[str, ...]:
    order = np.argsort(-np.round(telling, 6), kind="stable")[: 40 * most]
    order = order[telling[order] >= _LEAST_DEVIATIONS]
    taken: list[str] = []
    for place in order:
        if len(taken) == most:
            break
        phrase = _longest(place, order, telling, phrases)
        words = set(phrase.split())
        # "let me" and "me check" are one and the same thing said.
        if not any(words & set(other.split()) for other in taken):
            taken.append(phrase)
    return tuple(map(_shown, taken))


def without_content(text: str) -> str:
    """The text with its formulas and numbers masked as in phrases."""
    return _shown(mask_content(text))


def _shown(phrase: str) -> str:
    return " ".join(_MASKS.get(word, word) for word in phrase.split())


def _longest(
    place: int, order: NDArray[np.int64], telling: NDArray[np.float64], phrases: Sequence[str]
) -> str:
    """The phrase, or the longest around it that is nearly as telling."""
    enough = _LONGER_SHARE * telling[place]
    around = [
        phrases[other]
        for other in order
        if telling[other] >= enough and f" {phrases[place]} " in f" {phrases[other]} "
    ]
    longest: str = max(around, key=lambda phrase: len(phrase.split()))
    return longest
