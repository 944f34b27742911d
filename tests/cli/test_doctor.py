"""The doctor, against a real server, one that refuses and none."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from hierarchical_reasoning.cli.main import main
from llm_backends.scripted_server import Call, ScriptedServer, first_option

KEY = "sk-planted-0123456789"


@pytest.fixture(autouse=True)
def no_keys(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in (
        "OPENAI_API_KEY",
        "TOGETHER_API_KEY",
        "ANTHROPIC_API_KEY",
        "VLLM_BASE_URL",
        "OPENAI_BASE_URL",
    ):
        monkeypatch.delenv(name, raising=False)


def doctor(tmp_path: Path, *arguments: str) -> Result:
    return CliRunner().invoke(
        main, ["doctor", "--cache_dir", str(tmp_path), "--vllm_base_url", "http://127.0.0.1:9/v1", *arguments]
    )


def color(call: Call) -> str:
    return '{"color": "red"}' if call.schema and "color" in call.schema["properties"] else first_option(call)


def test_a_server_that_works_is_asked_for_a_choice_and_for_json(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    with ScriptedServer(color, models=("m", "n"), key=KEY) as server:
        monkeypatch.setenv("OPENAI_BASE_URL", server.base_url)
        result = doctor(
            tmp_path, "--llm_framework", "openai", "--model_name", "m", "--base_url", server.base_url
        )
        assert len(server.calls) == 2
    lines = result.output
    assert "lists 2 models: m, n" in lines
    assert "choice: 'red'" in lines
    assert 'JSON: {"color": "red"}' in lines
    assert "price unknown" in lines
    assert KEY not in lines
    assert "FAILED vllm" in lines  # an address was given, and nothing is there
    assert result.exit_code == 1


def test_a_wrong_key_and_a_model_that_is_not_there_are_failures(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    with ScriptedServer(models=("m",), key="another key altogether") as server:
        refused = doctor(
            tmp_path,
            *("--llm_framework", "openai", "--model_name", "m", "--base_url", server.base_url),
        )
    assert "FAILED openai m: choice: AuthenticationError" in refused.output
    assert KEY not in refused.output
    with ScriptedServer(models=("m",)) as server:
        absent = doctor(
            tmp_path, "--llm_framework", "openai", "--model_name", "x", "--base_url", server.base_url
        )
    assert "not 'x' (--model_name)" in absent.output
    assert absent.exit_code == refused.exit_code == 1


def test_with_nothing_set_only_what_is_needed_can_fail(tmp_path: Path) -> None:
    result = CliRunner().invoke(main, ["doctor", "--cache_dir", str(tmp_path)])
    assert result.exit_code == 0, result.output
    assert "no key: OPENAI_API_KEY is not set" in result.output
    assert "local bundled: choice" in result.output
