"""Notes without which figures mislead whoever reads them: what they begin with tells them from others."""

from __future__ import annotations

from collections.abc import Iterable

_FIRST_WORDS = ("ORACLE:", "SEEN:", "SEEN?")
"""The ground truth was shown; problems were learned from, or may have been."""


def cautions_among(notes: Iterable[str]) -> tuple[str, ...]:
    """Those that are cautions, in their order."""
    return tuple(note for note in notes if note.startswith(_FIRST_WORDS))
