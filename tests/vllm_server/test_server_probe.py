"""What `check` finds out."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llm_backends import BackendError, BadRequestError, ConnectionFailedError
from llm_backends.scripted_server import ScriptedServer, Status
from llm_backends.vllm_server import ServerOptions, check_server, start_server
from llm_backends.vllm_server.probe import ServerProbe
from tests.vllm_server.conftest import CPU_ONLY, Progress


async def steps(base_url: str) -> dict[str, tuple[bool, str]]:
    return {step.name: (step.ok, step.detail) for step in (await check_server(base_url)).steps}


async def test_a_good_server_passes(options: ServerOptions, progress: Progress) -> None:
    server = await start_server("org/model", options, progress, hardware=CPU_ONLY)
    checked = await check_server(server.base_url)
    assert checked.ok
    assert [model.max_model_len for model in checked.models] == [2048]
    assert {step.name: step.detail for step in checked.steps} == {
        "health": "ok",
        "models": "org/model (context 2048)",
        "completion": "one token: ' end'",
        "choice": "chose 'yes' of yes, no",
    }
    await server.stop()


@pytest.mark.parametrize(
    ("mode", "said"),
    [("no-choice", "wrote 'Certainly!'"), ("no-chat", 'status 400: {"error": "the tokenizer has no chat')],
)
async def test_a_server_that_cannot_choose_fails(
    options: ServerOptions, progress: Progress, fake: Callable[[str], None], mode: str, said: str
) -> None:
    fake(mode)
    server = await start_server("org/model", options, progress, hardware=CPU_ONLY)
    checked = await check_server(server.base_url)
    assert [step.ok for step in checked.steps] == [True, True, True, False]
    assert said in checked.steps[-1].detail
    assert not checked.ok
    await server.stop()


async def test_a_key_is_sent(
    options: ServerOptions, progress: Progress, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("VLLM_API_KEY", "a-key")
    server = await start_server("org/model", options, progress, hardware=CPU_ONLY)
    assert (await check_server(server.base_url)).ok
    refused = await check_server(server.base_url, api_key="another-key")
    assert "VLLM_API_KEY" in refused.steps[-1].detail
    assert "key" not in "".join(refused.steps[-1].detail.split("VLLM_API_KEY")[0])
    assert "a-key" not in server.record.model_dump_json()
    await server.stop()


@pytest.mark.parametrize("before", [0, 260], ids=["in full", "where it is shortened"])
async def test_a_server_that_shows_the_key(before: int) -> None:
    key = "sk-probe-0123456789"
    fault = Status(400, f"{'.' * before}Bearer {key}")
    with ScriptedServer(models_fault=fault) as server, pytest.raises(BackendError, match="400") as caught:
        await ServerProbe(server.base_url, api_key=key).models()
    assert "Bearer" in str(caught.value)
    assert "sk-" not in str(caught.value)


async def test_nothing_there(port: int) -> None:
    (step,) = (await check_server(f"http://127.0.0.1:{port}/v1")).steps
    assert (step.name, step.ok) == ("health", False)
    assert "cannot be reached" in step.detail


async def test_no_proxy_is_asked_for_a_server_on_this_machine(
    port: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy"):
        monkeypatch.setenv(name, "http://203.0.113.1:3128")  # the test suite refuses to connect there
    with pytest.raises(ConnectionFailedError):
        await ServerProbe(f"http://localhost:{port}").health()


@pytest.mark.parametrize("url", ["http://h:1", "http://h:1/", "http://h:1/v1", "http://h:1/v1/"])
def test_with_and_without_the_version(url: str) -> None:
    assert ServerProbe(url).base_url == "http://h:1/v1"


@pytest.mark.parametrize(
    "url",
    [
        "localhost:8000",
        "ftp://h/v1",
        "http:///v1",
        "",
        "http://[::1/v1",
        "http://h:x/v1",
        "http://h/\u00e9",
        "http://h /v1",
        "http://h:0/v1",
        "http://user:secret@h/v1",
    ],
)
def test_what_is_no_url_is_refused(url: str) -> None:
    with pytest.raises(BadRequestError, match="--base_url"):
        ServerProbe(url)


@given(st.text() | st.text().map("http://{}".format))
def test_any_text_is_a_url_or_refused(text: str) -> None:
    try:
        url = ServerProbe(text).base_url
    except BadRequestError:
        return
    assert url.startswith(("http://", "https://"))
    assert url.endswith("/v1")
