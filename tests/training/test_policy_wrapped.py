"""The policy inside what training wraps around it: adapters, checkpointed layers, mixed precision."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import plain_grpo
import pytest
import torch
from made_up_steps import EPSILON, KL_COEFF, LABELS, encode, farthest, lesson, made_up_steps, updated
from peft import LoraConfig, get_peft_model
from plain_grpo import Step
from tiny_planners import save_planner
from transformers.modeling_layers import GradientCheckpointingLayer

from hierarchical_reasoning.training.planner.policy import Policy

# peft 0.21 asks transformers 5.23 by a name that is to go.
pytestmark = pytest.mark.filterwarnings("ignore:.*checkpointing.* is deprecated:FutureWarning")


@pytest.fixture(scope="module", params=["gpt_neox", "qwen2"])
def folder(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_planner(tmp_path_factory.mktemp("planner"), tokenizer="metaspace", architecture=request.param)


def load(folder: Path) -> Policy:
    policy = Policy.load(str(folder))
    policy.module.double()
    return policy


def with_adapters(policy: Policy) -> Any:
    """LoRA that has learned something: as it begins, B is 0 and changes nothing."""
    torch.manual_seed(0)
    model = get_peft_model(
        policy.module,
        LoraConfig(r=3, lora_alpha=6, lora_dropout=0.0, target_modules="all-linear", task_type="CAUSAL_LM"),
    )
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if "lora_B" in name:
                parameter.normal_(std=0.3)
    return model.double()


def all_of(policy: Policy, episodes: Sequence[Sequence[Step]], model: Any = None) -> torch.Tensor:
    return policy.log_probs([encode(policy, [step.turns for step in steps]) for steps in episodes], model)


@torch.no_grad()
def test_with_adapters_it_is_the_policy_of_the_merged_weights(folder: Path) -> None:
    policy = load(folder)
    episodes = made_up_steps(policy, 1.0)
    without_CO = all_of(policy, episodes)
    model = with_adapters(policy)
    found_CO = all_of(policy, episodes, model)
    with model.disable_adapter():
        assert torch.equal(all_of(policy, episodes, model), without_CO)
    merged = with_adapters(load(folder)).merge_and_unload()
    steps = [step for steps in episodes for step in steps]
    for log_probs_O, step in zip(found_CO, steps, strict=True):
        expected = plain_grpo.log_probs(merged, policy.tokenizer, step.turns, LABELS)
        assert log_probs_O.tolist() == pytest.approx([float(each) for each in expected], abs=1e-9)
    assert float((found_CO - without_CO).abs().max()) > 0.1


def test_adapters_alone_get_the_gradient_of_a_plain_update(folder: Path) -> None:
    policy = load(folder)
    model = with_adapters(policy)
    episodes = made_up_steps(policy, 1.2, model=model)
    plain = plain_grpo.update(
        model,
        policy.tokenizer,
        [step for steps in episodes for step in steps],
        temperature=1.2,
        epsilon=EPSILON,
        kl_coeff=KL_COEFF,
    )
    totals, gradients, _ = updated(policy, [lesson(policy, steps) for steps in episodes], 1.2, 200, model)
    assert all("lora_" in name for name in gradients)
    assert totals.mean("loss") == pytest.approx(plain.loss, rel=1e-6)
    assert farthest(gradients, plain.gradients) < 1e-6


@pytest.mark.parametrize("adapted", [False, True], ids=["whole", "adapters"])
def test_checkpointed_layers_are_computed_again_and_change_nothing(folder: Path, adapted: bool) -> None:
    policy = load(folder)
    model = with_adapters(policy) if adapted else policy.module
    lessons = [lesson(policy, steps) for steps in made_up_steps(policy, 1.0, model=model)]
    calls: list[object] = []
    for layer in policy.module.modules():
        if isinstance(layer, GradientCheckpointingLayer):
            next(layer.children()).register_forward_pre_hook(lambda part, _inputs: calls.append(part))
    model.train()
    totals, gradients, _ = updated(policy, lessons, 1.0, 200, model)
    once = len(calls)
    policy.module.activation_checkpointing_enable()
    found, found_gradients, _ = updated(policy, lessons, 1.0, 200, model)
    assert len(calls) - once == 2 * once > 0
    assert found == totals
    assert farthest(found_gradients, gradients) < 1e-12


@torch.no_grad()
def test_in_mixed_precision_it_is_close_and_normalised_in_single_precision(folder: Path) -> None:
    policy = Policy.load(str(folder))
    episodes = made_up_steps(policy, 1.0)
    exact_CO = all_of(policy, episodes)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        found_CO = all_of(policy, episodes)
    assert found_CO.dtype is torch.float32
    assert found_CO.exp().sum(-1).tolist() == pytest.approx([1.0] * len(found_CO), abs=1e-5)
    assert 0 < float((found_CO.exp() - exact_CO.exp()).abs().max()) < 0.02
