"""What a training run is told: temperatures, models, and what a resumed run must share."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from fake_reasoner import parts

from hierarchical_reasoning.assets import MODEL
from hierarchical_reasoning.config import RunConfig
from hierarchical_reasoning.errors import ConfigError
from hierarchical_reasoning.journal.file import differences
from hierarchical_reasoning.training.config import GrpoConfig
from hierarchical_reasoning.training.planner.assembly import assemble_training


@pytest.mark.parametrize(
    ("given", "reasoner", "planner"),
    [
        ({}, 0.1, 1.0),
        ({"temperature": 0.7}, 0.7, 0.7),
        ({"planner_temperature": 0.7}, 0.1, 0.7),
        ({"temperature": 0.3, "planner_temperature": 0.7}, 0.3, 0.7),
        ({"planner_model_name": str(MODEL)}, 1.0, 1.0),
        ({"planner_model_name": str(MODEL), "temperature": 0.7}, 0.7, 0.7),
        ({"planner_model_name": str(MODEL), "planner_temperature": 30}, 1.0, 30.0),
    ],
)
def test_one_temperature_is_everyones_unless_the_planner_has_its_own(
    given: dict[str, Any], reasoner: float, planner: float
) -> None:
    config = GrpoConfig(**given)
    assert (config.temperature, config.planner_sampling_temperature) == (reasoner, planner)
    again = GrpoConfig(**config.model_dump())
    assert again == config


def test_the_reasoner_is_what_a_run_with_the_same_words_asks() -> None:
    for given in (
        {},
        {"llm_framework": "together", "name": "some/model"},
        {"name": "gpt"},
        {"vllm_base_url": "http://host:1/v1", "name": "served"},
        {"base_url": "http://host:2/v1", "name": "served", "extra_body": "{}"},
        {"name": str(MODEL)},
    ):
        settings: dict[str, Any] = {**given}
        name = settings.pop("name", "bundled")
        run = RunConfig(model_name=name, **settings)
        training = GrpoConfig(reasoning_model_name=name, **settings)
        assert training.reasoner == run.reasoner
        assert training.n_examples == run.n_examples


def changes(tmp_path: Path, planner_model: Path, **changed: Any) -> list[str]:
    """What a resumed run would be refused for."""
    before, after = parts(tmp_path, planner_model, {}), parts(tmp_path, planner_model, changed)
    return differences(before.settings, after.settings)


def test_a_resumed_run_shares_all_that_can_change_the_weights(tmp_path: Path, planner_model: Path) -> None:
    assert changes(tmp_path, planner_model, max_concurrency=3, reasoner_patience=1, no_cache=True) == []
    assert changes(tmp_path, planner_model, eval_every=3, cache_dir=tmp_path / "other") == []
    assert changes(tmp_path, planner_model, eval_rows=3) == ["eval_rows: 6 before, 3 now"]
    assert changes(tmp_path, planner_model, planner_temperature=0.5) == [
        "planner_temperature: None before, 0.5 now"
    ]
    assert any(line.startswith("n_rows") for line in changes(tmp_path, planner_model, n_rows=4))
    prompts = tmp_path / "prompts"
    prompts.mkdir()
    (prompts / "answer.j2").write_text("Your final answer, please.")
    assert any("prompts_sha256" in line for line in changes(tmp_path, planner_model, prompts_dir=prompts))


def test_the_address_of_a_server_may_change(tmp_path: Path, planner_model: Path) -> None:
    hosted = {"llm_framework": "vllm", "reasoning_model_name": "served"}
    one, other, third = (
        parts(tmp_path, planner_model, {**hosted, **more}).settings
        for more in (
            {"vllm_base_url": "http://127.0.0.1:1/v1"},
            {"vllm_base_url": "http://127.0.0.1:2/v1"},
            {"vllm_base_url": "http://127.0.0.1:2/v1", "extra_body": '{"top_p": 0.5}'},
        )
    )
    assert differences(one, other) == []
    assert differences(one, third) != []


def test_problems_can_be_named(tmp_path: Path, planner_model: Path) -> None:
    made = parts(tmp_path, planner_model, {"sample_id": ("p6", "p1"), "n_rows": 1})
    assert {problem.id for problem in made.problems} == {"p1", "p6"}
    assert len(made.held_out) == 6
    with pytest.raises(ConfigError, match="none is left to measure with"):
        parts(tmp_path, planner_model, {"sample_id": ("p6", "p1"), "eval_file": None})


def test_what_has_no_effect_is_said(tmp_path: Path, planner_model: Path) -> None:
    notes = parts(tmp_path, planner_model, {"requests_per_minute": 9.0, "device": "cpu"}).notes
    assert "--requests_per_minute 9.0 has no effect with --llm_framework local" in notes
    hosted = {"llm_framework": "vllm", "reasoning_model_name": "served", "dtype": "float32", "device": "cpu"}
    notes = parts(tmp_path, planner_model, hosted).notes
    assert "--dtype float32 has no effect with --llm_framework vllm" in notes
    assert not any("--device" in note for note in notes)


def test_a_directory_that_is_no_model_is_said(tmp_path: Path, planner_model: Path) -> None:
    with pytest.raises(ConfigError, match=r"--reasoning_model_name .* is no model folder"):
        assemble_training(
            GrpoConfig(planner_model_name=str(planner_model), reasoning_model_name=str(tmp_path))
        )


def test_examples_of_ones_own_are_shown(tmp_path: Path, planner_model: Path) -> None:
    from fake_reasoner import RIGHT

    file = tmp_path / "examples.json"
    file.write_text(f'{{"{RIGHT}": ["one", "two", "three"]}}')
    made = parts(tmp_path, planner_model, {"examples_file": file, "num_icl_examples": 2})
    assert made.examples == {RIGHT: ("one", "two")}
