"""A planner as what is trained: it acts in the loop that inference uses, and the loss is on its choices."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from hierarchical_reasoning.backends import Backends
from hierarchical_reasoning.model_settings import ModelSettings, write_model_settings
from hierarchical_reasoning.problems import Problem
from hierarchical_reasoning.trace import FINISH
from hierarchical_reasoning.training.episode import Episode
from hierarchical_reasoning.training.learner import Experience, Gather, Look
from hierarchical_reasoning.training.loading import Weights
from hierarchical_reasoning.training.log import EvaluationRecord, Mode
from hierarchical_reasoning.training.objectives import tempered
from hierarchical_reasoning.training.planner.assembly import TrainingParts
from hierarchical_reasoning.training.planner.evaluation import attempt, evaluation_record, modes
from hierarchical_reasoning.training.planner.experience import Gatherer, acting_temperature
from hierarchical_reasoning.training.planner.policy import Decision, Policy
from hierarchical_reasoning.training.planner.rollouts import Waiting
from hierarchical_reasoning.training.planner.update import Lesson, LossSettings, divide, pass_loss
from hierarchical_reasoning.training.sums import Sums
from hierarchical_reasoning.training.update_record import Gathered
from llm_backends import Message
from llm_backends.local import LocalBackend


class PlannerLearner:
    """The `Learner` of a run that trains a planner."""

    def __init__(
        self,
        parts: TrainingParts,
        backends: Backends,
        weights: Weights,
        *,
        share: tuple[int, int] = (0, 1),
        waiting: Callable[[Waiting], None] = lambda waiting: None,
        rewards_shuffled: bool = False,
    ) -> None:
        """
        Args:
            backends: of the reasoner, which is frozen; the caller closes them.
            weights: where they are loaded from, and to.
            share: which of how many processes this is.
            waiting: is told when a reasoner is gone and the run waits for it.
            rewards_shuffled: see `Gatherer`.

        Raises:
            BackendError: the planner cannot be loaded, or its tokenizer cannot tell two options apart.
        """
        self._parts = parts
        self._config = parts.config
        self._weights = weights
        self._backends = backends
        self._said: set[str] = set()
        self._policy = Policy.load(
            weights.trained, dtype=weights.dtype, device=weights.device, flag=weights.trained_flag
        )
        self._choices = (*(option.name for option in parts.options), FINISH)
        self._policy.check_options(self._choices)
        self._acting = LocalBackend(
            weights.acting,
            dtype=weights.acting_dtype,
            device=weights.acting_device,
            model_flag=weights.acting_flag,
        )
        self._rollouts = parts.rollouts(self._acting, backends, waiting)
        self._gatherer = Gatherer(
            parts.config, self._policy, self._rollouts, parts.problems, share, rewards_shuffled
        )
        self._settings = LossSettings(
            parts.config.epsilon, parts.config.kl_coeff, acting_temperature(parts.config)
        )
        self._start: Policy | None = None

    @property
    def module(self) -> Any:
        return self._policy.module

    @property
    def tokenizer(self) -> Any:
        return self._policy.tokenizer

    @property
    def modes(self) -> tuple[Mode, ...]:
        return modes(self._config)

    @property
    def looks(self) -> tuple[Look, ...]:
        return ("start",) if self._config.kl_reference == "start" else ()

    def refresh(self, weights: Iterable[tuple[str, torch.Tensor]]) -> None:
        self._acting.refresh(weights)

    async def gather(
        self, update: int, problems: Sequence[Problem], everyones: Sequence[Problem]
    ) -> Experience:
        return await self._gatherer.gather(update, problems, everyones)

    async def attempt(self, problems: Sequence[Problem], mode: Mode) -> tuple[Episode, ...]:
        return (await attempt(self._rollouts, problems, self._config, mode)).episodes

    async def reflect(self, gathered: Sequence[Gathered]) -> None:
        """A planner has nothing besides its weights."""

    def evaluated(
        self, update: int, mode: Mode, episodes: Sequence[Episode], seconds: float
    ) -> EvaluationRecord:
        return evaluation_record(update, mode, episodes, seconds)

    def passes(self, lessons: Sequence[Lesson], tokens_per_pass: int) -> list[list[Lesson]]:
        return divide(lessons, tokens_per_pass)

    def look(
        self,
        look: Look,
        lessons: Sequence[Lesson],
        passes: int,
        tokens_per_pass: int,
        model: Any | None,
    ) -> tuple[Lesson, ...]:
        policy = self._policy if model is not None or self._start is None else self._start
        found: dict[int, torch.Tensor] = {}
        parts = self.passes(lessons, tokens_per_pass)
        with torch.no_grad():
            for part in parts:
                log_probs_CO = policy.log_probs([lesson.encoded for lesson in part], model)
                tempered_CO = tempered(log_probs_CO, self._settings.temperature).cpu()
                split = torch.split(tempered_CO, [lesson.n_choices for lesson in part])
                found |= {id(lesson): each for lesson, each in zip(part, split, strict=True)}
            for _ in range(passes - len(parts)):
                self._idle(policy, model)
        return tuple(replace(lesson, reference_log_probs_CO=found[id(lesson)]) for lesson in lessons)

    def load_start(self) -> None:
        self._start = Policy.load(
            self._config.planner_path, device=str(self._policy.device), flag="--planner_model_name"
        )
        self._start.module.requires_grad_(False)

    def settled(self, experience: Experience, gather: Gather) -> Experience:
        return experience

    def count(self, lessons: Sequence[Lesson]) -> float:
        return sum(lesson.n_choices for lesson in lessons)

    def pass_loss(self, part: Sequence[Lesson], model: Any) -> tuple[torch.Tensor, Sums]:
        return pass_loss(self._policy, part, self._settings, model=model)

    def idle_loss(self, model: Any) -> torch.Tensor:
        return 0.0 * self._idle(self._policy, model).sum()

    def take_notes(self) -> tuple[str, ...]:
        new = tuple(note for note in self._backends.notes if note not in self._said)
        self._said.update(new)
        return new

    def memory(self) -> Mapping[str, Any]:
        return {}

    def remember(self, memory: Mapping[str, Any]) -> None:
        pass

    def save(self, folder: Path, weights: Mapping[str, torch.Tensor]) -> None:
        self._policy.save(folder, weights)
        write_model_settings(folder, ModelSettings(num_icl_examples=self._config.n_examples))

    async def aclose(self) -> None:
        await self._acting.aclose()

    def _idle(self, policy: Policy, model: Any | None) -> torch.Tensor:
        """The shortest thing to compute."""
        shortest = policy.encode([Decision((Message("user", "?"),), self._choices)])
        return policy.log_probs([shortest], model)
