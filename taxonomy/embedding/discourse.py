"""Vectors of what a step does: no model, no labels, no randomness.

A row joins two unit vectors, which count alike. The first says how strongly the step shows each of eight functions
(`FUNCTIONS`), by fixed rules over cues of its wording, formulas, layout and place; steps that show none lie together
at "working", so that clusters may be as uneven as thought types are. The second is found in the steps given: their
cues and the words they use on any problem, along the directions in which they differ most.

The rules' weights were set by hand on one labeled file (reasoningflow, AIME 2024) with its labels in view;
`docs/taxonomy_quality.md` has what the vectors are worth on files that played no part in that. The rules are English
and lean towards mathematics; on other text the second half says more.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from taxonomy.embedding.cues import PROPERTIES, properties, wording
from taxonomy.embedding.general_words import general_words
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
_CONTRAST = 2.0
"""Scores are raised to this power: the strongest function stands out."""
_DEVIATION_FLOOR = 0.05
"""Keeps a cue or word that hardly ever occurs from outweighing all others."""
_WORDS = 150
_DIRECTIONS = 12
_DECIMALS = 9
"""Steps that do not differ are at the middle, not where the last bits of a sum would put them."""


def discourse_vectors(steps: Sequence[StepText]) -> NDArray[np.float64]:
    """Unit-length rows, one per step. In another order, the same steps have the same rows, bit for bit."""
    order = sorted(range(len(steps)), key=lambda row: _in_canonical_order(steps[row]))
    ordered = [steps[row] for row in order]
    seen = properties(ordered)
    words = general_words(
        [wording(step.text) for step in ordered],
        [step.problem or step.trace_id for step in ordered],
        most=_WORDS,
    )
    functions = _unit_rows(function_scores(seen) ** _CONTRAST + 1e-6)
    differences = _unit_rows(_strongest_directions(np.hstack([words, seen])))
    vectors = np.empty((len(steps), functions.shape[1] + differences.shape[1]))
    vectors[order] = _unit_rows(np.hstack([functions, differences]))
    return vectors


def _in_canonical_order(step: StepText) -> tuple[str, int, int, str, str]:
    return step.trace_id, step.place, step.trace_length, step.text, step.problem


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


def _strongest_directions(columns: NDArray[np.float64]) -> NDArray[np.float64]:
    """The rows' first principal components, each column counting alike: (rows, `_DIRECTIONS`)."""
    centred = columns - columns.mean(axis=0)
    centred /= np.sqrt(np.einsum("ij,ij->j", centred, centred) / len(centred)) + _DEVIATION_FLOOR
    _, directions = np.linalg.eigh(centred.T @ centred)
    strongest: NDArray[np.float64] = np.round(centred @ directions[:, -_DIRECTIONS:], _DECIMALS)
    return strongest


def _unit_rows(rows: NDArray[np.float64]) -> NDArray[np.float64]:
    """Rows of length 1; a row of zeros stays one."""
    lengths = np.sqrt((rows**2).sum(axis=1, keepdims=True))
    unit: NDArray[np.float64] = rows / np.where(lengths > 0, lengths, 1)
    return unit
