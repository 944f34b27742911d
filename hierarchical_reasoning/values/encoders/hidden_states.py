"""Vectors from the states of a model in this process: what it made of the trace so far.

The vector of a place is the mean of the last layer's states over the tokens of its last thought, and behind it the
state at the last of these tokens. Before the first thought it is that of the problem. The text is a conversation: the
user asks the problem, and the assistant's turn is the thoughts, one a line, without the planner's choices between them.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import TYPE_CHECKING

from llm_backends import Message

if TYPE_CHECKING:
    from hierarchical_reasoning.values.base import Place
    from hierarchical_reasoning.values.encoders.base import Vectors
    from llm_backends.local.loading import LoadedModel


class HiddenStates:
    """The states of a loaded model, with its weights as they are when they are asked for."""

    name = "hidden states"

    def __init__(self, model: LoadedModel, *, rows_at_once: int = 1) -> None:
        """
        Args:
            model: `LocalBackend.model`, or one in training.
            rows_at_once: places that share a forward pass. More are faster on a GPU; but then a vector depends, by the
                rounding of sums, on what is encoded with it, and a search may take another way.
        """
        self._model = model
        self._rows_at_once = rows_at_once

    async def encode(self, places: Sequence[Place]) -> Vectors:
        return await asyncio.to_thread(self._encode, places)

    def _encode(self, places: Sequence[Place]) -> Vectors:
        import torch

        from llm_backends.local.states import last_hidden_states

        rows, lasts = zip(*map(self._tokens, places), strict=True)
        all_states = last_hidden_states(self._model, rows, rows_at_once=self._rows_at_once)
        vectors = [
            torch.cat([states_TW[-last:].mean(dim=0), states_TW[-1]])
            for states_TW, last in zip(all_states, lasts, strict=True)
        ]
        array: Vectors = torch.stack(vectors).numpy()
        return array

    def _tokens(self, place: Place) -> tuple[list[int], int]:
        """Those of the place, and how many of them are of its last text. Thoughts are turned into tokens one by one, so
        that a place's begin with its parent's."""
        chat = self._model.chat
        tokens = chat.prompt_ids([Message("user", place.problem.text)])
        last = len(tokens)
        for thought in place.thoughts:
            added = chat.text_ids(f"{thought}\n")
            tokens += added
            last = len(added)
        return tokens, last
