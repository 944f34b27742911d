"""A vLLM server as far as streams of tokens need one: completions by token ids, and weights that can be reloaded."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


def choice(tokens: list[int], reason: str = "stop") -> dict[str, Any]:
    """One whose every token had the probability 1/2, and an alternative."""
    return {
        "finish_reason": reason,
        "token_ids": tokens,
        "logprobs": {
            "token_logprobs": [-0.7] * len(tokens),
            "top_logprobs": [{f"token_id:{token}": -0.7, "token_id:99": -0.8} for token in tokens],
        },
    }


@dataclass
class CompletionsServer:
    """What it is told to do, and what it was asked."""

    reply: dict[str, Any] = field(default_factory=lambda: {"choices": [choice([5, 6, 1])]})
    failures: int = 0
    """Completions that fail first, as those of a server that is overloaded."""
    adapts: bool = True
    develops: bool = True
    """Weights can be reloaded."""
    forgets: bool = True
    """Its prefix cache can be reset."""
    base_url: str = ""
    calls: list[tuple[str, Any]] = field(default_factory=list)

    def answer(self, path: str, body: Any) -> tuple[int, Any]:
        self.calls.append((path, body))
        if path == "/v1/completions":
            return self._completion(body)
        if not self.develops:
            return 404, {"detail": "Not Found"}
        return 200, {"success": self.forgets} if path == "/reset_prefix_cache" else {"results": [None]}

    def _completion(self, body: Any) -> tuple[int, Any]:
        if self.failures:
            self.failures -= 1
            return 503, {"error": {"message": "overloaded"}}
        if self.adapts and isinstance(body.get("vllm_xargs", {}).get("hr_adaptive_temperature", []), str):
            return 400, {"error": {"message": "hr_adaptive_temperature is '?'"}}
        return 200, self.reply


@contextmanager
def running(server: CompletionsServer) -> Iterator[CompletionsServer]:
    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            length = int(self.headers.get("content-length") or 0)
            status, answer = server.answer(self.path, json.loads(self.rfile.read(length) or "null"))
            written = json.dumps(answer).encode()
            self.send_response(status)
            self.send_header("content-type", "application/json")
            self.send_header("content-length", str(len(written)))
            self.end_headers()
            self.wfile.write(written)

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as http:
        http.daemon_threads = True
        server.base_url = f"http://127.0.0.1:{http.server_address[1]}/v1"
        thread = threading.Thread(target=http.serve_forever, daemon=True)
        thread.start()
        try:
            yield server
        finally:
            http.shutdown()
            thread.join()
