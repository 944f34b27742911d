"""A server on this machine that speaks the protocols of OpenAI, vLLM, Together and Anthropic and replies what it
was told to.

It runs in a thread of its own, records every call, takes as long as it was told to, and fails where it was told to.
Formats are checked as the real servers do, so that a request that passes here has a chance there. Its tokens are
words.
"""

from __future__ import annotations

import asyncio
import json
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from types import TracebackType
from typing import Any

from typing_extensions import Self

from llm_backends.scripted_server.dialects import error_body, models_body, reply_body, too_long, unknown_model
from llm_backends.scripted_server.embeddings import Embedded, check_embeddings, embeddings_body
from llm_backends.scripted_server.formats import RefusedError, check_body
from llm_backends.scripted_server.http11 import HttpAnswer, HttpConnection, HttpRequest
from llm_backends.scripted_server.replies import (
    Answer,
    Call,
    Dialect,
    Fault,
    Raw,
    Reply,
    ReplyFunction,
    Reset,
    Stall,
    Status,
    Truncated,
    first_option,
    tokens_of,
)

_KEY_HEADERS = ("authorization", "x-api-key")
_EMBEDDINGS = "/embeddings"
_METRICS = "# TYPE vllm:num_requests_running gauge\nvllm:num_requests_running {running}\n"


class ScriptedServer:
    """The server; a context manager, or `start` and `stop`.

    Chat completions are answered at `/v1/chat/completions`, Anthropic's messages at `/v1/messages`, embeddings at
    `/v1/embeddings`; besides there are `/v1/models`, `/health` and `/metrics`.
    """

    def __init__(
        self,
        reply: ReplyFunction = first_option,
        *,
        dialect: Dialect = "openai",
        models: Sequence[str] = ("scripted",),
        faults: Mapping[int, Fault] | None = None,
        models_fault: Status | None = None,
        key: str | None = None,
        first_s: float = 0.0,
        per_token_s: float = 0.0,
        max_model_len: int = 1_000_000,
        port: int = 0,
    ) -> None:
        """
        :param reply: what to answer; it runs in the server's thread.
        :param dialect: whose fields are taken, and whose words errors have. Anthropic's messages have their own.
        :param models: those that are served; any other is a 404.
        :param faults: what to do instead of replying, by number of the call, counted from 0.
        :param models_fault: what to answer instead of listing the models.
        :param key: calls with another are refused with 401; None takes any.
        :param first_s: seconds before the first token of a reply.
        :param per_token_s: seconds for each of its tokens.
        :param max_model_len: tokens of prompt and reply together; a longer prompt is refused, a reply is cut.
        :param port: on 127.0.0.1; 0 takes any that is free.
        """
        self.calls: list[Call] = []
        """Every call that asked for a reply, oldest first."""
        self.max_in_flight = 0
        """Most calls that were in flight at once."""
        self.models = tuple(models)
        self.faults = dict(faults or {})
        self.reply = reply
        self._dialect = dialect
        self._models_fault = models_fault
        self._key = key
        self._first_s = first_s
        self._per_token_s = per_token_s
        self._max_model_len = max_model_len
        self._port = port
        self._in_flight = 0
        self._connections: set[HttpConnection] = set()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._stopping: asyncio.Event | None = None
        self._started = threading.Event()
        self._failure: OSError | None = None
        self._thread: threading.Thread | None = None

    @property
    def address(self) -> str:
        """Without a path: what Anthropic's and Together's clients take."""
        return f"http://127.0.0.1:{self._port}"

    @property
    def base_url(self) -> str:
        """With `/v1`: what OpenAI's client takes."""
        return f"{self.address}/v1"

    def start(self) -> None:
        """:raises OSError: the port is taken."""
        self._thread = threading.Thread(
            target=lambda: asyncio.run(self._run()), name="scripted-server", daemon=True
        )
        self._thread.start()
        self._started.wait()
        if self._failure is not None:
            self._thread.join()
            raise self._failure

    def stop(self) -> None:
        """Close every connection and end the thread; calling it twice is fine."""
        if self._thread is None or not self._thread.is_alive():
            return
        assert self._loop is not None
        assert self._stopping is not None
        self._loop.call_soon_threadsafe(self._stopping.set)
        self._thread.join()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.stop()

    async def _run(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._stopping = asyncio.Event()
        try:
            server = await self._loop.create_server(
                lambda: HttpConnection(self._answer, self._connections), "127.0.0.1", self._port, backlog=1024
            )
        except OSError as error:
            self._failure = error
            self._started.set()
            return
        self._port = server.sockets[0].getsockname()[1]
        self._started.set()
        await self._stopping.wait()
        server.close()
        for connection in tuple(self._connections):
            connection.abort()
        await asyncio.sleep(0)

    async def _answer(self, request: HttpRequest) -> HttpAnswer:
        path = request.path.removeprefix("/v1")
        if request.method == "POST" and path in ("/chat/completions", "/messages", _EMBEDDINGS):
            return await self._answer_call(request, "anthropic" if path == "/messages" else self._dialect)
        if path == "/models" and self._models_fault is not None:
            return self._failure_of(self._models_fault, self._dialect)
        if path == "/models":
            return HttpAnswer.of_json(200, models_body(self.models, self._max_model_len))
        if path == "/health":
            return HttpAnswer(200, b"")
        if path == "/metrics":
            return HttpAnswer(
                200, _METRICS.format(running=self._in_flight).encode(), content_type="text/plain"
            )
        return HttpAnswer.of_json(404, {"detail": "Not Found"})

    async def _answer_call(self, request: HttpRequest, dialect: Dialect) -> HttpAnswer:
        call = Call(
            index=len(self.calls),
            path=request.path,
            body=json.loads(request.body),
            headers={name: value for name, value in request.headers.items() if name not in _KEY_HEADERS},
            key_right=self._key is None or self._key == _key_in(request.headers),
            started=time.perf_counter(),
        )
        self.calls.append(call)
        self._in_flight += 1
        self.max_in_flight = max(self.max_in_flight, self._in_flight)
        try:
            return await self._answer_in_time(call, dialect)
        except asyncio.CancelledError:
            call.fault = "disconnected"
            raise
        finally:
            self._in_flight -= 1
            call.ended = time.perf_counter()

    async def _answer_in_time(self, call: Call, dialect: Dialect) -> HttpAnswer:
        fault = self.faults.get(call.index)
        answer: Answer | Embedded = (
            self._checked(call, dialect) if fault is None or isinstance(fault, Stall) else fault
        )
        if isinstance(fault, Stall):
            call.fault = "Stall"
            await asyncio.sleep(fault.seconds)
        if isinstance(answer, Stall):
            await asyncio.sleep(answer.seconds)
            answer = first_option(call)
        if isinstance(answer, Embedded):
            return HttpAnswer.of_json(200, answer.body)
        if not isinstance(answer, (str, Reply)) and call.fault is None:
            call.fault = type(answer).__name__
        if isinstance(answer, Status):
            return self._failure_of(answer, dialect)
        if isinstance(answer, Reset):
            return HttpAnswer(0, b"", reset=True)
        if isinstance(answer, Raw):
            return HttpAnswer(200, answer.body, content_type=answer.content_type)
        usual = first_option(call) if isinstance(answer, Truncated) else answer
        reply = Reply(usual) if isinstance(usual, str) else usual
        prompt_tokens = _prompt_tokens(call) if reply.prompt_tokens is None else reply.prompt_tokens
        reply = _within_limits(reply, call.body, self._max_model_len - prompt_tokens)
        completion_tokens = _completion_tokens(reply)
        await asyncio.sleep(self._first_s + self._per_token_s * completion_tokens)
        body = reply_body(dialect, call, reply, prompt_tokens, completion_tokens)
        return replace(HttpAnswer.of_json(200, body), cut_short=isinstance(answer, Truncated))

    @staticmethod
    def _failure_of(status: Status, dialect: Dialect) -> HttpAnswer:
        body = error_body(dialect, status.code, status.message, status.error_code, status.param)
        return HttpAnswer.of_json(status.code, body, status.headers)

    def _checked(self, call: Call, dialect: Dialect) -> Answer | Embedded:
        """The reply to a request that is right, or the refusal of one that is not."""
        if not call.key_right:
            call.fault = "refused"
            return Status(401, "Incorrect API key provided.", "invalid_api_key")
        embeds = call.path.endswith(_EMBEDDINGS)
        try:
            check_embeddings(call.body) if embeds else check_body(dialect, call.body)
        except RefusedError as refusal:
            call.fault = "refused"
            return Status(400, str(refusal), refusal.code, refusal.param)
        if call.body.get("model") not in self.models:
            call.fault = "refused"
            return Status(404, *unknown_model(dialect, str(call.body.get("model"))), param="model")
        if embeds:
            return Embedded(embeddings_body(call.body))
        prompt_tokens = _prompt_tokens(call)
        if prompt_tokens >= self._max_model_len:
            call.fault = "refused"
            return Status(*too_long(dialect, prompt_tokens, self._max_model_len))
        return self.reply(call)


def _key_in(headers: Mapping[str, str]) -> str:
    return headers.get("x-api-key") or headers.get("authorization", "").removeprefix("Bearer ")


def _prompt_tokens(call: Call) -> int:
    return sum(len(tokens_of(text)) for _, text in call.messages)


def _completion_tokens(reply: Reply) -> int:
    if reply.completion_tokens is not None:
        return reply.completion_tokens
    written = len(tokens_of(reply.text or "")) + len(tokens_of(reply.reasoning or ""))
    return written + (reply.finish_reason != "length")


def _within_limits(reply: Reply, body: Mapping[str, Any], room: int) -> Reply:
    """The reply up to its first stop string, and no longer than the request and the context allow."""
    text = reply.text
    if not text:
        return reply
    stops = body.get("stop") or body.get("stop_sequences") or ()
    for stop in (stops,) if isinstance(stops, str) else stops:
        text = text.partition(stop)[0]
    asked = body.get("max_completion_tokens") or body.get("max_tokens") or room
    tokens = tokens_of(text)
    if len(tokens) > min(asked, room):
        return replace(reply, text="".join(tokens[: min(asked, room)]), finish_reason="length", logprobs=None)
    return replace(reply, text=text)
