"""The policy against plain enumeration (`plain_grpo`): kinds of tokenizer, architectures, labels, temperatures."""

from __future__ import annotations

import math
import re
from pathlib import Path
from typing import Any

import plain_grpo
import pytest
import torch
from click.testing import CliRunner
from hypothesis import example, given, settings
from hypothesis import strategies as st
from tiny_planners import ARCHITECTURES, FORGETS, GROWS, LABELS, save_planner

from hierarchical_reasoning.assets import TRAIN_PROBLEMS
from hierarchical_reasoning.cli.train_grpo import grpo
from hierarchical_reasoning.training.objectives import clipped_choice_loss, entropy, tempered
from hierarchical_reasoning.training.planner.policy import Decision, Policy
from llm_backends import BadRequestError, Message

KINDS = [
    ("byte_bpe", "qwen2", GROWS),
    ("metaspace", "llama", FORGETS),
    ("characters", "gpt_neox", GROWS),
    ("wordpiece", "qwen3", GROWS),
    ("byte_bpe", "gemma", FORGETS),
    ("metaspace", "opt", GROWS),
]
CONVERSATION = (
    ("user", "The sum of two numbers. Which comes next?"),
    ("assistant", "Check the"),
    ("user", "Follow it."),
    ("assistant", "the king 检查, step 3"),
    ("user", "Which comes next?"),
)
PROMPTS = (CONVERSATION[:1], CONVERSATION, (("user", "step 7"),))


def decisions(labels: tuple[str, ...] = LABELS) -> list[Decision]:
    return [Decision(tuple(Message(*turn) for turn in turns), labels) for turns in PROMPTS]  # type: ignore[arg-type]


@torch.no_grad()
def enumerated(policy: Policy, labels: tuple[str, ...] = LABELS) -> torch.Tensor:
    return torch.stack(
        [
            torch.stack(plain_grpo.log_probs(policy.module, policy.tokenizer, turns, labels))
            for turns in PROMPTS
        ]
    )


@pytest.fixture(scope="module", params=KINDS, ids=lambda kind: "-".join(kind[:2]))
def planner(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Policy:
    tokenizer, architecture, template = request.param
    folder = save_planner(
        tmp_path_factory.mktemp("planner"), tokenizer=tokenizer, architecture=architecture, template=template
    )
    return Policy.load(str(folder))


@pytest.fixture(scope="module")
def exact(planner: Policy) -> torch.Tensor:
    """(C, O) by enumeration, in double precision."""
    planner.module.double()
    return enumerated(planner)


@torch.no_grad()
def test_it_is_that_of_enumeration_in_single_and_double_precision(
    planner: Policy, exact: torch.Tensor
) -> None:
    episodes = [planner.encode(decisions()), planner.encode(decisions()[2:])]
    expected_CO = torch.cat([exact, exact[2:]])
    for dtype, tolerance in ((torch.float64, 1e-9), (torch.float32, 1e-5)):
        planner.module.to(dtype)
        found_CO = planner.log_probs(episodes)
        assert found_CO.dtype is dtype
        assert float((found_CO - expected_CO).abs().max()) < tolerance
        assert found_CO.exp().sum(-1).tolist() == pytest.approx([1.0] * 4, abs=tolerance)
    assert float((exact.amax(-1) - exact.amin(-1)).min()) > 1  # no prompt has all options alike
    assert float((exact[0] - exact[1]).abs().max()) > 0.1  # and prompts matter


@torch.no_grad()
@pytest.mark.parametrize("temperature", [0.1, 0.7, 1.0, 3.0])
def test_temperature_entropy_and_kl_are_those_of_enumeration(
    planner: Policy, exact: torch.Tensor, temperature: float
) -> None:
    planner.module.double()
    new_CO = tempered(planner.log_probs([planner.encode(decisions())]), temperature)
    other_CO = tempered(new_CO.flip(-1), 1.5)
    kl_C = clipped_choice_loss(
        new_CO, other_CO, torch.zeros(3, dtype=torch.long), torch.zeros(3).double(), epsilon=0.2, kl_coeff=1.0
    ).kl_C
    for row, at_one in enumerate(exact.tolist()):
        powers = [math.exp(log_prob / temperature) for log_prob in at_one]
        probabilities = [power / math.fsum(powers) for power in powers]
        assert new_CO[row].exp().tolist() == pytest.approx(probabilities, abs=1e-9)
        assert float(entropy(new_CO)[row]) == pytest.approx(
            -math.fsum(p * math.log(p) for p in probabilities), abs=1e-9
        )
        others = [p ** (1 / 1.5) for p in reversed(probabilities)]
        others = [other / math.fsum(others) for other in others]
        kl = math.fsum(q * math.log(q / p) for p, q in zip(probabilities, others, strict=True))
        assert float(kl_C[row]) == pytest.approx(kl, abs=1e-9)


TEXT = st.text("abA ě.检", min_size=1, max_size=4)


@pytest.fixture(scope="module", params=["byte_bpe", "metaspace", "characters", "wordpiece"])
def small(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Policy:
    """In double precision throughout: its norms are not computed in single precision, as those of others are."""
    policy = Policy.load(
        str(save_planner(tmp_path_factory.mktemp("small"), tokenizer=request.param, architecture="gpt_neox"))
    )
    policy.module.double()
    return policy


@torch.no_grad()
@given(st.lists(TEXT, min_size=1, max_size=5, unique=True).map(tuple))
@example(("a", "aa", "aaa", "aaaa", "A", "a."))
@example(("a",))
@example(("a ", "a"))
@example(("ě", "检"))
@settings(max_examples=15, deadline=None)
def test_labels_are_told_apart_exactly_or_refused(small: Policy, labels: tuple[str, ...]) -> None:
    sequences = [tuple(plain_grpo.label_ids(small.tokenizer, label)) for label in labels]
    if len(set(sequences)) < len(labels):
        with pytest.raises(BadRequestError, match="have the same tokens"):
            small.check_options(labels)
        return
    small.check_options(labels)
    found_CO = small.log_probs([small.encode(decisions(labels))])
    assert found_CO.flatten().tolist() == pytest.approx(
        enumerated(small, labels).flatten().tolist(), abs=1e-9
    )


@pytest.mark.parametrize(
    ("labels", "told_apart"),
    [
        (("Check", "check"), False),
        (("Check", "Check "), False),
        (("Check", "Checks", "Check.", "Check the"), True),
        (("Ω", "Ψ"), False),
    ],
)
def test_labels_alike_to_a_tokenizer_are_named(
    lowercase: Policy, labels: tuple[str, ...], told_apart: bool
) -> None:
    if told_apart:
        lowercase.check_options(labels)
        return
    with pytest.raises(BadRequestError) as caught:
        lowercase.check_options(("Finish thinking", *labels))
    assert all(repr(label) in str(caught.value) for label in labels)
    assert "'Finish thinking'" not in str(caught.value)


@pytest.fixture(scope="module")
def lowercase(tmp_path_factory: pytest.TempPathFactory) -> Policy:
    return Policy.load(str(save_planner(tmp_path_factory.mktemp("lower"), tokenizer="lowercase_wordpiece")))


def test_training_with_labels_that_are_alike_ends_with_a_message(tmp_path: Path) -> None:
    planner = save_planner(tmp_path / "planner", tokenizer="ignorant")
    arguments = ["--planner_model_name", planner, "--reasoning_model_name", planner, "--device", "cpu"]
    arguments += ["--data_file", TRAIN_PROBLEMS, "--n_rows", 2, "--eval_rows", 0]
    result = CliRunner().invoke(
        grpo, [str(argument) for argument in (*arguments, "--output_dir", tmp_path / "run")]
    )
    assert result.exit_code == 2, result.output
    assert re.search("options '.*' and '.*' have the same tokens", result.output)
    assert [path.name for path in (tmp_path / "run").iterdir()] == [".lock"]


def tokens_that_matter(policy: Policy, episodes: list[Any], row: int) -> list[int]:
    """Those of the pass on which the options of one choice depend at all, in the order of the pass."""
    seen: list[torch.Tensor] = []
    read: list[torch.Tensor] = []

    def keep(module: torch.nn.Module, inputs: tuple[torch.Tensor, ...], output: torch.Tensor) -> None:
        output.retain_grad()
        read.append(inputs[0])
        seen.append(output)

    handle = policy.module.get_input_embeddings().register_forward_hook(keep)
    log_probs_CO = policy.log_probs(episodes)
    handle.remove()
    (log_probs_CO[row] * torch.arange(1.0, log_probs_CO.shape[1] + 1)).sum().backward()
    policy.module.zero_grad()
    assert seen[0].grad is not None
    matters_BT = seen[0].grad.abs().amax(-1) != 0
    return read[0][matters_BT].tolist()


@pytest.mark.parametrize("template", [GROWS, FORGETS], ids=["grows", "forgets"])
def test_a_choice_depends_on_its_own_prompt_and_on_nothing_beside_it(tmp_path: Path, template: str) -> None:
    """Not on later thoughts, on the options of other choices, or on other episodes: exactly."""
    policy = Policy.load(str(save_planner(tmp_path, tokenizer="characters", template=template)))
    asked = decisions()
    episodes = [policy.encode(asked), policy.encode(asked[2:])]
    prompts = [plain_grpo.prompt_ids(policy.tokenizer, turns) for turns in (*PROMPTS, PROMPTS[2])]
    trie = episodes[0].tries[0]
    for row, prompt in enumerate(prompts):
        found = tokens_that_matter(policy, episodes, row)
        assert found[: len(prompt)] == prompt
        assert sorted(found[len(prompt) :]) == sorted(trie.token[node] for node in trie.packed)


@torch.no_grad()
@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_nothing_is_random_in_training(tmp_path: Path, architecture: str) -> None:
    policy = Policy.load(str(save_planner(tmp_path, architecture=architecture)))
    episodes = [policy.encode(decisions())]
    as_inferred = policy.log_probs(episodes)
    policy.module.train()
    assert torch.equal(policy.log_probs(episodes), as_inferred)
