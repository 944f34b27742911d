# ruff: noqa: ASYNC220 (the processes are what is tested)
"""A pid in second use is never taken for the first."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import replace

import pytest

from llm_backends.vllm_server import processes
from llm_backends.vllm_server.processes import (
    ProcessIdentity,
    end_session,
    identity_of,
    identity_of_child,
    is_alive,
    session_members,
)


@pytest.fixture
def sleeper() -> Iterator[subprocess.Popen[bytes]]:
    with subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"], start_new_session=True) as p:
        yield p
        p.kill()


@pytest.fixture(params=["proc", "ps"])
def source(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Where processes are read from: ps is what other systems than Linux have."""
    if request.param == "ps":
        monkeypatch.setattr(processes.sys, "platform", "other")
    return str(request.param)


def identity(process: subprocess.Popen[bytes]) -> ProcessIdentity:
    return identity_of_child(process.pid)


def test_a_process_is_itself_as_long_as_it_runs(sleeper: subprocess.Popen[bytes], source: str) -> None:
    first = identity_of(sleeper.pid)
    assert first is not None
    time.sleep(0.05)
    assert is_alive(first)
    sleeper.kill()
    sleeper.wait()
    assert identity_of(sleeper.pid) is None
    assert not is_alive(first)


def test_ended_but_not_waited_for_is_not_alive(sleeper: subprocess.Popen[bytes], source: str) -> None:
    first = identity(sleeper)
    sleeper.kill()
    os.waitid(os.P_PID, sleeper.pid, os.WEXITED | os.WNOWAIT)
    assert not is_alive(first)
    assert identity(sleeper) == first


async def test_another_process_with_the_same_pid_is_left_alone(
    sleeper: subprocess.Popen[bytes], source: str
) -> None:
    earlier = replace(identity(sleeper), started="before the pid was used again")
    assert not is_alive(earlier)
    assert session_members(sleeper.pid, frozenset({earlier})) == frozenset()
    assert not await end_session(sleeper.pid, frozenset({earlier}), grace_s=0.0)
    assert sleeper.poll() is None


async def test_a_session_ends_with_all_that_is_in_it(source: str) -> None:
    code = (
        "import subprocess, sys, time; "
        "subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(60)']); print(); time.sleep(60)"
    )
    with subprocess.Popen(
        [sys.executable, "-uc", code], start_new_session=True, stdout=subprocess.PIPE
    ) as leader:
        assert leader.stdout is not None
        leader.stdout.readline()
        known = frozenset({identity(leader)})
        members = session_members(leader.pid, known)
        assert len(members) == 2
        assert not await end_session(leader.pid, known, grace_s=20.0)
        assert not any(map(is_alive, members))
        leader.returncode = 0  # end_session has waited for it


async def test_children_of_a_leader_that_is_gone_are_found_by_what_was_known(source: str) -> None:
    code = (
        "import os, subprocess, sys; "
        "subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(60)']); print(os.getpid()); input()"
    )
    with subprocess.Popen(
        [sys.executable, "-uc", code],
        start_new_session=True,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    ) as leader:
        assert leader.stdout is not None
        leader.stdout.readline()
        known = session_members(leader.pid, frozenset({identity(leader)}))
        leader.kill()
        leader.wait()
        (left,) = session_members(leader.pid, known)
        assert session_members(leader.pid, known - {left}) == frozenset()
        await end_session(leader.pid, known, grace_s=20.0)
        assert not is_alive(left)


def test_a_name_with_brackets_and_blanks_is_read_over() -> None:
    code = "import ctypes, time; ctypes.CDLL(None).prctl(15, b') S 1 (x', 0, 0, 0); print(); time.sleep(60)"
    if sys.platform != "linux":
        pytest.skip("names are set so on Linux alone")
    with subprocess.Popen(
        [sys.executable, "-uc", code], start_new_session=True, stdout=subprocess.PIPE
    ) as named:
        assert named.stdout is not None
        named.stdout.readline()
        assert session_members(named.pid, frozenset({identity(named)})) == {identity(named)}
        named.send_signal(signal.SIGKILL)


def test_a_process_lasts_as_long_as_any_of_its_threads() -> None:
    if sys.platform != "linux":
        pytest.skip("threads outlive the first one so on Linux alone")
    code = (
        "import ctypes, threading, time; threading.Thread(target=time.sleep, args=(60,)).start(); "
        "ctypes.CDLL(None).pthread_exit(None)"
    )
    with subprocess.Popen([sys.executable, "-uc", code], start_new_session=True, stdout=subprocess.PIPE) as p:
        assert p.stdout is not None
        first = identity(p)
        time.sleep(1.0)
        assert is_alive(first), "its first thread has ended, another has not"
        p.kill()
    assert not is_alive(first)
