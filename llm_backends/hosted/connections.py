"""Connections to a server, each with a pool of its own.

A pool of httpx looks at every one of its connections when a request comes and again when it has ended; with many in
flight, that is a good part of what a call costs. Here each request takes a pool with a single connection, the one
last used, and gives it back once the response has been read to its end. A connection whose request failed or was
broken off is closed, and so is one that nobody has taken for longer than httpx keeps an idle one.
"""

from __future__ import annotations

import socket
import sys
import time
from collections import deque
from collections.abc import AsyncIterator, Callable
from types import ModuleType
from typing import Any

LONGEST_IDLE_S = 5.0
"""As in httpx and the SDKs; servers close those that are idle for longer, uvicorn for one."""
_KEEP_ALIVE_S = 60
_KEEP_ALIVE_PROBES = 5


def socket_options() -> list[tuple[int, int, int]]:
    """What Anthropic's SDK sets on its sockets: a connection that a router has forgotten while the model thinks is
    found out, instead of being waited on."""
    options = [(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)]
    if hasattr(socket, "TCP_KEEPINTVL"):
        options.append((socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, _KEEP_ALIVE_S))
    elif sys.platform == "darwin":
        options.append((socket.IPPROTO_TCP, getattr(socket, "TCP_KEEPALIVE", 0x10), _KEEP_ALIVE_S))
    if hasattr(socket, "TCP_KEEPCNT"):
        options.append((socket.IPPROTO_TCP, socket.TCP_KEEPCNT, _KEEP_ALIVE_PROBES))
    if hasattr(socket, "TCP_KEEPIDLE"):
        options.append((socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, _KEEP_ALIVE_S))
    return options


class Connections:
    """Those that are lent to a request, and those that can be used again."""

    def __init__(self, new: Callable[[], Any], *, clock: Callable[[], float] = time.monotonic) -> None:
        """
        :param new: makes a connection, which has `aclose`.
        """
        self._new = new
        self._clock = clock
        self._idle: deque[tuple[Any, float]] = deque()
        self._lent: set[Any] = set()
        self._closed = False

    @property
    def open(self) -> int:
        """How many there are."""
        return len(self._idle) + len(self._lent)

    async def take(self) -> Any:
        """The connection last given back, else a new one."""
        while self._idle and self._idle[0][1] < self._clock() - LONGEST_IDLE_S:
            await self._idle.popleft()[0].aclose()
        connection = self._idle.pop()[0] if self._idle else self._new()
        self._lent.add(connection)
        return connection

    async def give_back(self, connection: Any, *, usable: bool) -> None:
        self._lent.discard(connection)
        if usable and not self._closed:
            self._idle.append((connection, self._clock()))
        else:
            await connection.aclose()

    async def aclose(self) -> None:
        self._closed = True
        connections = [*self._lent, *(connection for connection, _ in self._idle)]
        self._lent.clear()
        self._idle.clear()
        for connection in connections:
            await connection.aclose()


def many_connections(http: ModuleType) -> Any:
    """A transport for as many requests at once as are made.

    :param http: the library that the SDK sits on, httpx or its successor.
    """
    encryption = http.create_ssl_context()  # made once, as it takes longer than a call
    limits = http.Limits(max_connections=1, max_keepalive_connections=1, keepalive_expiry=LONGEST_IDLE_S)
    options = socket_options()

    class Lent(http.AsyncByteStream):  # type: ignore[name-defined, misc]
        """The stream of a response; when it is closed, its connection goes back."""

        def __init__(self, stream: Any, connections: Connections, connection: Any) -> None:
            self._stream = stream
            self._connections = connections
            self._connection = connection
            self._read_to_end = False
            self._closed = False

        async def __aiter__(self) -> AsyncIterator[bytes]:
            async for part in self._stream:
                yield part
            self._read_to_end = True

        async def aclose(self) -> None:
            if self._closed:
                return
            self._closed = True
            usable = False
            try:
                await self._stream.aclose()
                usable = self._read_to_end
            finally:
                await self._connections.give_back(self._connection, usable=usable)

    class ManyConnections(http.AsyncBaseTransport):  # type: ignore[name-defined, misc]
        def __init__(self) -> None:
            self.connections = Connections(
                lambda: http.AsyncHTTPTransport(verify=encryption, limits=limits, socket_options=options)
            )

        async def handle_async_request(self, request: Any) -> Any:
            connection = await self.connections.take()
            try:
                response = await connection.handle_async_request(request)
            except BaseException:
                await self.connections.give_back(connection, usable=False)
                raise
            response.stream = Lent(response.stream, self.connections, connection)
            return response

        async def aclose(self) -> None:
            await self.connections.aclose()

    return ManyConnections()
