"""Trees of random tokens, graded at random, for a tiny random model; and that model."""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import Any

import torch
import transformers

from hierarchical_reasoning.outcomes import Outcome
from hierarchical_reasoning.trees import Leaf, ReasoningTree

VOCABULARY = 60


def model(seed: int, *, like: Any = None, distance: float = 0.0) -> Any:
    """In float64.

    Args:
        like: a model that it lies near; None: it is drawn anew.
        distance: from that, as a share of each weight's spread.
    """
    config = transformers.GPTNeoXConfig(
        vocab_size=VOCABULARY, hidden_size=16, num_hidden_layers=2, num_attention_heads=2, intermediate_size=24,
        max_position_embeddings=256, initializer_range=0.3, bos_token_id=None, eos_token_id=None,
    )  # fmt: skip
    torch.manual_seed(seed)
    found = transformers.GPTNeoXForCausalLM(config).double()
    if like is not None:
        noise = {name: torch.randn_like(p) * p.std().nan_to_num(0.0) for name, p in like.named_parameters()}
        state = like.state_dict() | {
            name: p.detach() + distance * noise[name] for name, p in like.named_parameters()
        }
        found.load_state_dict(state)
    return found


def branching(
    seed: int, *, rewards: Sequence[float | None] = (1.0, 0.0, 0.0, 1.0, 1.0, None)
) -> ReasoningTree:
    """Two levels of branches of many lengths: one begins with a forced token, one ends with it, one is not graded."""
    source = random.Random(seed)

    def tokens(n: int) -> list[int]:
        return [source.randrange(VOCABULARY) for _ in range(n)]

    tree = ReasoningTree(f"p{seed}", tokens(7), "prompt", update=1)
    upper = tree.add(tree.root, tokens(9), "upper")
    lower = tree.add(tree.root, tokens(4), "lower", kind="alternative", given=1)
    leaves = [
        tree.add(upper, tokens(3), "a"),
        tree.add(upper, tokens(8), "b", kind="alternative", given=1),
        tree.add(lower, tokens(5), "c"),
        tree.add(lower, tokens(2), "d", kind="coverage"),
        tree.add(lower, tokens(1), "e", kind="alternative", given=1, ended=True),
        tree.add(lower, tokens(6), "f"),
    ]
    for leaf, reward in zip(leaves, rewards, strict=True):
        tree.grade(leaf, Leaf(Outcome.CORRECT if reward else Outcome.WRONG, reward))
    return tree


def linear(seed: int, rewards: Sequence[float | None] = (1.0, 0.0, 0.0, 1.0, 0.0)) -> ReasoningTree:
    """Answers of many lengths that share their prompt alone."""
    source = random.Random(seed)
    tree = ReasoningTree(f"l{seed}", [source.randrange(VOCABULARY) for _ in range(6)], "prompt", update=1)
    for number, reward in enumerate(rewards):
        leaf = tree.add(tree.root, [source.randrange(VOCABULARY) for _ in range(2 + 3 * number)], "answer")
        tree.grade(leaf, Leaf(Outcome.CORRECT if reward else Outcome.WRONG, reward))
    return tree
