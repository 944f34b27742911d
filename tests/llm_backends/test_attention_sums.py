"""What the engine relies on: attention over whole blocks does not depend on the blocks behind them, to the last bit."""

from __future__ import annotations

import pytest
import torch

from llm_backends.local.attention_sums import BLOCK, keys_are_summed_alike

HEADS, MOST = 3, 4


def attended(n_queries: int, n_keys: int, width: int, head_size: int, dtype: torch.dtype) -> torch.Tensor:
    """Of the last queries of a row of `n_keys` tokens, when attention is given `width` keys."""
    generator = torch.Generator().manual_seed(n_keys)

    def drawn(tokens: int) -> torch.Tensor:
        return torch.randn(2, HEADS, tokens, head_size, generator=generator).to(dtype)

    keys, values, queries = drawn(MOST * BLOCK), drawn(MOST * BLOCK), drawn(n_queries)
    hidden = torch.arange(width) > torch.arange(n_keys - n_queries, n_keys).unsqueeze(1)
    mask = torch.zeros(hidden.shape, dtype=dtype).masked_fill_(hidden, float("-inf"))
    return torch.nn.functional.scaled_dot_product_attention(
        queries, keys[:, :, :width], values[:, :, :width], attn_mask=mask
    )


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


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16], ids=str)
def test_what_is_found_of_smaller_tiles_holds(dtype: torch.dtype) -> None:
    """For prompts that were not looked at to find it."""
    if not keys_are_summed_alike(64, dtype, 16):
        pytest.skip("this CPU needs whole blocks")
    for n_queries, n_keys in ((16, 100), (32, 170), (80, 230), (160, 330)):
        least = -(-n_keys // 16) * 16
        results = [attended(n_queries, n_keys, width, 64, dtype) for width in range(least, BLOCK + 1, 16)]
        assert all(torch.equal(result, results[0]) for result in results)


def test_one_query_alone_needs_no_blocks() -> None:
    """A decode step: its sum is not divided."""
    for dtype in (torch.float32, torch.bfloat16):
        for n_keys in (40, 130, 250, 450):
            least = -(-n_keys // 16) * 16
            results = [attended(1, n_keys, width, 32, dtype) for width in range(least, BLOCK + 1, 16)]
            assert all(torch.equal(result, results[0]) for result in results)
