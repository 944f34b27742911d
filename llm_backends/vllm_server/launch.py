"""One server: started, waited for, stopped."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path

from llm_backends.errors import BadRequestError, EngineDiedError, RequestTimeoutError
from llm_backends.model_files import model_files
from llm_backends.vllm_server.hardware import Hardware, this_machine
from llm_backends.vllm_server.log_file import LogTail, last_lines
from llm_backends.vllm_server.options import ServerOptions
from llm_backends.vllm_server.plan import (
    LaunchPlan,
    check_has_vllm,
    find_python,
    name_in_file,
    plan_launch,
)
from llm_backends.vllm_server.ports import free_port
from llm_backends.vllm_server.probe import ServedModel, ServerProbe
from llm_backends.vllm_server.processes import end_session, identity_of_child
from llm_backends.vllm_server.registry import ServerRecord, ServerRegistry, ServerUser, batch_job

GRACE_S = 15.0
"""Seconds between SIGTERM and SIGKILL."""
_POLL_S = 0.5
_PROBE_S = 5.0
_LINES_SHOWN = 30


@dataclass(frozen=True, slots=True)
class StartProgress:
    """How far a server is on its way to being ready."""

    seconds: float
    """Since the wait began."""
    notes: tuple[str, ...]
    """What was decided without being asked; each is told once."""
    new_lines: tuple[str, ...]
    """Lines of its log since the last report."""
    last_line: str
    """The last line of its log; empty before there is one."""


OnProgress = Callable[[StartProgress], None]


async def launch_server(
    model: str,
    options: ServerOptions,
    on_progress: OnProgress,
    registry: ServerRegistry,
    *,
    hardware: Hardware | None = None,
    user: ServerUser | None = None,
) -> tuple[ServerRecord, ServedModel]:
    """Start a server and wait until it is ready. If that fails, or is cancelled, nothing of it is left.

    :param hardware: None looks at this machine.
    :param user: the run that it is started for; None: it stays until it is stopped.
    :raises BackendError: see `servers.start_server`.
    """
    async with free_port(options.host, options.port, registry) as port:
        environment = dict(os.environ)
        if hardware is None:
            hardware = await asyncio.to_thread(this_machine, environment)
        plan = plan_launch(model, port, options, hardware, environment)
        await asyncio.to_thread(check_has_vllm, find_python(options, environment))
        on_progress(StartProgress(0.0, plan.notes, (), ""))
        files = await asyncio.to_thread(model_files, plan.model)
        record = _spawn(plan, port, options, user, files)
        try:
            registry.write(record)
            return await wait_until_ready(record, options.timeout_s, on_progress, registry)
        except BaseException:
            await stop_server(registry.current(record) or record, registry)
            raise


async def wait_until_ready(
    record: ServerRecord, timeout_s: float, on_progress: OnProgress, registry: ServerRegistry
) -> tuple[ServerRecord, ServedModel]:
    """Wait until the server answers; its record then names the processes that it has.

    :raises EngineDiedError: it ended before that, or something else answers on its port.
    :raises RequestTimeoutError: it does not answer in time. It is left running.
    """
    began = time.monotonic()
    probe = ServerProbe(record.base_url, timeout_s=_PROBE_S)
    tail, last_line = LogTail(record.log), ""
    while True:
        healthy = await probe.is_healthy()
        new = tail.read_new()
        last_line = next((line for line in reversed(new) if line.strip()), last_line)
        seconds = time.monotonic() - began
        on_progress(StartProgress(seconds, (), new, last_line))
        if not record.runs:
            raise EngineDiedError(with_log_end(f"the vLLM server ended after {seconds:.0f} s", record))
        record = await _with_new_processes(record, registry, ready=healthy)
        if healthy:
            return record, await _served(record, probe)
        if seconds > timeout_s:
            message = f"the vLLM server was not ready after {seconds:.0f} s (--timeout)"
            raise RequestTimeoutError(with_log_end(message, record))
        await asyncio.sleep(_POLL_S)


async def stop_server(record: ServerRecord, registry: ServerRegistry, *, grace_s: float = GRACE_S) -> bool:
    """End all processes of the server and forget it. One that has ended already is forgotten.

    :returns: whether it had to be killed.
    :raises BadRequestError: it belongs to another user, or does not end.
    """
    try:
        killed = await end_session(record.leader.pid, record.processes, grace_s=grace_s)
    except (PermissionError, TimeoutError) as error:
        raise BadRequestError(
            f"the server on port {record.port} (pid {record.leader.pid}) cannot be stopped: {error}"
        ) from error
    registry.remove(record)
    return killed


def with_log_end(message: str, record: ServerRecord) -> str:
    """The message, and the end of the server's log below it."""
    end = "\n".join(f"  | {line}" for line in last_lines(record.log, _LINES_SHOWN))
    return (
        f"{message}; its log ({record.log}) ends with\n{end}" if end else f"{message}; {record.log} is empty"
    )


def _spawn(
    plan: LaunchPlan, port: int, options: ServerOptions, user: ServerUser | None, files: dict[str, str]
) -> ServerRecord:
    log = _new_log(options.log_dir, plan.model, port)
    pid = os.posix_spawnp(
        plan.command[0],
        plan.command,
        plan.environment,
        file_actions=[
            (os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0),
            (os.POSIX_SPAWN_OPEN, 1, str(log), os.O_WRONLY | os.O_APPEND, 0),
            (os.POSIX_SPAWN_DUP2, 1, 2),
        ],
        setsid=True,
    )
    leader = identity_of_child(pid)
    return ServerRecord(
        port=port,
        host=options.host,
        model=plan.model,
        served_model_name=plan.served_model_name,
        gpus=plan.gpus,
        log=log,
        command=plan.command,
        started=datetime.now(timezone.utc).isoformat(timespec="seconds"),
        leader=leader,
        processes=frozenset({leader}),
        model_files=files,
        settings=options.settings(),
        ready=False,
        auto_started=user is not None,
        users=() if user is None else (user,),
        job=batch_job(),
    )


def _new_log(directory: Path, model: str, port: int) -> Path:
    stamp = time.strftime("%Y%m%d_%H%M%S")
    path = directory.absolute() / f"vllm_server_{name_in_file(model)}_{port}_{stamp}.log"
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    except OSError as error:
        raise BadRequestError(f"log {path} cannot be written ({error.strerror}); change --log_dir") from error
    return path


async def _with_new_processes(record: ServerRecord, registry: ServerRegistry, *, ready: bool) -> ServerRecord:
    processes = record.processes | record.living_processes
    if processes == record.processes and ready == record.ready:
        return record
    async with registry.locked_for_change(record):
        current = registry.current(record)
        if current is None:  # a stop is under way: what it removed must not come back
            return record.model_copy(update={"processes": processes})
        changed = current.model_copy(
            update={"processes": processes | current.processes, "ready": ready or current.ready}
        )
        registry.write(changed)
        return changed


async def _served(record: ServerRecord, probe: ServerProbe) -> ServedModel:
    models = await probe.models()
    for model in models:
        if model.name == record.served_model_name:
            return model
    raise EngineDiedError(
        f"port {record.port} is answered for {', '.join(model.name for model in models) or 'no model'}, not for "
        f"{record.served_model_name}: another server has taken the port; take another one (--port)"
    )
