"""The bundled model: what it is, that it fits today's prompts, and that it does what the model card says."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from hierarchical_reasoning.assembly import assemble
from hierarchical_reasoning.assets import MODEL, TAXONOMY
from hierarchical_reasoning.backends import make_backends
from hierarchical_reasoning.config import RunConfig
from hierarchical_reasoning.observer import Observer
from hierarchical_reasoning.outcomes import Outcome
from hierarchical_reasoning.results.records import ResultEntry, ResultsFile
from hierarchical_reasoning.runner import execute, open_journal
from taxonomy import load_taxonomy


async def results_of(tmp_path: Path, **settings: Any) -> ResultsFile:
    config = RunConfig(cache_dir=tmp_path, no_cache=True, **settings)
    run = assemble(config)
    journal, _ = open_journal(run, resume=False)
    with journal:
        async with make_backends(config) as backends:
            finished = await execute(run, backends, journal, Observer())
    return finished.results


def what_was_said(entry: ResultEntry) -> dict[str, Any]:
    """An entry without what depends on time and on what lay in the cache."""
    dumped = entry.model_dump(mode="json", exclude={"seconds", "memory", "usage"})
    for step in dumped["steps"]:
        step.pop("planner_usage")
        step.pop("reasoner_usage")
        step.pop("planner_probabilities")
    return dumped


def probabilities(results: ResultsFile) -> list[float]:
    steps = [step for entry in results.results for step in entry.steps]
    return [p for step in steps for p in (step.planner_probabilities or {}).values()]


def test_it_is_small_and_a_standard_architecture() -> None:
    size = sum(path.stat().st_size for path in MODEL.iterdir())
    config = json.loads((MODEL / "config.json").read_text())
    assert size <= 12 * 2**20
    assert config["architectures"] == ["LlamaForCausalLM"]
    assert (MODEL / "chat_template.jinja").is_file()
    assert (MODEL / "README.md").is_file()


@pytest.mark.model
def test_it_was_trained_on_todays_prompts_tasks_and_taxonomy() -> None:
    from hierarchical_reasoning.sample_tasks.lessons import LessonMaker, lessons_sha256

    trained_on = json.loads((MODEL / "training.json").read_text())["lessons_sha256"]
    assert lessons_sha256(LessonMaker(load_taxonomy(TAXONOMY))) == trained_on, (
        "prompts, sample tasks or the taxonomy have changed since the bundled model was trained; "
        "train it again: python -m hierarchical_reasoning.sample_tasks model"
    )


@pytest.mark.model
async def test_with_the_teacher_it_does_what_the_thought_type_says(tmp_path: Path) -> None:
    results = await results_of(tmp_path, planner="teacher", n_rows=40, max_concurrency=40)
    assert results.summary.accuracy.correct >= 31  # 31 of 40 is the 1 % quantile at an accuracy of 90 %


@pytest.mark.model
@pytest.mark.parametrize(
    "settings",
    [
        {"vanilla_baseline": True},
        {"planner": "untyped"},
        {"label_level": 0},
        {"label_level": 6},
        {"prompt_style": "single"},
    ],
    ids=["vanilla", "untyped", "level 0", "level 6", "single"],
)
async def test_it_plays_every_part(tmp_path: Path, settings: dict[str, Any]) -> None:
    results = await results_of(tmp_path, n_rows=24, max_concurrency=24, **settings)
    assert results.summary.outcomes[Outcome.ERROR] == 0
    assert results.summary.accuracy.correct >= 4
    assert all(entry.extracted_answer is not None for entry in results.results)


@pytest.mark.model
async def test_the_number_of_problems_in_flight_changes_nothing(tmp_path: Path) -> None:
    one = await results_of(tmp_path, n_rows=7, max_concurrency=1, temperature=0.7)
    many = await results_of(tmp_path, n_rows=7, max_concurrency=16, temperature=0.7)
    assert [what_was_said(e) for e in one.results] == [what_was_said(e) for e in many.results]
    assert probabilities(one) == pytest.approx(probabilities(many), abs=1e-5)


@pytest.mark.model
async def test_planner_probabilities_sum_to_one_over_the_options(tmp_path: Path) -> None:
    results = await results_of(tmp_path, n_rows=3)
    steps = [step for entry in results.results for step in entry.steps if step.planner_probabilities]
    assert steps
    for step in steps:
        assert step.planner_probabilities is not None
        assert len(step.planner_probabilities) == 8
        assert sum(step.planner_probabilities.values()) == pytest.approx(1.0, abs=1e-5)
