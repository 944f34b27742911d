"""The planner's temperature beside the reasoner's, in a run."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from scripted_run import config_for, reply, run_with

from hierarchical_reasoning.assembly import assemble
from hierarchical_reasoning.combinations import check_combinations
from hierarchical_reasoning.errors import ConfigError, ResumeError
from llm_backends import ScriptedBackend


async def temperatures(tmp_path: Path, **settings: Any) -> dict[str, set[float]]:
    """By role, what was asked."""
    backend = ScriptedBackend(reply)
    await run_with(config_for(tmp_path, **settings), backend)
    found: dict[str, set[float]] = {}
    for request in backend.requests:
        found.setdefault(request.role, set()).add(request.sampling.temperature)
    return found


async def test_it_is_the_planners_alone(tmp_path: Path) -> None:
    both = await temperatures(tmp_path, temperature=0.3)
    assert both == {"planner": {0.3}, "reasoner": {0.3}}
    apart = await temperatures(tmp_path, temperature=0.3, planner_temperature=1.1)
    assert apart == {"planner": {1.1}, "reasoner": {0.3}}


async def test_a_run_with_another_one_is_not_resumed(tmp_path: Path) -> None:
    finished = await run_with(config_for(tmp_path, planner_temperature=0.9))
    with pytest.raises(ResumeError, match=r"planner_temperature: 0\.9 before, 0\.5 now"):
        await run_with(config_for(tmp_path, planner_temperature=0.5), resume=finished.journal)
    with pytest.raises(ResumeError, match=r"planner_temperature: 0\.9 before, \(absent\) now"):
        await run_with(config_for(tmp_path), resume=finished.journal)
    await run_with(config_for(tmp_path, planner_temperature=0.9), resume=finished.journal)


def test_without_its_own_a_run_is_the_one_that_it_was_before_there_was_one(tmp_path: Path) -> None:
    plain = config_for(tmp_path).affecting_output()
    assert "planner_temperature" not in plain
    assert config_for(tmp_path, planner_temperature=0.1).affecting_output() == plain


def test_samples_differ_where_the_planner_draws(tmp_path: Path) -> None:
    assemble(config_for(tmp_path, samples=2, temperature=0, planner_temperature=1))
    for still in ({"planner_temperature": 0}, {"planner_temperature": 1, "joint": True}):
        with pytest.raises(ConfigError, match="--samples 2 with --temperature 0"):
            assemble(config_for(tmp_path, samples=2, temperature=0, **still))


def test_where_no_model_plans_it_is_said_to_have_no_effect(tmp_path: Path) -> None:
    for mode in ({"planner": "uniform"}, {"vanilla_baseline": True}, {"joint": True}):
        notes = check_combinations(config_for(tmp_path, planner_temperature=0.9, **mode))
        assert any(note.startswith("--planner_temperature 0.9 has no effect with") for note in notes)
