"""Doing a study, or a part of it: what is owed is asked for, and nothing twice.

The part of a shard is every N-th problem, in all arms, so that what arms share of a problem is in one process. A
session may end at any moment: the next one reads what is in the journals, whoever wrote them, and goes on from there.
"""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractAsyncContextManager, AsyncExitStack, ExitStack, contextmanager
from dataclasses import dataclass, replace
from datetime import datetime, timezone
from pathlib import Path
from typing import Any, Literal

from pydantic import Field

from hierarchical_reasoning.assembly import Run, prepare
from hierarchical_reasoning.compare.journals import ArmJournals, Key, open_journal_of_shard
from hierarchical_reasoning.compare.layout import Shard, StudyFiles
from hierarchical_reasoning.compare.matching import all_arms, choose_twins, samples_needed
from hierarchical_reasoning.compare.models import Models
from hierarchical_reasoning.compare.plan import (
    Record,
    StudyPlan,
    read_plan,
    read_record,
    read_study_problems,
    write_record,
)
from hierarchical_reasoning.compare.shared_settings import HOW_DONE
from hierarchical_reasoning.config import RunConfig
from hierarchical_reasoning.errors import ConfigError
from hierarchical_reasoning.observer import Observer
from hierarchical_reasoning.outcomes import Outcome
from hierarchical_reasoning.runner import work
from hierarchical_reasoning.stopping import Stop, StopCause

State = Literal["running", "finished", "waiting", "stopped", "failed"]
Serve = Callable[[RunConfig], AbstractAsyncContextManager[RunConfig]]
"""Starts what models need for the time of a block, and gives the settings that reach them."""


class ShardRecord(Record):
    """The content of a file of ``shards/``."""

    shard: str
    """As in 2/8."""
    state: State
    """`waiting`: the shard is done as far as can be told before other shards are. One that was killed stays
    `running`, without a process that holds its lock."""
    host: str
    process: int
    begun: str
    """When, in UTC."""
    ended: str | None = None
    message: str = ""
    """Why it stopped or failed."""
    notes: tuple[str, ...] = ()
    """What models did otherwise than asked."""
    backends: dict[str, Any] = Field(default_factory=dict)
    """By arm and role, what was asked, for the record."""


@dataclass(frozen=True)
class ShardFinished:
    """How a session of a shard ended."""

    waiting: tuple[str, ...]
    """Arms whose matched baselines are chosen when other shards are done; then this one has more to do."""
    stopped: StopCause | None
    message: str
    """Why it was stopped."""
    notes: tuple[str, ...]
    """What models did otherwise than asked."""


async def run_shard(
    directory: Path,
    shard: Shard | None = None,
    *,
    changes: Mapping[str, Any] | None = None,
    stop: Stop | None = None,
    serve: Serve | None = None,
) -> ShardFinished:
    """Do what is owed of a part of the study; of all of it, where no part is named.

    Args:
        directory: of a study that was begun.
        changes: settings of this call alone, of `HOW_DONE`.
        stop: asks it to end: what is in flight is finished.
        serve: for models that are served by what must be started first.

    Raises:
        JournalLockedError: another process does this part.
        UsageError, TaxonomyError, BackendError: what ends a run.
    """
    files, shard = StudyFiles(directory), shard or Shard()
    plan = _changed(read_plan(files), changes or {})
    with files.doing(shard), _recorded(files, shard) as record:
        session = _Session(files, plan, shard, stop or Stop())
        async with AsyncExitStack() as stack:
            waiting = await session.all(stack, serve)
        record.update(notes=session.notes, backends=session.backends)
        if session.stop.cause is not None:
            record.update(state="stopped", message=session.stop.message)
        else:
            record.update(state="waiting" if waiting else "finished")
    return ShardFinished(waiting, session.stop.cause, session.stop.message, session.notes)


class _Session:
    """A shard being done."""

    def __init__(self, files: StudyFiles, plan: StudyPlan, shard: Shard, stop: Stop) -> None:
        self.stop = stop
        self.notes: tuple[str, ...] = ()
        self.backends: dict[str, Any] = {}
        self._files, self._plan, self._shard = files, plan, shard
        found = read_study_problems(files)
        self._problems, self._problems_sha256 = found.problems, found.sha256
        self._in_flight = asyncio.Semaphore(plan.common.max_concurrency)
        self._runs: dict[str, Run] = {}
        self._tried: set[tuple[str, Key]] = set()
        self._retrying = plan.common.retry_errors
        """What failed in sessions before is tried again; what fails in this one is not, in no arm."""

    async def all(self, stack: AsyncExitStack, serve: Serve | None) -> tuple[str, ...]:
        """Until nothing is owed, or it is to stop; returns the arms whose twins wait for other shards."""
        models: Models | None = None
        serving = self._plan.common
        while True:
            matched, waiting = choose_twins(self._files, self._plan, self._problems)
            needed = samples_needed(self._plan, all_arms(self._plan, matched))
            parts = {name: self._part(name, n) for name, n in needed.items()}
            owed = [
                name for name, part in parts.items() if any((name, key) not in self._tried for key in part)
            ]
            if not owed or self.stop.cause is not None:
                return waiting
            if models is None:
                models = await stack.enter_async_context(Models())
                if serve is not None:
                    serving = await stack.enter_async_context(serve(serving))
            await self._together(models, serving, {name: (parts[name], needed[name]) for name in owed})

    def _part(self, name: str, samples: int) -> set[Key]:
        """What is this shard's to make of an arm, and is not finished in another journal."""
        arms = [arm.name for arm in self._plan.arms]
        whole = _is_indivisible(self._plan.config(self._plan.arm(name)))
        mine = [
            problem
            for position, problem in enumerate(self._problems)
            if self._shard.has(arms.index(name) if whole else position)
        ]
        path = self._files.journal(name, self._shard)
        journals = ArmJournals(self._files, name)
        again = (Outcome.ERROR,) if self._retrying else ()
        elsewhere = journals.finished(besides=path, again=again)
        part = {(problem.id, sample) for problem in mine for sample in range(samples)} - elsewhere
        here = {key for key, outcome in journals.outcomes.items() if outcome not in again}
        self._tried |= {(name, key) for key in here & part}
        return part

    async def _together(
        self, models: Models, serving: RunConfig, owed: Mapping[str, tuple[set[Key], int]]
    ) -> None:
        """The runs of several arms, side by side: what one has no more use for is another's."""
        tasks: list[asyncio.Task[None]] = []
        with ExitStack() as journals:
            try:
                for name, (part, samples) in owed.items():
                    run = await self._run(name, samples, serving)
                    ArmJournals(self._files, name, run)  # whatever shard they are of, they are of this run
                    journal = open_journal_of_shard(self._files, name, run, self._shard, part)
                    journals.enter_context(journal)
                    backends = await models.backends(_serving(run.config, serving, self._plan.common))
                    self.backends[name] = backends.described()
                    working = work(run, backends, journal, Observer(), self.stop, in_flight=self._in_flight)
                    tasks.append(asyncio.create_task(working))
                    self._tried |= {(name, key) for key in part}
                self._retrying = False
                await asyncio.gather(*tasks)
            finally:
                for task in tasks:
                    task.cancel()
                await asyncio.gather(*tasks, return_exceptions=True)
                self.notes = models.notes

    async def _run(self, name: str, samples: int, serving: RunConfig) -> Run:
        if name not in self._runs:
            config = self._plan.config(self._plan.arm(name))
            self._runs[name] = await prepare(config, serving=_serving(config, serving, self._plan.common))
        run = self._runs[name]
        if run.problems.sha256 != self._problems_sha256:
            raise ConfigError(
                f"the problems of {run.problems.path} are not those that the study was begun with "
                f"({self._files.problems}); restore the file, or begin another study with another --output"
            )
        changes = {"samples": samples, "retry_errors": self._retrying}
        return replace(run, config=run.config.model_copy(update=changes))


def _is_indivisible(config: RunConfig) -> bool:
    """Whether what becomes of a problem depends on the problems before it."""
    return config.search is not None and config.learns_values


def _serving(config: RunConfig, serving: RunConfig, common: RunConfig) -> RunConfig:
    """The settings of an arm that reach what was started for the model that all arms share."""
    if config.framework != "vllm" or config.model_name != common.model_name:
        return config
    return config.model_copy(
        update={"vllm_base_url": serving.vllm_base_url, "model_name": serving.model_name}
    )


def _changed(plan: StudyPlan, changes: Mapping[str, Any]) -> StudyPlan:
    if fixed := [name for name in changes if name not in HOW_DONE]:
        raise ConfigError(
            f"--{fixed[0]} is the same for all shards; a shard may have {', '.join(sorted(HOW_DONE))} for itself"
        )
    return plan.model_copy(update={"settings": plan.settings | dict(changes)}) if changes else plan


@contextmanager
def _recorded(files: StudyFiles, shard: Shard) -> Iterator[dict[str, Any]]:
    """Write down that the shard is being done, and how it ended: `state` and what else the block notes."""
    path = files.shard_record(shard)
    before = read_record(path, ShardRecord)
    record = ShardRecord(
        shard=str(shard),
        state="running",
        host=socket.gethostname(),
        process=os.getpid(),
        begun=_now(),
        notes=() if before is None else before.notes,
        backends={} if before is None else before.backends,
    )
    write_record(path, record)
    noted: dict[str, Any] = {}
    try:
        yield noted
    except BaseException as error:
        message = f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
        interrupted = isinstance(error, asyncio.CancelledError | KeyboardInterrupt)
        state = "stopped" if interrupted else "failed"
        write_record(path, record.model_copy(update={"state": state, "message": message, "ended": _now()}))
        raise
    kept = {
        "notes": tuple(dict.fromkeys((*record.notes, *noted["notes"]))),
        "backends": record.backends | noted["backends"],
    }
    write_record(path, record.model_copy(update={**noted, **kept, "ended": _now()}))


def _now() -> str:
    return datetime.now(timezone.utc).isoformat(timespec="seconds")
