"""A vLLM server as far as training needs one, with a real model behind it: streams by token ids, and other weights."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from anyio.from_thread import BlockingPortal, start_blocking_portal

from llm_backends.local import LocalBackend, LocalTokenSampler
from llm_backends.token_streams import StreamSettings, TokenStream


@dataclass
class ServedModel:
    """What it serves, how it misbehaves, and what it was asked."""

    folder: str
    names: tuple[str, ...] = ("served",)
    develops: bool = True
    """Weights can be reloaded."""
    keeps: bool = False
    """It says that it took weights, and did not, as vLLM 0.32 does on a CPU."""
    dies_after: int | None = None
    """Completions, after which it answers none."""
    base_url: str = ""
    reloads: int = 0
    completions: int = 0
    calls: list[str] = field(default_factory=list)
    _portal: BlockingPortal = field(init=False)
    _backend: LocalBackend = field(init=False)

    def answer(self, path: str, body: Any) -> tuple[int, Any]:
        self.calls.append(path)
        if path == "/v1/models":
            return 200, {"data": [{"id": name, "max_model_len": 4096} for name in self.names]}
        if path == "/v1/completions":
            self.completions += 1
            if self.dies_after is not None and self.completions > self.dies_after:
                return 503, {"error": {"message": "the engine is gone"}}
            return 200, {"choices": [self._choice(body)]}
        if not self.develops:
            return 404, {"detail": "Not Found"}
        if path == "/collective_rpc" and not self.keeps:
            self._load(body["kwargs"]["weights_path"])
            self.reloads += 1
        return 200, {"success": True}

    @contextmanager
    def loaded(self) -> Iterator[None]:
        with start_blocking_portal() as portal:
            self._portal = portal
            self._backend = LocalBackend(self.folder, dtype="float32", device="cpu")
            try:
                yield
            finally:
                portal.call(self._backend.aclose)

    def _load(self, folder: str) -> None:
        self._portal.call(self._backend.aclose)
        self._backend = LocalBackend(folder, dtype="float32", device="cpu")

    def _choice(self, body: dict[str, Any]) -> dict[str, Any]:
        names = ("temperature", "top_p", "top_k", "repetition_penalty")
        settings = StreamSettings(**{name: body[name] for name in names}, n_top=body["logprobs"])
        sampler = LocalTokenSampler(self._backend)
        assert set(body["stop_token_ids"]) == sampler.end_ids

        async def draw() -> TokenStream:
            return await sampler.draw(
                body["prompt"], settings, seed=body["seed"], max_new_tokens=body["max_tokens"]
            )

        stream = self._portal.call(draw)
        tops = [{f"token_id:{token}": log_prob for token, log_prob in top} for top in stream.top]
        return {
            "finish_reason": "stop" if stream.ended else "length",
            "token_ids": list(stream.tokens),
            "logprobs": {"token_logprobs": list(stream.log_probs), "top_logprobs": tops},
        }


@contextmanager
def http_server(served: ServedModel, port: int = 0) -> Iterator[ThreadingHTTPServer]:
    """Bound to its port, with the model loaded; it is the caller's to run it."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self._reply(*((200, None) if self.path == "/health" else served.answer(self.path, None)))

        def do_POST(self) -> None:
            length = int(self.headers.get("content-length") or 0)
            self._reply(
                *served.answer(self.path.partition("?")[0], json.loads(self.rfile.read(length) or "null"))
            )

        def _reply(self, status: int, answer: Any) -> None:
            written = b"" if answer is None else json.dumps(answer).encode()
            self.send_response(status)
            self.send_header("content-type", "application/json")
            self.send_header("content-length", str(len(written)))
            self.end_headers()
            self.wfile.write(written)

        def log_message(self, *_: object) -> None:
            pass

    class Server(ThreadingHTTPServer):
        daemon_threads = True
        request_queue_size = 256

    with served.loaded(), Server(("127.0.0.1", port), Handler) as http:
        served.base_url = f"http://127.0.0.1:{http.server_address[1]}/v1"
        yield http


@contextmanager
def running(served: ServedModel) -> Iterator[ServedModel]:
    """In a thread of this process."""
    with http_server(served) as http:
        thread = threading.Thread(target=http.serve_forever, daemon=True)
        thread.start()
        try:
            yield served
        finally:
            http.shutdown()
            thread.join()


def serve(folder: str, name: str, port: int) -> None:
    """As the whole of a process."""
    with http_server(ServedModel(folder, (name,)), port) as http:
        print("serving", Path(folder).name, flush=True)  # noqa: T201 (its log)
        http.serve_forever()
