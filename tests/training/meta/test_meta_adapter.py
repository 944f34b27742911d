"""The loss of adapters is the plain model's cross-entropy, and MAML's gradient through it is the slope it measures."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from hierarchical_reasoning.prompts import Prompts
from hierarchical_reasoning.training.meta.adapter import Adapters
from hierarchical_reasoning.training.meta.config import MetaConfig
from hierarchical_reasoning.training.meta.families import read_families
from hierarchical_reasoning.training.meta.learner import Parameters, Task, adapt
from hierarchical_reasoning.training.meta.maml import Maml
from hierarchical_reasoning.training.meta.rollouts import Answers
from hierarchical_reasoning.verifiers.number import NumberVerifier
from llm_backends.local import LocalBackend
from llm_backends.local.loading import load_model


@pytest.fixture
async def adapters(planner_model: Path) -> Any:
    config = MetaConfig(
        model_id=str(planner_model),
        meta_algorithm="maml",
        learn_from="solutions",
        families=("equation", "story"),
        unseen="ratio",
        n_train=4,
        n_support=2,
        n_test=2,
        batch_size=2,
        lora_r=2,
        device="cpu",
    )
    model = load_model(str(planner_model), dtype="float32", device="cpu")
    acting = LocalBackend(planner_model, dtype="float32", device="cpu")
    answers = Answers(config, acting, model.chat, Prompts(answer_form="a number"), NumberVerifier())
    made = Adapters(config, read_families(config), model, acting, answers, {})
    yield made
    await acting.aclose()


def moved(parameters: Parameters, seed: int) -> Parameters:
    generator = torch.Generator().manual_seed(seed)
    return {
        name: tensor + 0.1 * torch.randn(tensor.shape, generator=generator)
        for name, tensor in parameters.items()
    }


async def test_the_loss_is_the_merged_models_cross_entropy(adapters: Any, planner_model: Path) -> None:
    parameters = moved(adapters.start(), 0)
    ids = adapters.problem_ids("story")[:2]
    weights = dict(adapters._merged(parameters))
    plain = load_model(str(planner_model), dtype="float32", device="cpu").module
    plain.load_state_dict(weights)
    total, n = 0.0, 0
    for problem_id in ids:
        example = adapters._examples[problem_id]
        row = torch.tensor([[*example.prompt, *example.answers[0]]])
        log_probs = plain(input_ids=row).logits[0].detach().log_softmax(-1)
        first = len(example.prompt)
        for place in range(first, row.shape[1]):
            total -= float(log_probs[place - 1, row[0, place]])
            n += 1
    assert adapters.loss(parameters, ids).item() == pytest.approx(total / n, rel=1e-4)


async def test_mamls_gradient_is_the_slope_of_the_loss_after_adaptation(adapters: Any) -> None:
    for part in adapters._with_lora.modules():
        part.double()
    start = {name: tensor.double() for name, tensor in moved(adapters.start(), 1).items()}
    ids = adapters.problem_ids("equation")
    task = Task([ids[:1], ids[1:2]], ids[2:3])
    maml = Maml(inner_lr=0.1, outer_lr=0.001)
    maml.step(start, [task], adapters.loss)
    generator = torch.Generator().manual_seed(2)
    way = {name: torch.randn(tensor.shape, generator=generator).double() for name, tensor in start.items()}
    slope = sum(float((10 * maml.state()[f"exp_avg.{name}"] * way[name]).sum()) for name in start)

    def after(step: float) -> float:
        there = {name: tensor + step * way[name] for name, tensor in start.items()}
        adapted = adapt(there, task.support, adapters.loss, lr=0.1)
        return float(adapters.loss(adapted, task.query))

    assert (after(1e-4) - after(-1e-4)) / 2e-4 == pytest.approx(slope, rel=1e-4)


async def test_scores_are_of_the_weights_that_are_given(adapters: Any) -> None:
    first = await adapters.score(adapters.start())
    assert (first.n, first.correct) == (2, 0)  # a random model
    other = await adapters.score(moved(adapters.start(), 3))
    assert other.loss != first.loss
