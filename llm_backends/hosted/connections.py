"""Connections to a server, each with a pool of its own.

A pool of httpx looks at every one of its connections when a request comes and again when it has ended; with many in
flight, that is a good part of what a call costs. Here each request takes a pool with a single connection, the one
last used, and gives it back.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from types import ModuleType
from typing import Any


def many_connections(http: ModuleType, **options: Any) -> Any:
    """A transport for as many requests at once as are made.

    :param http: the library that the SDK sits on, httpx or its successor.
    :param options: of its `AsyncHTTPTransport`.
    """
    encryption = http.create_ssl_context()  # made once, as it takes longer than a call

    class Lent(http.AsyncByteStream):  # type: ignore[name-defined, misc]
        """The stream of a response; when it is closed, its connection is free."""

        def __init__(self, stream: Any, give_back: Callable[[], None]) -> None:
            self._stream = stream
            self._give_back = give_back

        async def __aiter__(self) -> AsyncIterator[bytes]:
            async for part in self._stream:
                yield part

        async def aclose(self) -> None:
            try:
                await self._stream.aclose()
            finally:
                self._give_back()

    class ManyConnections(http.AsyncBaseTransport):  # type: ignore[name-defined, misc]
        def __init__(self) -> None:
            self._idle: list[Any] = []
            self._all: list[Any] = []

        async def handle_async_request(self, request: Any) -> Any:
            connection = self._idle.pop() if self._idle else self._new()

            def give_back() -> None:
                self._idle.append(connection)

            try:
                response = await connection.handle_async_request(request)
            except BaseException:
                give_back()
                raise
            response.stream = Lent(response.stream, give_back)
            return response

        def _new(self) -> Any:
            limits = http.Limits(max_connections=1, max_keepalive_connections=1)
            connection = http.AsyncHTTPTransport(verify=encryption, limits=limits, **options)
            self._all.append(connection)
            return connection

        async def aclose(self) -> None:
            for connection in self._all:
                await connection.aclose()

    return ManyConnections()
