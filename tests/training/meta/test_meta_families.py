"""Which families are trained on and which is not seen, and what a user is told who names others."""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

import pytest
import torch

from hierarchical_reasoning.errors import ConfigError
from hierarchical_reasoning.training.meta.config import MetaConfig, check_meta
from hierarchical_reasoning.training.meta.families import read_families
from hierarchical_reasoning.training.meta.head import auc_of, path_rewards
from hierarchical_reasoning.training.meta.rollouts import Answer
from hierarchical_reasoning.training.meta.subject import batches, check_enough

SMALL: dict[str, Any] = {"n_train": 3, "n_support": 2, "n_test": 2}


@pytest.fixture
def family_file(tmp_path: Path) -> Path:
    path = tmp_path / "problems.jsonl"
    rows = [
        {"id": f"{topic}-{i}", "prompt": f"{topic} {i}?", "answer": str(i), "topic": topic, "how": "so"}
        for topic in ("algebra", "geometry", "logic")
        for i in range(6)
    ]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def test_sample_problems_are_of_families_that_there_is_something_to_learn_from() -> None:
    unknown = read_families(MetaConfig(**SMALL))
    assert (list(unknown.train), unknown.unseen) == (["average", "remainder", "comparison"], "unit_price")
    found = read_families(MetaConfig(learn_from="drawn", **SMALL))
    assert list(found.train) == ["expression", "equation", "story"]
    assert {len(members) for members in found.train.values()} == {3}
    assert (found.unseen, len(found.support), len(found.test)) == ("ratio", 2, 2)
    texts = [problem.text for problem in found.everything()]
    assert len(set(texts)) == len(texts)


def test_a_file_is_divided_by_a_field_and_the_seed_draws_the_order(family_file: Path) -> None:
    def read(seed: int) -> Any:
        return read_families(
            MetaConfig(data_file=family_file, family_field="topic", unseen="logic", seed=seed, **SMALL)
        )

    found = read(1)
    assert list(found.train) == ["algebra", "geometry"]
    assert all(problem.id.startswith("algebra") for problem in found.train["algebra"])
    assert not {problem.id for problem in found.support} & {problem.id for problem in found.test}
    assert found.support == read(1).support
    assert any(found.support != read(seed).support for seed in (2, 3, 4))


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"unseen": "chess"}, r"--unseen 'chess'.*algebra \(6\), geometry \(6\), logic \(6\)"),
        ({"unseen": "logic", "families": ("algebra", "arts")}, r"--families 'arts'.*geometry \(6\)"),
        ({}, r"--unseen is not given; name a family.*logic \(6\)"),
        ({"unseen": "logic", "families": ("algebra",)}, "2 or more"),
        ({"unseen": "logic", "families": ("algebra", "logic")}, "must be another"),
        ({"unseen": "logic", "families": ("algebra", "algebra", "geometry")}, "names 'algebra' twice"),
        ({"unseen": "logic", "n_train": 7}, "algebra has 6 problems, and --n_train is 7"),
        ({"unseen": "logic", "n_test": 5}, "logic has 6 problems, and --n_support"),
        ({"unseen": "logic", "solution_field": "why"}, "no text in the field 'why'; its fields are .*how"),
        ({"unseen": "logic", "family_field": "subject"}, "no text in the field 'subject'"),
        ({"unseen": "logic", "family_field": None}, "no category.*--family_field"),
    ],
)
def test_what_cannot_be_used_is_told(family_file: Path, settings: dict[str, Any], said: str) -> None:
    given = {"data_file": family_file, "family_field": "topic", **SMALL, **settings}
    with pytest.raises(ConfigError, match=said):
        read_families(MetaConfig(**given))


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"unseen": "fractions"}, "--unseen 'fractions'.*average"),
        ({"families": ("expression", "fractions")}, "--families 'fractions'"),
        ({"family_field": "topic"}, "goes with a --data_file"),
    ],
)
def test_so_it_is_with_sample_problems(settings: dict[str, Any], said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        read_families(MetaConfig(**SMALL, **settings))


def test_settings_without_effect_are_noted_and_contradictions_refused() -> None:
    assert check_meta(MetaConfig()) == ()
    notes = check_meta(MetaConfig(meta_algorithm="maml", meta_lr=0.5, n_models=3))
    assert check_meta(MetaConfig(num_rollouts_per_prompt=2)) == (
        "--num_rollouts_per_prompt 2 has no effect with --learn_from solutions",
    )
    assert notes == (
        "--meta_lr 0.5 has no effect with --meta_algorithm maml",
        "--n_models 3 has no effect with --parameters adapter",
    )
    with pytest.raises(ConfigError, match="--solution_field"):
        check_meta(MetaConfig(parameters="head", solution_field="solution"))
    with pytest.raises(ConfigError, match="--num_rollouts_per_prompt 1"):
        check_meta(MetaConfig(parameters="head", num_rollouts_per_prompt=1))
    with pytest.raises(ConfigError, match="--adaptation_steps 0 -1"):
        check_meta(MetaConfig(adaptation_steps=(0, -1)))


def test_adapters_of_the_bundled_model_have_a_rate_of_their_own() -> None:
    assert MetaConfig().inner_lr == 0.5
    assert MetaConfig(inner_lr=0.01).inner_lr == 0.01
    assert MetaConfig(parameters="head").inner_lr == MetaConfig(model_id="other/model").inner_lr == 0.01


def test_solutions_are_learned_from_where_they_are_asked_for() -> None:
    other = {"model_id": "other/model"}
    assert MetaConfig(**other).learned_field is None
    assert MetaConfig(**other, solution_field="how").learned_field == "how"
    assert MetaConfig(**other, learn_from="solutions").learned_field == "solution"
    assert MetaConfig().learned_field == "solution"
    assert MetaConfig(data_file=Path("problems.jsonl")).learned_field is None
    assert MetaConfig(learn_from="drawn").learned_field is None


def test_batches_meet_every_problem_before_any_again() -> None:
    ids = [str(number) for number in range(7)]
    found = batches(ids, 2, 6, random.Random(0))
    assert [len(batch) for batch in found] == [2] * 6
    for a_pass in (found[:3], found[3:]):
        met = [one for batch in a_pass for one in batch]
        assert len(set(met)) == 6
    assert found == batches(ids, 2, 6, random.Random(0))


def test_too_few_right_answers_are_an_error() -> None:
    check_enough("ratio", 4, 16, 4, unseen=True, what="a right answer")
    with pytest.raises(
        ConfigError, match=r"3 of 16 problems have a right answer, and 4 are needed.*--n_support"
    ):
        check_enough("ratio", 3, 16, 4, unseen=True, what="a right answer")
    with pytest.raises(ConfigError, match=r"7 of 16 .* 8 are needed.*--n_train"):
        check_enough("story", 7, 16, 4, unseen=False, what="a right answer")


def test_a_place_has_the_reward_of_the_best_answer_through_it() -> None:
    answers = [Answer("p", (), "a\nb\n\nc", True), Answer("p", (), "a\nd", False)]
    right = {("a",), ("a", "b"), ("a", "b", "c")}
    assert path_rewards(answers) == {**dict.fromkeys(right, 1.0), ("a", "d"): 0.0}


def test_auc_is_how_often_right_is_valued_above_wrong() -> None:
    values, rewards = torch.tensor([0.9, 0.4, 0.4, 0.1]), torch.tensor([1.0, 1.0, 0.0, 0.0])
    assert auc_of(values, rewards) == 3.5 / 4
    assert auc_of(values, 1 - rewards) == 0.5 / 4
    assert auc_of(values, torch.ones(4)) is None
