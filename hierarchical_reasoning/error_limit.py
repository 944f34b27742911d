"""How many problems may end in an error before a run stops: a count, or a share of all its problems."""

from __future__ import annotations

import math
import re
from fractions import Fraction

_COUNT = re.compile(r"\d+")
_SHARE = re.compile(r"(\d+\.?\d*|\.\d+)(%?)")


def errors_allowed(limit: str, n: int) -> int:
    """The largest number of errors, out of `n` problems, that is within `limit`.

    Args:
        limit: a count ("3"), a percentage ("10%"), or a share written with a point ("0.1", "1.0").
        n: problems, or samples of problems, of the whole run.

    Raises:
        ValueError: the limit is none of these, or a share of more than all.
    """
    text = limit.strip()
    if _COUNT.fullmatch(text):
        return int(text)
    match = _SHARE.fullmatch(text)
    share = None if match is None else Fraction(match[1]) / (100 if match[2] else 1)
    if share is None or share > 1:
        raise ValueError(f"{limit!r} is no count (3) and no share (10% or 0.1)")
    return math.floor(share * n)
