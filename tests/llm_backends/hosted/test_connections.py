"""Which connection a request goes over."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator, Iterator
from typing import Any

import httpx2
import pytest

from llm_backends.hosted.connections import LONGEST_IDLE_S, Connections, many_connections
from llm_backends.scripted_server import Reset, ScriptedServer, Stall, Truncated

_BODY = {"model": "scripted", "messages": [{"role": "user", "content": "Go?"}]}


class Rig:
    def __init__(self, server: ScriptedServer) -> None:
        self.server = server
        self.transport = many_connections(httpx2)
        self.client = httpx2.AsyncClient(transport=self.transport, trust_env=False)

    @property
    def open(self) -> int:
        connections: Connections = self.transport.connections
        return connections.open

    async def ask(self) -> Any:
        """The response to a call."""
        return await self.client.post(f"{self.server.base_url}/chat/completions", json=_BODY)

    async def over(self) -> Any:
        """The address of the connection that a call goes over."""
        return _address(await self.ask())


def _address(response: Any) -> Any:
    return response.extensions["network_stream"].get_extra_info("client_addr")


@pytest.fixture
def server() -> Iterator[ScriptedServer]:
    with ScriptedServer() as running:
        yield running


@pytest.fixture
async def rig(server: ScriptedServer) -> AsyncIterator[Rig]:
    rig = Rig(server)
    async with rig.client:
        yield rig


async def test_connections_are_used_again(rig: Rig) -> None:
    assert len({await rig.over() for _ in range(3)}) == 1
    rig.server.reply = lambda call: Stall(0.1)
    addresses = await asyncio.gather(*(rig.over() for _ in range(5)))
    assert len(set(addresses)) == rig.open == 5
    assert {await rig.over() for _ in range(3)} < set(addresses)


async def test_a_connection_that_breaks_is_replaced(rig: Rig) -> None:
    rig.server.faults = {1: Reset(), 2: Truncated()}
    first = await rig.over()
    for _ in range(2):
        with pytest.raises(httpx2.TransportError):
            await rig.ask()
        assert rig.open == 0
    assert await rig.over() != first
    assert rig.open == 1


async def test_a_connection_that_the_server_closes_is_replaced(rig: Rig) -> None:
    first = await rig.over()
    port = int(rig.server.address.rpartition(":")[2])
    rig.server.stop()
    with ScriptedServer(port=port):
        assert await rig.over() != first
    assert rig.open == 1


async def test_a_response_that_is_not_read_to_its_end(rig: Rig) -> None:
    async with rig.client.stream("GET", f"{rig.server.base_url}/models") as response:
        assert rig.open == 1
        first = _address(response)
    assert rig.open == 0
    assert await rig.over() != first


async def test_a_cancelled_call_leaves_no_connection(rig: Rig) -> None:
    rig.server.faults = {0: Stall(20.0)}
    call = asyncio.ensure_future(rig.ask())
    while not rig.server.calls:  # noqa: ASYNC110
        await asyncio.sleep(0.01)
    call.cancel()
    with pytest.raises(asyncio.CancelledError):
        await call
    assert rig.open == 0
    assert (await rig.ask()).status_code == 200


async def test_connections_are_kept_alive(rig: Rig) -> None:
    stream = (await rig.ask()).extensions["network_stream"]
    connected: socket.socket = stream.get_extra_info("socket")
    assert connected.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE) == 1
    if hasattr(socket, "TCP_KEEPIDLE"):
        assert connected.getsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE) == 60


class FakeConnection:
    def __init__(self) -> None:
        self.closed = 0

    async def aclose(self) -> None:
        self.closed += 1


async def test_connections_that_nobody_takes_are_closed() -> None:
    now = 0.0
    connections = Connections(FakeConnection, clock=lambda: now)
    first, second = await connections.take(), await connections.take()
    for connection in (first, second):
        await connections.give_back(connection, usable=True)
    for _ in range(3):
        now += LONGEST_IDLE_S * 0.9
        assert await connections.take() is second, "the one last used"
        await connections.give_back(second, usable=True)
    assert (first.closed, second.closed, connections.open) == (1, 0, 1)
    now += LONGEST_IDLE_S * 1.1
    assert await connections.take() not in (first, second)
    assert second.closed == 1


async def test_closing_closes_all() -> None:
    connections = Connections(FakeConnection)
    idle, lent = await connections.take(), await connections.take()
    await connections.give_back(idle, usable=True)
    await connections.aclose()
    assert (idle.closed, lent.closed, connections.open) == (1, 1, 0)
    await connections.give_back(lent, usable=True)
    assert connections.open == 0, "what comes back later is not kept"
    assert lent.closed == 2
