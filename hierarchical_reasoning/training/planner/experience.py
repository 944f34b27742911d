"""What one update learns from: episodes in groups, their advantages, and the lessons in them.

A group is the episodes of one problem. It stays whole in one process, so an advantage needs nothing from elsewhere.
"""

from __future__ import annotations

import random
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch

from hierarchical_reasoning.outcomes import Outcome
from hierarchical_reasoning.problems import Problem
from hierarchical_reasoning.results.records import NOTHING_SPENT, RoleUsage
from hierarchical_reasoning.training.config import GrpoConfig
from hierarchical_reasoning.training.episode import Episode
from hierarchical_reasoning.training.learner import Experience
from hierarchical_reasoning.training.objectives import entropy, group_advantage, tempered
from hierarchical_reasoning.training.planner.policy import Policy
from hierarchical_reasoning.training.planner.rollouts import Collected, Rollouts
from hierarchical_reasoning.training.planner.update import Lesson
from hierarchical_reasoning.training.schedule import Batches, draw_seed
from hierarchical_reasoning.training.update_record import Gathered
from llm_backends import Sampling


@dataclass(frozen=True)
class Gatherer:
    """Rolls out the episodes of an update and finds what is to be learned from them."""

    config: GrpoConfig
    policy: Policy
    rollouts: Rollouts
    problems: Sequence[Problem]
    """All that are trained on; replacements are drawn from them."""
    share: tuple[int, int] = (0, 1)
    """Which of how many processes this is."""
    rewards_shuffled: bool = False
    """An ablation: rewards change places among all episodes of a generation batch, so they say nothing of choices."""

    async def gather(
        self, update: int, problems: Sequence[Problem], everyones: Sequence[Problem]
    ) -> Experience:
        """The episodes of these problems; with ``filter_groups``, groups without spread are replaced by those of other
        problems, for at most ``max_num_gen_batches`` batches in all. Which others depends on how many processes share
        the update.

        Args:
            problems: this process's.
            everyones: those of the update in all processes.

        Raises:
            TrainingError, UsageError, BackendError: as `Rollouts.collect`.
        """
        started = time.perf_counter()
        episodes: list[Episode] = []
        advantages: list[float | None] = []
        lessons: list[Lesson] = []
        collected: list[Collected] = []
        groups = without_spread = 0
        batches = Batches(self.config, self.problems, update, problems, everyones, self.share)
        while due := batches.due:
            batch = await self.rollouts.collect(
                due, self.config.num_rollouts_per_prompt, self._sampling(update)
            )
            collected.append(batch)
            found = self._advantages(batch.episodes, seed=f"{update}/{len(collected)}")
            spread = {e.problem_id for e, advantage in zip(batch.episodes, found, strict=True) if advantage}
            episodes += batch.episodes
            advantages += found
            lessons += [
                self._lesson(episode, advantage)
                for episode, advantage in zip(batch.episodes, found, strict=True)
                if advantage and episode.choices
            ]
            groups += len(due)
            missing = len(due) - len(spread)
            without_spread += missing
            batches.made_one(missing)
        gathered = Gathered(
            **_figures_of(episodes),
            groups=groups,
            groups_without_spread=without_spread,
            generation_batches=batches.made,
            usage=_paid_for(collected),
            seconds=time.perf_counter() - started,
        )
        return Experience(tuple(episodes), tuple(advantages), tuple(lessons), gathered)

    def _sampling(self, update: int) -> Sampling:
        """Of the planner; each update draws other numbers."""
        temperature = self.config.planner_sampling_temperature if self.config.sample_action else 0.0
        return Sampling(temperature=temperature, seed=draw_seed(self.config.seed, update))

    def _advantages(self, episodes: Sequence[Episode], *, seed: str) -> list[float | None]:
        graded = [row for row, episode in enumerate(episodes) if episode.reward is not None]
        rewards = [episodes[row].reward or 0.0 for row in graded]
        if self.rewards_shuffled:
            random.Random(f"{self.config.seed}/rewards/{seed}").shuffle(rewards)
        names = dict.fromkeys(episode.problem_id for episode in episodes)
        numbers: Mapping[str, int] = {name: number for number, name in enumerate(names)}
        found: list[float | None] = [None] * len(episodes)
        if graded:
            advantages_B = group_advantage(
                torch.tensor(rewards, dtype=torch.float64),
                torch.tensor([numbers[episodes[row].problem_id] for row in graded]),
                self.config.advantage_type,
            )
            for row, advantage in zip(graded, advantages_B.tolist(), strict=True):
                found[row] = advantage
        return found

    def _lesson(self, episode: Episode, advantage: float) -> Lesson:
        old_log_probs_CO = torch.tensor([choice.old_log_probs for choice in episode.choices])
        return Lesson(
            encoded=self.policy.encode([choice.decision for choice in episode.choices]),
            old_log_probs_CO=tempered(old_log_probs_CO, acting_temperature(self.config)),
            chosen_C=torch.tensor([choice.chosen for choice in episode.choices]),
            advantage=advantage,
        )


def _figures_of(episodes: Sequence[Episode]) -> dict[str, Any]:
    """What the episodes add to the record of an update."""
    graded = [episode for episode in episodes if episode.reward is not None]
    choices = [choice for episode in graded for choice in episode.choices]
    log_probs_CO = torch.tensor([choice.old_log_probs for choice in choices], dtype=torch.float64)
    return {
        "episodes": len(episodes),
        "errors": len(episodes) - len(graded),
        "reward": sum(episode.reward or 0.0 for episode in graded),
        "correct": sum(episode.outcome is Outcome.CORRECT for episode in graded),
        "acts": len(choices),
        "entropy": float(entropy(log_probs_CO).sum()) if choices else 0.0,
        "thought_types": Counter(choice.name for choice in choices),
    }


def _paid_for(collected: Sequence[Collected]) -> RoleUsage:
    """What all models but the planner took."""
    usages = (usage for batch in collected for role, usage in batch.usage.items() if role != "planner")
    return sum(usages, NOTHING_SPENT)


def acting_temperature(config: GrpoConfig) -> float:
    """Of the distribution that acts; argmax rollouts are scored at 1."""
    return config.planner_sampling_temperature if config.sample_action else 1.0
