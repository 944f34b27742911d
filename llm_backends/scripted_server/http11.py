"""As much HTTP/1.1 as the scripted server needs: requests with a Content-Length, answers with one, keep-alive.

Left out on purpose: chunked bodies, pipelining, TLS.
"""

from __future__ import annotations

import asyncio
import http
import json
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field

_END_OF_HEAD = b"\r\n\r\n"


@dataclass(frozen=True)
class HttpRequest:
    method: str
    path: str
    headers: Mapping[str, str]
    """Names in lower case."""
    body: bytes


@dataclass(frozen=True)
class HttpAnswer:
    status: int
    body: bytes
    headers: Mapping[str, str] = field(default_factory=dict)
    content_type: str = "application/json"
    reset: bool = False
    """Send nothing, and reset the connection."""
    cut_short: bool = False
    """Send half of the body, then close the connection."""

    @classmethod
    def of_json(cls, status: int, data: object, headers: Mapping[str, str] | None = None) -> HttpAnswer:
        return cls(status, json.dumps(data).encode(), headers or {})

    def encoded(self) -> bytes:
        lines = [
            f"HTTP/1.1 {self.status} {_phrase(self.status)}",
            f"Content-Type: {self.content_type}",
            f"Content-Length: {len(self.body)}",
            *(f"{name}: {value}" for name, value in self.headers.items()),
        ]
        body = self.body[: len(self.body) // 2] if self.cut_short else self.body
        return "\r\n".join(lines).encode("latin-1") + _END_OF_HEAD + body


class HttpConnection(asyncio.Protocol):
    """One client's connection: each request is handed to `answer`, whose task is cancelled when the client goes."""

    def __init__(
        self, answer: Callable[[HttpRequest], Awaitable[HttpAnswer]], open_connections: set[HttpConnection]
    ) -> None:
        self._answer = answer
        self._open = open_connections
        self._buffer = b""
        self._task: asyncio.Task[None] | None = None
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        self._open.add(self)

    def connection_lost(self, exc: Exception | None) -> None:
        self._open.discard(self)
        if self._task is not None:
            self._task.cancel()

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        self._next_request()

    def abort(self) -> None:
        if self._transport is not None:
            self._transport.abort()

    def _next_request(self) -> None:
        if self._task is not None or _END_OF_HEAD not in self._buffer:
            return
        head, _, rest = self._buffer.partition(_END_OF_HEAD)
        first, *lines = head.decode("latin-1").split("\r\n")
        method, path, _ = first.split(" ", 2)
        headers = {
            name.strip().lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)
        }
        length = int(headers.get("content-length", "0"))
        if len(rest) < length:
            return
        self._buffer = rest[length:]
        request = HttpRequest(method, path.partition("?")[0], headers, rest[:length])
        self._task = asyncio.get_running_loop().create_task(self._serve(request))

    async def _serve(self, request: HttpRequest) -> None:
        answer = await self._answer(request)
        assert self._transport is not None
        if answer.reset:
            self._transport.abort()
            return
        self._transport.write(answer.encoded())
        if answer.cut_short:
            self._transport.close()
            return
        self._task = None
        self._next_request()


def _phrase(status: int) -> str:
    try:
        return http.HTTPStatus(status).phrase
    except ValueError:
        return "Unknown"
