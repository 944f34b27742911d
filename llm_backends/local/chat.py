"""Between text and tokens: the chat template, the end of a turn, and options as token sequences.

Training takes prompts and options from here too, so that it sees the very tokens that inference saw.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import jinja2

from llm_backends.errors import BadRequestError, UnsupportedError
from llm_backends.types import Message

_PROBE = "the reply"


class ChatFormat:
    """How one model's tokenizer writes a conversation."""

    def __init__(
        self, tokenizer: Any, eos_ids: frozenset[int], model_name: str, *, flag: str = "--model_name"
    ) -> None:
        """
        :param eos_ids: the tokens at which the model's generation stops.
        :param flag: the one that chose the model, for messages.
        :raises UnsupportedError: the tokenizer has no chat template, or no token ends a turn.
        """
        if not tokenizer.chat_template:
            raise UnsupportedError(
                f"the tokenizer of {model_name!r} has no chat template; add chat_template.jinja to the "
                f"model's folder, or take a chat model with {flag}"
            )
        self._tokenizer = tokenizer
        self._model_name = model_name
        self.eos_ids = eos_ids
        self.end_of_turn_id = self._find_end_of_turn()

    def prompt_ids(self, messages: Sequence[Message], *, completion: bool = True) -> list[int]:
        """The conversation as tokens, and with `completion` those that open the reply.

        :raises BadRequestError: the template refuses the conversation.
        """
        return self.text_ids(self._render(messages, completion=completion))

    def option_ids(self, option: str) -> list[int]:
        """The tokens of a reply that is exactly `option`, the one that ends the turn included."""
        return [*self.text_ids(option), self.end_of_turn_id]

    def text(self, token_ids: Sequence[int]) -> str:
        """The text of exactly these tokens, special tokens left out."""
        text: str = self._tokenizer.decode(
            token_ids, skip_special_tokens=True, clean_up_tokenization_spaces=False
        )
        return text

    def token_text(self, token_id: int) -> str:
        """The text of one token alone, a special one shown as it is written."""
        text: str = self._tokenizer.decode([token_id], clean_up_tokenization_spaces=False)
        return text

    def text_ids(self, text: str) -> list[int]:
        """The tokens of a text alone, with none before or behind it."""
        ids: list[int] = self._tokenizer(text, add_special_tokens=False)["input_ids"]
        return ids

    def _render(self, messages: Sequence[Message], *, completion: bool) -> str:
        turns = [{"role": message.role, "content": message.content} for message in messages]
        try:
            text: str = self._tokenizer.apply_chat_template(
                turns, tokenize=False, add_generation_prompt=completion
            )
        except jinja2.TemplateError as error:
            roles = ", ".join(message.role for message in messages)
            raise BadRequestError(
                f"the chat template of {self._model_name!r} refuses a conversation of the roles {roles}: "
                f"{error}"
            ) from error
        return text

    def _find_end_of_turn(self) -> int:
        """The first token after a reply at which generation stops; failing that, the tokenizer's end of
        sequence."""
        conversation = (Message("user", "the question"), Message("assistant", _PROBE))
        _, _, after = self._render(conversation, completion=False).rpartition(_PROBE)
        for token_id in self.text_ids(after):
            if token_id in self.eos_ids:
                return token_id
        if self._tokenizer.eos_token_id is None:
            raise UnsupportedError(
                f"no token ends a turn of {self._model_name!r}: its chat template writes none of the end "
                f"tokens {sorted(self.eos_ids)} after a reply, and its tokenizer has no eos_token"
            )
        return int(self._tokenizer.eos_token_id)
