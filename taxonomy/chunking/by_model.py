"""Dividing the text of a trace into chunks by a language model.

The model copies a passage into single steps. White space aside, the copy must be the passage: that is checked, a copy
that is not is asked for again, and in the end the passage is divided by rules, which a note says; a model that copies
none at all is an error. What becomes chunks are slices of the text itself, so that joined they are the text again.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar, cast

from pydantic import BaseModel, ConfigDict, Field, create_model, field_validator

from llm_backends import Backend, Message, Request, Sampling
from llm_backends.errors import UnparsedReplyError
from taxonomy.chunking.rules import is_unchunked, split_paragraphs, split_sentences, with_chunks
from taxonomy.questions import all_answers, check_some_usable, how_to_ask_again, parsed_reply
from taxonomy.rollouts import Rollout

PASSAGE_CHARACTERS = 4000
"""A longer text is asked about in passages of whole paragraphs, or sentences of a longer paragraph."""
_SHOWN = 5
PROMPT = """\
Below is a passage of somebody's reasoning on a problem. Divide it into single reasoning steps: each step does one \
thing, such as restating the problem, recalling a fact, planning, carrying out one calculation, checking a result, \
giving up an idea, or stating the answer. A step is usually one to four sentences long.

<passage>
{passage}
</passage>

Copy the whole passage into the steps, word for word, in order, without leaving out or adding anything.
Reply with JSON only: {{"chunks": ["first step", "second step", ...]}}."""


class Chunks(BaseModel):
    """The reply. `schema_for` knows the passage that it must copy."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    passage: ClassVar[str]

    chunks: tuple[str, ...] = Field(description="The passage, copied, step by step.")

    @field_validator("chunks")
    @classmethod
    def _copy_the_passage(cls, chunks: tuple[str, ...]) -> tuple[str, ...]:
        slices_of(cls.passage, chunks)
        return chunks


def schema_for(passage: str) -> type[Chunks]:
    """The schema of a reply about one passage."""
    schema = create_model("Chunks", __base__=Chunks)
    schema.passage = passage
    return schema


def slices_of(passage: str, chunks: Sequence[str]) -> tuple[str, ...]:
    """The passage, divided where the chunks are, with its own white space.

    Raises:
        ValueError: joined, the chunks are something else than the passage, white space aside.
    """
    wanted = [place for place, character in enumerate(passage) if not character.isspace()]
    copied = "".join("".join(chunk.split()) for chunk in chunks)
    original = "".join(passage.split())
    if copied != original:
        same = next(
            (place for place, (a, b) in enumerate(zip(copied, original, strict=False)) if a != b),
            min(len(copied), len(original)),
        )
        shown = original[same : same + 30] or "the end"
        raise ValueError(f"the copy is not the passage; it departs before {shown!r}")
    slices = []
    start = done = 0
    for chunk in chunks:
        done += len("".join(chunk.split()))
        end = wanted[done] if done < len(wanted) else len(passage)
        if end > start:
            slices.append(passage[start:end])
            start = end
    return tuple(slices)


async def chunk_by_model(
    rollouts: Sequence[Rollout], backend: Backend, *, sampling: Sampling | None = None
) -> tuple[tuple[Rollout, ...], tuple[str, ...]]:
    """The rollouts with their texts divided, those that have chunks as they are; and notes on what rules divided.

    Args:
        rollouts: any.
        backend: who divides; it must support schemas. Its usage is accounted to the role "chunker".
        sampling: None is temperature 0 and room for a copy of the longest passage.

    Raises:
        BuildError: no passage was copied.
        BackendError: a passage got no reply.
    """
    sampling = sampling or Sampling(temperature=0.0, max_tokens=PASSAGE_CHARACTERS)
    asked = [
        (rollout, passage)
        for rollout in rollouts
        if is_unchunked(rollout)
        for passage in passages_of(rollout.text or "")
    ]
    answers = await all_answers(
        (_divide(backend, sampling, passage) for _, passage in asked), at_once=backend.max_concurrency
    )
    unusable = [answer for answer in answers if isinstance(answer, UnparsedReplyError)]
    check_some_usable(unusable, len(asked), "passages to divide", "--chunker sentences")
    pieces: dict[str, tuple[str, ...]] = {}
    refused: dict[str, None] = {}
    for (rollout, passage), divided in zip(asked, answers, strict=True):
        copied: tuple[str, ...] = ()
        if isinstance(divided, UnparsedReplyError):
            refused[rollout.id] = None
        else:
            copied = divided
        pieces[rollout.id] = pieces.get(rollout.id, ()) + (copied or split_sentences(passage))
    shown = ", ".join(map(repr, list(refused)[:_SHOWN])) + (", ..." if len(refused) > _SHOWN else "")
    note = (
        f"{len(unusable)} of {len(asked)} passages were divided by rules, since {backend.model_name} did not copy "
        f"them: those of {shown}; {how_to_ask_again('chunk.jsonl.gz')}"
    )
    divided_rollouts = tuple(
        with_chunks(rollout, pieces[rollout.id]) if rollout.id in pieces else rollout for rollout in rollouts
    )
    return divided_rollouts, (note,) if refused else ()


def passages_of(text: str) -> tuple[str, ...]:
    """The text in passages of at most PASSAGE_CHARACTERS, but for a longer sentence."""
    passages: list[str] = []
    for paragraph in split_paragraphs(text):
        parts = (paragraph,) if len(paragraph) <= PASSAGE_CHARACTERS else split_sentences(paragraph)
        for part in parts:
            if passages and len(passages[-1]) + len(part) <= PASSAGE_CHARACTERS:
                passages[-1] += part
            else:
                passages.append(part)
    return tuple(passages)


async def _divide(backend: Backend, sampling: Sampling, passage: str) -> tuple[str, ...] | UnparsedReplyError:
    """The error where the model was asked as often as allowed and never copied the passage."""
    request = Request(
        (Message("user", PROMPT.format(passage=passage.strip())),),
        sampling,
        schema=schema_for(passage),
        role="chunker",
    )
    reply = await parsed_reply(backend, request)
    if isinstance(reply, UnparsedReplyError):
        return reply
    return slices_of(passage, cast("Chunks", reply).chunks)
