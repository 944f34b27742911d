"""Processes told apart for good: by pid and start time, so that a pid in second use is never taken for the first.

A server leads a session of its own. Its engine cores and workers stay in that session, also those that make
process groups of their own, and are ended with it. Not covered: a descendant that opens a session itself.
"""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

_PROC = Path("/proc")
_POLL_S = 0.1
_AFTER_KILL_S = 10.0


@dataclass(frozen=True, slots=True)
class ProcessIdentity:
    """One process, for ever."""

    pid: int
    started: str
    """When it started, as the system tells it; compared, never parsed."""


@dataclass(frozen=True, slots=True)
class _Process:
    identity: ProcessIdentity
    session: int
    ended: bool
    """Ended, and kept by the system only until its parent asks for the exit status."""


def identity_of(pid: int) -> ProcessIdentity | None:
    """The process that has this pid now; None when there is none, or it has ended."""
    process = _read(pid)
    return None if process is None or process.ended else process.identity


def identity_of_child(pid: int) -> ProcessIdentity:
    """A process that we started and whose exit status was not asked for, so that it is there even if it ended."""
    process = _read(pid)
    if process is None:
        raise ProcessLookupError(f"process {pid} is no child of this process")
    return process.identity


def is_alive(identity: ProcessIdentity) -> bool:
    """Whether this very process still runs."""
    return identity_of(identity.pid) == identity


def session_members(session: int, known: frozenset[ProcessIdentity]) -> frozenset[ProcessIdentity]:
    """The running processes of a session, if it is the one that `known` processes belong to; else none.

    A session's number is not given out again while a process is in it. So one known process in the session
    proves that all the others there belong to the same server.
    """
    members = [process for process in _all_processes() if process.session == session]
    if not any(process.identity in known for process in members):
        return frozenset()
    return frozenset(process.identity for process in members if not process.ended)


async def end_session(session: int, known: frozenset[ProcessIdentity], *, grace_s: float) -> bool:
    """End every process of the session; see `session_members` for `known`.

    SIGTERM first, and SIGKILL to what is left after `grace_s` seconds.

    :returns: whether SIGKILL was needed.
    :raises PermissionError: they belong to another user.
    :raises TimeoutError: some do not end even so.
    """
    began = time.monotonic()
    members = session_members(session, known)
    _signal(members, signal.SIGTERM)
    killed = False
    while members:
        await asyncio.sleep(_POLL_S)
        known |= members
        members = session_members(session, known)
        waited = time.monotonic() - began
        if members and waited > grace_s + _AFTER_KILL_S:
            pids = ", ".join(str(member.pid) for member in sorted(members, key=lambda member: member.pid))
            raise TimeoutError(f"processes {pids} do not end, although they were sent SIGKILL")
        if waited > grace_s:
            _signal(members, signal.SIGKILL)
            killed = killed or bool(members)
    _reap(session)
    return killed


def _signal(members: frozenset[ProcessIdentity], number: signal.Signals) -> None:
    for member in members:
        try:
            os.kill(member.pid, number)
        except ProcessLookupError:
            continue  # it ended by itself in the meantime


def _reap(pid: int) -> None:
    try:
        os.waitpid(pid, os.WNOHANG)
    except ChildProcessError:
        return  # another process started it, and reaps it


def _all_processes() -> Iterator[_Process]:
    if sys.platform == "linux":
        pids = (int(entry.name) for entry in _PROC.iterdir() if entry.name.isdecimal())
        yield from filter(None, map(_read_from_proc, pids))
    else:
        yield from _read_from_ps("-ax")


def _read(pid: int) -> _Process | None:
    if sys.platform == "linux":
        return _read_from_proc(pid)
    return next(_read_from_ps("-p", str(pid)), None)


def _read_from_proc(pid: int) -> _Process | None:
    try:
        # The second field is the program's name in brackets, which may itself hold brackets and blanks.
        fields = (_PROC / str(pid) / "stat").read_text(errors="replace").rpartition(")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return None
    state, session, threads, ticks = fields[0], int(fields[3]), int(fields[17]), fields[19]
    # The first thread may have ended while others still hold the port and the memory.
    ended = state in "ZXx" and threads <= 1
    boot = (
        (_PROC / "sys/kernel/random/boot_id").read_text().strip()
    )  # ticks count from when the system started
    return _Process(ProcessIdentity(pid, f"{boot}/{ticks}"), session, ended)


def _read_from_ps(*which: str) -> Iterator[_Process]:
    command = ["ps", *which, "-o", "pid=,stat=,lstart="]
    environment = os.environ | {"LC_ALL": "C"}
    listed = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)
    for line in listed.stdout.splitlines():
        pid, state, *started = line.split()
        try:
            session = os.getsid(int(pid))
        except (ProcessLookupError, PermissionError):
            continue
        yield _Process(ProcessIdentity(int(pid), " ".join(started)), session, state.startswith("Z"))
