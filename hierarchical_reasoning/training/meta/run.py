"""From the parts of a run to a start that was learned across families, and how good it is on one that was not seen.

Beside the meta-learned start another one is trained, jointly on all families: Adam's steps, on the very batches that
the meta-learner's inner steps met. Every draw is a function of the seed and the number of the outer step, so a resumed
run ends as one that was never interrupted.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import asdict, dataclass
from typing import TypeAlias

import torch

from hierarchical_reasoning.errors import ConfigError
from hierarchical_reasoning.training.checkpoints import LAST, Checkpoint, Checkpoints, Progress, TrainingState
from hierarchical_reasoning.training.log import LOG_NAME, JsonLines
from hierarchical_reasoning.training.meta.adam import AdamSteps
from hierarchical_reasoning.training.meta.assembly import MetaParts, open_subject
from hierarchical_reasoning.training.meta.config import MetaConfig
from hierarchical_reasoning.training.meta.learner import MetaLearner, Parameters, Task, gradients, leaves
from hierarchical_reasoning.training.meta.maml import Maml
from hierarchical_reasoning.training.meta.reptile import Reptile
from hierarchical_reasoning.training.meta.subject import Subject, draw_task
from hierarchical_reasoning.training.meta.transfer import (
    MetaResults,
    StartName,
    TransferRow,
    measure_transfer,
    write_results,
)


@dataclass(frozen=True)
class MetaRecord:
    """One outer step; losses are means over families."""

    update: int
    """Its number, from 1."""
    before: float
    """Loss on query batches by the meta-learned start as it was."""
    after: float
    """By what the inner steps made of it."""
    joint: float
    """Loss of the jointly trained start, on the last of the batches that it learned from, before that step."""
    seconds: float


Report: TypeAlias = "Callable[[MetaRecord | TransferRow], None]"


async def train_meta(
    parts: MetaParts, *, resume: bool = False, report: Report = lambda record: None
) -> MetaResults:
    """Learn a start, measure it, and write both into ``output_dir``.

    Args:
        parts: see `assemble_meta`.
        resume: go on from the newest checkpoint, if there is one.
        report: gets every record as it is made.

    Raises:
        UsageError: the output directory cannot be written, or holds another run; or there is too little to learn from.
        BackendError: the model cannot be loaded, or cannot be trained.
        TrainingError: losses diverge.
    """
    started = time.perf_counter()
    checkpoints = Checkpoints(parts.config.output_dir)
    checkpoints.make_directory()
    async with AsyncExitStack() as stack:
        stack.enter_context(checkpoints.locked())
        found = checkpoints.find(parts.settings, resume=resume)
        if found is not None and found.progress.update > parts.config.meta_steps:
            raise ConfigError(
                f"--meta_steps {parts.config.meta_steps}: {found.path} has made {found.progress.update} already; give "
                "as many or more, or choose another --output_dir"
            )
        subject = await open_subject(parts, stack, resumed=found is not None)
        run = MetaRun(parts.config, tuple(parts.problems.train), subject, found)
        log = JsonLines(parts.config.output_dir / LOG_NAME)
        log.rewrite(log.keep_until(run.done))
        while run.done < parts.config.meta_steps:
            record = run.step()
            log.append(asdict(record))
            report(record)
            if run.done % parts.config.save_every == 0 or run.done == parts.config.meta_steps:
                await run.save(checkpoints, parts.settings)
            await asyncio.sleep(0)  # an interrupt comes through here
        rows = []
        starts: dict[StartName, Parameters] = {"plain": subject.start(), "joint": run.joint, "meta": run.meta}
        async for row in measure_transfer(parts, subject, starts):
            rows.append(row)
            report(row)
        path = write_results(parts, subject, rows, time.perf_counter() - started)
        return MetaResults(tuple(rows), path, checkpoints.directory / LAST)


class MetaRun:
    """Where the two starts stand."""

    def __init__(
        self,
        config: MetaConfig,
        families: Sequence[str],
        subject: Subject,
        found: Checkpoint | None = None,
    ) -> None:
        """
        Args:
            families: trained on.
            found: to go on from.
        """
        self._config, self._families, self._subject = config, families, subject
        self._learner = _meta_learner(config)
        self._adam = AdamSteps(config.outer_lr)
        self.meta: Parameters = subject.start()
        self.joint: Parameters = subject.start()
        self.done = 0
        if found is not None:
            self.done = found.progress.update
            self.meta, self.joint = _divided(found.adapter_tensors())
            states = _divided(found.optimizer_tensors())
            self._learner.load(states[0])
            self._adam.load(states[1])

    def step(self) -> MetaRecord:
        """One outer step, over all families."""
        started = time.perf_counter()
        config, self.done = self._config, self.done + 1
        tasks = [
            draw_task(
                self._subject,
                family,
                config.batch_size,
                config.n_inner_steps,
                f"{config.seed}/{self.done}/{family}",
            )
            for family in self._families
        ]
        made = self._learner.step(self.meta, tasks, self._subject.loss)
        self.meta = made.parameters
        joint = self._step_jointly(tasks)
        before, after, joint = (
            round(loss / self._subject.loss_parts, 5) for loss in (made.before, made.after, joint)
        )
        return MetaRecord(self.done, before, after, joint, round(time.perf_counter() - started, 2))

    async def save(self, checkpoints: Checkpoints, settings: Mapping[str, object]) -> None:
        """In a thread with a loop of its own: plain code writes a checkpoint, and a coroutine a value head."""
        progress = Progress(self.done, learned=True, best=None, settings=settings)
        optimizer = _joined(self._learner.state(), self._adam.state())
        state = TrainingState(progress, optimizer, _joined(self.meta, self.joint))
        await asyncio.to_thread(
            checkpoints.save, state, lambda folder: asyncio.run(self._subject.save(folder, self.meta))
        )

    def _step_jointly(self, tasks: Sequence[Task[Sequence[str]]]) -> float:
        loss = 0.0
        for number in range(self._config.n_inner_steps):
            total = {name: torch.zeros_like(tensor) for name, tensor in self.joint.items()}
            loss = 0.0
            for task in tasks:
                own = leaves(self.joint)
                value = self._subject.loss(own, task.support[number])
                loss += float(value.detach()) / len(tasks)
                for name, gradient in gradients(value, own).items():
                    total[name] += gradient / len(tasks)
            self.joint = self._adam.step(self.joint, total)
        return loss


def _meta_learner(config: MetaConfig) -> MetaLearner:
    if config.meta_algorithm == "reptile":
        return Reptile(config.inner_lr, config.meta_lr)
    return Maml(inner_lr=config.inner_lr, outer_lr=config.outer_lr, first_order=config.first_order)


def _joined(meta: Mapping[str, torch.Tensor], joint: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """Both as one mapping, for a file."""
    return {
        f"{start}/{name}": tensor
        for start, own in (("meta", meta), ("joint", joint))
        for name, tensor in own.items()
    }


def _divided(
    tensors: Mapping[str, torch.Tensor],
) -> tuple[dict[str, torch.Tensor], dict[str, torch.Tensor]]:
    """What `_joined` made one of."""
    meta, joint = (
        {
            name.removeprefix(f"{start}/"): tensor
            for name, tensor in tensors.items()
            if name.startswith(f"{start}/")
        }
        for start in ("meta", "joint")
    )
    return meta, joint
