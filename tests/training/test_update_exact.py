"""Loss and gradient of an update against `plain_grpo`, in double precision, one step after the other."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import plain_grpo
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from made_up_steps import EPSILON, KL_COEFF, farthest, lesson, made_up_steps, updated
from tiny_planners import FORGETS, GROWS, save_planner

from hierarchical_reasoning.training.planner.policy import Policy, encode
from hierarchical_reasoning.training.planner.update import Lesson, LossSettings, divide, pass_loss
from llm_backends.choices import ChoiceTrie

TOLERANCE = {"gpt_neox": 1e-9, "qwen3": 1e-6, "llama": 1e-6}
"""The RMS norms of the latter are computed in single precision, whatever the weights are."""


def load(folder: Path, **kind: str) -> Policy:
    policy = Policy.load(str(save_planner(folder, **kind)))
    policy.module.double()
    return policy


@pytest.mark.parametrize(
    ("tokenizer", "architecture", "template", "temperature", "held_to"),
    [
        ("byte_bpe", "gpt_neox", GROWS, 1.0, "old"),
        ("metaspace", "gpt_neox", FORGETS, 0.6, "reference"),
        ("wordpiece", "qwen3", GROWS, 2.0, "some"),
        ("byte_bpe", "llama", FORGETS, 1.3, "reference"),
    ],
)
def test_loss_and_gradient_are_those_of_a_plain_update(
    tmp_path: Path, tokenizer: str, architecture: str, template: str, temperature: float, held_to: str
) -> None:
    policy = load(tmp_path, tokenizer=tokenizer, architecture=architecture, template=template)
    episodes = made_up_steps(policy, temperature, held_to=held_to)
    plain = plain_grpo.update(
        policy.module,
        policy.tokenizer,
        [step for steps in episodes for step in steps],
        temperature=temperature,
        epsilon=EPSILON,
        kl_coeff=KL_COEFF,
    )
    lessons = [lesson(policy, steps) for steps in episodes]
    longest = max(len(lesson.encoded) for lesson in lessons)
    for tokens_per_pass, n_passes in ((1, 4), (2 * longest, 2), (4 * longest, 1)):
        totals, gradients, passes = updated(policy, lessons, temperature, tokens_per_pass)
        assert passes == n_passes
        assert totals.count == 8
        assert totals.mean("loss") == pytest.approx(plain.loss, rel=TOLERANCE[architecture])
        assert totals.mean("kl") == pytest.approx(plain.kl, rel=TOLERANCE[architecture])
        assert totals.mean("gap") == pytest.approx(plain.gap, rel=TOLERANCE[architecture])
        assert totals.clipped == plain.clipped * 8 == 4
        assert farthest(gradients, plain.gradients) < TOLERANCE[architecture]


@pytest.mark.parametrize("template", [GROWS, FORGETS], ids=["grows", "forgets"])
def test_how_lessons_are_divided_changes_rounding_alone(tmp_path: Path, template: str) -> None:
    policy = load(tmp_path, template=template)
    lessons = [lesson(policy, steps) for steps in made_up_steps(policy, 0.8, held_to="some")]
    totals, gradients, _ = updated(policy, lessons, 0.8, 100_000)
    for tokens_per_pass in (1, 100, 200):
        others, other_gradients, passes = updated(policy, lessons[::-1], 0.8, tokens_per_pass)
        assert passes > 1
        assert others.loss == pytest.approx(totals.loss, rel=1e-12)
        assert others.kl == pytest.approx(totals.kl, rel=1e-12)
        assert (others.clipped, others.tokens) == (totals.clipped, totals.tokens)
        assert farthest(other_gradients, gradients) < 1e-12


def test_only_what_is_scored_gets_a_gradient_of_the_loss(tmp_path: Path) -> None:
    """Thoughts, and options as they stand in the conversation, get exactly none."""
    policy = load(tmp_path, tokenizer="characters")
    lessons = [lesson(policy, steps) for steps in made_up_steps(policy, 1.0)]
    kept: dict[str, torch.Tensor] = {}

    def keep(name: str, tensor: torch.Tensor) -> None:
        tensor.retain_grad()
        kept[name] = tensor

    module = policy.module
    module.get_input_embeddings().register_forward_hook(lambda _module, _inputs, out: keep("embedded", out))
    module.get_decoder().register_forward_hook(
        lambda _module, _inputs, out: keep("hidden", out.last_hidden_state)
    )
    loss, _ = pass_loss(policy, lessons, LossSettings(EPSILON, KL_COEFF, 1.0))
    loss.backward()
    touched_BT = {name: tensor.grad.abs().amax(-1) > 0 for name, tensor in kept.items()}  # type: ignore[union-attr]
    beginnings = {
        path[: index + 1].tobytes()
        for each in lessons
        for path, index in ((each.encoded.paths[path], index) for path, index in each.encoded.scored)
    }
    assert int(touched_BT["hidden"].sum()) == len(beginnings)
    assert touched_BT["embedded"].all()  # as context, everything counts


TOKENS = st.lists(st.integers(0, 2), min_size=1, max_size=12)


@given(st.lists(st.lists(TOKENS, min_size=1, max_size=3), max_size=10), st.integers(1, 60))
def test_every_lesson_is_in_one_pass_and_passes_are_full(
    episodes: list[list[list[int]]], tokens_per_pass: int
) -> None:
    lessons = [_of_paths(paths) for paths in episodes]
    parts = divide(lessons, tokens_per_pass)
    assert sorted(id(each) for part in parts for each in part) == sorted(id(each) for each in lessons)
    assert all(len(part) == 1 or _unique_tokens(part) <= tokens_per_pass for part in parts)
    for part, following in pairwise(parts):
        assert _unique_tokens([*part, following[0]]) > tokens_per_pass


def test_lessons_that_begin_alike_are_computed_together() -> None:
    groups = [[[group] * 20 + [episode] * 5 for episode in range(4)] for group in range(5)]
    lessons = [_of_paths([groups[number % 5][number // 5]]) for number in range(20)]
    parts = divide(lessons, 40)
    assert len(parts) == 5
    assert [_unique_tokens(part) for part in parts] == [40] * 5


def _of_paths(sequences: list[list[int]]) -> Lesson:
    encoded = encode(sequences, [ChoiceTrie.build([[1, 2], [2]])] * len(sequences))
    nothing = torch.zeros(0, dtype=torch.long)
    return Lesson(encoded, torch.zeros(0, 2), nothing, advantage=0.0)


def _unique_tokens(lessons: list[Lesson]) -> int:
    paths = [path.tolist() for lesson in lessons for path in lesson.encoded.paths]
    return len({tuple(path[: length + 1]) for path in paths for length in range(len(path))})
