"""The policy's probabilities against those of inference, and how an episode is laid out. (Against enumeration:
`test_policy_exact`.)"""

from __future__ import annotations

import random
from pathlib import Path

import numpy as np
import pytest
import torch

from hierarchical_reasoning.training.planner.policy import Decision, Policy, encode
from llm_backends import Message, Request
from llm_backends.choices import ChoiceTrie
from llm_backends.local import LocalBackend
from llm_backends.local.loading import LoadedModel, load_model

# Some share beginnings, some begin others, one stands apart.
OPTIONS = (
    "Check",
    "Check the",
    "Check the king",
    "Check whether",
    "Compute",
    "Compute the sum",
    "Finish thinking",
)
WORDS = ("check", "the", "king", "and", "compute", "a", "sum", "of", "two", "numbers", "then", "compare")


def episode(seed: int, n_choices: int) -> list[Decision]:
    """A conversation that only grows, with the options in an order of its own."""
    rng = random.Random(seed)
    options = list(OPTIONS)
    rng.shuffle(options)
    messages = [Message("user", " ".join(rng.choices(WORDS, k=10 + seed)))]
    decisions = []
    for _ in range(n_choices):
        decisions.append(Decision(tuple(messages), tuple(options)))
        messages += [
            Message("assistant", rng.choice(options)),
            Message("user", "Follow it."),
            Message("assistant", " ".join(rng.choices(WORDS, k=rng.randint(2, 12)))),
            Message("user", "Which comes next?"),
        ]
    return decisions


def rewriting_episode() -> list[Decision]:
    """Prompts that do not extend each other, as in a style where every call stands alone."""
    return [
        Decision((Message("user", f"Thoughts so far: {'the king and ' * n}. Choose, step {n}."),), OPTIONS)
        for n in (3, 0, 1)
    ]


EPISODES = [episode(0, 4), episode(1, 1), episode(2, 3), rewriting_episode()]


@pytest.fixture(scope="module")
def loaded(planner_model: Path) -> LoadedModel:
    return load_model(str(planner_model), dtype="float32")


@pytest.fixture(scope="module")
def policy(loaded: LoadedModel) -> Policy:
    return Policy(loaded)


async def test_it_equals_the_probabilities_of_inference(planner_model: Path, policy: Policy) -> None:
    async with LocalBackend(planner_model, dtype="float32") as backend:
        for decisions in EPISODES:
            with torch.no_grad():
                found_CO = policy.log_probs([policy.encode(decisions)])
            for log_probs_O, decision in zip(found_CO, decisions, strict=True):
                request = Request(decision.messages, choices=decision.choices, trace_id="one")
                completion = await backend.complete(request)
                assert completion.choice_probabilities is not None
                inferred = [completion.choice_probabilities[name] for name in decision.choices]
                assert log_probs_O.exp().tolist() == pytest.approx(inferred, abs=1e-5)


def test_only_choices_are_scored_so_thoughts_carry_no_loss(loaded: LoadedModel, policy: Policy) -> None:
    encoded = policy.encode(EPISODES[0])
    scored: list[int] = []
    handle = loaded.module.get_output_embeddings().register_forward_hook(
        lambda module, inputs, output: scored.append(len(output))
    )
    policy.log_probs([encoded])
    handle.remove()
    branching = sum(len(trie.branching) for trie in encoded.tries)
    assert scored == [branching]
    prompts = [tuple(loaded.chat.prompt_ids(d.messages)) for d in EPISODES[0]]
    option_ids = [tuple(loaded.chat.option_ids(name)) for name in OPTIONS]
    needed = {prompt[:length] for prompt in prompts for length in range(1, len(prompt) + 1)}
    for prompt in prompts:  # and of the options, the tokens before which one is left open
        for ids in option_ids:
            forks = [n for n in range(1, len(ids)) if len({o[n] for o in option_ids if o[:n] == ids[:n]}) > 1]
            needed |= {prompt + ids[:length] for length in range(1, max(forks, default=0) + 1)}
    assert len(encoded) == len(needed)  # the conversation once
    ends = {encoded.paths[path][: index + 1].tobytes() for path, index in encoded.scored}
    assert ends >= {np.array(prompt).tobytes() for prompt in prompts}


def test_each_option_is_scored_behind_its_own_prompt() -> None:
    trie = ChoiceTrie.build([[7, 8, 2], [7, 9, 2], [5, 2]])
    encoded = encode([[1, 2, 3, 4, 5], [1, 2, 9], [1, 2]], [trie, trie, trie])
    assert [path.tolist() for path in encoded.paths] == [[1, 2, 3, 4, 5, 7], [1, 2, 7], [1, 2, 9, 7]]
    assert encoded.scored == ((0, 4), (0, 5), (2, 2), (2, 3), (0, 1), (1, 2))
    assert len(encoded) == 9
