"""The planner as a policy: log probabilities of all options at every choice of episodes, in one forward pass.

What an episode's choices are made from are token sequences: the prompt of each choice, followed by what of an option
must be read before the next token of it can be scored. In a pass all sequences are merged where they begin alike, and
each token is computed once: the prompts of a conversation that only grows, the problem that episodes share, the first
thoughts that they have in common. A token sees its own path alone, at the positions it has there, so any tokenizer,
chat template and prompt style gives exact probabilities. The loss is on choices: the head is applied where an option
is scored and nowhere else.

Probabilities are those of `llm_backends.choices`, from the tokens of `llm_backends.local.chat`, as in inference.
Axes: C choices, O options, L places whose logits are needed.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import accumulate
from pathlib import Path
from typing import Any

import torch

from hierarchical_reasoning.training.packed.packed_forward import PackedModel
from hierarchical_reasoning.training.packed.prefix_trie import Tokens, UniqueTokens, merge, outermost
from llm_backends import Message
from llm_backends.choices import ROOT, ChoiceTrie, option_log_probs
from llm_backends.local.loading import DtypeName, LoadedModel, load_model


@dataclass(frozen=True)
class Decision:
    """What a planner was asked."""

    messages: tuple[Message, ...]
    choices: tuple[str, ...]


@dataclass(frozen=True, eq=False)
class EncodedEpisode:
    """The decisions of one episode as token sequences."""

    paths: tuple[Tokens, ...]
    """What must be read; in lexicographic order, and none the beginning of another."""
    scored: tuple[tuple[int, int], ...]
    """The tokens whose logits are needed, choice by choice: which path, and where in it."""
    tries: tuple[ChoiceTrie, ...]
    """The options of each choice."""
    n_tokens: int
    """Those of all paths, what they share counted once."""

    def __len__(self) -> int:
        return self.n_tokens


class Policy:
    """A causal language model trained as a planner. Dropout is off, so that new and old policy differ by their weights
    alone."""

    def __init__(self, model: LoadedModel) -> None:
        self._model = model
        self._trie_of = lru_cache(maxsize=1024)(self._build_trie)
        self.module: Any = model.module
        """The whole model."""
        self._packed = PackedModel(self.module)

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
        return encode(prompts, tries)

    def log_probs(self, episodes: Sequence[EncodedEpisode], model: Any | None = None) -> torch.Tensor:
        """(C, O) log probabilities at temperature 1, choices in the order of the episodes; differentiable.

        All choices must have the same number of options, as those of one level have. Not for `torch.inference_mode`:
        what is kept of the options from there could not be trained with later.

        Args:
            model: what wraps `module` to train it on several devices or with adapters; None: `module` itself.
        """
        forest, places = merge([path for episode in episodes for path in episode.paths])
        first = [0, *accumulate(len(episode.paths) for episode in episodes)]
        scored_L = torch.tensor(
            [
                int(places[offset + path][index])
                for offset, episode in zip(first, episodes, strict=False)
                for path, index in episode.scored
            ],
            dtype=torch.long,
        )
        logits_LV = self._packed.logits(forest, scored_L, model)
        tries = [trie for episode in episodes for trie in episode.tries]
        parts = torch.split(logits_LV, [len(trie.branching) for trie in tries])
        return torch.stack([option_log_probs(trie, part) for trie, part in zip(tries, parts, strict=True)])

    def _build_trie(self, choices: tuple[str, ...]) -> ChoiceTrie:
        return ChoiceTrie.build([self._model.chat.option_ids(choice) for choice in choices], choices)


def encode(prompts: Sequence[Sequence[int]], tries: Sequence[ChoiceTrie]) -> EncodedEpisode:
    """The paths of the choices that have these prompts and options."""
    sequences: list[Sequence[int]] = []
    scored: list[tuple[int, int]] = []
    for prompt, trie in zip(prompts, tries, strict=True):
        sequence_of = {ROOT: len(sequences)}
        sequences.append(prompt)
        for node in trie.packed:
            parent = trie.parent[node]
            sequence_of[node] = len(sequences)
            sequences.append([*sequences[sequence_of[parent]], trie.token[node]])
        scored += [(sequence_of[node], len(sequences[sequence_of[node]]) - 1) for node in trie.branching]
    paths, path_of = outermost(sequences)
    return EncodedEpisode(
        paths,
        tuple((path_of[sequence], index) for sequence, index in scored),
        tuple(tries),
        UniqueTokens().add(paths),
    )
