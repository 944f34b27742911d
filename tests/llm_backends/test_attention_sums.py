"""What the engine relies on: attention over whole blocks does not depend on the blocks behind them, to the last bit."""

from __future__ import annotations

import pytest
import torch

from llm_backends.local.attention_sums import BLOCK, cancelling_values, keys_are_summed_alike

MOST = 4
"""Blocks."""


def attended(n_queries: int, n_keys: int, width: int, head_size: int, dtype: torch.dtype) -> torch.Tensor:
    """Of queries that see the first keys of `width`, and whose sums show the order in which they are made."""
    values = cancelling_values(n_keys, head_size, torch.Generator().manual_seed(n_keys)).to(dtype)
    values = torch.nn.functional.pad(values, (0, 0, 0, 0, 0, width - n_keys)).transpose(1, 2)
    queries = torch.zeros(1, values.shape[1], n_queries, head_size, dtype=dtype)
    mask = torch.zeros(n_queries, width, dtype=dtype)
    mask[:, n_keys:] = float("-inf")
    found = torch.nn.functional.scaled_dot_product_attention(
        queries, torch.zeros_like(values), values, attn_mask=mask
    )
    assert found.isfinite().all()
    assert found.any()  # the rounding is there
    return found


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16], ids=str)
@pytest.mark.parametrize("head_size", [32, 64])
@pytest.mark.parametrize(("n_queries", "n_keys"), [(1, 300), (16, 40), (48, 200), (208, 450), (16, 900)])
def test_blocks_that_are_hidden_change_no_bit(
    n_queries: int, n_keys: int, head_size: int, dtype: torch.dtype
) -> None:
    least = -(-n_keys // BLOCK) * BLOCK
    widths = range(least, MOST * BLOCK + 1, BLOCK)
    results = [attended(n_queries, n_keys, width, head_size, dtype) for width in widths]
    assert len(results) > 1
    assert all(torch.equal(result, results[0]) for result in results)


@pytest.mark.parametrize("n_queries", [1, 16, 112])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16], ids=str)
def test_what_is_found_of_a_tile_is_what_a_plain_search_finds(dtype: torch.dtype, n_queries: int) -> None:
    found = keys_are_summed_alike(32, dtype, 64, n_queries=n_queries, threads=torch.get_num_threads())
    plainly = True
    for n_keys in range(40, 460, 30):
        widths = range(-(-n_keys // 64) * 64, BLOCK + 1, 64)
        results = [attended(n_queries, n_keys, width, 32, dtype) for width in widths]
        plainly = plainly and all(torch.equal(result, results[0]) for result in results)
    assert found == plainly
