"""GRPO on the planner: episodes, advantages, a step, again.

One update takes ``batch_size * gradient_accumulation_steps`` problems: their episodes are rolled out together by the
policy as it is, and make ``num_iterations`` steps of AdamW. The loss is the mean over the choices of the groups that
have spread; the reasoner is frozen, and what it wrote carries no loss. The gradient does not depend on how episodes
are divided into forward passes. Axes: B episodes, C choices, O options.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Literal

import torch

from hierarchical_reasoning.outcomes import Outcome
from hierarchical_reasoning.problems import Problem
from hierarchical_reasoning.trace import FINISH
from hierarchical_reasoning.training.assembly import TrainingParts
from hierarchical_reasoning.training.checkpoints import (
    Checkpoint,
    find_checkpoint,
    make_output_directory,
    save_checkpoint,
    save_final,
)
from hierarchical_reasoning.training.errors import DivergedError, TrainingError
from hierarchical_reasoning.training.log import (
    EvaluationRecord,
    JsonLines,
    PlannerMode,
    Record,
    UpdateRecord,
    as_json,
    record_from,
)
from hierarchical_reasoning.training.objectives import (
    clipped_choice_loss,
    entropy,
    group_advantage,
    tempered,
)
from hierarchical_reasoning.training.policy import EncodedEpisode, Policy
from hierarchical_reasoning.training.rollouts import Episode, Rollouts
from llm_backends import Backend, Sampling
from llm_backends.local import LocalBackend

_TOKENS_PER_PASS = 8192
"""Padding included."""
_NOTHING = -1
"""Before the first line of a log."""


@dataclass(frozen=True)
class Trained:
    """A training run that came to its end."""

    final: Path
    updates: int
    evaluations: tuple[EvaluationRecord, ...]
    learned_nothing: bool
    """No group of the whole run had spread, so no gradient was ever taken."""


@dataclass(frozen=True)
class _Lesson:
    """One episode as the loss sees it."""

    encoded: EncodedEpisode
    old_log_probs_CO: torch.Tensor
    chosen_C: torch.Tensor
    advantage: float


@dataclass(frozen=True)
class _Step:
    """What one step of the optimizer was."""

    loss: float
    kl: float
    clip_share: float
    grad_norm: float


class Trainer:
    """Trains one planner. Used as ``async with Trainer(...) as trainer: await trainer.run()``."""

    def __init__(
        self,
        parts: TrainingParts,
        reasoner: Backend,
        *,
        resume: bool = False,
        report: Callable[[Record], None] = lambda record: None,
    ) -> None:
        """Load the planner, or with ``resume`` the last checkpoint in ``--output_dir``.

        Args:
            reasoner: frozen; the caller closes it.
            report: gets every record of the log as it is written.

        Raises:
            UsageError: the output directory cannot be written, or holds another run.
            BackendError: the planner cannot be loaded, or its tokenizer cannot tell two options apart.
        """
        config = parts.config
        self._config = config
        self._parts = parts
        self._report = report
        self._checkpoint: Checkpoint | None = find_checkpoint(config, resume=resume)
        self._resumed_from = self._checkpoint.path if self._checkpoint else None
        make_output_directory(config)
        source = str(self._checkpoint.path) if self._checkpoint else config.planner_path
        flag = "--output_dir" if self._checkpoint else "--planner_model_name"
        self._policy = Policy.load(source, device=config.device, flag=flag)
        self._policy.check_options((*(option.name for option in parts.options), FINISH))
        self._parameters = [p for p in self._policy.module.parameters() if p.requires_grad]
        self._optimizer = torch.optim.AdamW(self._parameters, lr=config.learning_rate, weight_decay=0.0)
        self._log = JsonLines(config.output_dir / "log.jsonl")
        self._episodes = JsonLines(config.output_dir / "episodes.jsonl")
        self._records: list[Record] = []
        self._update = 0
        self._planner = LocalBackend(source, dtype="float32", device=config.device, model_flag=flag)
        self._rollouts: Rollouts = parts.rollouts(self._planner, reasoner)

    @property
    def resumed_from(self) -> Path | None:
        """The checkpoint that `run` goes on from; None where a run begins."""
        return self._resumed_from

    async def __aenter__(self) -> Trainer:
        return self

    async def __aexit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self._planner.aclose()
        await self._parts.verifier.aclose()

    async def run(self) -> Trained:
        """Train to the end.

        Raises:
            TrainingError: a loss or gradient is not finite, or every episode of an update failed.
            UsageError, BackendError: what no episode could survive.
        """
        first_epoch = self._take_up()
        if self._update == 0:
            await self._evaluate("before")
        for epoch in range(first_epoch, self._config.epochs + 1):
            for problems in self._batches(epoch):
                self._update += 1
                await self._learn(epoch, problems)
            self._checkpoint = save_checkpoint(
                self._config, self._policy, self._optimizer, epoch=epoch, update=self._update
            )
        await self._evaluate("after")
        updates = [record for record in self._records if isinstance(record, UpdateRecord)]
        return Trained(
            final=save_final(self._config, self._policy),
            updates=self._update,
            evaluations=tuple(r for r in self._records if isinstance(r, EvaluationRecord)),
            learned_nothing=all(record.groups == record.groups_without_spread for record in updates),
        )

    def _take_up(self) -> int:
        """Go on from the checkpoint, if there is one; returns the epoch that is due."""
        if self._checkpoint is not None:
            self._update = self._checkpoint.update
            self._checkpoint.load_optimizer(self._optimizer)
        kept = self._update if self._checkpoint else _NOTHING
        self._records = [
            record for record in map(record_from, self._log.keep_until(kept)) if not _is_after(record)
        ]
        self._log.rewrite([as_json(record) for record in self._records])
        self._episodes.keep_until(kept)
        return self._checkpoint.epoch + 1 if self._checkpoint else 1

    def _batches(self, epoch: int) -> Iterator[Sequence[Problem]]:
        problems = list(self._parts.problems)
        random.Random(f"{self._config.seed}/epoch/{epoch}").shuffle(problems)
        size = self._config.problems_per_update
        return (problems[start : start + size] for start in range(0, len(problems), size))

    async def _learn(self, epoch: int, problems: Sequence[Problem]) -> None:
        """One update: episodes, then steps."""
        started = time.perf_counter()
        self._planner.refresh(self._policy.module.state_dict())
        episodes = await self._rollouts.collect(
            problems, self._config.num_rollouts_per_prompt, self._sampling(self._acting_mode, self._update)
        )
        acted = time.perf_counter()
        self._write_episodes(epoch, episodes)
        graded = [episode for episode in episodes if episode.reward is not None]
        if not graded:
            raise TrainingError(
                f"all {len(episodes)} episodes of update {self._update} (epoch {epoch}) failed; the first: "
                f"{episodes[0].error}. {self._where_to_go_on()}"
            )
        advantages = self._advantages(graded)
        lessons = [
            self._lesson(episode, advantage)
            for episode, advantage in zip(graded, advantages, strict=True)
            if advantage != 0 and episode.choices
        ]
        steps = [self._step(epoch, lessons) for _ in range(self._config.num_iterations)] if lessons else []
        spread = {e.problem_id for e, advantage in zip(graded, advantages, strict=True) if advantage != 0}
        choices = [choice for episode in graded for choice in episode.choices]
        entropy_C = entropy(torch.tensor([choice.old_log_probs for choice in choices], dtype=torch.float64))
        self._record(
            UpdateRecord(
                update=self._update,
                epoch=epoch,
                episodes=len(episodes),
                errors=len(episodes) - len(graded),
                reward=_mean([episode.reward or 0.0 for episode in graded]),
                accuracy=_mean([episode.outcome is Outcome.CORRECT for episode in graded]),
                steps=len(choices) / len(graded),
                entropy=float(entropy_C.mean()),
                kl=steps[-1].kl if steps else 0.0,
                clip_share=_mean([step.clip_share for step in steps]),
                loss=_mean([step.loss for step in steps]),
                grad_norm=steps[-1].grad_norm if steps else 0.0,
                groups=len(problems),
                groups_without_spread=len(problems) - len(spread),
                rollout_seconds=round(acted - started, 2),
                update_seconds=round(time.perf_counter() - acted, 2),
            )
        )

    def _advantages(self, episodes: Sequence[Episode]) -> list[float]:
        numbers = {name: number for number, name in enumerate(dict.fromkeys(e.problem_id for e in episodes))}
        advantages_B = group_advantage(
            torch.tensor([episode.reward for episode in episodes], dtype=torch.float64),
            torch.tensor([numbers[episode.problem_id] for episode in episodes]),
            self._config.advantage_type,
        )
        return [float(advantage) for advantage in advantages_B]

    def _lesson(self, episode: Episode, advantage: float) -> _Lesson:
        old_log_probs_CO = torch.tensor([choice.old_log_probs for choice in episode.choices])
        return _Lesson(
            encoded=self._policy.encode([choice.decision for choice in episode.choices]),
            old_log_probs_CO=tempered(old_log_probs_CO, self._acting_temperature),
            chosen_C=torch.tensor([choice.chosen for choice in episode.choices]),
            advantage=advantage,
        )

    def _step(self, epoch: int, lessons: Sequence[_Lesson]) -> _Step:
        """One step of the optimizer on the mean loss over the choices of all lessons."""
        config = self._config
        n_choices = sum(len(lesson.chosen_C) for lesson in lessons)
        loss_sum = kl_sum = clipped = 0.0
        self._optimizer.zero_grad(set_to_none=True)
        for part in _passes(lessons):
            new_log_probs_CO = self._policy.log_probs([lesson.encoded for lesson in part])
            device = new_log_probs_CO.device
            advantages_C = torch.cat([torch.full(lesson.chosen_C.shape, lesson.advantage) for lesson in part])
            result = clipped_choice_loss(
                tempered(new_log_probs_CO, self._acting_temperature),
                torch.cat([lesson.old_log_probs_CO for lesson in part]).to(device),
                torch.cat([lesson.chosen_C for lesson in part]).to(device),
                advantages_C.to(device),
                epsilon=config.epsilon,
                kl_coeff=config.kl_coeff,
            )
            loss = result.loss_C.sum() / n_choices
            self._check_finite("loss", loss.detach(), epoch)
            torch.autograd.backward(loss)
            loss_sum += float(loss.detach())
            kl_sum += float(result.kl_C.detach().sum())
            clipped += float(result.clipped_C.sum())
        norm = torch.nn.utils.clip_grad_norm_(self._parameters, config.max_grad_norm)
        self._check_finite("norm of the gradient", norm, epoch)
        self._optimizer.step()
        return _Step(loss_sum, kl_sum / n_choices, clipped / n_choices, float(norm))

    def _check_finite(self, what: str, value: torch.Tensor, epoch: int) -> None:
        if not bool(torch.isfinite(value)):
            raise DivergedError(
                f"the {what} is {float(value)} in update {self._update} (epoch {epoch}); lower --learning_rate "
                f"({self._config.learning_rate}) or --max_grad_norm ({self._config.max_grad_norm}). "
                f"{self._where_to_go_on()}"
            )

    def _where_to_go_on(self) -> str:
        if self._checkpoint is None:
            return "There is no checkpoint yet."
        return f"The last good checkpoint is {self._checkpoint.path}."

    async def _evaluate(self, when: Literal["before", "after"]) -> None:
        """The planner on the held-out problems, greedy and, where it acts so, sampled; one attempt each."""
        if not self._parts.held_out:
            return
        self._planner.refresh(self._policy.module.state_dict())
        modes: tuple[PlannerMode, ...] = ("greedy", "sampled") if self._config.sample_action else ("greedy",)
        for mode in modes:
            episodes = await self._rollouts.collect(self._parts.held_out, 1, self._sampling(mode, 0))
            self._record(
                EvaluationRecord(
                    update=self._update,
                    when=when,
                    mode=mode,
                    correct=sum(episode.outcome is Outcome.CORRECT for episode in episodes),
                    n=len(episodes),
                    errors=sum(episode.error is not None for episode in episodes),
                    steps=_mean([len(episode.choices) for episode in episodes]),
                )
            )

    @property
    def _acting_mode(self) -> PlannerMode:
        return "sampled" if self._config.sample_action else "greedy"

    @property
    def _acting_temperature(self) -> float:
        """The temperature of the distribution that acts; argmax rollouts are scored at 1."""
        return self._config.temperature if self._config.sample_action else 1.0

    def _sampling(self, mode: PlannerMode, update: int) -> Sampling:
        """Of the planner; each update draws other numbers."""
        seed = random.Random(f"{self._config.seed}/update/{update}").getrandbits(32)
        return Sampling(temperature=0.0 if mode == "greedy" else self._config.temperature, seed=seed)

    def _record(self, record: Record) -> None:
        self._records.append(record)
        self._log.append(as_json(record))
        self._report(record)

    def _write_episodes(self, epoch: int, episodes: Sequence[Episode]) -> None:
        self._episodes.extend(
            [
                {
                    "update": self._update,
                    "epoch": epoch,
                    "problem_id": episode.problem_id,
                    "sample": episode.sample,
                    "outcome": episode.outcome.value,
                    "reward": episode.reward,
                    "characters": episode.characters,
                    "error": episode.error,
                    "choices": [
                        {
                            "chosen": choice.name,
                            "old_log_probs": dict(
                                zip(choice.decision.choices, choice.old_log_probs, strict=True)
                            ),
                        }
                        for choice in episode.choices
                    ],
                }
                for episode in episodes
            ]
        )


def _passes(lessons: Sequence[_Lesson]) -> Iterator[list[_Lesson]]:
    """The lessons by length, as many to a forward pass as fit."""
    part: list[_Lesson] = []
    for lesson in sorted(lessons, key=lambda lesson: len(lesson.encoded)):
        if part and len(lesson.encoded) * (len(part) + 1) > _TOKENS_PER_PASS:
            yield part
            part = []
        part.append(lesson)
    yield part


def _is_after(record: Record) -> bool:
    return isinstance(record, EvaluationRecord) and record.when == "after"


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values) if values else 0.0
