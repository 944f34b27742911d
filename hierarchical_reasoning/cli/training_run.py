"""A training run at the terminal: how it is started, followed, stopped, and what it says at the end."""

from __future__ import annotations

import shlex
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING

import click

from hierarchical_reasoning.cli.failures import Broken, Interrupted
from hierarchical_reasoning.cli.serving import served
from hierarchical_reasoning.training.config import GrpoConfig
from hierarchical_reasoning.training.errors import TrainingError
from hierarchical_reasoning.wording import counted

if TYPE_CHECKING:
    from hierarchical_reasoning.training.log import EvaluationRecord, Record, UpdateRecord
    from hierarchical_reasoning.training.sharding.launch import Launch
    from hierarchical_reasoning.training.trainer import Trained, Training

_ONE_SIGNAL_S = 1.0
RESUME_REQUESTED = "resume_requested"
"""File in ``--output_dir``: the run was asked by SIGUSR1 to stop, made a checkpoint, and is to be gone on with."""


class Requeue(click.ClickException):
    """The run ended as SIGUSR1 asked it to; whoever sent that starts it again with --resume."""

    exit_code = 75


class StopSignals:
    """SIGINT, SIGTERM and SIGUSR1 ask the run to end after the update it is in. SIGINT again ends it at once; what
    comes within moments of the first is the same one, which a launcher passes on as well."""

    def __init__(self) -> None:
        self.received: signal.Signals | None = None
        self._received_at = 0.0

    @contextmanager
    def handled(self) -> Iterator[None]:
        numbers = (signal.SIGINT, signal.SIGTERM, signal.SIGUSR1)
        before = {number: signal.signal(number, self._handle) for number in numbers}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    def requested(self) -> int:
        """The number of the signal; 0: none came."""
        return self.received or 0

    def _handle(self, number: int, frame: FrameType | None) -> None:
        if self.received is not None:
            if number == signal.SIGINT and time.monotonic() - self._received_at > _ONE_SIGNAL_S:
                raise KeyboardInterrupt
            return
        self.received, self._received_at = signal.Signals(number), time.monotonic()
        click.echo(
            f"{self.received.name}: the run ends with this update and a checkpoint"
            + ("; once more ends it at once" if number == signal.SIGINT else ""),
            err=True,
        )


def train(config: GrpoConfig, *, resume: bool) -> None:
    """Run to the end, with what there is to see on the way.

    Raises:
        Broken: training cannot go on.
        Interrupted, Requeue: it was asked to stop.
        UsageError, TaxonomyError, BackendError: as `prepare_training` and `train_planner`.
    """
    from anyio.from_thread import start_blocking_portal

    from hierarchical_reasoning.backends import make_backends
    from hierarchical_reasoning.training.assembly import check_training, prepare_training
    from hierarchical_reasoning.training.checkpoints import Checkpoints
    from hierarchical_reasoning.training.run import check_packages, train_planner
    from hierarchical_reasoning.training.sharding import whole_models
    from hierarchical_reasoning.training.sharding.launch import check_launch

    check_packages(config.report_to)
    Checkpoints(config.output_dir).make_directory()
    (config.output_dir / RESUME_REQUESTED).unlink(missing_ok=True)
    check_training(config)
    launch = check_launch(problems_per_update=config.problems_per_update, device=config.device)
    config = config.model_copy(update={"device": launch.device, **_shared_out(config, launch)})
    display = TrainingDisplay(config, launch)
    stop = StopSignals()
    try:
        with (
            stop.handled(),
            start_blocking_portal() as portal,
            portal.wrap_async_context_manager(served(config, display.line)) as serving,
        ):
            parts = portal.call(partial(prepare_training, config, serving=serving))
            display.prepared(len(parts.problems), (*launch.notes, *parts.notes))
            with whole_models():
                opened = portal.call(make_backends, serving)  # there: a cache belongs to its thread
            with portal.wrap_async_context_manager(opened) as backends:
                portal.call(backends.check_models)
                trained = train_planner(
                    parts,
                    backends,
                    portal,
                    launch,
                    resume=resume,
                    report=display.show,
                    begins=partial(display.begins, resume=resume),
                    waiting=lambda waiting: display.line(str(waiting)),
                    stop_requested=stop.requested,
                )
    except TrainingError as error:
        raise Broken(f"{type(error).__name__}: {error}") from error
    except KeyboardInterrupt:
        raise Interrupted(f"interrupted; {_what_is_kept(config.output_dir)}") from None
    display.end(trained)
    if trained.stopped:
        _end_as_asked(config, launch, trained)


def _shared_out(config: GrpoConfig, launch: Launch) -> dict[str, object]:
    """Limits that hold for all processes together, as each of them keeps to them."""
    if config.requests_per_minute is None:
        return {}
    return {"requests_per_minute": config.requests_per_minute / launch.processes}


def _end_as_asked(config: GrpoConfig, launch: Launch, trained: Trained) -> None:
    where = f"update {trained.updates} is finished; go on from {trained.last.resolve()} with --resume"
    if trained.stopped != signal.SIGUSR1:
        raise Interrupted(f"interrupted; {where}")
    if launch.rank == 0:
        (config.output_dir / RESUME_REQUESTED).touch()
    raise Requeue(f"stopped by SIGUSR1; {where}")


def _used_with(config: GrpoConfig, planner: Path) -> list[str]:
    """The main command with this planner, as it was trained."""
    usual = GrpoConfig(planner_model_name=config.planner_model_name)
    named = {
        "planner_model_name": planner,
        "label_level": config.label_level,
        "max_reasoning_steps": config.max_steps_per_episode,
        "num_icl_examples": config.n_examples,
        "temperature": config.temperature,
    }
    same = ("tree_model_path", "prompt_style", "prompts_dir", "examples_file", "base_url", "vllm_base_url")
    named |= {name: getattr(config, name) for name in same if getattr(config, name) != getattr(usual, name)}
    if config.reasoning_model_name != usual.reasoning_model_name:
        named |= {"model_name": config.reasoning_model_name, "llm_framework": config.framework}
    flags = [text for name, value in named.items() for text in (f"--{name}", str(value))]
    return ["python", "hierarchical_reasoning.py", *flags]


def _what_is_kept(output_dir: Path) -> str:
    from hierarchical_reasoning.training.checkpoints import Checkpoints

    found = Checkpoints(output_dir).finished()
    if not found:
        return "there is no checkpoint yet, so nothing is kept to go on from"
    return f"the last checkpoint is {found[max(found)]}, go on with --resume"


class TrainingDisplay:
    """What is printed, by the first of the processes alone."""

    def __init__(self, config: GrpoConfig, launch: Launch) -> None:
        self._config = config
        self._launch = launch
        self._started = time.monotonic()
        self._updates = 0
        self._updates_here = 0

    def line(self, text: str) -> None:
        if self._launch.rank == 0:
            click.echo(text)

    def prepared(self, n_problems: int, notes: tuple[str, ...]) -> None:
        config = self._config
        self.line(
            f"{n_problems} problems of {config.data_file}, level {config.label_level}; planner "
            f"{config.planner_model_name}, reasoner {config.reasoning_model_name} ({config.framework})"
        )
        for note in notes:
            self.line(f"note: {note}")

    def begins(self, training: Training, *, resume: bool) -> None:
        self._updates = training.updates
        self._started = time.monotonic()
        if training.resumed_from is not None:
            self.line(f"going on from {training.resumed_from.path}")
        elif resume:
            self.line(f"--resume: no checkpoint in {self._config.output_dir}; a new run begins")
        self.line(
            f"{counted(training.updates, 'update')} of up to {counted(self._config.problems_per_update, 'problem')} x "
            f"{self._config.num_rollouts_per_prompt} episodes; log, traces and checkpoints: {self._config.output_dir}"
        )

    def show(self, record: Record) -> None:
        if record.kind == "evaluation":
            self._show_evaluation(record)
        else:
            self._show_update(record)

    def end(self, trained: Trained) -> None:
        if trained.learned_nothing:
            self.line(
                "ATTENTION: nothing was learned, since the rollouts of every problem had equal rewards; raise "
                "--num_rollouts_per_prompt, --planner_temperature or --max_steps_per_episode, or take problems that "
                "are solved now and then"
            )
        config = self._config
        chosen = trained.best or trained.last
        if trained.best is not None and trained.best.resolve() != trained.last.resolve():
            self.line(f"best on held-out problems: {trained.best.resolve().name}")
        self._compare_with_start(trained)
        if trained.report is not None:
            for note in trained.report.notes:
                self.line(f"note: {note}")
            self.line(f"curves: {trained.report.html}")
        self.line(f"the planner is in {chosen}; use it with {shlex.join(_used_with(config, chosen))}")

    def _compare_with_start(self, trained: Trained) -> None:
        greedy = [record for record in trained.evaluations if record.mode == "greedy"]
        start = [record.correct for record in greedy if record.update == 0]
        later = [record.correct for record in greedy if record.update > 0]
        if start and later and max(later) <= start[0]:
            self.line(
                f"ATTENTION: no checkpoint solved more held-out problems, greedily, than the planner before training "
                f"({start[0]} of {greedy[0].n})"
            )

    def _show_evaluation(self, record: EvaluationRecord) -> None:
        when = "before training" if record.update == 0 else f"after update {record.update}"
        errors = f", {record.errors} errors" if record.errors else ""
        self.line(
            f"{when}, {record.mode}: {record.correct} of {record.n} held-out problems correct "
            f"({100 * record.accuracy:.1f} %), {record.steps:.1f} choices a problem{errors}"
        )

    def _show_update(self, record: UpdateRecord) -> None:
        self._updates_here += 1
        seconds = (time.monotonic() - self._started) / self._updates_here
        left = round(seconds * (self._updates - record.update))
        errors = f", {record.errors} errors" if record.errors else ""
        batches = f" in {record.generation_batches} batches" if record.generation_batches > 1 else ""
        speed = record.trained_tokens / record.update_seconds if record.update_seconds else 0
        self.line(
            f"update {record.update} of {self._updates} (epoch {record.epoch}): reward {record.reward:.3f}, "
            f"accuracy {100 * record.accuracy:.1f} %, entropy {record.entropy:.3f}, KL {record.kl:.4f}, "
            f"clipped {100 * record.clip_share:.1f} %, {record.groups_without_spread} of {record.groups} groups "
            f"without spread{batches}{errors}; {record.rollout_seconds:.0f} + {record.update_seconds:.0f} s, "
            f"{speed:,.0f} tokens/s trained, {left // 60}:{left % 60:02} left"
        )
