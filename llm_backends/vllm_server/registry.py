"""The servers that we started on this machine: one JSON file each, so that any later command finds them.

They lie in a directory per machine, because homes are shared by the machines of a cluster, and a pid means
nothing on another one. Files are replaced as a whole; whoever changes one holds the lock that guards it.
"""

from __future__ import annotations

import asyncio
import fcntl
import os
import socket
import tempfile
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pydantic
from pydantic import BaseModel, ConfigDict

from llm_backends.errors import BadRequestError
from llm_backends.vllm_server.processes import ProcessIdentity, is_alive, session_members

_POLL_S = 0.2


@dataclass(frozen=True, slots=True)
class ServerUser:
    """A run that a server serves."""

    process: ProcessIdentity
    token: str
    """Tells apart two users in one process."""


class ServerRecord(BaseModel):
    """One server that we started."""

    model_config = ConfigDict(frozen=True, extra="forbid", protected_namespaces=())

    port: int
    host: str
    model: str
    """As vLLM was given it."""
    served_model_name: str
    gpus: tuple[str, ...]
    log: Path
    command: tuple[str, ...]
    started: str
    """UTC, ISO 8601."""
    leader: ProcessIdentity
    """The first process; its pid is the number of the session."""
    processes: frozenset[ProcessIdentity]
    """Those known to belong to it, the leader among them."""
    model_files: dict[str, str] = {}
    """`model_files` of the model when the server started; empty for a model that is no directory."""
    settings: dict[str, Any]
    """`ServerOptions.settings`."""
    ready: bool
    """It has answered."""
    auto_started: bool
    """A run started it for itself: the last run that uses it stops it."""
    users: tuple[ServerUser, ...] = ()
    job: str | None = None
    """The Slurm job that it was started in, and ends with; None outside of any."""

    @property
    def base_url(self) -> str:
        host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(self.host, self.host)  # noqa: S104 (not bound here)
        return f"http://{f'[{host}]' if ':' in host else host}:{self.port}/v1"

    @property
    def runs(self) -> bool:
        """Whether its first process is alive."""
        return is_alive(self.leader)

    @property
    def living_processes(self) -> frozenset[ProcessIdentity]:
        """All of its processes that are alive; engine cores may outlive the first process."""
        return session_members(self.leader.pid, self.processes)

    @property
    def living_users(self) -> tuple[ServerUser, ...]:
        return tuple(user for user in self.users if is_alive(user.process))


def state_directory(environment: Mapping[str, str] = os.environ) -> Path:
    """Where the servers of this machine are kept."""
    given, xdg = environment.get("HR_STATE_DIR"), environment.get("XDG_STATE_HOME")
    if given:
        base = Path(given)
    else:
        base = (Path(xdg) if xdg else Path.home() / ".local" / "state") / "hierarchical-reasoning"
    return base / "vllm" / socket.gethostname()


def batch_job(environment: Mapping[str, str] = os.environ) -> str | None:
    """The Slurm job that this process is in; None outside of any."""
    return environment.get("SLURM_JOB_ID") or None


class ServerRegistry:
    """Records in a directory that this user alone may read."""

    def __init__(self, directory: Path | None = None) -> None:
        """
        :param directory: None takes `state_directory()`.
        """
        self.directory = directory or state_directory()

    def records(self) -> tuple[ServerRecord, ...]:
        """Every record, by port; those of servers that ended without being stopped too.

        :raises BadRequestError: a file is not a record.
        """
        found = [self._read(path) for path in sorted(self.directory.glob("*.json"))]
        return tuple(sorted((record for record in found if record), key=lambda record: record.port))

    def current(self, record: ServerRecord) -> ServerRecord | None:
        """The record of the same server as it is now; None once it is removed."""
        return self._read(self._path(record))

    def on_port(self, port: int) -> tuple[ServerRecord, ...]:
        return tuple(record for record in self.records() if record.port == port)

    def write(self, record: ServerRecord) -> None:
        """Write, or replace, the record of this server."""
        self._make_directory()
        path = self._path(record)
        descriptor, temporary = tempfile.mkstemp(dir=self.directory, prefix=f".{path.name}.")
        try:
            with os.fdopen(descriptor, "w", encoding="utf-8") as handle:
                handle.write(record.model_dump_json(indent=2))
                handle.flush()
                os.fsync(handle.fileno())
            Path(temporary).replace(path)
        except BaseException:
            Path(temporary).unlink(missing_ok=True)
            raise

    def remove(self, record: ServerRecord) -> None:
        self._path(record).unlink(missing_ok=True)

    def locked_for_change(self, record: ServerRecord) -> AbstractAsyncContextManager[None]:
        """Hold this while reading the current record, changing it and writing it."""
        return self.locked(f"server-{record.port}")

    @asynccontextmanager
    async def locked(self, name: str) -> AsyncIterator[None]:
        """Hold the lock called `name` on this machine; waits for whoever has it. It goes with the process."""
        with self._open_lock(name) as descriptor:
            while not _try_lock(descriptor):  # noqa: ASYNC110 (the holder may be another process)
                await asyncio.sleep(_POLL_S)
            yield

    @contextmanager
    def locked_at_once(self, name: str) -> Iterator[bool]:
        """Hold the lock if nobody has it; gives whether it is held."""
        with self._open_lock(name) as descriptor:
            yield _try_lock(descriptor)

    @contextmanager
    def _open_lock(self, name: str) -> Iterator[int]:
        self._make_directory()
        descriptor = os.open(self.directory / f"{name}.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            yield descriptor
        finally:
            os.close(descriptor)

    def _make_directory(self) -> None:
        try:
            self.directory.mkdir(parents=True, exist_ok=True, mode=0o700)
        except OSError as error:
            raise BadRequestError(
                f"{self.directory} cannot be made ({error.strerror}); servers that are started are kept there, "
                "so set HR_STATE_DIR to a directory that can be written"
            ) from error

    def _path(self, record: ServerRecord) -> Path:
        return self.directory / f"{record.port}_{record.leader.pid}.json"

    def _read(self, path: Path) -> ServerRecord | None:
        try:
            return ServerRecord.model_validate_json(path.read_bytes())
        except FileNotFoundError:
            return None  # removed by another command since the directory was listed
        except pydantic.ValidationError as error:
            raise BadRequestError(
                f"{path} is not the record of a server ({error.error_count()} faults); see that the server is "
                "stopped, and delete the file"
            ) from error


def _try_lock(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
