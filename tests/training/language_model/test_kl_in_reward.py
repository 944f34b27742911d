"""The KL to the model at the start as a part of the reward: how much of it there is, and what it does."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from easy_task import TREES, parts, train
from made_up_lessons import branching, linear, model

from hierarchical_reasoning.errors import ConfigError
from hierarchical_reasoning.training.credit import outcome_credit
from hierarchical_reasoning.training.estimators import centred
from hierarchical_reasoning.training.language_model.lessons import kl_of_leaves, scores_of, tree_lesson
from hierarchical_reasoning.training.log import UpdateRecord
from hierarchical_reasoning.training.packed.packed_forward import PackedModel
from hierarchical_reasoning.trees import ReasoningTree


def log_probs(of: Any, tokens: list[int], temperature: float) -> list[float]:
    """Of each token but the first, after those before it."""
    with torch.no_grad():
        logits = of(input_ids=torch.tensor([tokens])).logits[0, :-1] / temperature
    scores = torch.log_softmax(logits, -1)
    return [float(scores[place, token]) for place, token in enumerate(tokens[1:])]


@pytest.mark.parametrize(
    "tree", [branching(1), branching(2), linear(3)], ids=["branching-1", "branching-2", "linear"]
)
@pytest.mark.parametrize("temperature", [1.0, 0.6])
def test_it_is_that_of_the_tokens_drawn_on_each_path(tree: ReasoningTree, temperature: float) -> None:
    old = model(0)
    start = model(1, like=old, distance=0.1)
    lesson = tree_lesson(tree, outcome_credit(tree, tree.rewards(), centred), "token-mean", 100)
    looked_at = [scores_of(PackedModel(each), [lesson], temperature, 20, None)[0][0] for each in (old, start)]
    found = kl_of_leaves(replace(lesson, old_log_probs_T=looked_at[0], reference_log_probs_T=looked_at[1]))
    graded = [leaf for leaf, reward in tree.rewards().items() if reward is not None]
    assert sorted(found) == sorted(graded)
    for leaf in graded:
        nodes = [tree.node(node) for node in tree.path(leaf)]
        tokens = [token for node in nodes for token in node.tokens]
        drawn = [place >= node.given for node in nodes for place in range(len(node.tokens))]
        pairs = zip(log_probs(old, tokens, temperature), log_probs(start, tokens, temperature), strict=True)
        expected = sum(
            ours - theirs for (ours, theirs), counts in zip(pairs, drawn[1:], strict=True) if counts
        )
        assert found[leaf] == pytest.approx(expected, rel=1e-9)
    assert len({round(found[leaf], 6) for leaf in graded}) == len(graded) > 1


def run(folder: Path, planner_model: Path, **settings: Any) -> list[UpdateRecord]:
    usual = {
        "objective": "grpo",
        "epochs": 4,
        "eval_rows": 0,
        "learning_rate": 1e-2,
        "adv_estimator": "centred",
    }
    _, records = train(parts(folder, planner_model, usual | settings))
    return [record for record in records if isinstance(record, UpdateRecord)]


def episodes(folder: Path, update: int) -> list[dict[str, Any]]:
    written = json.loads((folder / "rollouts" / f"update-{update:05d}.json").read_text())["results"]
    return [entry["episode"] | {"problem": entry["problem_id"]} for entry in written]


@pytest.mark.parametrize("settings", [{}, TREES | {"credit": "descendant_mean"}], ids=["linear", "trees"])
def test_the_model_stays_near_where_it_began(
    tmp_path: Path, planner_model: Path, settings: dict[str, Any]
) -> None:
    free = run(tmp_path, planner_model, output_dir=tmp_path / "free", **settings)
    held = run(
        tmp_path, planner_model, output_dir=tmp_path / "held", kl_in_reward=True, kl_coeff=2.0, **settings
    )
    light = run(
        tmp_path, planner_model, output_dir=tmp_path / "light", kl_in_reward=True, kl_coeff=1e-9, **settings
    )
    assert free[-1].kl == 0  # nothing measures it
    assert 0 < held[-1].kl < 0.5 * light[-1].kl
    assert held[-1].accuracy < light[-1].accuracy


def test_advantages_are_those_of_what_is_left_of_the_reward(tmp_path: Path, planner_model: Path) -> None:
    done = run(tmp_path, planner_model, output_dir=tmp_path / "out", kl_in_reward=True, kl_coeff=0.5)
    changed = 0
    assert done[0].trees["kl_of_answers"] == pytest.approx(0, abs=1e-4)
    assert all(record.trees["kl_of_answers"] > 0 for record in done[2:])
    for record in done:
        groups: dict[str, list[dict[str, Any]]] = {}
        for episode in episodes(tmp_path / "out", record.update):
            groups.setdefault(episode["problem"], []).append(episode)
        for group in groups.values():
            mean = sum(episode["reward"] for episode in group) / len(group)
            plain = [episode["reward"] - mean for episode in group]
            advantages = [episode["advantage"] for episode in group]
            assert sum(advantages) == pytest.approx(0, abs=1e-9)
            if record.update == 1:  # the model is as it was at the start
                assert advantages == pytest.approx(plain, abs=1e-5)
            changed += max(abs(a - b) for a, b in zip(advantages, plain, strict=True)) > 0.01
    assert changed > len(done)


def test_groups_that_earn_the_same_teach_to_stay_near_the_start(tmp_path: Path, planner_model: Path) -> None:
    """Unless they are filtered, which is by rewards alone."""
    taught = run(tmp_path, planner_model, output_dir=tmp_path / "taught", kl_in_reward=True, kl_coeff=0.1)
    assert sum(record.groups_without_spread for record in taught) == 0
    filtered = run(
        tmp_path, planner_model, output_dir=tmp_path / "filtered", kl_in_reward=True, kl_coeff=0.1,
        filter_groups=True, max_num_gen_batches=1, num_rollouts_per_prompt=2,
    )  # fmt: skip
    without = 0
    for record in filtered:
        rewards: dict[str, set[float]] = {}
        for episode in episodes(tmp_path / "filtered", record.update):
            rewards.setdefault(episode["problem"], set()).add(episode["reward"])
        without += sum(len(found) == 1 for found in rewards.values())
    assert sum(record.groups_without_spread for record in filtered) == without > 0


def test_a_weight_of_nothing_is_refused(tmp_path: Path, planner_model: Path) -> None:
    with pytest.raises(ConfigError, match=r"--kl_in_reward with --kl_coeff 0: .* give --kl_coeff more"):
        parts(tmp_path, planner_model, {"kl_in_reward": True, "kl_coeff": 0.0})
