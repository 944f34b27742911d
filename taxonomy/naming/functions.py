"""What groups of steps do, in plain words and without a model: by the functions that their cues show.

The cues are those of the embedder `discourse`: English, and made for mathematics. A step that shows none has no
function, and a group in which no function prevails has none either.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from math import log

import numpy as np
from numpy.typing import NDArray

from taxonomy.embedding.cues import PROPERTIES, properties
from taxonomy.embedding.discourse import FUNCTIONS, function_scores
from taxonomy.embedding.steps import StepText

_NOTHING_SHOWN = 0.35
"""A step without cues has this score, for working."""
_PREVAILS = 0.6
"""Share of a group's steps from which one function says what the group does."""
_COUNTS = 0.15
"""Share of a group's steps from which a function has a part in what it does."""
_ODDITY = 0.01
"""Keeps functions that are rare everywhere from deciding."""


@dataclass(frozen=True)
class Function:
    """A function of steps, as it is said in a taxonomy."""

    name: str
    description: str


_SAID = {
    "planning": Function("Planning", "Say what to do next, or which way to try"),
    "reflecting": Function("Reflecting", "Step back: judge what was found, doubt it, notice a mistake"),
    "restating": Function("Restating the Problem", "Say in own words what is given or asked"),
    "recalling": Function("Recalling Facts", "Bring in a definition, a rule or a known result"),
    "supposing": Function("Supposing", "Assume something, or take one case, to see what follows"),
    "trying": Function("Trying Cases", "Work through an example, a special case or one candidate"),
    "answering": Function("Answering", "State the answer, or sum up how it was found"),
    "working": Function("Working It Out", "Calculate, or derive what follows from what is known"),
}


def shown_functions(steps: Sequence[StepText]) -> NDArray[np.int64]:
    """The function that each step shows most, as a position in `FUNCTIONS`; -1 where it shows none."""
    seen = properties(steps)
    # An early step need not restate the problem: in a short trace nearly all are early.
    seen[:, PROPERTIES.index("early")] = 0.0
    scores = function_scores(seen)
    strongest = scores.argmax(axis=1)
    return np.where(scores.max(axis=1) > _NOTHING_SHOWN, strongest, -1)


def shares(shown: NDArray[np.int64]) -> NDArray[np.float64]:
    """Of each of `FUNCTIONS` among the steps; they need not add up to 1."""
    counts = np.bincount(shown[shown >= 0], minlength=len(FUNCTIONS))
    return counts / max(len(shown), 1)


def prevailing(own: NDArray[np.float64], everywhere: NDArray[np.float64]) -> tuple[Function, ...]:
    """What a group does: one function, or the two that it has most beyond its due; none where little is shown.

    Args:
        own: shares of the functions in the group.
        everywhere: in all steps.
    """
    beyond_due = [
        share * log((share + _ODDITY) / (due + _ODDITY)) for share, due in zip(own, everywhere, strict=True)
    ]
    strongest_first = sorted(range(len(own)), key=lambda place: (-round(beyond_due[place], 9), place))
    if own.max() >= _PREVAILS:
        taking_part = [int(own.argmax())]
    else:
        taking_part = [place for place in strongest_first if own[place] >= _COUNTS][:2]
    if own[taking_part].sum() < _PREVAILS / 2:
        return ()
    return tuple(_SAID[FUNCTIONS[place]] for place in taking_part)
