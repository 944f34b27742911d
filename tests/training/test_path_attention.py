"""Attention along the paths of a forest against a mask over the whole row, and how it is divided into calls."""

from __future__ import annotations

from itertools import pairwise

import pytest
import torch
from drawn_forests import SEQUENCES, branching_sequences
from hypothesis import given
from torch.nn.attention.flex_attention import flex_attention
from torch.nn.functional import scaled_dot_product_attention

from hierarchical_reasoning.training.packed.path_attention import attend_by_blocks
from hierarchical_reasoning.training.packed.path_blocks import Block, TokenPaths, blocks
from hierarchical_reasoning.training.packed.prefix_trie import merge
from hierarchical_reasoning.training.packed.token_forest import TokenForest

CPU = torch.device("cpu")


def keys_of(block: Block) -> list[int]:
    return [place for part in (*block.context, range(block.start, block.stop)) for place in part]


def many_branches() -> TokenForest:
    """Trunks, long branches and bushes of short ones."""
    trunk = list(range(700))
    long = [[*trunk[:150], *[branch] * 600] for branch in (1, 2)]
    bushes = [[*trunk[:at], 5, leaf] for at in (100, 400, 690) for leaf in range(8)]
    forest, _ = merge([trunk, *long, *bushes, *branching_sequences(20, 50, seed=0)])
    return forest


@given(SEQUENCES)
def test_blocks_cover_the_row_and_hold_what_is_seen(sequences: list[list[int]]) -> None:
    forest, _ = merge(sequences)
    found = blocks(forest)
    bounds = [0, *(block.stop for block in found)]
    assert [(block.start, block.stop) for block in found] == [*pairwise(bounds)]
    assert bounds[-1] == len(forest)
    paths = TokenPaths(forest, CPU)
    for block, mask_QK in zip(found, paths.masks, strict=True):
        keys = keys_of(block)
        assert sorted(set(keys)) == keys
        for row, query in enumerate(range(block.start, block.stop)):
            path = [*forest.path_above(query).tolist(), query]
            if mask_QK is None:
                assert path == keys[: row + 1]
            else:
                assert [key for key, seen in zip(keys, mask_QK[row].tolist(), strict=True) if seen] == path


def test_hardly_a_pair_is_computed_that_is_masked_away() -> None:
    forest = many_branches()
    found = blocks(forest)
    assert sum(block.is_causal for block in found) >= 1
    computed = sum((block.stop - block.start) * len(keys_of(block)) for block in found if not block.is_causal)
    needed = sum(
        int(forest.positions_T[place]) + 1
        for block in found
        if not block.is_causal
        for place in range(block.start, block.stop)
    )
    assert computed < 1.35 * needed
    assert computed < 0.2 * len(forest) ** 2
    assert len(found) < len(forest.heads())  # short branches are taken together


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
def test_by_blocks_it_is_that_of_a_mask_over_the_whole_row(dtype: torch.dtype) -> None:
    forest = many_branches()
    paths = TokenPaths(forest, CPU)
    torch.manual_seed(0)
    shape = (1, 2, len(forest), 8)
    states = [torch.randn(shape, dtype=dtype, requires_grad=True) for _ in range(3)]
    weight = torch.randn(1, len(forest), 2, 8, dtype=dtype)
    mask = paths.dense_mask(dtype)
    expected = scaled_dot_product_attention(*states, attn_mask=mask, scale=0.7).transpose(1, 2)
    expected_grads = torch.autograd.grad((expected * weight).sum(), states)
    found = attend_by_blocks(*states, paths, 0.7)
    found_grads = torch.autograd.grad((found * weight).sum(), states)
    tolerance = 1e-12 if dtype is torch.float64 else 1e-5
    for ours, theirs in zip((found, *found_grads), (expected, *expected_grads), strict=True):
        assert float((ours - theirs).detach().abs().max() / theirs.detach().abs().max()) < tolerance


@pytest.mark.filterwarnings("ignore:flex_attention called without torch.compile:UserWarning")
def test_the_block_mask_of_a_gpu_says_the_same() -> None:
    forest = many_branches()
    paths = TokenPaths(forest, CPU)
    torch.manual_seed(0)
    states = [torch.randn(1, 2, len(forest), 16) for _ in range(3)]
    found = flex_attention(*states, block_mask=paths.block_mask).transpose(1, 2)
    assert float((found - attend_by_blocks(*states, paths, None)).abs().max()) < 1e-5
    assert paths.block_mask.sparsity() > 50  # percent of the blocks that are left out
