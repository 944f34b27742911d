"""What a run shows: counts that go on after a resume, and what must not be overlooked at the end."""

from __future__ import annotations

from pathlib import Path

import pytest
from scripted_run import config_for, reply, run_with

from hierarchical_reasoning.cli.display import Display
from llm_backends import Completion, FinishReason, Request, ScriptedBackend


@pytest.fixture
def display(monkeypatch: pytest.MonkeyPatch) -> Display:
    monkeypatch.setenv("COLUMNS", "120")
    return Display(prompt_verbose=False, thinking_verbose=False)


@pytest.fixture
def on_a_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("TERM", "xterm")


async def resumed(tmp_path: Path, display: Display) -> None:
    """Four problems were done before, of which two are correct, and two are owed, of which one is."""
    await run_with(config_for(tmp_path, n_rows=4))
    with display.progress(2):
        await run_with(config_for(tmp_path, n_rows=6), resume=True, observer=display)


async def test_lines_count_what_was_done_before(
    tmp_path: Path, display: Display, capsys: pytest.CaptureFixture[str]
) -> None:
    await resumed(tmp_path, display)
    assert "6/6 problems: accuracy 50.0 %, " in capsys.readouterr().out


@pytest.mark.usefixtures("on_a_terminal")
async def test_the_bar_counts_what_was_done_before(
    tmp_path: Path, display: Display, capsys: pytest.CaptureFixture[str]
) -> None:
    await resumed(tmp_path, display)
    shown = capsys.readouterr().out
    assert "6/6" in shown
    assert "accuracy 50.0 %" in shown


async def test_a_resumed_run_that_owes_nothing_says_where_its_results_are(
    tmp_path: Path, display: Display, capsys: pytest.CaptureFixture[str]
) -> None:
    first = await run_with(config_for(tmp_path))
    display.end(first)
    assert "seconds, 1 session" in capsys.readouterr().out
    display.end(await run_with(config_for(tmp_path), resume=True))
    shown = capsys.readouterr().out
    assert f"results: {first.path}, from before: nothing was owed\n" in shown
    assert "seconds, " not in shown


async def test_thoughts_that_were_cut_off_are_shown_where_there_are_any(
    tmp_path: Path, display: Display, capsys: pytest.CaptureFixture[str]
) -> None:
    def cut_off(request: Request) -> Completion | str:
        text = reply(request)
        return Completion(text, FinishReason.LENGTH) if text.startswith("Thought") else text

    display.end(await run_with(config_for(tmp_path)))
    assert "cut off" not in capsys.readouterr().out
    display.end(await run_with(config_for(tmp_path), ScriptedBackend(cut_off)))
    (row,) = [
        line for line in capsys.readouterr().out.splitlines() if "cut off (--max_thought_tokens)" in line
    ]
    assert "12" in row
