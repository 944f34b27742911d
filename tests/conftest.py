"""Nothing here talks to the network: a connection to anything but this machine is an error."""

from __future__ import annotations

import ipaddress
import os
import signal
import socket
from typing import Any

import pytest
from hypothesis import settings

# A shell that starts the tests in the background has them ignore these signals, and every child would inherit that.
for _number, _handler in ((signal.SIGINT, signal.default_int_handler), (signal.SIGHUP, signal.SIG_DFL)):
    if signal.getsignal(_number) is signal.SIG_IGN:
        signal.signal(_number, _handler)

settings.register_profile(
    "shared machine",
    deadline=None,  # a busy machine is no failure
    derandomize="HR_SAME_EXAMPLES" in os.environ,
)
settings.load_profile("shared machine")


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_auto_num_workers() -> int:
    """For ``-n auto``: one more than there are cores, since many tests wait for servers, and for processes to end."""
    return (os.cpu_count() or 1) + 1


@pytest.fixture(autouse=True)
def no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    connect = socket.socket.connect

    def guarded(self: socket.socket, address: Any) -> None:
        host = address[0] if isinstance(address, tuple) else None
        if host is not None and host != "localhost" and not ipaddress.ip_address(host).is_loopback:
            raise RuntimeError(f"a test tried to connect to {address}")
        connect(self, address)

    monkeypatch.setattr(socket.socket, "connect", guarded)
