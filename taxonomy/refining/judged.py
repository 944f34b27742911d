"""Triplets that a language model judges: which of two steps does the same kind of thing as a third.

One of the two is near the third in the embedder's own space, the other is drawn at random, so that the model's word
counts most where it contradicts the embedder. It may also say "neither"; such triplets teach nothing. Two steps of one
trace are never compared with one another. A fifth of the steps is held out.
"""

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from llm_backends import Backend, Message, Request, Sampling
from llm_backends.errors import UnparsedReplyError
from taxonomy.embedding import StepText
from taxonomy.errors import BuildError
from taxonomy.questions import all_answers
from taxonomy.refining.triplets import HELD_OUT_SHARE, Lesson, Triplets, triplets_of

TEXTS_A_TRIPLET = 3
"""So many different texts are drawn for each triplet that is to be judged, where there are as many."""
NEAREST = 10
TRIPLETS_A_BATCH = 16
EPOCHS = 3
LEAST_TRIPLETS = 8
MAX_TOKENS = 512
CHARACTERS = 1500
"""Of each step, at most; what is left out is marked."""
CHOICES = ("B", "C", "neither")
PROMPT = """\
Here are three steps of people's reasoning. Decide which of B and C does the same kind of thing as A, such as \
planning, recalling a fact, calculating, checking, or stating a result. What the steps are about does not matter.

A:
{anchor}

B:
{first}

C:
{second}

Reply with B, C, or neither, and nothing else."""


@dataclass(frozen=True)
class _Question:
    """Positions of three texts; the model sees the last two in this order."""

    anchor: int
    first: int
    second: int


async def lesson_of_judgements(
    steps: Sequence[StepText],
    vectors_of: Callable[[Sequence[str]], NDArray[np.float64]],
    backend: Backend,
    *,
    count: int,
    seed: int,
    say: Callable[[str], None],
) -> Lesson:
    """
    Args:
        steps: what the embedder will embed, by `StepText.meaning`.
        vectors_of: the embedder as it is: rows of unit length.
        backend: who judges; it must support choices. Its usage is accounted to the role "refiner".
        count: triplets to ask about.
        seed: of what is drawn.
        say: told how many calls there will be.

    Raises:
        BuildError: too few different steps, or too few that the model finds alike.
        BackendError: a triplet got no reply.
    """
    source = random.Random(seed)
    texts, traces = _drawn(steps, TEXTS_A_TRIPLET * count, source)
    n_out = round(HELD_OUT_SHARE * len(texts))
    if n_out < 3 or count < LEAST_TRIPLETS:
        raise BuildError(
            f"{len(texts)} different steps and {count} triplets are too few to learn from (--refine llm, "
            "--judged_triplets)"
        )
    vectors = vectors_of(texts)
    count_out = round(HELD_OUT_SHARE * count)
    questions_out = _questions(range(n_out), count_out, traces, vectors, source)
    questions = _questions(range(n_out, len(texts)), count - count_out, traces, vectors, source)
    asked = len(questions) + len(questions_out)
    say(
        f"judging triplets of steps: {asked} calls of {backend.model_name}, less those with a reply from before"
    )
    judged = await all_answers(_judged(question, texts, backend) for question in (*questions, *questions_out))
    learned = [triplet for triplet in judged[: len(questions)] if triplet is not None]
    held_out = [triplet for triplet in judged[len(questions) :] if triplet is not None]
    if len(learned) < LEAST_TRIPLETS:
        raise BuildError(
            f"{backend.model_name} found steps alike in {len(learned)} of {len(questions)} triplets, at least "
            f"{LEAST_TRIPLETS} are needed to learn from (--refine llm, --judged_triplets)"
        )
    unused = asked - len(learned) - len(held_out)
    note = (
        f"{unused} of {asked} triplets taught nothing: {backend.model_name} found neither step alike, or gave no "
        "usable reply"
    )
    return Lesson(_batches(texts, learned, source), triplets_of(texts, held_out), (note,) if unused else ())


def _drawn(steps: Sequence[StepText], count: int, source: random.Random) -> tuple[list[str], list[str]]:
    """Different texts, and the trace of each; what is said by many steps, such as a label, is its own trace."""
    trace_of: dict[str, str] = {}
    for step in steps:
        if step.meaning.strip():
            trace_of.setdefault(step.meaning, step.meaning if step.label is not None else step.trace_id)
    texts = sorted(trace_of)
    texts = source.sample(texts, min(len(texts), count))
    return texts, [trace_of[text] for text in texts]


def _questions(
    among: range, count: int, traces: Sequence[str], vectors: NDArray[np.float64], source: random.Random
) -> list[_Question]:
    """At most so many: an anchor with one of its nearest and a random one, in random order."""
    own = vectors[among.start : among.stop]
    questions: dict[_Question, None] = {}
    for _ in range(count):
        anchor = source.choice(among)
        others = [row for row in among if traces[row] != traces[anchor]]
        if len(others) < 2:
            continue
        nearness = own @ vectors[anchor]
        nearest = sorted(others, key=lambda row: (-round(float(nearness[row - among.start]), 6), row))[
            :NEAREST
        ]
        near = source.choice(nearest)
        far = source.choice([row for row in others if row != near])
        first, second = source.sample([near, far], 2)
        questions[_Question(anchor, first, second)] = None
    return list(questions)


async def _judged(question: _Question, texts: Sequence[str], backend: Backend) -> tuple[int, int, int] | None:
    """Anchor, positive, negative; None where the model did not tell."""
    content = PROMPT.format(
        anchor=_shown(texts[question.anchor]),
        first=_shown(texts[question.first]),
        second=_shown(texts[question.second]),
    )
    sampling = Sampling(temperature=0.0, max_tokens=MAX_TOKENS)
    request = Request((Message("user", content),), sampling, choices=CHOICES, role="refiner")
    try:
        completion = await backend.complete(request)
    except UnparsedReplyError:
        return None
    if completion.text == "B":
        return question.anchor, question.first, question.second
    if completion.text == "C":
        return question.anchor, question.second, question.first
    return None


def _shown(text: str) -> str:
    text = text.strip()
    return text if len(text) <= CHARACTERS else f"{text[:CHARACTERS]} [...]"


def _batches(
    texts: Sequence[str], triplets: list[tuple[int, int, int]], source: random.Random
) -> tuple[Triplets, ...]:
    batches = []
    for _ in range(EPOCHS):
        order = source.sample(triplets, len(triplets))
        batches += [
            triplets_of(texts, order[start : start + TRIPLETS_A_BATCH])
            for start in range(0, len(order), TRIPLETS_A_BATCH)
        ]
    return tuple(batches)
