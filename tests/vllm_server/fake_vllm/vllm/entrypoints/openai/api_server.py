# ruff: noqa: T201 (a server prints its log)
"""Serves what the probe asks for, and misbehaves where ``FAKE_VLLM`` says so.

``FAKE_VLLM`` holds words: die (after a second line of log), slow (never ready), stubborn (ignores SIGTERM),
child (starts one), own-group (the child leads a process group), orphan (dies once ready, its child does not),
no-choice (ignores the constraint), no-chat, closed (503 on /health), mute (logs nothing), model (serves a real
one, by what `served_model` says).
"""

import argparse
import json
import os
import signal
import subprocess
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

MODES = set(os.environ.get("FAKE_VLLM", "").split())
CHILD = "import signal, time; signal.signal(signal.SIGTERM, signal.{}); time.sleep(600)"


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    parser.add_argument("--model", required=True)
    parser.add_argument("--served-model-name", required=True)
    parser.add_argument("--host", required=True)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--max-model-len", type=int, default=2048)
    parser.add_argument("--enforce-eager", action="store_true")
    parser.add_argument("--enable-prompt-tokens-details", action="store_true")
    parser.add_argument("--no-enable-chunked-prefill", action="store_true")
    parser.add_argument("--dtype")
    parser.add_argument("--enable-prefix-caching", action="store_true")
    parser.add_argument("--max-logprobs", type=int)
    return parser.parse_args()


class Handler(BaseHTTPRequestHandler):
    asked: argparse.Namespace

    def do_GET(self) -> None:
        if self.path == "/health":
            self.reply(503 if "closed" in MODES else 200, None)
        elif not self.allowed():
            self.reply(401, {"error": "Unauthorized"})
        elif self.path == "/v1/models":
            entry = {"id": self.asked.served_model_name, "max_model_len": self.asked.max_model_len}
            self.reply(200, {"object": "list", "data": [entry]})
        else:
            self.reply(404, {"error": "no such path"})

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        if not self.allowed():
            self.reply(401, {"error": "Unauthorized"})
        elif body["model"] != self.asked.served_model_name:
            self.reply(404, {"error": f"The model `{body['model']}` does not exist."})
        elif self.path == "/v1/completions":
            self.reply(200, {"choices": [{"text": " end"}]})
        elif "no-chat" in MODES:
            self.reply(400, {"error": "the tokenizer has no chat template"})
        else:
            offered = body["structured_outputs"]["choice"]
            text = "Certainly!" if "no-choice" in MODES else offered[0]
            self.reply(200, {"choices": [{"message": {"content": text}}]})

    def allowed(self) -> bool:
        key = os.environ.get("VLLM_API_KEY")
        return not key or self.headers["Authorization"] == f"Bearer {key}"

    def reply(self, status: int, body: object) -> None:
        data = b"" if body is None else json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, text: str, *values: object) -> None:
        if "mute" not in MODES:
            print("INFO:", text % values, flush=True)


def main() -> None:
    Handler.asked = arguments()
    print("loading", Handler.asked.model, flush=True)
    if "model" in MODES:
        import served_model

        served_model.serve(Handler.asked.model, Handler.asked.served_model_name, Handler.asked.port)
    if "die" in MODES:
        print("\x1b[31mValueError: no such architecture\x1b[0m", file=sys.stderr, flush=True)
        sys.exit(1)
    if "stubborn" in MODES:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
    if "child" in MODES or "orphan" in MODES:
        code = CHILD.format("SIG_IGN" if "stubborn" in MODES else "SIG_DFL")
        own_group = os.setpgrp if "own-group" in MODES else None
        child = subprocess.Popen([sys.executable, "-c", code], preexec_fn=own_group)
        print("child", child.pid, flush=True)
    if "slow" in MODES:
        time.sleep(600)
    print("environment", json.dumps({name: os.environ.get(name) for name in SHOWN}), flush=True)
    server = ThreadingHTTPServer((Handler.asked.host, Handler.asked.port), Handler)
    if "orphan" in MODES:
        threading.Timer(3.0, os._exit, (1,)).start()
    server.serve_forever()


SHOWN = ("CUDA_VISIBLE_DEVICES", "VLLM_CPU_KVCACHE_SPACE", "VLLM_MODEL", "VLLM_BASE_URL")

if __name__ == "__main__":
    main()
