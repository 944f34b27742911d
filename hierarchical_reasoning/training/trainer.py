"""A training run: what is rolled out, measured, written and kept, update by update.

One update takes ``batch_size * gradient_accumulation_steps`` problems: their rollouts are made together by the
policy as it is, and make ``num_iterations`` steps of the optimizer. Who takes these steps is a *host*, known here
by its protocol alone; the one in use is TRL's trainer (:mod:`hierarchical_reasoning.training.trl_host`).
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Protocol

from anyio.from_thread import BlockingPortal

from hierarchical_reasoning.errors import ConfigError, OutputError
from hierarchical_reasoning.memory import peak_bytes, peak_gpu_bytes
from hierarchical_reasoning.problems import Problem
from hierarchical_reasoning.results.records import ResultsHead
from hierarchical_reasoning.training.checkpoints import (
    BEST,
    LAST,
    Best,
    Checkpoint,
    Checkpoints,
    Progress,
    TrainingState,
)
from hierarchical_reasoning.training.config import TrainingConfig
from hierarchical_reasoning.training.episode import Episode, failures
from hierarchical_reasoning.training.episodes import EpisodeFiles
from hierarchical_reasoning.training.errors import TrainingError
from hierarchical_reasoning.training.host import Due, Host, Step, failing_together
from hierarchical_reasoning.training.learner import Experience, Learner
from hierarchical_reasoning.training.log import (
    LOG_NAME,
    SETTINGS_NAME,
    EvaluationRecord,
    JsonLines,
    Record,
    as_json,
    record_from,
)
from hierarchical_reasoning.training.report import Report, write_report
from hierarchical_reasoning.training.schedule import count_updates, problem_order
from hierarchical_reasoning.training.update_record import figures, update_record
from llm_backends import EngineDiedError, TransientError
from taxonomy.atomic import write_atomically

_NOTHING = -1
"""Before the first line of a log."""


@dataclass(frozen=True)
class Trained:
    """A training run that came to its end, or was stopped between two updates."""

    last: Path | None
    """None where nothing was to be trained, with `val_only`."""
    best: Path | None
    """None where nothing was measured on held-out problems."""
    updates: int
    evaluations: tuple[EvaluationRecord, ...]
    learned_nothing: bool
    """No group of the whole run had spread, so no gradient was ever taken."""
    stopped: int
    """Not 0: it was asked to stop, and is to be gone on with; what `stop_requested` gave, in some process."""
    report: Report | None
    """None in all processes but the first."""


def silent(_: object) -> None:
    """Whoever is told does not care."""


class Parts(Protocol):
    """What a training run is made of, checked, short of its models."""

    @property
    def config(self) -> TrainingConfig: ...

    @property
    def problems(self) -> tuple[Problem, ...]: ...

    @property
    def held_out(self) -> tuple[Problem, ...]: ...

    @property
    def settings(self) -> Mapping[str, Any]:
        """All that can change the weights: a resumed run must share it."""

    def results_head(self) -> ResultsHead:
        """Of the files with its episodes, but for what tells one from another."""


class Training:
    """One training run. Used as a context manager; `trl_host.train` drives it."""

    def __init__(
        self,
        parts: Parts,
        make_learner: Callable[[Checkpoint | None], Learner[Any, Any]],
        portal: BlockingPortal,
        *,
        resume: bool = False,
        report: Callable[[Record], None] = silent,
        stop_requested: Callable[[], int] = lambda: 0,
        share: tuple[int, int] = (0, 1),
    ) -> None:
        """Load the model, or with ``resume`` the newest checkpoint in ``--output_dir``.

        Args:
            make_learner: gets the checkpoint to go on from; None where the run begins.
            portal: runs the event loop that rollouts live in, in a thread of its own.
            report: gets every record of the log as it is written.
            stop_requested: asked after every update; not 0 stops the run once it has made a checkpoint.
            share: which of how many processes this is.

        Raises:
            UsageError: the output directory cannot be written, or holds another run.
            BackendError: the model cannot be loaded.
        """
        config = parts.config
        self.parts = parts
        self.config = config
        self._portal = portal
        self._report = report if share[0] == 0 else silent
        self._stop_requested = stop_requested
        self._share = share
        self._checkpoints = Checkpoints(config.output_dir, kept=config.save_total_limit)
        self.resumed_from: Checkpoint | None = self._checkpoints.find(parts.settings, resume=resume)
        if self.resumed_from is not None and config.val_only:
            raise ConfigError(
                f"--val_only measures what training starts from, and --resume goes on from {self.resumed_from.path}, "
                f"which was measured: its figures are in {config.output_dir / LOG_NAME}; leave one out"
            )
        if self.resumed_from is not None and share[0] == 0:
            self._checkpoints.settle(self.resumed_from.progress)
        self.learner = make_learner(self.resumed_from)
        if self.resumed_from is not None:
            self.learner.remember(self.resumed_from.progress.memory)
        self._log = JsonLines(config.output_dir / LOG_NAME)
        self._files = EpisodeFiles(
            parts.results_head(), config.output_dir, rank=share[0], world_size=share[1]
        )
        self._records: list[Record] = []
        self._done = self.resumed_from.progress.update if self.resumed_from else 0
        self._best = self.resumed_from.progress.best if self.resumed_from else None
        self._learned = self.resumed_from.progress.learned if self.resumed_from else False
        self._stopped = 0
        self._written: Report | None = None

    def __enter__(self) -> Training:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self._portal.call(self.learner.aclose)

    @property
    def updates(self) -> int:
        """Of the whole run."""
        return count_updates(self.config, len(self.parts.problems))

    def due(self) -> list[Due]:
        """The updates that are still to be made."""
        everything = [
            (epoch, tuple(problems))
            for epoch in range(1, self.config.epochs + 1)
            for problems in self._order(epoch)
        ]
        return [
            Due(number, epoch, problems)
            for number, (epoch, problems) in enumerate(everything, start=1)
            if number > self._done
        ]

    def begin(self, host: Host) -> None:
        """Take up the log, and where nothing was learned yet measure what is to be trained."""
        where = host.gather([self._done])
        if len(set(where)) > 1:
            raise ConfigError(
                f"the processes found checkpoints of different updates in {self.config.output_dir} "
                f"({', '.join(map(str, where))}); choose an --output_dir that all of them see alike"
            )
        if host.rank == 0:
            kept = self._done if self.resumed_from else _NOTHING
            self._write_settings()
            self._records = [record_from(fields) for fields in self._log.keep_until(kept)]
            self._files.keep_until(kept)
        host.wait()
        if not self.resumed_from and (self.config.val_before_train or self.config.val_only):
            self._evaluate(host, 0)

    def experience(self, host: Host, due: Due, problems: Sequence[int]) -> Experience:
        """Roll out the episodes of an update; the problems are this process's share of it.

        Raises:
            TrainingError: the reasoner is gone.
        """
        self.learner.refresh(host.weights())
        everyones = [self.parts.problems[index] for index in due.problems]
        own = [self.parts.problems[index] for index in problems]
        with failing_together(host), self._going_on_later():
            experience: Experience = self._portal.call(self.learner.gather, due.number, own, everyones)
        return experience

    def keep(self, host: Host, due: Due, experience: Experience) -> None:
        """Write the episodes of an update, now that their advantages are known.

        Raises:
            OutputError: they cannot be written.
            TrainingError: more than half of them failed.
        """
        with failing_together(host):
            if experience.episodes:
                self._files.write_update(due.number, due.epoch, experience.episodes, experience.advantages)
        self._check_enough(host, due, experience)

    def finish(
        self, host: Host, due: Due, experience: Experience, steps: Sequence[Step], seconds: float
    ) -> bool:
        """Record an update, measure and save where that is due. Returns whether the run is to stop here."""
        self._done = due.number
        self._learned = self._learned or bool(steps)
        gathered = host.gather([experience.gathered])
        self._portal.call(self.learner.reflect, gathered)
        record = update_record(due, gathered, steps, seconds)
        record = replace(record, notes=self._new_notes(host), **_peaks(host))
        self._record(record)
        host.report(figures(record), due.number)
        last = due.number == self.updates
        stop = 0 if last else max(host.gather([int(self._stop_requested())]))
        every = self.config.eval_every
        better = False
        if last or (every and due.number % every == 0):
            better = self._is_better(self._evaluate(host, due.number), due.number)
        if last or stop or better or due.number % self.config.save_every == 0:
            self._save(host)
            if host.rank == 0:
                self._written = write_report(self.config.output_dir, pngs=last or stop > 0)
        self._stopped = stop
        return stop > 0

    def result(self) -> Trained:
        """Raises TrainingError where there is no checkpoint, which is where no update was made."""
        if self._written is None and self._share[0] == 0:
            self._written = write_report(self.config.output_dir)
        last = self._checkpoints.named(LAST)
        if last is None and not self.config.val_only:
            raise TrainingError(f"no update was made, and there is no checkpoint in {self.config.output_dir}")
        return Trained(
            last=last,
            best=self._checkpoints.named(BEST),
            updates=self._done,
            evaluations=tuple(r for r in self._records if isinstance(r, EvaluationRecord)),
            learned_nothing=not self._learned,
            stopped=self._stopped,
            report=self._written,
        )

    def where_to_go_on(self) -> str:
        """For messages: the last good checkpoint."""
        last = self._checkpoints.named(LAST)
        if last is None:
            return "There is no checkpoint yet."
        return f"The last good checkpoint is {last.resolve()}; go on from it with --resume."

    def _check_enough(self, host: Host, due: Due, experience: Experience) -> None:
        """Of the episodes of all processes, so that all of them stop or none does."""
        failed = sum(episode.reward is None for episode in experience.episodes)
        said = failures(experience.episodes) if failed else ""
        counts = host.gather([(failed, len(experience.episodes), said)])
        if 2 * sum(n for n, _, _ in counts) > sum(n for _, n, _ in counts):
            raise TrainingError(
                f"update {due.number} has too little to learn from: {'; '.join(s for _, _, s in counts if s)}. "
                f"{self.where_to_go_on()}"
            )

    def _write_settings(self) -> None:
        path = self.config.output_dir / SETTINGS_NAME
        try:
            write_atomically(path, (self.config.model_dump_json(indent=2) + "\n").encode())
        except OSError as error:
            raise OutputError(
                f"{path} cannot be written ({error.strerror}); choose another --output_dir"
            ) from error

    def _order(self, epoch: int) -> list[list[int]]:
        return problem_order(
            len(self.parts.problems), self.config.problems_rolled_out, epoch, self.config.seed
        )

    def _evaluate(self, host: Host, update: int) -> EvaluationRecord | None:
        """Measure what is trained on held-out problems; returns how it did in the first of its modes."""
        held_out = self.parts.held_out
        if not held_out:
            return None
        self.learner.refresh(host.weights())
        mine: Sequence[Problem] = held_out[host.rank :: host.processes]
        first: EvaluationRecord | None = None
        for mode in self.learner.modes:
            started = time.perf_counter()
            episodes: tuple[Episode, ...] = ()
            with failing_together(host), self._going_on_later():
                if mine:
                    episodes = self._portal.call(self.learner.attempt, mine, mode)
                    self._files.write_evaluation(update, mode, episodes)
            everyone = host.gather(episodes)
            record = self.learner.evaluated(update, mode, everyone, time.perf_counter() - started)
            record = replace(record, notes=self._new_notes(host))
            self._record(record)
            host.report({f"eval_{mode}_accuracy": record.accuracy}, update)
            first = first or record
        return first

    def _is_better(self, record: EvaluationRecord | None, update: int) -> bool:
        if record is None or (self._best is not None and record.accuracy <= self._best.accuracy):
            return False
        self._best = Best(update, record.accuracy)
        return True

    def _save(self, host: Host) -> None:
        progress = Progress(self._done, self._learned, self._best, self.parts.settings, self.learner.memory())
        weights = {}
        for name, tensor in host.weights():  # all processes take part, and the first one keeps them
            if host.rank == 0:
                weights[name] = tensor.detach().cpu()
        state = TrainingState(progress, host.optimizer_tensors(), host.adapter())
        with failing_together(host):
            if host.rank == 0:
                self._checkpoints.save(state, lambda folder: self.learner.save(folder, weights))

    def _new_notes(self, host: Host) -> list[str]:
        return list(dict.fromkeys(host.gather(self.learner.take_notes())))

    @contextmanager
    def _going_on_later(self) -> Iterator[None]:
        """Where what acts is gone, the error says from where to go on when it is back."""
        try:
            yield
        except (TransientError, EngineDiedError) as error:
            raise TrainingError(
                f"rollouts cannot go on. {self.where_to_go_on()} {type(error).__name__}: {error}"
            ) from error

    def _record(self, record: Record) -> None:
        if self._share[0] > 0:
            return
        self._records.append(record)
        self._log.append(as_json(record))
        self._report(record)


def _peaks(host: Host) -> dict[str, Any]:
    """What the processes have held at most, each until now."""
    held = host.gather([(peak_bytes(), peak_gpu_bytes())])
    return {
        "peak_memory_bytes": max(memory for memory, _ in held),
        "peak_gpu_memory_bytes": max((gpu for _, gpu in held if gpu is not None), default=None),
    }
