from __future__ import annotations

import http.client
import json
import re
import signal
import subprocess
import sys
import time
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llm_backends.scripted_server import Reply, ScriptedServer, tokens_of

_BODY: dict[str, Any] = {"model": "scripted", "messages": [{"role": "user", "content": "hi"}]}


class Client:
    """One kept-alive connection."""

    def __init__(self, server: ScriptedServer) -> None:
        self.connection = http.client.HTTPConnection(
            "127.0.0.1", int(server.address.rpartition(":")[2]), timeout=5
        )

    def __enter__(self) -> Client:
        return self

    def __exit__(self, *_: object) -> None:
        self.connection.close()

    def ask(self, path: str = "/v1/chat/completions", **fields: Any) -> tuple[int, Any]:
        self.connection.request("POST", path, json.dumps(_BODY | fields))
        response = self.connection.getresponse()
        return response.status, json.loads(response.read())

    def get(self, path: str) -> tuple[int, bytes]:
        self.connection.request("GET", path)
        response = self.connection.getresponse()
        return response.status, response.read()


@given(st.text())
def test_tokens_join_to_the_text(text: str) -> None:
    assert "".join(tokens_of(text)) == text


def test_one_connection_serves_many_calls() -> None:
    with ScriptedServer() as server, Client(server) as client:
        for index in range(3):
            status, body = client.ask()
            assert status == 200
            assert body["choices"][0]["message"]["content"] == "scripted reply"
            assert body["id"] == f"chatcmpl-{index}"
        assert len(server._connections) == 1
    assert [call.index for call in server.calls] == [0, 1, 2]
    assert all(call.ended is not None and call.ended >= call.started for call in server.calls)


def test_what_is_served_besides() -> None:
    with ScriptedServer(models=["a", "b"], max_model_len=9) as server, Client(server) as client:
        cards = json.loads(client.get("/v1/models")[1])["data"]
        assert [(card["id"], card["max_model_len"]) for card in cards] == [("a", 9), ("b", 9)]
        assert client.get("/health") == (200, b"")
        assert b"vllm:num_requests_running 0" in client.get("/metrics")[1]
        assert client.get("/v2/nothing")[0] == 404
    assert not server.calls


@pytest.mark.parametrize(
    ("fields", "named"),
    [
        ({"guided_choice": ["a"]}, "guided_choice"),
        ({"top_logprobs": 3}, "logprobs"),
        ({"logprobs": True, "top_logprobs": 21}, "top_logprobs"),
        ({"response_format": {"type": "json"}}, "response_format"),
        ({"response_format": {"type": "json_schema", "json_schema": {"name": "a b", "schema": {}}}}, "name"),
        ({"response_format": {"type": "json_schema", "json_schema": {"name": "a"}}}, "schema"),
        (
            {
                "response_format": {
                    "type": "json_schema",
                    "json_schema": {"name": "a", "strict": True, "schema": {"type": "object"}},
                }
            },
            "additionalProperties",
        ),
        ({"messages": []}, "messages"),
    ],
)
def test_what_is_refused(fields: dict[str, Any], named: str) -> None:
    with ScriptedServer() as server, Client(server) as client:
        status, body = client.ask(**fields)
    assert status == 400
    assert named in body["error"]["message"]
    assert server.calls[0].fault == "refused"


@pytest.mark.parametrize(
    "constraint", [{}, {"choice": []}, {"choice": "a"}, {"choice": ["a"], "json": {}}, {"json": 3}, ["a"]]
)
def test_constraints_of_vllm_that_are_refused(constraint: Any) -> None:
    with ScriptedServer(dialect="vllm") as server, Client(server) as client:
        assert client.ask(structured_outputs=constraint)[0] == 400
        assert client.ask(structured_outputs={"choice": ["a", "b"]})[0] == 200


def test_what_anthropic_refuses() -> None:
    with ScriptedServer() as server, Client(server) as client:
        for fields in (
            {},
            {"max_tokens": 5, "seed": 1},
            {"max_tokens": 5, "messages": [{"role": "system", "content": "x"}]},
            {
                "max_tokens": 5,
                "output_config": {"format": {"type": "json_schema", "schema": {"type": "object"}}},
            },
        ):
            status, body = client.ask("/v1/messages", **fields)
            assert status == 400
            assert body["error"]["type"] == "invalid_request_error"
        assert client.ask("/v1/messages", max_tokens=5)[0] == 200


def test_latency() -> None:
    reply = Reply("one two three", completion_tokens=10)
    with (
        ScriptedServer(lambda call: reply, first_s=0.05, per_token_s=0.01) as server,
        Client(server) as client,
    ):
        started = time.perf_counter()
        client.ask()
        assert 0.15 <= time.perf_counter() - started < 2


def test_the_key_is_not_recorded() -> None:
    with ScriptedServer(key="right") as server, Client(server) as client:
        client.connection.request(
            "POST", "/v1/chat/completions", json.dumps(_BODY), {"Authorization": "Bearer wrong"}
        )
        response = client.connection.getresponse()
        assert response.status == 401
        response.read()
    assert not server.calls[0].key_right
    assert "wrong" not in repr(server.calls[0])


def test_starting_and_stopping() -> None:
    server = ScriptedServer()
    server.start()
    port = int(server.address.rpartition(":")[2])
    with pytest.raises(OSError, match="in use"):
        ScriptedServer(port=port).start()
    server.stop()
    server.stop()
    with pytest.raises(ConnectionRefusedError):
        http.client.HTTPConnection("127.0.0.1", port, timeout=5).connect()


def test_from_a_shell() -> None:
    command = [sys.executable, "-m", "llm_backends.scripted_server", "--port", "0", "--model", "m"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        line = process.stdout.readline()
        assert re.fullmatch(r"http://127\.0\.0\.1:\d+/v1 serves m; Ctrl-C ends it\n", line)
        process.send_signal(signal.SIGINT)
        assert process.stdout.read() == "0 calls, at most 0 at once\n"
        assert process.wait(10) == 0
