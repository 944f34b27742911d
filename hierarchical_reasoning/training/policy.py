"""The planner as a policy: log probabilities of all options at every choice of an episode, in one forward pass.

The tokens of an episode are laid out so that nothing is computed twice. The longest prompt is the *trunk*. Behind
it comes, for each choice, a *branch*: what its prompt has that the trunk has not (nothing, where prompts extend each
other), and the nodes of the option trie below its root. A branch sees the trunk up to where it left it, its own
tokens before, and of the trie each node's ancestors; positions are those that the tokens have in their own prompt.
So any tokenizer, chat template and prompt style gives exact probabilities, and where a conversation only grows it
is computed once. The loss is on choices: the head is applied where an option is scored and nowhere else.

Probabilities are those of `llm_backends.choices`, from the tokens of `llm_backends.local.chat`, as in inference.
Axes: B episodes, T tokens, C choices, O options, L places whose logits are needed.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import torch

from llm_backends import Message
from llm_backends.choices import ChoiceTrie, option_log_probs
from llm_backends.local.loading import DtypeName, LoadedModel, load_model


@dataclass(frozen=True)
class Decision:
    """What a planner was asked."""

    messages: tuple[Message, ...]
    choices: tuple[str, ...]


@dataclass(frozen=True, eq=False)
class EncodedEpisode:
    """The decisions of one episode as one sequence."""

    tokens_T: torch.Tensor
    positions_T: torch.Tensor
    sees_TT: torch.Tensor | None
    """bool: whether a token (row) attends to another (column). None: to all before it and to itself, as where prompts
    extend each other and options part at their first token; models compute that fastest."""
    scored_L: torch.Tensor
    """Places in the sequence whose logits are needed, choice by choice."""
    tries: tuple[ChoiceTrie, ...]
    """The options of each choice."""

    def __len__(self) -> int:
        return len(self.tokens_T)


class Policy:
    """A causal language model trained as a planner. Dropout is off, so that new and old policy differ by their weights
    alone."""

    def __init__(self, model: LoadedModel) -> None:
        self._model = model
        self._trie_of = lru_cache(maxsize=1024)(self._build_trie)
        self._places_L: torch.Tensor | None = None
        self.module: Any = model.module
        """The whole model."""
        _turn_dropout_off(self.module)
        self.module.get_output_embeddings().register_forward_pre_hook(self._pick_places)

    @classmethod
    def load(
        cls,
        model_name: str,
        *,
        dtype: DtypeName = "float32",
        device: str = "auto",
        flag: str = "--planner_model_name",
    ) -> Policy:
        """A model folder, or a name on the Hugging Face hub.

        Args:
            flag: the one that chose the model, for messages.

        Raises:
            BadRequestError: this machine has no such device.
            ModelNotFoundError: there is no such model.
            UnsupportedError: it has no chat template, or cannot be run exactly.
        """
        return cls(load_model(model_name, dtype=dtype, device=device, flag=flag))

    @property
    def device(self) -> torch.device:
        """Where the model is."""
        device: torch.device = next(self.module.parameters()).device
        return device

    @property
    def tokenizer(self) -> Any:
        """That of the model."""
        return self._model.tokenizer

    def save(self, folder: Path, weights: Mapping[str, torch.Tensor] | None = None) -> None:
        """Write a model folder: safetensors, configuration, tokenizer and chat template.

        Args:
            weights: those to write; None: those of `module`.
        """
        self._model.save(folder, weights)

    def check_options(self, choices: tuple[str, ...]) -> None:
        """Raises BadRequestError when the tokenizer cannot tell two options apart."""
        self._trie_of(choices)

    def encode(self, decisions: Sequence[Decision]) -> EncodedEpisode:
        """Lay out the decisions of one episode."""
        prompts = [self._model.chat.prompt_ids(decision.messages) for decision in decisions]
        tries = tuple(self._trie_of(decision.choices) for decision in decisions)
        return lay_out(prompts, tries)

    def log_probs(self, episodes: Sequence[EncodedEpisode], model: Any | None = None) -> torch.Tensor:
        """(C, O) log probabilities at temperature 1, choices in the order of the episodes; differentiable.

        All choices must have the same number of options, as those of one level have. Not for `torch.inference_mode`:
        what is kept of the options from there could not be trained with later.

        Args:
            model: what wraps `module` to train it on several devices or with adapters; None: `module` itself.
        """
        device = self.device
        width = max(len(episode) for episode in episodes)
        tokens_BT = torch.zeros(len(episodes), width, dtype=torch.long)
        # Behind an episode its row goes on, with positions that go on too: where they leap, models see a new text.
        positions_BT = torch.arange(width).repeat(len(episodes), 1)
        for row, episode in enumerate(episodes):
            tokens_BT[row, : len(episode)] = episode.tokens_T
            positions_BT[row, : len(episode)] = episode.positions_T
        mask_B1TT = _mask(episodes, width)
        scored_L = torch.cat([row * width + episode.scored_L for row, episode in enumerate(episodes)])
        logits_LV = self._logits(
            self.module if model is None else model,
            scored_L.to(device),
            input_ids=tokens_BT.to(device),
            position_ids=positions_BT.to(device),
            attention_mask=None if mask_B1TT is None else mask_B1TT.to(device),
        )
        tries = [trie for episode in episodes for trie in episode.tries]
        parts = torch.split(logits_LV, [len(trie.branching) for trie in tries])
        return torch.stack([option_log_probs(trie, part) for trie, part in zip(tries, parts, strict=True)])

    def _logits(self, model: Any, places_L: torch.Tensor, **inputs: torch.Tensor | None) -> torch.Tensor:
        """(L, V): the head is applied at the places that are asked for, and nowhere else.

        The places reach the head by a hook, so that the model is called as a whole, which is how wrappers see it.
        """
        self._places_L = places_L
        try:
            logits_LV: torch.Tensor = model(**inputs, use_cache=False).logits
        finally:
            self._places_L = None
        return logits_LV

    def _pick_places(
        self, head: torch.nn.Module, inputs: tuple[torch.Tensor, ...]
    ) -> tuple[torch.Tensor, ...] | None:
        if self._places_L is None:
            return None
        return (inputs[0].flatten(0, 1).index_select(0, self._places_L),)

    def _build_trie(self, choices: tuple[str, ...]) -> ChoiceTrie:
        return ChoiceTrie.build([self._model.chat.option_ids(choice) for choice in choices], choices)


def lay_out(prompts: Sequence[Sequence[int]], tries: Sequence[ChoiceTrie]) -> EncodedEpisode:
    """The trunk and a branch for each prompt and trie; see the module's text."""
    trunk = max(prompts, key=len)
    shared = [_common_length(prompt, trunk) for prompt in prompts]
    tails = [prompt[common:] for prompt, common in zip(prompts, shared, strict=True)]
    total = len(trunk) + sum(len(tail) + len(trie.packed) for tail, trie in zip(tails, tries, strict=True))
    if total == len(trunk):
        ends = torch.tensor(
            [common - 1 for common, trie in zip(shared, tries, strict=True) if trie.branching]
        )
        return EncodedEpisode(torch.tensor(trunk), torch.arange(total), None, ends.long(), tuple(tries))
    sees_TT = torch.zeros(total, total, dtype=torch.bool)
    sees_TT[: len(trunk), : len(trunk)] = _causal(len(trunk))
    tokens, positions = list(trunk), list(range(len(trunk)))
    scored: list[int] = []
    for prompt, common, tail, trie in zip(prompts, shared, tails, tries, strict=True):
        start = len(tokens)
        nodes = start + len(tail)
        end = nodes + len(trie.packed)
        tokens += [*tail, *(trie.token[node] for node in trie.packed)]
        positions += range(common, len(prompt))
        positions += [len(prompt) - 1 + trie.depth[node] for node in trie.packed]
        sees_TT[start:end, :common] = True
        sees_TT[start:nodes, start:nodes] = _causal(len(tail))
        sees_TT[nodes:end, start:nodes] = True
        sees_TT[nodes:end, nodes:end] = trie.packed_mask
        last = nodes - 1 if tail else common - 1
        scored += [last if row == 0 else nodes + row - 1 for row in trie.branching_rows]
    return EncodedEpisode(
        torch.tensor(tokens),
        torch.tensor(positions),
        sees_TT,
        torch.tensor(scored, dtype=torch.long),
        tuple(tries),
    )


def _turn_dropout_off(module: torch.nn.Module) -> None:
    """And all else that models do at random in training alone: to attention weights, to layers, to a router."""
    for part in module.modules():
        if isinstance(part, torch.nn.Dropout):
            part.p = 0.0
        for name, value in vars(part).items():
            if isinstance(value, float) and ("drop" in name or "jitter" in name):
                setattr(part, name, 0.0)


def _mask(episodes: Sequence[EncodedEpisode], width: int) -> torch.Tensor | None:
    """(B, 1, T, T) bool; None where every episode is plainly causal."""
    if all(episode.sees_TT is None for episode in episodes):
        return None
    # Padding sees itself: a row that sees nothing would be NaN.
    sees_BTT = torch.eye(width, dtype=torch.bool).repeat(len(episodes), 1, 1)
    for row, episode in enumerate(episodes):
        size = len(episode)
        sees_BTT[row, :size, :size] = _causal(size) if episode.sees_TT is None else episode.sees_TT
    return sees_BTT.unsqueeze(1)


def _causal(size: int) -> torch.Tensor:
    return torch.ones(size, size, dtype=torch.bool).tril()


def _common_length(left: Sequence[int], right: Sequence[int]) -> int:
    for index, (a, b) in enumerate(zip(left, right, strict=False)):
        if a != b:
            return index
    return min(len(left), len(right))
