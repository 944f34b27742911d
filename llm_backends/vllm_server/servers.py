"""Servers for those who use them: started, shared by runs, given back.

A server lives on when the command that started it ends, so all that is known about it is in the registry.
Runs share a server that a run started: the last one that gives it back stops it.
"""

from __future__ import annotations

import asyncio
import os
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from llm_backends.errors import EngineDiedError
from llm_backends.model_files import model_files
from llm_backends.vllm_server.hardware import Hardware
from llm_backends.vllm_server.launch import (
    OnProgress,
    StartProgress,
    launch_server,
    stop_server,
    wait_until_ready,
    with_log_end,
)
from llm_backends.vllm_server.log_file import LogTail
from llm_backends.vllm_server.options import ServerOptions
from llm_backends.vllm_server.plan import name_in_file, resolve_model
from llm_backends.vllm_server.probe import ServedModel
from llm_backends.vllm_server.processes import identity_of_child
from llm_backends.vllm_server.registry import ServerRecord, ServerRegistry, ServerUser, batch_job

if TYPE_CHECKING:
    from types import TracebackType

    from typing_extensions import Self

_POLL_S = 0.5


class RunningServer:
    """A server that is ready. As a context manager, it is given back at the end."""

    def __init__(
        self,
        record: ServerRecord,
        served: ServedModel,
        registry: ServerRegistry,
        *,
        started_here: bool,
        user: ServerUser | None = None,
    ) -> None:
        self.record = record
        self.max_model_len = served.max_model_len
        """Tokens of context; None where the server does not say."""
        self.started_here = started_here
        """False: it ran already."""
        self._registry = registry
        self._user = user

    @property
    def base_url(self) -> str:
        """With the /v1 at its end."""
        return self.record.base_url

    @property
    def model(self) -> str:
        """The name to ask for."""
        return self.record.served_model_name

    @property
    def log(self) -> Path:
        return self.record.log

    async def follow(self, on_line: Callable[[str], None]) -> None:
        """Pass on every line that it logs from now on. Goes on until it is cancelled.

        :raises EngineDiedError: the server ended by itself.
        """
        tail = LogTail(self.log, already_there=0)
        running = True
        while running:
            running = self.record.runs
            for line in tail.read_new():
                on_line(line)
            await asyncio.sleep(_POLL_S if running else 0.0)
        self.check_runs()

    def check_runs(self) -> None:
        """
        :raises EngineDiedError: the server ended by itself; with the end of its log.
        """
        if not self.record.runs:
            raise EngineDiedError(
                with_log_end(f"the vLLM server on port {self.record.port} ended", self.record)
            )

    async def close(self) -> bool:
        """Give it back. One that a run started is stopped with the last run that uses it; others stay.

        :returns: whether it was stopped.
        """
        user, self._user = self._user, None
        if user is None:
            return False
        return await _give_back(self.record, user, self._registry)

    async def stop(self) -> bool:
        """Stop it, whoever uses it.

        :returns: whether it had to be killed.
        """
        return await stop_server(self._registry.current(self.record) or self.record, self._registry)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()


async def start_server(
    model: str,
    options: ServerOptions,
    on_progress: OnProgress,
    *,
    registry: ServerRegistry | None = None,
    hardware: Hardware | None = None,
) -> RunningServer:
    """Start a server that stays until it is stopped, and wait until it is ready.

    If that fails, or is cancelled, nothing of it is left.

    :param on_progress: told about twice a second while it starts.
    :param registry: None takes the one of this user and machine.
    :param hardware: None looks at this machine.
    :raises BadRequestError: the port is in use, or the options do not fit the machine.
    :raises UnsupportedError: there is no vLLM.
    :raises EngineDiedError: it ended before it was ready; with the end of its log.
    :raises RequestTimeoutError: it was not ready in time; with the end of its log.
    """
    registry = registry or ServerRegistry()
    record, served = await launch_server(model, options, on_progress, registry, hardware=hardware)
    return RunningServer(record, served, registry, started_here=True)


async def ensure_server(
    model: str,
    options: ServerOptions,
    on_progress: OnProgress,
    *,
    registry: ServerRegistry | None = None,
    hardware: Hardware | None = None,
) -> RunningServer:
    """A server for a run: one of ours with this model and the same settings, else a new one. One whose model
    directory has changed since it started still has the old weights, and is left alone; so is one that was started in
    another Slurm job, or outside of this one.

    If the run is killed before it closes a new one, that stays in the registry: the next run takes it up, or it
    is stopped by hand. Parameters and errors are those of `start_server`.
    """
    registry = registry or ServerRegistry()
    user = ServerUser(identity_of_child(os.getpid()), uuid.uuid4().hex)
    async with registry.locked(f"model-{name_in_file(resolve_model(model))}"):
        reused = await _reuse(model, options, on_progress, registry, user)
        if reused is not None:
            return reused
        record, served = await launch_server(
            model, options, on_progress, registry, hardware=hardware, user=user
        )
    return RunningServer(record, served, registry, started_here=True, user=user)


async def own_server(
    model: str,
    options: ServerOptions,
    on_progress: OnProgress,
    *,
    registry: ServerRegistry | None = None,
    hardware: Hardware | None = None,
) -> RunningServer:
    """A new server that this process does not share, so that it may change the weights; closing it stops it.

    One with the same model that a killed process had for itself is stopped first. Parameters and errors are those of
    `start_server`.
    """
    registry = registry or ServerRegistry()
    user = ServerUser(identity_of_child(os.getpid()), uuid.uuid4().hex)
    for left in registry.records():
        if left.model == resolve_model(model) and left.auto_started and not left.living_users:
            await stop_server(left, registry)
    record, served = await launch_server(model, options, on_progress, registry, hardware=hardware, user=user)
    return RunningServer(record, served, registry, started_here=True, user=user)


async def stop_servers_of_job(
    job: str, *, registry: ServerRegistry | None = None
) -> tuple[ServerRecord, ...]:
    """Stop what is left of the servers that were started in a Slurm job on this machine, and say which they were.

    :raises BackendError: see `stop_server`.
    """
    registry = registry or ServerRegistry()
    left = tuple(record for record in registry.records() if record.job == job)
    for record in left:
        await stop_server(record, registry)
    return left


async def _reuse(
    model: str, options: ServerOptions, on_progress: OnProgress, registry: ServerRegistry, user: ServerUser
) -> RunningServer | None:
    files = await asyncio.to_thread(model_files, resolve_model(model))
    for record in registry.records():
        fits = record.model == resolve_model(model) and record.settings == options.settings()
        if not fits or options.port not in (None, record.port):
            continue
        if record.job != batch_job():  # it ends with that job, or has GPUs that this job has not
            continue
        if record.model_files != files:
            if record.runs:
                note = (
                    f"{model} has changed since the server on port {record.port} started, so it is not used"
                )
                on_progress(StartProgress(0.0, (note,), (), ""))
            continue
        async with registry.locked_for_change(record):
            current = registry.current(record)
            if current is None or not current.runs:
                continue
            taken = current.model_copy(update={"users": (*current.living_users, user)})
            registry.write(taken)
        try:
            ready, served = await wait_until_ready(taken, options.timeout_s, on_progress, registry)
        except BaseException:
            await _give_back(taken, user, registry)
            raise
        return RunningServer(ready, served, registry, started_here=False, user=user)
    return None


async def _give_back(record: ServerRecord, user: ServerUser, registry: ServerRegistry) -> bool:
    async with registry.locked_for_change(record):
        current = registry.current(record)
        if current is None:
            return False  # stopped by a command in the meantime
        others = tuple(other for other in current.living_users if other != user)
        if others or not current.auto_started:
            registry.write(current.model_copy(update={"users": others}))
            return False
        await stop_server(current, registry)
        return True
