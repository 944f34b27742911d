"""Our commands against vLLM itself."""

from __future__ import annotations

import asyncio
import json

from hierarchical_reasoning.assets import MODEL
from llm_backends.vllm_server import check_server
from llm_backends.vllm_server.probe import ServerProbe
from tests.real_vllm.conftest import Server


def test_check_passes(server: Server) -> None:
    done = server.command("check_vllm_server", "--port", str(server.port))
    assert done.returncode == 0, done.stdout + done.stderr
    assert f"ours: port {server.port}  running  sample-model" in done.stdout


async def test_it_serves_the_whole_context(server: Server) -> None:
    checked = await check_server(server.base_url)
    own = json.loads((MODEL / "config.json").read_text())["max_position_embeddings"]
    assert [(model.name, model.max_model_len) for model in checked.models] == [("sample-model", own)]


async def test_choices_are_always_among_those_offered(server: Server) -> None:
    probe = ServerProbe(server.base_url, timeout_s=60.0)
    offers = [
        ("Addition and Constant Addition", "Finish thinking"),
        ("A", "AB", "ABC"),
        ('with "quotes"', "with\nlines", "naïve"),
    ]
    chosen = await asyncio.gather(*(probe.choose(server.model, offer) for offer in offers * 3))
    for i, choice in enumerate(chosen):
        assert choice in offers[i % 3]


def test_the_port_is_known_to_be_ours(server: Server) -> None:
    done = server.command("start_vllm_server", "--model", str(MODEL), "--port", str(server.port))
    assert done.returncode == 2
    assert "in use by a server that we started (sample-model" in done.stderr
