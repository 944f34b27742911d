"""Labels and descriptions of chunks, by a language model: what each step does, whatever it is about.

The chunks of a rollout are asked about in passages of neighbours, so that the model sees what comes before and after.
Where some chunks came with labels, these are kept, and the others get one of them each; else the model makes labels up.
A passage for which no usable reply comes stays without labels, which a note says; where that holds for all passages, it
is an error.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import lru_cache
from typing import ClassVar, cast

from pydantic import BaseModel, ConfigDict, create_model, field_validator

from llm_backends import Backend, Message, Request, Sampling
from llm_backends.errors import UnparsedReplyError
from taxonomy.described_kinds import DescribedKind
from taxonomy.questions import all_answers, check_some_usable, how_to_ask_again, parsed_reply
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
PROMPT_WITH_LABELS = """\
Below are steps of somebody's reasoning on a problem, in order. Label every step by what it does, with one of these \
labels:

{labels}

{steps}

Reply with JSON only: {{"labels": ["...", ...]}}, with {count} labels, one for each step, in order."""
STEP = "<step number={number}>\n{text}\n</step>"


class Labels(BaseModel):
    """The reply. `schema_for` knows how many steps there are."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    n_steps: ClassVar[int]

    labels: tuple[DescribedKind, ...]

    @field_validator("labels")
    @classmethod
    def _one_for_each_step(cls, labels: tuple[DescribedKind, ...]) -> tuple[DescribedKind, ...]:
        if len(labels) != cls.n_steps:
            raise ValueError(f"there are {len(labels)} labels for {cls.n_steps} steps")
        return labels


@lru_cache(maxsize=64)
def schema_for(n_steps: int) -> type[Labels]:
    """The schema of a reply about so many steps."""
    schema = create_model("Labels", __base__=Labels)
    schema.n_steps = n_steps
    return schema


class GivenLabels(BaseModel):
    """The reply where the labels are there. `schema_for_given` knows them, and how many steps there are."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    n_steps: ClassVar[int]
    allowed: ClassVar[frozenset[str]]

    labels: tuple[str, ...]

    @field_validator("labels")
    @classmethod
    def _given_ones_for_each_step(cls, labels: tuple[str, ...]) -> tuple[str, ...]:
        if len(labels) != cls.n_steps:
            raise ValueError(f"there are {len(labels)} labels for {cls.n_steps} steps")
        if unknown := sorted(set(labels) - cls.allowed):
            raise ValueError(f"{unknown[0]!r} is none of the labels")
        return labels


@lru_cache(maxsize=64)
def schema_for_given(n_steps: int, allowed: frozenset[str]) -> type[GivenLabels]:
    """The schema of a reply about so many steps, with labels among these."""
    schema = create_model("GivenLabels", __base__=GivenLabels)
    schema.n_steps = n_steps
    schema.allowed = allowed
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
        BuildError: no passage got a usable reply.
        BackendError: a passage got no reply.
    """
    sampling = sampling or Sampling(temperature=0.0, max_tokens=TOKENS_A_LABEL * CHUNKS_A_PASSAGE)
    asked = [(rollout.id, passage) for rollout in rollouts for passage in _passages(rollout)]
    given = _given_labels(rollouts)
    answers = await all_answers(
        (_labels(backend, sampling, passage, given) for _, passage in asked), at_once=backend.max_concurrency
    )
    unusable = [answer for answer in answers if isinstance(answer, UnparsedReplyError)]
    check_some_usable(unusable, len(asked), "passages to label", "--labeler none")
    label_of: dict[tuple[str, int], _Label] = {}
    unlabeled = 0
    for (rollout_id, passage), labels in zip(asked, answers, strict=True):
        if isinstance(labels, UnparsedReplyError):
            unlabeled += len(passage)
            continue
        for (position, _), label in zip(passage, labels, strict=True):
            label_of[rollout_id, position] = label
    note = (
        f"{backend.model_name} gave no usable labels for {len(unusable)} of {len(asked)} passages, whose {unlabeled} "
        f"chunks stay without; {how_to_ask_again('label.jsonl.gz')}"
    )
    return tuple(_labeled(rollout, label_of) for rollout in rollouts), (note,) if unlabeled else ()


_Label = tuple[str, str | None]
"""With its description."""
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


def _given_labels(rollouts: Sequence[Rollout]) -> dict[str, str]:
    """Those that came with chunks, with the first description of each, or none."""
    found: dict[str, str] = {}
    for rollout in rollouts:
        for chunk in rollout.chunks:
            if chunk.label is not None:
                found[chunk.label] = found.get(chunk.label) or chunk.description or ""
    return dict(sorted(found.items()))


async def _labels(
    backend: Backend, sampling: Sampling, passage: _Passage, given: Mapping[str, str]
) -> tuple[_Label, ...] | UnparsedReplyError:
    steps = "\n".join(
        STEP.format(number=number, text=chunk.text.strip()) for number, (_, chunk) in enumerate(passage, 1)
    )
    if given:
        labels = "\n".join(
            f'- "{label}": {does}' if does else f'- "{label}"' for label, does in given.items()
        )
        prompt = PROMPT_WITH_LABELS.format(labels=labels, steps=steps, count=len(passage))
        schema: type[BaseModel] = schema_for_given(len(passage), frozenset(given))
    else:
        prompt = PROMPT.format(steps=steps, count=len(passage))
        schema = schema_for(len(passage))
    reply = await parsed_reply(
        backend, Request((Message("user", prompt),), sampling, schema=schema, role="labeler")
    )
    if isinstance(reply, UnparsedReplyError):
        return reply
    if isinstance(reply, GivenLabels):
        return tuple((label, given[label] or None) for label in reply.labels)
    return tuple((kind.label, kind.description) for kind in cast("Labels", reply).labels)


def _labeled(rollout: Rollout, label_of: Mapping[tuple[str, int], _Label]) -> Rollout:
    chunks = []
    for position, chunk in enumerate(rollout.chunks):
        label, description = label_of.get((rollout.id, position), (chunk.label, chunk.description))
        chunks.append(replace(chunk, label=label, description=description))
    return replace(rollout, chunks=tuple(chunks))
