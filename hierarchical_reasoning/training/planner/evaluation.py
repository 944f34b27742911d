"""The planner on held-out problems, as far as it has come."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from hierarchical_reasoning.outcomes import Outcome
from hierarchical_reasoning.problems import Problem
from hierarchical_reasoning.training.config import GrpoConfig
from hierarchical_reasoning.training.episode import Episode
from hierarchical_reasoning.training.log import START, EvaluationRecord, Mode
from hierarchical_reasoning.training.planner.rollouts import Collected, Rollouts
from hierarchical_reasoning.training.schedule import draw_seed
from llm_backends import Sampling


async def attempt(
    rollouts: Rollouts, problems: Sequence[Problem], config: GrpoConfig, mode: Mode
) -> Collected:
    """One attempt at each problem. The draws are the same at every evaluation, so that they differ by the planner."""
    temperature = 0.0 if mode == "greedy" else config.planner_sampling_temperature
    return await rollouts.collect(
        problems, 1, Sampling(temperature=temperature, seed=draw_seed(config.seed, 0))
    )


def modes(config: GrpoConfig) -> tuple[Mode, ...]:
    """How the planner is evaluated: greedy and, where it acts so, sampled."""
    return ("greedy", "sampled") if config.sample_action else ("greedy",)


def evaluation_record(
    update: int, mode: Mode, episodes: Sequence[Episode], seconds: float
) -> EvaluationRecord:
    return EvaluationRecord(
        update=update,
        mode=mode,
        correct=sum(episode.outcome is Outcome.CORRECT for episode in episodes),
        n=len(episodes),
        errors=sum(episode.error is not None for episode in episodes),
        steps=sum(len(episode.choices) for episode in episodes) / len(episodes),
        transitions=transitions(episodes),
        seconds=round(seconds, 2),
    )


def transitions(episodes: Sequence[Episode]) -> dict[str, dict[str, int]]:
    """How often an option followed another, the most frequent first."""
    counts: dict[str, Counter[str]] = {}
    for episode in episodes:
        before = START
        for choice in episode.choices:
            counts.setdefault(before, Counter())[choice.name] += 1
            before = choice.name
    return {before: dict(row.most_common()) for before, row in counts.items()}
