"""Episodes of ten choices to time an update on: those of the bundled model, and made ones with long thoughts.

Rewards alternate, so that every episode has an advantage; and what is recorded of the policy that acted is shifted a
little, so that ratios are not 1, the clip acts and the KL is not 0.
"""

from __future__ import annotations

import random
from dataclasses import replace
from pathlib import Path
from typing import Literal

import torch

from hierarchical_reasoning.assets import TAXONOMY, TRAIN_PROBLEMS
from hierarchical_reasoning.backends import Backends
from hierarchical_reasoning.outcomes import Outcome
from hierarchical_reasoning.problems import Problem, read_problems
from hierarchical_reasoning.prompts import Prompts
from hierarchical_reasoning.solvers.hierarchical import shuffled
from hierarchical_reasoning.trace import FINISH, Step, Trace
from hierarchical_reasoning.training.config import GrpoConfig
from hierarchical_reasoning.training.episode import ChoiceRecord, Episode
from hierarchical_reasoning.training.planner.assembly import assemble_training
from hierarchical_reasoning.training.planner.policy import Decision
from llm_backends import Sampling, create_backend
from taxonomy import ThoughtType, load_taxonomy

Kind = Literal["bundled", "long"]
N_CHOICES = 10
GROUP = 8
"""Episodes of a problem."""
SHIFT = 0.1
"""Standard deviation of what the acting policy's log probabilities are off by, nats."""
_LEVEL = 3
_TEMPERATURE = 2.0
"""The bundled planner's; at 1 it seldom makes ten choices."""
_LONG_THOUGHT_WORDS = 72
"""About 100 tokens of the bundled tokenizer."""
_WORDS = "the sum of both is taken apart again and what was found before goes in for x".split()  # noqa: SIM905


async def record(kind: Kind, n_problems: int, cache_dir: Path) -> list[Episode]:
    """Problem by problem, `GROUP` of each; the same ones whenever it is asked."""
    made = await _acted(n_problems, cache_dir) if kind == "bundled" else _with_long_thoughts(n_problems)
    generator = torch.Generator().manual_seed(0)
    return [
        replace(
            episode,
            sample=number % GROUP,
            reward=float(number % 2),
            choices=tuple(_shifted(choice, generator) for choice in episode.choices),
        )
        for number, episode in enumerate(made)
    ]


async def _acted(n_problems: int, cache_dir: Path) -> list[Episode]:
    """By the bundled model on bundled problems; those with ten choices, the limit on steps being the eleventh."""
    config = GrpoConfig(
        n_rows=2 * n_problems,
        eval_rows=0,
        max_steps_per_episode=N_CHOICES + 1,
        label_level=_LEVEL,
        cache_dir=cache_dir,
    )
    parts = assemble_training(config)
    found: list[Episode] = []
    async with create_backend("local", model_name=config.planner_path) as backend:
        rollouts = parts.rollouts(backend, Backends.one(backend))
        for problem in parts.problems:
            if len(found) == n_problems * GROUP:
                break
            collected = await rollouts.collect(
                [problem], 4 * GROUP, Sampling(temperature=_TEMPERATURE, seed=0)
            )
            full = [episode for episode in collected.episodes if len(episode.choices) == N_CHOICES]
            found += full[:GROUP] if len(full) >= GROUP else []
    await parts.verifier.aclose()
    if len(found) < n_problems * GROUP:
        raise SystemExit(
            f"only {len(found) // GROUP} of {len(parts.problems)} problems have {GROUP} long episodes"
        )
    return found


def _with_long_thoughts(n_problems: int) -> list[Episode]:
    """Random choices and thoughts of random words, on bundled problems."""
    rng = random.Random(0)
    options = load_taxonomy(TAXONOMY).at_level(_LEVEL)
    problems = read_problems(TRAIN_PROBLEMS, n_rows=n_problems).problems
    return [
        _made(problem, shuffled(options, problem, seed=0), rng) for problem in problems for _ in range(GROUP)
    ]


def _made(problem: Problem, options: tuple[ThoughtType, ...], rng: random.Random) -> Episode:
    prompts = Prompts("chat", "a number")
    trace = Trace(problem, options)
    records = []
    for number in range(N_CHOICES):
        last = number == N_CHOICES - 1
        chosen = trace.choices.index(FINISH) if last else rng.randrange(len(options))
        evenly = (-torch.tensor(float(len(trace.choices))).log().item(),) * len(trace.choices)
        records.append(ChoiceRecord(Decision(prompts.choose(trace), trace.choices), chosen, evenly))
        if not last:
            thought = " ".join(rng.choices(_WORDS, k=_LONG_THOUGHT_WORDS))
            trace = trace.extended(Step(options[chosen], thought))
    return Episode(problem.id, 0, tuple(records), Outcome.WRONG, characters=0, reward=0.0)


def _shifted(choice: ChoiceRecord, generator: torch.Generator) -> ChoiceRecord:
    old_O = torch.tensor(choice.old_log_probs, dtype=torch.float64)
    shift_O = SHIFT * torch.randn(old_O.shape, generator=generator, dtype=torch.float64)
    return replace(choice, old_log_probs=tuple((old_O + shift_O).log_softmax(-1).tolist()))
