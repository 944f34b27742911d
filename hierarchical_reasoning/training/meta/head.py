"""A value head as what is meta-learned: binary cross-entropy on places and the path rewards they turned out to have.

Places are the lines of answers that the model drew, right and wrong ones: each line is a thought, and a place's reward
is that of the best answer through it. What a place is described by, and the networks, are those of `values`; inputs are
standardised with statistics of the families that are trained on. Members share nothing, so losses are summed over them:
each member learns as if it were alone.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

import numpy as np
import torch
from numpy.typing import NDArray
from torch.func import functional_call
from torch.nn import functional

from hierarchical_reasoning.problems import Problem
from hierarchical_reasoning.training.meta.config import MetaConfig
from hierarchical_reasoning.training.meta.families import FamilyProblems
from hierarchical_reasoning.training.meta.learner import Parameters
from hierarchical_reasoning.training.meta.rollouts import Answer
from hierarchical_reasoning.training.meta.subject import Score, Subject, check_enough
from hierarchical_reasoning.values import HeadSettings, Place
from hierarchical_reasoning.values.encoders import Encoder
from hierarchical_reasoning.values.head import ValueHead
from hierarchical_reasoning.values.learned import LearnedValue
from hierarchical_reasoning.values.pairs import Pairs

_Vectors: TypeAlias = tuple[NDArray[np.float32], NDArray[np.float64]]
"""Of places, and their rewards."""


@dataclass(frozen=True, eq=False)
class _Seen:
    """The places of one problem."""

    inputs_NI: torch.Tensor
    rewards_N: torch.Tensor


class Head(Subject):
    """A `Subject`; see `gather`."""

    def __init__(
        self, encoder: Encoder, head: ValueHead, pairs: Pairs, trained_on: Sequence[Problem]
    ) -> None:
        self._encoder, self._head, self._pairs, self._trained_on = encoder, head, pairs, trained_on
        self._ids: dict[str, list[str]] = {}
        self._seen: dict[str, _Seen] = {}
        self._test_ids: list[str] = []
        self.loss_parts = head.settings.n_networks

    @classmethod
    async def gather(
        cls,
        config: MetaConfig,
        problems: FamilyProblems,
        encoder: Encoder,
        drawn: Mapping[str, Sequence[Answer]],
    ) -> Head:
        """
        Args:
            drawn: by problem; of all problems.

        Raises:
            ConfigError: a family has too few problems with answers.
        """
        parts = {**problems.train, problems.unseen: problems.support}
        found: dict[str, _Vectors] = {}
        for problem in problems.everything():
            rewards = path_rewards(drawn.get(problem.id, ()))
            if rewards:
                vectors = await encoder.encode([Place(problem, thoughts) for thoughts in rewards])
                found[problem.id] = vectors, np.array(list(rewards.values()), dtype=np.float64)
        for family, members in parts.items():
            check_enough(
                family,
                sum(problem.id in found for problem in members),
                len(members),
                config.batch_size,
                unseen=family == problems.unseen,
                what="an answer with a line to learn from",
            )
        trained_on = [
            problem for members in problems.train.values() for problem in members if problem.id in found
        ]
        taught = [found[problem.id] for problem in trained_on]
        settings = HeadSettings(
            n_models=config.n_models,
            hidden_size=config.hidden_size,
            n_layers=config.n_layers,
            max_pairs=max(HeadSettings().max_pairs, sum(len(rewards_N) for _, rewards_N in taught)),
            seed=config.seed,
        )
        pairs = Pairs(settings)
        for vectors, rewards_N in taught:
            pairs.add(vectors, rewards_N)
        head = ValueHead(pairs.vectors.shape[1], settings)
        head.learn(pairs, n_steps=0)  # the statistics alone
        made = cls(encoder, head, pairs, trained_on)
        made._seen = {
            problem_id: _Seen(head.inputs(vectors), torch.from_numpy(rewards))
            for problem_id, (vectors, rewards) in found.items()
        }
        made._ids = {
            family: [problem.id for problem in members if problem.id in found]
            for family, members in parts.items()
        }
        made._test_ids = [problem.id for problem in problems.test if problem.id in found]
        return made

    def start(self) -> Parameters:
        return {name: tensor.detach() for name, tensor in self._head.networks.named_parameters()}

    def problem_ids(self, family: str) -> Sequence[str]:
        return self._ids[family]

    def loss(self, parameters: Parameters, problem_ids: Sequence[str]) -> torch.Tensor:
        """Mean over places, summed over members."""
        logits_MN, rewards_N = self._logits(parameters, problem_ids)
        return (
            functional.binary_cross_entropy_with_logits(
                logits_MN, rewards_N.expand_as(logits_MN), reduction="none"
            )
            .mean(dim=1)
            .sum()
        )

    async def score(self, parameters: Parameters) -> Score:
        """A place counts as right where its value, the mean over members, is on the side of 0.5 of its reward."""
        with torch.no_grad():
            logits_MN, rewards_N = self._logits(parameters, self._test_ids)
            value_N = torch.sigmoid(logits_MN).mean(dim=0)
            correct = int(((value_N >= 0.5) == (rewards_N >= 0.5)).sum())
            loss = float(self.loss(parameters, self._test_ids)) / self.loss_parts
        return Score(correct, len(rewards_N), loss, auc_of(value_N, rewards_N))

    async def save(self, folder: Path, parameters: Parameters) -> None:
        head = self._head.copy()
        head.networks.load_state_dict(dict(parameters))
        learned = LearnedValue.of(self._encoder, head, self._pairs.copy(), self._trained_on)
        await learned.save(folder)

    def _logits(
        self, parameters: Parameters, problem_ids: Sequence[str]
    ) -> tuple[torch.Tensor, torch.Tensor]:
        seen = [self._seen[problem_id] for problem_id in problem_ids]
        inputs_NI = torch.cat([each.inputs_NI for each in seen])
        logits_MN: torch.Tensor = functional_call(self._head.networks, dict(parameters), (inputs_NI,))
        return logits_MN, torch.cat([each.rewards_N for each in seen])


def auc_of(value_N: torch.Tensor, rewards_N: torch.Tensor) -> float | None:
    """Of values, over all pairs of a place with reward 1 and one with reward 0."""
    right_R, wrong_W = value_N[rewards_N >= 0.5], value_N[rewards_N < 0.5]
    if not len(right_R) or not len(wrong_W):
        return None
    ahead_RW = right_R[:, None] - wrong_W
    return float((ahead_RW > 0).double().mean() + (ahead_RW == 0).double().mean() / 2)


def path_rewards(answers: Sequence[Answer]) -> dict[tuple[str, ...], float]:
    """Of the lines up to each line of the answers to one problem, the reward of the best answer that begins so."""
    found: dict[tuple[str, ...], float] = {}
    for answer in answers:
        lines = tuple(line for line in answer.text.splitlines() if line.strip())
        for end in range(1, len(lines) + 1):
            found[lines[:end]] = max(found.get(lines[:end], 0.0), float(answer.is_correct))
    return found
