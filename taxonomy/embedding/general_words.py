"""Words that steps on every problem use alike: what is said, rather than what it is said about.

They are found by comparing how a word's steps are spread over the problems with how all steps are. "Wait" is said
wherever there are steps, "triangle" on a few problems. No list of words is needed, nor any label.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array
from sklearn.feature_extraction.text import CountVectorizer

_DECIMALS = 9
"""Divergences are rounded before they are compared, so that the last bits of a sum never choose a word."""


def general_words(texts: Sequence[str], problems: Sequence[str], *, most: int) -> NDArray[np.float64]:
    """(texts, words) 1 where a text has the word, 0 elsewhere, for the words spread most evenly over the problems.

    The measure is the Kullback-Leibler divergence of a word's problems from those of all texts. It is large for rare
    words too, which can be on few problems only; between equals, the more frequent word is taken, then by alphabet.

    Args:
        texts: in lower case, with formulas masked.
        problems: the problem that each text is on, by any name.
        most: how many words; fewer where the texts have fewer, none where they have none.
    """
    counter = CountVectorizer(
        token_pattern=r"[^\W\d_]+(?:'[^\W\d_]+)?|[.,:?!*\\=-]",  # noqa: S106 - a pattern of words, no secret
        lowercase=False,
        binary=True,
    )
    try:
        presence = csr_array(counter.fit_transform(texts), dtype=np.float64)
    except ValueError:  # no words at all
        return np.zeros((len(texts), 0))
    numbers = {problem: number for number, problem in enumerate(dict.fromkeys(problems))}
    problem_of = np.array([numbers[problem] for problem in problems])
    n_texts_on = np.bincount(problem_of)
    membership = csr_array(
        (np.ones(len(texts)), (problem_of, np.arange(len(texts)))), shape=(len(n_texts_on), len(texts))
    )
    uses = (membership @ presence).tocoo()
    on, word = uses.row, uses.col
    n_uses = presence.sum(axis=0)
    share, due = uses.data / n_uses[word], n_texts_on[on] / len(texts)
    divergence = np.bincount(word, weights=share * np.log(share / due), minlength=len(n_uses))
    evenest = np.lexsort((-n_uses, np.round(divergence, _DECIMALS)))[:most]
    chosen: NDArray[np.float64] = presence[:, np.sort(evenest)].toarray()
    return chosen
