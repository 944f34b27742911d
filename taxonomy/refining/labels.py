"""Triplets from given labels: steps of one label, in different rollouts, and a step of another label.

A batch holds a few steps of each of a few labels, and all triplets among them (as in Hermans, Beyer and Leibe 2017):
the hardest negatives of so many steps are among them, without a search. A fifth of the problems is held out (of the
rollouts, where the problems are too few).
"""

import random
from collections import defaultdict
from collections.abc import Sequence

import numpy as np

from taxonomy.embedding import StepText
from taxonomy.errors import BuildError
from taxonomy.refining.triplets import HELD_OUT_SHARE, Lesson, Triplets, triplets_of

LABELS_A_BATCH = 8
STEPS_A_LABEL = 8
EPOCHS = 3
MAX_BATCHES = 200
HELD_OUT_TRIPLETS = 2000
_LEAST_GROUPS = 4
"""With fewer problems and fewer rollouts, none is held out."""


def lesson_of_labels(steps: Sequence[StepText], *, seed: int) -> Lesson:
    """
    Args:
        steps: those without a label are passed over.
        seed: of what is drawn.

    Raises:
        BuildError: fewer than two labels have steps in two rollouts each.
    """
    source = random.Random(seed)
    labeled = [step for step in steps if step.label is not None and step.text.strip()]
    learned, held_out, notes = _split(labeled, source)
    by_label = _teachable(learned)
    if len(by_label) < 2:
        raise BuildError(
            f"{len(by_label)} labels have steps in more than one rollout to learn from, at least 2 must "
            "(--refine labels)"
        )
    n_steps = sum(map(len, by_label.values()))
    size = min(LABELS_A_BATCH, len(by_label)) * STEPS_A_LABEL
    count = min(MAX_BATCHES, max(1, EPOCHS * n_steps // size))
    batches = tuple(_batch(by_label, source) for _ in range(count))
    return Lesson(batches, _held_out_triplets(_teachable(held_out), source), notes)


def _split(
    steps: Sequence[StepText], source: random.Random
) -> tuple[list[StepText], list[StepText], tuple[str, ...]]:
    """Steps to learn from, steps held out, and what is to be said of that."""
    for group_of in (_problem, _trace):
        groups = sorted({group_of(step) for step in steps})
        if len(groups) < _LEAST_GROUPS:
            continue
        # At least two, since a triplet takes steps of two rollouts.
        count = max(2, round(HELD_OUT_SHARE * len(groups)))
        out = set(source.sample(groups, count))
        return (
            [step for step in steps if group_of(step) not in out],
            [step for step in steps if group_of(step) in out],
            (),
        )
    rollouts = len({step.trace_id for step in steps})
    note = f"the refined embedder was not measured: labeled steps of {rollouts} rollouts are too few to hold some out"
    return list(steps), [], (note,)


def _problem(step: StepText) -> str:
    return step.problem


def _trace(step: StepText) -> str:
    return step.trace_id


def _teachable(steps: Sequence[StepText]) -> dict[str, list[StepText]]:
    """By label, the steps of those that occur in two rollouts or more."""
    by_label: defaultdict[str, list[StepText]] = defaultdict(list)
    for step in steps:
        by_label[str(step.label)].append(step)
    return {
        label: found
        for label, found in sorted(by_label.items())
        if len({step.trace_id for step in found}) > 1
    }


def _batch(by_label: dict[str, list[StepText]], source: random.Random) -> Triplets:
    labels = source.sample(list(by_label), min(LABELS_A_BATCH, len(by_label)))
    drawn: list[StepText] = []
    for label in labels:
        of_label = by_label[label]
        first = source.choice(of_label)
        second = source.choice([step for step in of_label if step.trace_id != first.trace_id])
        rest = source.sample(of_label, min(STEPS_A_LABEL, len(of_label)))
        distinct = dict.fromkeys([first, second, *rest])
        drawn.extend(list(distinct)[:STEPS_A_LABEL])
    label_of = np.array([labels.index(str(step.label)) for step in drawn])
    trace_of = np.unique([step.trace_id for step in drawn], return_inverse=True)[1]
    alike = label_of[:, None] == label_of[None, :]
    positive = alike & (trace_of[:, None] != trace_of[None, :])
    triplets = np.argwhere(positive[:, :, None] & ~alike[:, None, :])
    return Triplets(tuple(step.text for step in drawn), triplets.astype(np.int16))


def _held_out_triplets(by_label: dict[str, list[StepText]], source: random.Random) -> Triplets:
    """As many of each label."""
    if len(by_label) < 2:
        return Triplets((), np.zeros((0, 3), dtype=np.int64))
    texts: list[str] = []
    first_of: dict[str, int] = {}
    for label, steps in by_label.items():
        first_of[label] = len(texts)
        texts.extend(step.text for step in steps)
    found = []
    for number in range(HELD_OUT_TRIPLETS):
        label = list(by_label)[number % len(by_label)]
        other = source.choice([each for each in by_label if each != label])
        steps = by_label[label]
        anchor = source.randrange(len(steps))
        positive = source.choice(
            [place for place, step in enumerate(steps) if step.trace_id != steps[anchor].trace_id]
        )
        negative = source.randrange(len(by_label[other]))
        found.append((first_of[label] + anchor, first_of[label] + positive, first_of[other] + negative))
    return triplets_of(texts, found)
