"""``hierarchical-reasoning compare``: arms over the same problems, and what they show beside each other."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from copy import copy
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args

import click

from hierarchical_reasoning.cli.failures import Broken, Interrupted, reported, until_interrupted
from hierarchical_reasoning.cli.grouped import COMMAND_CONTEXT, GroupedOption, ReasoningCommand
from hierarchical_reasoning.cli.run import run
from hierarchical_reasoning.cli.serving import refuse_scripted, served
from hierarchical_reasoning.cli.shared_options import with_options
from hierarchical_reasoning.cli.slurm_options import SLURM, hand_over, refuse_queued, taken_slurm
from hierarchical_reasoning.compare.plan import MOST_VOTES, Unit
from hierarchical_reasoning.errors import ConfigError
from hierarchical_reasoning.stopping import Stop, StopCause

if TYPE_CHECKING:
    from hierarchical_reasoning.cli.compare_display import CompareDisplay
    from hierarchical_reasoning.compare.beginning import Asked
    from hierarchical_reasoning.compare.layout import Shard, StudyFiles
    from hierarchical_reasoning.compare.plan import StudyPlan
    from hierarchical_reasoning.config import RunConfig

_NOT_HERE = {
    "dry_run",
    "label_level",
    "prompt_verbose",
    "resume",
    "thinking_verbose",
    "vanilla_baseline",
}
"""Options of the main command that are arms here, or have a meaning of their own."""
_SAID = {
    "cache_dir": "Where replies are kept. [default: cache, in --output]",
    "value_head": "Folder of a value head that searches begin with, and that chooses among samples in best@K.",
    "retry_errors": "Make attempts again that ended in an error, when the study goes on. [default: retry_errors]",
}
"""Help of options that mean something else here."""
_study = partial(click.option, cls=GroupedOption, group="Study")
_doing = partial(click.option, cls=GroupedOption, group="How it is done")
_path = click.Path(path_type=Path)


class _CompareCommand(ReasoningCommand):
    """Has the options of the main command behind its own."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.params += [_here(option) for option in run.params if option.name not in _NOT_HERE]


def _here(option: click.Parameter) -> click.Parameter:
    """The option with the help that is true of a study."""
    if option.name not in _SAID:
        return option
    copied = copy(option)
    assert isinstance(copied, click.Option)
    copied.help = _SAID[option.name]
    return copied


@click.command(cls=_CompareCommand, context_settings=COMMAND_CONTEXT)
@_study("--output", type=_path, required=True, help="Directory of the study; one that was begun goes on.")
@_study(
    "--arms",
    multiple=True,
    help="vanilla, untyped, levels such as 3, 0-6 or levels (all), maj@8, best@8, with commas between them.",
)
@_study(
    "--config",
    type=_path,
    help="YAML file of a study: arms with settings of their own, settings of all. A flag that is given wins.",
)
@_study("--baseline", help="The arm that others are compared with. [default: vanilla, else the first arm]")
@_study(
    "--matched/--no_matched",
    default=None,
    help="For every arm that is not vanilla, a majority vote of vanilla samples that take as much. [default: matched]",
)
@_study(
    "--matched_by",
    type=click.Choice(get_args(Unit)),
    help="What is to be as much: tokens of prompts and replies; processed, those a cache served left out; completion. "
    "[default: tokens]",
)
@_study("--most_votes", type=int, help=f"Of a matched baseline. [default: {MOST_VOTES}]")
@_doing(
    "--processes",
    type=click.IntRange(min=1),
    help="Of this machine, that share the work. [default: with the bundled model one a core, else 1]",
)
@_doing("--shard", metavar="I/N", help="Do the I-th of N parts of a study that was begun, and no more.")
@_doing("--create", is_flag=True, help="Begin the study, or add arms to it, and do nothing.")
@_doing(
    "--merge", is_flag=True, help="Write results, statistics and report from what is there, and do nothing."
)
@_doing(
    "--dry_run", is_flag=True, help="Count calls, tokens and cost at most, arm by arm, and spend nothing."
)
@_doing("--no_report", is_flag=True, help="Write no report.")
@with_options(*SLURM)
def compare(
    output: Path,
    arms: tuple[str, ...],
    config: Path | None,
    processes: int | None,
    shard: str | None,
    *,
    create: bool,
    merge: bool,
    dry_run: bool,
    no_report: bool,
    **flags: Any,
) -> None:
    """Compare arms on the same problems: vanilla, levels of the taxonomy, majority votes, choices by a
    value head, others.

    The first call begins a study in --output; every further one goes on with what is owed, and may add arms. Arms are
    made of the settings below, which all share.
    """
    from hierarchical_reasoning.cli.compare_display import CompareDisplay
    from hierarchical_reasoning.compare.layout import Shard, StudyFiles

    with reported():
        slurm, submit = taken_slurm(flags)
        instead = {
            "--shard": shard,
            "--create": create,
            "--merge": merge,
            "--dry_run": dry_run,
            "--launcher slurm": slurm,
        }
        _one_of(instead)
        for flag, value in instead.items():
            _one_of({flag: value, "--processes": processes})
        files, display = StudyFiles(output), CompareDisplay()
        if shard is not None:
            _do_shard(files, Shard.parse(shard), _shard_settings(arms, config, flags), display)
            return
        asked = _asked(arms, config, flags)
        if dry_run:
            _dry_run(files, asked, display)
            return
        plan = _begin(files, asked, display)
        if slurm is not None:
            hand_over(files.directory, plan, slurm, submit=submit)
        if create or slurm is not None:
            return
        stop = Stop()
        if not merge:
            refuse_queued(files.directory)
            _do(files, plan, processes, stop, display)
        _merge(files, display, with_report=not no_report)
        _check_ended_well(files, stop)


def _one_of(given: dict[str, Any]) -> None:
    flags = [flag for flag, value in given.items() if value]
    if len(flags) > 1:
        raise ConfigError(f"{' and '.join(flags)} do not go together; give one of them")


def _asked(arms: tuple[str, ...], config: Path | None, flags: dict[str, Any]) -> Asked:
    """What the file of ``--config`` asks for, and over it what the flags do."""
    from hierarchical_reasoning.compare.beginning import Asked
    from hierarchical_reasoning.compare.study_yaml import read_study_yaml

    given = {
        name: value
        for name, value in flags.items()
        if value is not None and value is not False and value != ()
    }
    if flags.get("matched") is False:
        given["matched"] = False
    if flags.get("retry_errors") is False:
        given["retry_errors"] = False
    asked = Asked() if config is None else read_study_yaml(config)
    own = {
        name: given.pop(name) for name in ("baseline", "matched", "matched_by", "most_votes") if name in given
    }
    refuse_scripted({**asked.settings, **given})
    named = tuple(name for text in arms for name in text.split(",") if name.strip())
    return replace(asked, arms=(*asked.arms, *named), settings={**asked.settings, **given}, **own)


def _shard_settings(arms: tuple[str, ...], config: Path | None, flags: dict[str, Any]) -> dict[str, Any]:
    asked = _asked(arms, config, flags)
    if asked.arms or asked.own:
        raise ConfigError(
            "--shard does a part of a study that was begun; give --arms and --config without it"
        )
    return dict(asked.settings)


def _begin(files: StudyFiles, asked: Asked, display: CompareDisplay) -> StudyPlan:
    from hierarchical_reasoning.compare.beginning import begin

    begun = begin(files, asked)
    display.begun(files, begun)
    return begun.plan


def _dry_run(files: StudyFiles, asked: Asked, display: CompareDisplay) -> None:
    from hierarchical_reasoning.compare.beginning import planned
    from hierarchical_reasoning.compare.dry_run import estimate_study

    begun = planned(files, asked)
    new = [arm for arm in begun.plan.arms if arm.name in begun.added] or None
    display.estimated(asyncio.run(estimate_study(begun.plan, new)))


def _do(
    files: StudyFiles, plan: StudyPlan, processes: int | None, stop: Stop, display: CompareDisplay
) -> None:
    """All that is owed, in this process or in several."""
    from hierarchical_reasoning.compare.processes import run_processes, usual_processes
    from hierarchical_reasoning.compare.work import run_shard

    n = min(processes or usual_processes(plan), display.owed(files) or 1)

    async def work() -> None:
        async with display.watching(files):
            if n > 1:
                await run_processes(files.directory, n, stop)
            else:
                finished = await run_shard(files.directory, stop=stop, serve=_served(display))
                display.notes(finished.notes)

    if not display.owed(files) and not display.waiting(files):
        display.line("nothing is owed")
        return
    if n > 1:
        display.line(f"{n} processes (--processes)")
    message = f"interrupted; what is finished is kept, go on with: {_go_on(files)}"
    until_interrupted(work(), message, ends_soon=_finishing(stop, display))


def _do_shard(files: StudyFiles, shard: Shard, changes: dict[str, Any], display: CompareDisplay) -> None:
    from hierarchical_reasoning.cli.compare_display import SECONDS_BETWEEN_LINES_OF_A_SHARD
    from hierarchical_reasoning.compare.work import run_shard

    stop = Stop()

    async def work() -> None:
        async with display.watching(files, SECONDS_BETWEEN_LINES_OF_A_SHARD):
            finished = await run_shard(
                files.directory, shard, changes=changes, stop=stop, serve=_served(display)
            )
        display.shard_done(shard, finished)

    message = f"interrupted; what is finished is kept, go on with: {_go_on(files)} --shard {shard}"
    until_interrupted(work(), message, ends_soon=_finishing(stop, display))
    _check_stop(stop, f"{_go_on(files)} --shard {shard}")


def _served(display: CompareDisplay) -> Any:
    @asynccontextmanager
    async def serve(config: RunConfig) -> AsyncIterator[RunConfig]:
        async with served(config, display.line) as serving:
            yield serving

    return serve


def _finishing(stop: Stop, display: CompareDisplay) -> Any:
    def finishing() -> bool:
        if stop.cause is not None or not stop.in_flight:
            return False
        stop.request(StopCause.INTERRUPTED, "interrupted")
        display.line("interrupted: finishing what is in flight; interrupt again to stop at once")
        return True

    return finishing


def _merge(files: StudyFiles, display: CompareDisplay, *, with_report: bool) -> None:
    from hierarchical_reasoning.compare.merging import merge, write_report

    record = merge(files.directory)
    report = write_report(files.directory) if with_report else None
    display.merged(files, record, report)


def _check_ended_well(files: StudyFiles, stop: Stop) -> None:
    """Raises where the study was stopped, or all of it came to nothing."""
    from hierarchical_reasoning.compare.status import study_status

    _check_stop(stop, _go_on(files))
    status = study_status(files.directory)
    errors = sum(arm.errors for arm in status.arms)
    if status.done and errors == status.done:
        raise Broken(f"every one of the {errors} attempts ended in an error; go on with: {_go_on(files)}")


def _check_stop(stop: Stop, go_on: str) -> None:
    if stop.cause is StopCause.TOO_MANY_ERRORS:
        raise Broken(f"stopped: {stop.message}; go on with: {go_on}")
    if stop.cause is StopCause.INTERRUPTED:
        raise Interrupted(f"interrupted; what is finished is kept, go on with: {go_on}")


def _go_on(files: StudyFiles) -> str:
    return f"hierarchical-reasoning compare --output {files.directory}"
