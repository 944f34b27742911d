"""``--top_p``: of the reasoner's draws, and in a run's settings only where it is not 1."""

from __future__ import annotations

from pathlib import Path

import pytest
from pydantic import ValidationError
from scripted_run import config_for, reply, run_with

from hierarchical_reasoning.config import RunConfig
from llm_backends import Request, ScriptedBackend


@pytest.mark.parametrize("vanilla", [True, False])
async def test_the_reasoner_draws_with_it_and_the_planner_does_not(tmp_path: Path, vanilla: bool) -> None:
    asked: list[Request] = []

    def remember(request: Request) -> str:
        asked.append(request)
        return reply(request)

    config = config_for(tmp_path, top_p=0.8, vanilla_baseline=vanilla, n_rows=2)
    await run_with(config, ScriptedBackend(remember))
    drawn = {request.role: request.sampling.top_p for request in asked}
    assert drawn == ({"reasoner": 0.8} if vanilla else {"reasoner": 0.8, "planner": 1.0})


def test_a_run_without_it_has_the_settings_of_those_before_it_was_there() -> None:
    assert "top_p" not in RunConfig().affecting_output()
    assert RunConfig(top_p=0.8).affecting_output()["top_p"] == 0.8


@pytest.mark.parametrize("top_p", [0.0, 1.1, float("nan")])
def test_it_lies_above_0_and_up_to_1(top_p: float) -> None:
    with pytest.raises(ValidationError, match="top_p"):
        RunConfig(top_p=top_p)
