"""The conversation of a trace in tokens, cut where a model writes: what is put before and behind its replies is what
inference puts there, to the token.

It must only grow in tokens. Whether it does is seen where it grows, with a made-up reply in place of the model's: the
tokens that a model drew are kept as they are, also where inference, which reads a reply as text without blank space at
its ends, would cut that text into other tokens.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from hierarchical_reasoning.errors import ConfigError
from hierarchical_reasoning.problems import Problem
from hierarchical_reasoning.prompts import Prompts
from hierarchical_reasoning.solvers.hierarchical import shuffled
from hierarchical_reasoning.trace import Trace
from hierarchical_reasoning.training.explorers.base import TokenTexts
from llm_backends import Message
from taxonomy.model import ThoughtType

_PROBE = "the reply"
_WANTED = "thought trees need a model whose prompts begin with earlier ones (--model_id); or take another --explorer"


class ChatTokens(TokenTexts, Protocol):
    """A model's tokenizer and chat template: `llm_backends.local.chat.ChatFormat` is one."""

    def prompt_ids(self, messages: Sequence[Message]) -> list[int]:
        """The conversation, and what opens the reply."""

    def option_ids(self, option: str) -> list[int]:
        """A reply that is exactly `option`, and the token that ends it."""


@dataclass(frozen=True)
class Question:
    """What a model is asked to go on from."""

    messages: tuple[Message, ...]
    tokens: tuple[int, ...]
    """As inference reads them."""


class Conversation:
    """How the traces of one level are written down for one model."""

    def __init__(
        self,
        chat: ChatTokens,
        prompts: Prompts,
        options: Sequence[ThoughtType],
        *,
        seed: int,
        examples: Mapping[str, Sequence[str]] | None = None,
    ) -> None:
        """
        Args:
            options: the thought types of the level; each problem sees them in an order of its own.
            seed: of that order.
            examples: in-context examples by thought type name.

        Raises:
            ConfigError: prompts of this style do not extend each other.
        """
        if prompts.style != "chat":
            raise ConfigError(
                f"--prompt_style {prompts.style}: in a thought tree a prompt begins with the ones before it, as those "
                "of the style chat do; take --prompt_style chat, or another --explorer"
            )
        self.chat = chat
        self.prompts = prompts
        self.options = tuple(options)
        self.examples = dict(examples or {})
        self._seed = seed

    def begin(self, problem: Problem) -> Trace:
        """A trace without steps."""
        return Trace(problem, shuffled(self.options, problem, self._seed))

    def choosing(self, trace: Trace) -> Question:
        """Asks for the next thought type."""
        return self._question(self.prompts.choose(trace))

    def thinking(self, trace: Trace, option: ThoughtType, examples: Sequence[str]) -> Question:
        """Asks for a thought."""
        return self._question(self.prompts.think(trace, option, examples))

    def answering(self, trace: Trace) -> Question:
        """Asks for the final answer."""
        return self._question(self.prompts.answer(trace))

    def put_by_choice(self, choosing: Question, then: Question) -> tuple[int, ...]:
        """The tokens of a choice and of what it leads to: those that `then` has behind the question for it.

        Raises:
            ConfigError: it does not begin with that question.
        """
        return _behind(choosing.tokens, then.tokens)

    def put_behind_reply(self, asked: Question, then: Question) -> tuple[int, ...]:
        """The tokens that `then` has behind the reply to `asked`, the first of them the end of that reply's turn.

        Raises:
            ConfigError: it does not begin with what was asked, and then the reply alone.
        """
        after = then.messages[len(asked.messages) + 1 :]
        probed = self.chat.prompt_ids([*asked.messages, Message("assistant", _PROBE), *after])
        behind = _behind(asked.tokens, probed)
        end = self._end_of_reply(behind)
        *alone, _ = self.chat.option_ids(_PROBE)
        if self.chat.text(behind[:end]) != self.chat.text(alone) or end == len(behind):
            raise ConfigError(
                "the chat template of this model does not repeat what the model replied, to the letter and with an end "
                f"token behind it; {_WANTED}"
            )
        return behind[end:]

    def reply_tokens(self, text: str) -> tuple[int, ...]:
        """A reply as inference reads it in a conversation, without its end."""
        asked = Message("user", _PROBE)
        whole = self.chat.prompt_ids([asked, Message("assistant", text), asked])
        behind = tuple(whole[len(self.chat.prompt_ids([asked])) :])
        return behind[: self._end_of_reply(behind)]

    def _end_of_reply(self, tokens: Sequence[int]) -> int:
        """Where the turn that they begin with ends; behind the last where it does not."""
        end = self.chat.option_ids(_PROBE)[-1]
        return next((place for place, token in enumerate(tokens) if token == end), len(tokens))

    def _question(self, messages: tuple[Message, ...]) -> Question:
        return Question(messages, tuple(self.chat.prompt_ids(messages)))


def _behind(head: Sequence[int], whole: Sequence[int]) -> tuple[int, ...]:
    if tuple(whole[: len(head)]) != tuple(head):
        raise ConfigError(
            "with the tokenizer and chat template of this model a conversation does not only grow: a prompt of "
            f"{len(whole)} tokens does not begin with the {len(head)} of what was asked before; {_WANTED}"
        )
    return tuple(whole[len(head) :])
