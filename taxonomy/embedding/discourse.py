"""Vectors of what a step does, from the cues it shows: no model, no labels, no randomness.

A row joins two unit vectors. The first says how strongly the step shows each of eight functions
(`FUNCTIONS`), by fixed rules over the cues; steps that show none lie together at "working", so that clusters
may be as uneven as thought types are. The second holds the cues themselves, standardised over the steps
given, for what the rules do not foresee.

The rules' weights were set by hand on one labeled file (reasoningflow, AIME 2024) with its labels in view;
`docs/taxonomy_quality.md` has what they are worth on files that played no part. They are English and lean
towards mathematics: on other text the second half still separates length, layout and position.
"""

from collections.abc import Sequence
from math import fsum, sqrt

import numpy as np
from numpy.typing import NDArray

from taxonomy.embedding.cues import PROPERTIES, properties
from taxonomy.embedding.steps import StepText

FUNCTIONS = (
    "planning",
    "reflecting",
    "restating",
    "recalling",
    "supposing",
    "trying",
    "answering",
    "working",
)
CUE_WEIGHT = 0.5
"""Length of the cues' half of a row, where that of the functions' half is 1."""

_CONTRAST = 2.0
"""Scores are raised to this power: the strongest function stands out."""
_DEVIATION_FLOOR = 0.05
"""Keeps a cue that hardly ever occurs from outweighing all others."""


def discourse_vectors(steps: Sequence[StepText], *, cue_weight: float = CUE_WEIGHT) -> NDArray[np.float64]:
    """Unit-length rows, one per step. A step's row does not depend on the order of the steps, bit for bit."""
    seen = properties(steps)
    functions = _unit_rows(function_scores(seen) ** _CONTRAST + 1e-6)
    return _unit_rows(np.hstack([functions, cue_weight * _unit_rows(standardised(seen))]))


def function_scores(seen: NDArray[np.float64]) -> NDArray[np.float64]:
    """How strongly each step shows each of `FUNCTIONS`, from 0 to 1.5.

    Args:
        seen: rows of `taxonomy.embedding.cues.properties`.
    """
    cue = dict(zip(PROPERTIES, seen.T, strict=True))
    in_words = 1 - 0.6 * cue["equation"]
    planning = (
        1.2 * cue["colon"] * in_words
        + 0.8 * cue["plan_opener"] * in_words
        + 0.5 * cue["plan"] * in_words
        + 0.7 * cue["check"]
        + 0.8 * cue["heading"]
        + 0.4 * cue["gerund_opener"] * (1 - cue["equation"])
        - 0.4 * cue["inference"]
    )
    plans = np.clip(planning, 0, None)
    reflecting = (
        0.9 * cue["doubt"] * in_words
        + 0.6 * cue["judgement"] * in_words
        + 0.4 * cue["hedge"] * cue["no_formula"]
        + 0.3 * cue["no_formula"] * (1 - np.clip(plans, 0, 1))
        + 0.2 * cue["question"] * cue["no_formula"]
        - 0.5 * cue["colon"]
        - 0.5 * cue["check"]
        - 0.3 * (1 - cue["no_formula"])
    )
    restating = (
        1.5 * np.clip(cue["from_problem"] - 0.2, 0, None)
        + 0.9 * cue["early"] * (1 - cue["colon"])
        + 0.3 * cue["given"]
        - 0.3 * plans
    )
    recalling = 0.9 * cue["knowledge"] * (1 - 0.4 * cue["colon"])
    supposing = 0.9 * cue["supposition"] * (1 - 0.5 * cue["inference"])
    trying = 0.9 * cue["example"]
    near_end = np.maximum(cue["late"], cue["position"] > 0.9)
    answering = 2 * np.clip(cue["boxed"] + cue["answer"] * (0.4 + 0.6 * near_end), 0, 1)
    working = (
        0.35
        + 0.5 * cue["equation"]
        + 0.3 * cue["formula_share"]
        + 0.45 * cue["inference"]
        + 0.25 * cue["ground"]
        - 0.3 * cue["colon"]
    )
    columns = [planning, reflecting, restating, recalling, supposing, trying, answering, working]
    scores: NDArray[np.float64] = np.clip(np.stack(columns, axis=1), 0, 1.5)
    return scores


def standardised(columns: NDArray[np.float64]) -> NDArray[np.float64]:
    """Mean 0, deviation 1. Sums are exact, so that the order of the rows cannot change the last bit."""
    means = np.array([fsum(column) / len(column) for column in columns.T])
    centred = columns - means
    deviations = np.array([sqrt(fsum(column**2) / len(column)) for column in centred.T])
    standardised: NDArray[np.float64] = centred / (deviations + _DEVIATION_FLOOR)
    return standardised


def _unit_rows(rows: NDArray[np.float64]) -> NDArray[np.float64]:
    """Rows of length 1; a row of zeros stays one."""
    lengths = np.sqrt((rows**2).sum(axis=1, keepdims=True))
    unit: NDArray[np.float64] = rows / np.where(lengths > 0, lengths, 1)
    return unit
