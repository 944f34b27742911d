"""Reptile and MAML against gradients by hand, Adam against torch's, and sinusoids learned in five steps."""

from __future__ import annotations

import math

import pytest
import torch
from torch.func import functional_call

from hierarchical_reasoning.training.errors import DivergedError
from hierarchical_reasoning.training.meta.adam import AdamSteps
from hierarchical_reasoning.training.meta.learner import MetaLearner, Parameters, Task, adapt
from hierarchical_reasoning.training.meta.maml import Maml
from hierarchical_reasoning.training.meta.reptile import Reptile

Quadratic = tuple[torch.Tensor, torch.Tensor]
"""(A, c) of L(p) = (p - c)' A (p - c) / 2."""
LR = 0.07


def quadratic_loss(parameters: Parameters, batch: Quadratic) -> torch.Tensor:
    A, c = batch
    off = parameters["p"] - c
    return 0.5 * off @ A @ off


def random_quadratic(generator: torch.Generator) -> Quadratic:
    root = torch.randn(3, 3, generator=generator, dtype=torch.float64)
    return root @ root.T + torch.eye(3, dtype=torch.float64), torch.randn(
        3, generator=generator, dtype=torch.float64
    )


def quadratic_tasks(n: int, steps: int) -> list[Task[Quadratic]]:
    generator = torch.Generator().manual_seed(3)
    return [
        Task([random_quadratic(generator) for _ in range(steps)], random_quadratic(generator))
        for _ in range(n)
    ]


def descended(p: torch.Tensor, task: Task[Quadratic]) -> tuple[torch.Tensor, torch.Tensor]:
    """By hand: the adapted point, and its derivative in the start, prod (I - lr A)."""
    derivative = torch.eye(3, dtype=torch.float64)
    for A, c in task.support:
        p = p - LR * A @ (p - c)
        derivative = (torch.eye(3, dtype=torch.float64) - LR * A) @ derivative
    return p, derivative


START = torch.tensor([0.3, -1.2, 0.8], dtype=torch.float64)


def test_adaptation_is_gradient_descent() -> None:
    task = quadratic_tasks(1, 4)[0]
    given = {"p": START.clone(), "unused": torch.ones(2, dtype=torch.float64)}
    found = adapt(given, task.support, quadratic_loss, lr=LR)
    torch.testing.assert_close(found["p"], descended(START, task)[0], rtol=0, atol=1e-10)
    assert torch.equal(found["unused"], given["unused"])
    assert torch.equal(given["p"], START)
    assert not found["p"].requires_grad


def test_reptile_steps_towards_the_mean_of_the_adapted() -> None:
    tasks = quadratic_tasks(3, 5)
    step = Reptile(inner_lr=LR, meta_lr=0.1).step({"p": START}, tasks, quadratic_loss)
    mean = torch.stack([descended(START, task)[0] for task in tasks]).mean(0)
    torch.testing.assert_close(step.parameters["p"], START + 0.1 * (mean - START), rtol=0, atol=1e-10)
    after = [float(quadratic_loss({"p": descended(START, task)[0]}, task.query)) for task in tasks]
    assert step.after == pytest.approx(sum(after) / 3, abs=1e-10)
    assert step.before == pytest.approx(
        sum(float(quadratic_loss({"p": START}, task.query)) for task in tasks) / 3, abs=1e-10
    )


@pytest.mark.parametrize("first_order", [False, True], ids=["second_order", "first_order"])
def test_the_outer_gradient_of_maml_is_the_one_by_hand(first_order: bool) -> None:
    tasks = quadratic_tasks(2, 5)
    maml = Maml(inner_lr=LR, outer_lr=0.01, first_order=first_order)
    step = maml.step({"p": START}, tasks, quadratic_loss)
    gradient = torch.zeros(3, dtype=torch.float64)
    for task in tasks:
        adapted, derivative = descended(START, task)
        A, c = task.query
        own = A @ (adapted - c)
        gradient += (own if first_order else derivative.T @ own) / 2
    # After one step, Adam's first moment is a tenth of the gradient.
    torch.testing.assert_close(maml.state()["exp_avg.p"] * 10, gradient, rtol=0, atol=1e-10)
    torch.testing.assert_close(step.parameters["p"], START - 0.01 * gradient.sign(), rtol=0, atol=1e-6)


def test_second_order_differs_from_first_order() -> None:
    tasks = quadratic_tasks(1, 5)
    moments = []
    for first_order in (False, True):
        maml = Maml(inner_lr=LR, outer_lr=0.01, first_order=first_order)
        maml.step({"p": START}, tasks, quadratic_loss)
        moments.append(maml.state()["exp_avg.p"])
    assert (moments[0] - moments[1]).abs().max() > 0.01


def test_adam_is_torchs_also_when_its_state_is_taken_up() -> None:
    generator = torch.Generator().manual_seed(0)
    gradients = [torch.randn(4, generator=generator) for _ in range(6)]
    theirs = torch.zeros(4, requires_grad=True)
    optimizer = torch.optim.Adam([theirs], lr=0.02)
    ours: Parameters = {"p": torch.zeros(4)}
    state: dict[str, torch.Tensor] = {}
    for gradient in gradients:
        theirs.grad = gradient.clone()
        optimizer.step()
        adam = AdamSteps(0.02)  # a new one each time
        adam.load(state)
        ours = adam.step(ours, {"p": gradient})
        state = adam.state()
    assert torch.equal(ours["p"], theirs.detach())


def test_inner_steps_that_diverge_are_an_error() -> None:
    with pytest.raises(DivergedError, match="--inner_lr"):
        Reptile(inner_lr=1e200, meta_lr=0.1).step({"p": START}, quadratic_tasks(1, 5), quadratic_loss)


Wave = tuple[torch.Tensor, torch.Tensor]
NET = torch.nn.Sequential(
    torch.nn.Linear(1, 40), torch.nn.Tanh(), torch.nn.Linear(40, 40), torch.nn.Tanh(), torch.nn.Linear(40, 1)
)


def wave_loss(parameters: Parameters, batch: Wave) -> torch.Tensor:
    x, y = batch
    return torch.nn.functional.mse_loss(functional_call(NET, dict(parameters), (x,)), y)


def waves(generator: torch.Generator, steps: int) -> Task[Wave]:
    amplitude, phase = (torch.rand(2, generator=generator) * torch.tensor([4.9, math.pi])).tolist()

    def batch(n: int) -> Wave:
        x = torch.rand(n, 1, generator=generator) * 10 - 5
        return x, (0.1 + amplitude) * torch.sin(x + phase)

    ten = batch(10)
    return Task([ten] * steps, batch(50))


def wave_start() -> Parameters:
    generator = torch.Generator().manual_seed(0)
    return {
        name: (torch.rand(tensor.shape, generator=generator) - 0.5) * (2.0 if name.startswith("0") else 0.3)
        for name, tensor in NET.named_parameters()
    }


def trained(learner: MetaLearner, outer_steps: int, tasks_a_step: int, inner_steps: int) -> Parameters:
    parameters, generator = wave_start(), torch.Generator().manual_seed(1)
    for _ in range(outer_steps):
        tasks = [waves(generator, inner_steps) for _ in range(tasks_a_step)]
        parameters = learner.step(parameters, tasks, wave_loss).parameters
    return parameters


def unseen_loss(parameters: Parameters) -> float:
    generator = torch.Generator().manual_seed(99)
    found = []
    for _ in range(20):
        task = waves(generator, 5)
        found.append(float(wave_loss(adapt(parameters, task.support, wave_loss, lr=0.02), task.query)))
    return sum(found) / len(found)


@pytest.mark.parametrize(
    ("learner", "outer_steps"),
    [
        (lambda: Reptile(inner_lr=0.02, meta_lr=0.1), 120),
        (lambda: Maml(inner_lr=0.02, outer_lr=0.005), 60),
    ],
    ids=["reptile", "maml"],
)
def test_sinusoids_are_learned_in_five_steps(learner, outer_steps: int) -> None:  # type: ignore[no-untyped-def]
    start = trained(learner(), outer_steps, 4, 5)
    assert unseen_loss(start) < 0.8 * unseen_loss(wave_start())


def test_the_same_tasks_give_the_same_bits() -> None:
    first, second = (trained(Maml(inner_lr=0.02, outer_lr=0.005), 5, 2, 3) for _ in range(2))
    assert all(torch.equal(first[name], second[name]) for name in first)
