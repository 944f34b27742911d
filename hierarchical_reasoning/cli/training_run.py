"""A training run at the terminal: how it is started, followed, stopped, and what it says at the end."""

from __future__ import annotations

import signal
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path
from types import FrameType, TracebackType
from typing import TYPE_CHECKING, Generic, TypeVar

import click

from hierarchical_reasoning.cli.failures import Broken, Interrupted
from hierarchical_reasoning.cli.serving import served, starting
from hierarchical_reasoning.cli.training_display import LanguageModelDisplay, PlannerDisplay
from hierarchical_reasoning.training.config import GrpoConfig, TrainingConfig
from hierarchical_reasoning.training.errors import TrainingError
from hierarchical_reasoning.training.language_model.config import LanguageModelConfig

if TYPE_CHECKING:
    from anyio.from_thread import BlockingPortal

    from hierarchical_reasoning.training.sharding.launch import Launch
    from hierarchical_reasoning.training.trainer import Trained

_Config = TypeVar("_Config", bound=TrainingConfig)
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


def train_planner_at_terminal(config: GrpoConfig, *, resume: bool) -> None:
    """Run to the end, with what there is to see on the way.

    Raises:
        Broken: training cannot go on.
        Interrupted, Requeue: it was asked to stop.
        UsageError, TaxonomyError, BackendError: as `prepare_training` and `train_planner`.
    """
    from hierarchical_reasoning.backends import make_backends
    from hierarchical_reasoning.training.planner.assembly import check_training, prepare_training
    from hierarchical_reasoning.training.run import train_planner
    from hierarchical_reasoning.training.sharding import whole_models

    with _Session(config, resume=resume, check=check_training) as session:
        config, display, portal = (
            session.config,
            PlannerDisplay(session.config, session.launch),
            session.portal,
        )
        with portal.wrap_async_context_manager(served(config, display.line)) as serving:
            parts = portal.call(partial(prepare_training, config, serving=serving))
            display.prepared(len(parts.problems), (*session.launch.notes, *parts.notes))
            with whole_models():
                opened = portal.call(make_backends, serving)  # there: a cache belongs to its thread
            with portal.wrap_async_context_manager(opened) as backends:
                portal.call(backends.check_models)
                trained = train_planner(
                    parts,
                    backends,
                    portal,
                    session.launch,
                    resume=resume,
                    report=display.show,
                    begins=partial(display.begins, resume=resume),
                    waiting=lambda waiting: display.line(str(waiting)),
                    stop_requested=session.stop.requested,
                )
    display.end(trained)
    session.end(trained)


def train_language_model_at_terminal(
    config: LanguageModelConfig, *, resume: bool, notes: tuple[str, ...] = ()
) -> None:
    """As `train_planner_at_terminal`.

    Args:
        notes: on how the configuration came about.

    Raises:
        Broken, Interrupted, Requeue: as there.
        UsageError, TaxonomyError, BackendError: as `assemble_language_model` and `train_language_model`.
    """
    from hierarchical_reasoning.training.language_model.parts import assemble_language_model
    from hierarchical_reasoning.training.run import train_language_model

    with _Session(config, resume=resume, check=assemble_language_model) as session:
        parts = assemble_language_model(session.config)
        display = LanguageModelDisplay(session.config, session.launch)
        display.prepared(len(parts.problems), (*session.launch.notes, *notes, *parts.notes))
        trained = train_language_model(
            parts,
            session.portal,
            session.launch,
            resume=resume,
            report=display.show,
            begins=partial(display.begins, resume=resume),
            on_server=starting(display.line, verbose=session.config.start_vllm_verbose),
            stop_requested=session.stop.requested,
        )
    display.end(trained)
    session.end(trained)


class _Session(Generic[_Config]):
    """What surrounds a training run at the terminal: checks, signals, the event loop, and how it ends."""

    config: _Config
    """As it holds for this process."""
    portal: BlockingPortal

    def __init__(self, config: _Config, *, resume: bool, check: Callable[[_Config], object]) -> None:
        """
        Args:
            check: finds whatever is wrong with what the user gave, before anything is started.
        """
        from hierarchical_reasoning.training.checkpoints import Checkpoints
        from hierarchical_reasoning.training.run import check_packages
        from hierarchical_reasoning.training.sharding.launch import check_launch

        check_packages(config.report_to)
        Checkpoints(config.output_dir).make_directory()
        (config.output_dir / RESUME_REQUESTED).unlink(missing_ok=True)
        check(config)
        self.launch = check_launch(problems_per_update=config.problems_per_update, device=config.device)
        self.config = config.model_copy(
            update={"device": self.launch.device, **_shared_out(config, self.launch)}
        )
        self.stop = StopSignals()
        self._open = ExitStack()

    def __enter__(self) -> _Session[_Config]:
        from anyio.from_thread import start_blocking_portal

        self._open.enter_context(self.stop.handled())
        self.portal = self._open.enter_context(start_blocking_portal())
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        try:
            self._open.__exit__(kind, error, traceback)
        except KeyboardInterrupt as interrupt:
            error = interrupt
        if isinstance(error, TrainingError):
            raise Broken(f"{type(error).__name__}: {error}") from error
        if isinstance(error, KeyboardInterrupt):
            raise Interrupted(f"interrupted; {_what_is_kept(self.config.output_dir)}") from None

    def end(self, trained: Trained) -> None:
        """Raises Interrupted, Requeue: the run was asked to stop."""
        if trained.stopped:
            _end_as_asked(self.config, self.launch, trained)


def _shared_out(config: TrainingConfig, launch: Launch) -> dict[str, object]:
    """Limits that hold for all processes together, as each of them keeps to them."""
    if config.requests_per_minute is None:
        return {}
    return {"requests_per_minute": config.requests_per_minute / launch.processes}


def _end_as_asked(config: TrainingConfig, launch: Launch, trained: Trained) -> None:
    assert trained.last is not None
    where = f"update {trained.updates} is finished; go on from {trained.last.resolve()} with --resume"
    if trained.stopped != signal.SIGUSR1:
        raise Interrupted(f"interrupted; {where}")
    if launch.rank == 0:
        (config.output_dir / RESUME_REQUESTED).touch()
    raise Requeue(f"stopped by SIGUSR1; {where}")


def _what_is_kept(output_dir: Path) -> str:
    from hierarchical_reasoning.training.checkpoints import Checkpoints

    found = Checkpoints(output_dir).finished()
    if not found:
        return "there is no checkpoint yet, so nothing is kept to go on from"
    return f"the last checkpoint is {found[max(found)]}, go on with --resume"
