"""Settings that one would give for nothing are refused, not passed over."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner
from pydantic import ValidationError

from hierarchical_reasoning.cli.run import run
from hierarchical_reasoning.combinations import check_combinations
from hierarchical_reasoning.config import RunConfig
from hierarchical_reasoning.errors import ConfigError

FIELDS = '{"reasoning_effort": "low"}'
HOSTED = {"llm_framework": "openai", "model_name": "m"}
LOCAL = {"planner_model_name": "bundled", "planner_llm_framework": "local"}


@pytest.mark.parametrize(
    ("settings", "flag"),
    [
        ({"extra_body": FIELDS}, "--extra_body"),
        ({"planner_extra_body": FIELDS}, "--planner_extra_body"),
        ({"high_level_extra_body": FIELDS}, "--high_level_extra_body"),
        ({**HOSTED, **LOCAL, "planner_extra_body": FIELDS}, "--planner_extra_body"),
    ],
)
def test_fields_for_a_server_need_a_server(settings: dict[str, str], flag: str) -> None:
    with pytest.raises(ConfigError, match=rf"^{flag} .* is sent to a server, and .* is local"):
        check_combinations(RunConfig(**settings))  # type: ignore[arg-type]


@pytest.mark.parametrize("settings", [{"extra_body": FIELDS}, {"extra_body": FIELDS, **LOCAL}])
def test_fields_for_a_server_that_is_there_are_taken(settings: dict[str, str]) -> None:
    check_combinations(RunConfig(**HOSTED, **settings))  # type: ignore[arg-type]


@pytest.mark.parametrize("flag", ["--retry_errors", "--no_retry_errors"])
def test_what_a_resumed_run_does_needs_one(flag: str, tmp_path: Path) -> None:
    result = CliRunner().invoke(run, [flag, "--cache_dir", str(tmp_path)])
    assert (result.exit_code, list(tmp_path.iterdir())) == (2, [])
    assert f"{flag} says what a resumed run does; give --resume too" in result.output


def test_samples_have_an_upper_bound() -> None:
    assert RunConfig(samples=10_000).samples == 10_000
    with pytest.raises(ValidationError, match="less than or equal to 10000"):
        RunConfig(samples=10_001)
