"""A sampler and a planner that need no model: what they do follows from what they are asked alone."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import transformers
from tiny_planners import END_OF_TURN, GROWS, TOKENIZERS

from hierarchical_reasoning.planners.base import Choice, Planner
from hierarchical_reasoning.trace import Trace
from llm_backends import Message
from llm_backends.local.chat import ChatFormat
from llm_backends.token_streams import StreamSettings, TokenStream, check_fits


def chat_format(tokenizer: str = "byte_bpe", template: str = GROWS) -> ChatFormat:
    """A tokenizer of `tiny_planners` without a model."""
    fast = transformers.PreTrainedTokenizerFast(
        tokenizer_object=TOKENIZERS[tokenizer](),
        unk_token="<unk>",
        pad_token="<pad>",
        eos_token=END_OF_TURN,
        chat_template=template,
    )
    ends = fast.convert_tokens_to_ids([END_OF_TURN, "<pad>"])
    return ChatFormat(fast, frozenset(ends), tokenizer)


def as_read(chat: ChatFormat, reply: str) -> list[int]:
    """A reply in a conversation, without its end: tokenizers may cut it otherwise where it stands alone."""
    asked = Message("user", "it")
    whole = chat.prompt_ids([asked, Message("assistant", reply)], completion=False)
    behind = whole[len(chat.prompt_ids([asked])) :]
    return behind[: behind.index(chat.end_of_turn_id)]


@dataclass(frozen=True)
class Drawn:
    """A call to the sampler."""

    prefix: tuple[int, ...]
    seed: int
    max_new_tokens: int
    name: str | None
    after: str | None


def words(rng: random.Random) -> str:
    """One of many replies."""
    return " ".join(rng.choices(("Check", "the", "king", "sum", "step"), k=rng.randint(1, 4)))


@dataclass
class ScriptedSampler:
    """Writes a text that follows from the seed, and ends it unless the limit does."""

    chat: ChatFormat
    text: Callable[[random.Random], str] = words
    end_id: int | None = None
    """None: the end that the chat template writes."""
    context_length: int | None = None
    shuffled_by: random.Random | None = None
    """Calls take as long as this says."""
    calls: list[Drawn] = field(default_factory=list)
    most_at_once: int = 0
    _at_once: int = 0

    @property
    def end_ids(self) -> frozenset[int]:
        return self.chat.eos_ids

    async def draw(
        self,
        prefix: Sequence[int],
        settings: StreamSettings,
        *,
        seed: int,
        max_new_tokens: int,
        name: str | None = None,
        after: str | None = None,
    ) -> TokenStream:
        check_fits(len(prefix), max_new_tokens, self.context_length)
        self.calls.append(Drawn(tuple(prefix), seed, max_new_tokens, name, after))
        self._at_once += 1
        self.most_at_once = max(self.most_at_once, self._at_once)
        await asyncio.sleep(self.shuffled_by.random() / 500 if self.shuffled_by else 0)
        self._at_once -= 1
        text = as_read(self.chat, self.text(random.Random(seed)))
        end = self.chat.end_of_turn_id if self.end_id is None else self.end_id
        tokens = (*text, end)[:max_new_tokens]
        ended = len(tokens) > len(text)
        return TokenStream(tokens, tuple(-1.0 - i / 100 for i in range(len(tokens))), (), ended)


@dataclass
class TablePlanner(Planner):
    """Gives each trace probabilities, and chooses nothing that matters."""

    probabilities: Callable[[Trace], Mapping[str, float] | None]
    asked: list[tuple[Trace, int]] = field(default_factory=list)

    async def choose(self, trace: Trace, *, sample: int = 0) -> Choice:
        self.asked.append((trace, sample))
        return Choice("", self.probabilities(trace))


def evenly(trace: Trace) -> dict[str, float]:
    """Every option is as likely as any other."""
    return dict.fromkeys(trace.choices, 1 / len(trace.choices))
