"""Models over forests against the same models over each path alone: logits, gradients, and what is refused."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import torch
import transformers
from drawn_forests import branching_sequences
from tiny_planners import ARCHITECTURES, save_planner

from hierarchical_reasoning.training.packed.packed_forward import PackedModel
from hierarchical_reasoning.training.packed.packing import pack
from hierarchical_reasoning.training.packed.path_attention import PATH_ATTENTION
from hierarchical_reasoning.training.packed.prefix_trie import merge
from llm_backends import UnsupportedError
from llm_backends.local.loading import load_model

SEQUENCES = branching_sequences(12, 200, seed=3)


def made(kind: str, **settings: Any) -> Any:
    """A random model of a kind of transformers, by the names that most of them use."""
    usual = {"hidden_size": 24, "num_hidden_layers": 2, "num_attention_heads": 4, "intermediate_size": 48}
    specials = {"bos_token_id": None, "eos_token_id": None, "pad_token_id": None}
    config = transformers.AutoConfig.for_model(kind, vocab_size=200, **(usual | specials | settings))
    torch.manual_seed(0)
    return transformers.AutoModelForCausalLM.from_config(config).eval()


@pytest.fixture(params=ARCHITECTURES)
def module(request: pytest.FixtureRequest, tmp_path: Path) -> Any:
    return load_model(str(save_planner(tmp_path, architecture=request.param)), dtype="float32").module


def one_by_one(module: Any, sequences: Sequence[Sequence[int]]) -> list[torch.Tensor]:
    return [
        module(input_ids=torch.tensor([[*sequence]]), use_cache=False).logits[0] for sequence in sequences
    ]


def gradients(module: Any, loss: torch.Tensor) -> dict[str, torch.Tensor]:
    module.zero_grad()
    loss.backward()
    found = {name: p.grad.clone() for name, p in module.named_parameters() if p.grad is not None}
    module.zero_grad()
    return found


def compare(module: Any, packed: PackedModel, tolerance: float) -> None:
    """Logits and gradients, relative to the largest."""
    forest, places = merge(SEQUENCES)
    expected_LV = torch.cat(one_by_one(module, SEQUENCES))
    torch.manual_seed(0)
    weight_LV = torch.randn(expected_LV.shape, dtype=torch.float64).to(expected_LV.dtype)
    expected = gradients(module, (expected_LV.log_softmax(-1) * weight_LV).mean())
    found_LV = packed.logits(forest, torch.cat(places))
    assert float((found_LV - expected_LV).detach().abs().max() / expected_LV.detach().abs().max()) < tolerance
    found = gradients(module, (found_LV.log_softmax(-1) * weight_LV).mean())
    assert found.keys() == expected.keys()
    largest = max(float(gradient.abs().max()) for gradient in expected.values())
    for name, gradient in expected.items():
        # A gradient that is zero by symmetry, as that of a key's bias, is rounding alone.
        scale = max(float(gradient.abs().max()), 1e-2 * largest)
        assert float((found[name] - gradient).abs().max()) / scale < tolerance, name


def test_logits_and_gradients_are_those_of_each_path_alone(module: Any) -> None:
    packed = PackedModel(module)
    assert packed.has_path_attention
    module.double()
    # Norms and rotations are computed in single precision by some models, whatever their weights are.
    compare(module, packed, 1e-5)
    module.float()
    compare(module, packed, 1e-5)


@torch.no_grad()
def test_a_divided_forest_has_the_logits_of_the_whole_one(module: Any) -> None:
    packed = PackedModel(module.double())
    forest, _ = merge(SEQUENCES)
    expected_TV = packed.logits(forest, torch.arange(len(forest)))
    passes = pack([forest], 120)
    assert len(passes) > 1
    for part in passes:
        found_TV = packed.logits(part.forest, torch.arange(len(part.forest)))
        assert float((found_TV - expected_TV[part.place_T]).abs().max()) < 1e-5


@torch.no_grad()
def test_places_are_answered_in_the_order_they_are_asked(module: Any) -> None:
    packed = PackedModel(module)
    forest, _ = merge(SEQUENCES)
    all_TV = packed.logits(forest, torch.arange(len(forest)))
    places_L = torch.tensor([7, 3, 3, len(forest) - 1, 0])
    assert torch.equal(packed.logits(forest, places_L), all_TV[places_L])


@torch.no_grad()
def test_called_as_ever_the_model_does_what_it_did(module: Any, tmp_path: Path) -> None:
    padded = {
        "input_ids": torch.tensor([[5, 6, 7, 8], [0, 0, 9, 10]]),
        "attention_mask": torch.tensor([[1, 1, 1, 1], [0, 0, 1, 1]]),
    }
    plain = {"input_ids": torch.tensor([SEQUENCES[0]])}
    before = [module(**inputs).logits for inputs in (padded, plain)]
    module.save_pretrained(tmp_path / "before")
    PackedModel(module)
    assert module.config._attn_implementation == PATH_ATTENTION
    for expected, inputs in zip(before, (padded, plain), strict=True):
        assert torch.equal(module(**inputs).logits, expected)
    module.save_pretrained(tmp_path / "after")
    configs = [(tmp_path / name / "config.json").read_text() for name in ("before", "after")]
    assert configs[0] == configs[1]


@pytest.mark.parametrize(
    ("kind", "settings"),
    [
        ("stablelm", {"num_key_value_heads": 4}),  # does not hand on what it is called with
        ("gemma2", {"num_key_value_heads": 2, "head_dim": 8}),  # caps its attention scores
        ("gptj", {"n_embd": 24, "n_layer": 2, "n_head": 4, "rotary_dim": 4}),  # has attention of its own
    ],
)
def test_other_ways_to_attend_get_a_mask_over_the_row(kind: str, settings: dict[str, Any]) -> None:
    module = made(kind, **settings)
    before = module.config._attn_implementation
    packed = PackedModel(module)
    assert not packed.has_path_attention
    assert module.config._attn_implementation == before
    compare(module, packed, 1e-5)


@pytest.mark.parametrize(
    ("kind", "settings"),
    [
        ("mistral", {"num_key_value_heads": 2, "sliding_window": 4}),
        ("mpt", {"d_model": 24, "n_layers": 2, "n_heads": 4}),  # ALiBi: positions are those of the row
    ],
)
def test_what_is_exact_in_no_way_is_refused(kind: str, settings: dict[str, Any]) -> None:
    with pytest.raises(UnsupportedError, match="cannot be trained on branches that share a prefix"):
        PackedModel(made(kind, **settings))


def test_a_path_longer_than_the_window_of_attention_is_refused() -> None:
    """The small forest that a model is tried on is shorter than this window."""
    packed = PackedModel(made("mistral", num_key_value_heads=2, sliding_window=32))
    assert packed.has_path_attention
    forest, _ = merge([[1] * 33])
    with pytest.raises(UnsupportedError, match="a window of 32 tokens, and paths of 33"):
        packed.logits(forest, torch.tensor([32]))


@pytest.mark.parametrize(
    ("kind", "settings"),
    [
        ("gemma2", {"num_key_value_heads": 2, "head_dim": 8, "sliding_window": 32}),
        (
            "gpt_oss",
            {"num_key_value_heads": 2, "head_dim": 8, "sliding_window": 32, "num_experts_per_tok": 1},
        ),
    ],
)
def test_a_mask_over_the_row_does_not_stand_in_for_a_window(kind: str, settings: dict[str, Any]) -> None:
    packed = PackedModel(made(kind, **settings))
    assert not packed.has_path_attention
    forest, places = merge([[*range(32)], [*range(20), *range(50, 62)]])
    assert packed.logits(forest, places[1]).shape == (
        32,
        200,
    )  # paths fit into the window, whatever the row has
    forest, _ = merge([[1] * 33])
    with pytest.raises(UnsupportedError, match=r"a window of 32 tokens \(sliding_window\), and paths of 33"):
        packed.logits(forest, torch.tensor([32]))


def test_a_window_over_places_is_that_of_a_row() -> None:
    settings = {"num_layers": 2, "num_heads": 4, "attention_types": [[["global", "local"], 1]]}
    packed = PackedModel(made("gpt_neo", window_size=32, **settings))
    forest, _ = merge([[*range(20)], [*range(10), *range(50, 63)]])
    with pytest.raises(
        UnsupportedError, match=r"a window of 32 tokens \(window_size\), and packed rows of 33"
    ):
        packed.logits(forest, torch.tensor([32]))
