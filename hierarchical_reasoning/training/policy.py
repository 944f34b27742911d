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

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import torch

from llm_backends import Message
from llm_backends.choices import ChoiceTrie, option_log_probs
from llm_backends.local.loading import LoadedModel, load_model


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
    sees_TT: torch.Tensor
    """bool: whether a token (row) attends to another (column)."""
    scored_L: torch.Tensor
    """Places in the sequence whose logits are needed, choice by choice."""
    tries: tuple[ChoiceTrie, ...]
    """The options of each choice."""

    def __len__(self) -> int:
        return len(self.tokens_T)


class Policy:
    """A causal language model in float32, trained as a planner. Dropout is off, so that new and old policy differ by
    their weights alone."""

    def __init__(self, model: LoadedModel) -> None:
        self._model = model
        self._trie_of = lru_cache(maxsize=1024)(self._build_trie)

    @classmethod
    def load(cls, model_name: str, *, device: str = "auto", flag: str = "--planner_model_name") -> Policy:
        """A model folder, or a name on the Hugging Face hub.

        Args:
            flag: the one that chose the model, for messages.

        Raises:
            BadRequestError: this machine has no such device.
            ModelNotFoundError: there is no such model.
            UnsupportedError: it has no chat template, or cannot be run exactly.
        """
        return cls(load_model(model_name, dtype="float32", device=device, flag=flag))

    @property
    def module(self) -> torch.nn.Module:
        """The whole model."""
        module: torch.nn.Module = self._model.module
        return module

    def save(self, folder: Path) -> None:
        """Write a model folder: safetensors, configuration, tokenizer and chat template."""
        self._model.save(folder)

    def check_options(self, choices: tuple[str, ...]) -> None:
        """Raises BadRequestError when the tokenizer cannot tell two options apart."""
        self._trie_of(choices)

    def encode(self, decisions: Sequence[Decision]) -> EncodedEpisode:
        """Lay out the decisions of one episode."""
        prompts = [self._model.chat.prompt_ids(decision.messages) for decision in decisions]
        tries = tuple(self._trie_of(decision.choices) for decision in decisions)
        return lay_out(prompts, tries)

    def log_probs(self, episodes: Sequence[EncodedEpisode]) -> torch.Tensor:
        """(C, O) log probabilities at temperature 1, choices in the order of the episodes; differentiable.

        All choices must have the same number of options, as those of one level have. Not for `torch.inference_mode`:
        what is kept of the options from there could not be trained with later.
        """
        device = self._model.device
        width = max(len(episode) for episode in episodes)
        shape = len(episodes), width
        tokens_BT = torch.zeros(shape, dtype=torch.long)
        positions_BT = torch.zeros(shape, dtype=torch.long)
        # Padding sees itself: a row that sees nothing would be NaN.
        sees_BTT = torch.eye(width, dtype=torch.bool).repeat(len(episodes), 1, 1)
        for row, episode in enumerate(episodes):
            size = len(episode)
            tokens_BT[row, :size] = episode.tokens_T
            positions_BT[row, :size] = episode.positions_T
            sees_BTT[row, :size, :size] = episode.sees_TT
        scored_L = torch.cat([row * width + episode.scored_L for row, episode in enumerate(episodes)])
        mask_B1TT = torch.zeros(sees_BTT.shape).masked_fill_(~sees_BTT, float("-inf")).unsqueeze(1)
        hidden_BTH = self._model.body(
            input_ids=tokens_BT.to(device),
            position_ids=positions_BT.to(device),
            attention_mask=mask_B1TT.to(device),
            use_cache=False,
        ).last_hidden_state
        logits_LV = self._model.head(hidden_BTH.flatten(0, 1).index_select(0, scored_L.to(device)))
        tries = [trie for episode in episodes for trie in episode.tries]
        parts = torch.split(logits_LV, [len(trie.branching) for trie in tries])
        return torch.stack([option_log_probs(trie, part) for trie, part in zip(tries, parts, strict=True)])

    def _build_trie(self, choices: tuple[str, ...]) -> ChoiceTrie:
        return ChoiceTrie.build([self._model.chat.option_ids(choice) for choice in choices])


def lay_out(prompts: Sequence[Sequence[int]], tries: Sequence[ChoiceTrie]) -> EncodedEpisode:
    """The trunk and a branch for each prompt and trie; see the module's text."""
    trunk = max(prompts, key=len)
    shared = [_common_length(prompt, trunk) for prompt in prompts]
    tails = [prompt[common:] for prompt, common in zip(prompts, shared, strict=True)]
    total = len(trunk) + sum(len(tail) + len(trie.packed) for tail, trie in zip(tails, tries, strict=True))
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


def _causal(size: int) -> torch.Tensor:
    return torch.ones(size, size, dtype=torch.bool).tril()


def _common_length(left: Sequence[int], right: Sequence[int]) -> int:
    for index, (a, b) in enumerate(zip(left, right, strict=False)):
        if a != b:
            return index
    return min(len(left), len(right))
