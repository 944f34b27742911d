"""Labels and descriptions of chunks, by a language model: what each step does, whatever it is about.

The chunks of a rollout are asked about in passages of neighbours, so that the model sees what comes before and after.
A passage for which no usable reply comes stays without labels, which a note says; labels that are there are kept.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import lru_cache
from typing import ClassVar, cast

from pydantic import BaseModel, ConfigDict, Field, create_model, field_validator

from llm_backends import Backend, Message, Request, Sampling
from llm_backends.errors import UnparsedReplyError
from taxonomy.questions import all_answers
from taxonomy.rollouts import Chunk, Rollout

CHUNKS_A_PASSAGE = 20
PASSAGE_CHARACTERS = 6000
"""A passage holds at most this many characters, but at least one chunk."""
TOKENS_A_LABEL = 80
PROMPT = """\
Below are steps of somebody's reasoning on a problem, in order. Label every step by what it does, not by what it is \
about: the same label must fit a step that does the same thing on another problem. A label is a noun phrase of one to \
four words, such as "Problem Restatement" or "Result Check"; its description is one sentence that begins with a verb \
and holds for all steps of that label.

{steps}

Reply with JSON only: {{"labels": [{{"label": "...", "description": "..."}}, ...]}}, with {count} labels, one for each \
step, in order."""
STEP = "<step number={number}>\n{text}\n</step>"


class Label(BaseModel):
    """What one step does."""

    model_config = ConfigDict(frozen=True, extra="forbid", str_strip_whitespace=True)

    label: str = Field(min_length=1)
    description: str = Field(min_length=1)


class Labels(BaseModel):
    """The reply. `schema_for` knows how many steps there are."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    n_steps: ClassVar[int]

    labels: tuple[Label, ...]

    @field_validator("labels")
    @classmethod
    def _one_for_each_step(cls, labels: tuple[Label, ...]) -> tuple[Label, ...]:
        if len(labels) != cls.n_steps:
            raise ValueError(f"there are {len(labels)} labels for {cls.n_steps} steps")
        return labels


@lru_cache(maxsize=64)
def schema_for(n_steps: int) -> type[Labels]:
    """The schema of a reply about so many steps."""
    schema = create_model("Labels", __base__=Labels)
    schema.n_steps = n_steps
    return schema


async def label_by_model(
    rollouts: Sequence[Rollout], backend: Backend, *, sampling: Sampling | None = None
) -> tuple[tuple[Rollout, ...], tuple[str, ...]]:
    """The rollouts with a label and description for every chunk that had no label; and notes on those without.

    Args:
        rollouts: with chunks.
        backend: who labels; it must support schemas. Its usage is accounted to the role "labeler".
        sampling: None is temperature 0 and room for as many labels as a passage has chunks.

    Raises:
        BackendError: a passage got no reply.
    """
    sampling = sampling or Sampling(temperature=0.0, max_tokens=TOKENS_A_LABEL * CHUNKS_A_PASSAGE)
    asked = [(rollout.id, passage) for rollout in rollouts for passage in _passages(rollout)]
    answers = await all_answers(_labels(backend, sampling, passage) for _, passage in asked)
    label_of: dict[tuple[str, int], Label] = {}
    unlabeled = 0
    for (rollout_id, passage), labels in zip(asked, answers, strict=True):
        if labels is None:
            unlabeled += len(passage)
            continue
        for (position, _), label in zip(passage, labels, strict=True):
            label_of[rollout_id, position] = label
    note = f"{backend.model_name} gave no usable labels for {unlabeled} chunks, which stay without"
    return tuple(_labeled(rollout, label_of) for rollout in rollouts), (note,) if unlabeled else ()


_Passage = list[tuple[int, Chunk]]
"""Chunks with their positions in the rollout."""


def _passages(rollout: Rollout) -> list[_Passage]:
    passages: list[_Passage] = []
    characters = 0
    for position, chunk in enumerate(rollout.chunks):
        if chunk.label is not None:
            continue
        full = passages and len(passages[-1]) == CHUNKS_A_PASSAGE
        if not passages or full or characters + len(chunk.text) > PASSAGE_CHARACTERS:
            passages.append([])
            characters = 0
        passages[-1].append((position, chunk))
        characters += len(chunk.text)
    return passages


async def _labels(backend: Backend, sampling: Sampling, passage: _Passage) -> tuple[Label, ...] | None:
    steps = [STEP.format(number=n, text=chunk.text.strip()) for n, (_, chunk) in enumerate(passage, 1)]
    request = Request(
        (Message("user", PROMPT.format(steps="\n".join(steps), count=len(passage))),),
        sampling,
        schema=schema_for(len(passage)),
        role="labeler",
    )
    try:
        completion = await backend.complete(request)
    except UnparsedReplyError:
        return None
    return cast("Labels", completion.parsed).labels


def _labeled(rollout: Rollout, label_of: dict[tuple[str, int], Label]) -> Rollout:
    chunks = []
    for position, chunk in enumerate(rollout.chunks):
        found = label_of.get((rollout.id, position))
        chunks.append(
            chunk if found is None else replace(chunk, label=found.label, description=found.description)
        )
    return replace(rollout, chunks=tuple(chunks))
