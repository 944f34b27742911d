"""Whether the answers to a problem hold together: pure functions of several answers, of a tree, or from anywhere else.

They may differ in seed, in the order of options, or in the wording of the problem: what is found is robustness against
that. `results.sampling` has pass@k and the majority vote.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Hashable, Iterable


def all_at_k(n: int, correct: int, k: int) -> float:
    """The share of the sets of `k` out of `n` answers that are all right: C(c, k) / C(n, k).

    It is the pass^k of Yao, S. et al. (2024), "tau-bench", and falls with k where pass@k rises.

    Raises ValueError unless 0 <= correct <= n and 1 <= k <= n.
    """
    if not 0 <= correct <= n or not 1 <= k <= n:
        raise ValueError(f"correct must lie in 0 to n and k in 1 to n, not n={n}, correct={correct}, k={k}")
    return math.comb(correct, k) / math.comb(n, k)


def agreement(answers: Iterable[Hashable | None]) -> float | None:
    """The share of pairs of answers that are the same; an answer that was not found (None) is like no other.

    It is the consistency of Elazar, Y. et al. (2021), "Measuring and improving consistency in pretrained language
    models", in linear time: with n answers, n_a of them a, the sum over a of n_a * (n_a - 1) / (n * (n - 1)).

    Returns:
        None for fewer than two.
    """
    found = list(answers)
    if len(found) < 2:
        return None
    counts = Counter(answer for answer in found if answer is not None)
    return sum(count * (count - 1) for count in counts.values()) / (len(found) * (len(found) - 1))
