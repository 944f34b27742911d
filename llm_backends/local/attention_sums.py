"""Whether attention sums a query's keys in the same order however many masked keys lie behind them.

The sum over keys is a matrix multiplication, and some kernels divide it into parts by the number of all keys, those
that other rows of a batch need included. Then a row's result depends, in its last bits, on what else is in flight, and
in bfloat16 a last bit is a percent of a probability. Where that is so, keys are given in whole blocks of PyTorch's
attention on CPUs, each of which is a sum of its own.
"""

from __future__ import annotations

from functools import cache

import torch

BLOCK = 512
"""Keys of a block of attention on CPUs: `kvSplitSize` in ATen/native/cpu/FlashAttentionKernel.cpp."""
_HEADS = 2
_KEYS = (40, 130, 200, 250, 450)
_QUERIES = (16, 48, 112)


@cache
def keys_are_summed_alike(head_size: int, dtype: torch.dtype, tile: int) -> bool:
    """Whether results on this CPU were found to be the same, bit for bit, for all multiples of `tile` up to a block.

    A decode step's single query is not looked at: its sum is not divided.
    """
    generator = torch.Generator().manual_seed(0)

    def drawn(tokens: int) -> torch.Tensor:
        return torch.randn(1, _HEADS, tokens, head_size, generator=generator).to(dtype)

    keys, values = drawn(BLOCK), drawn(BLOCK)
    for n_keys in _KEYS:
        for n_queries in _QUERIES:
            if n_queries > n_keys:
                continue
            queries = drawn(n_queries)
            last_seen_T1 = torch.arange(n_keys - n_queries, n_keys).unsqueeze(1)
            least = -(-n_keys // tile) * tile
            results = [
                _attended(queries, keys[:, :, :width], values[:, :, :width], last_seen_T1)
                for width in {least, least + tile, least + 4 * tile, BLOCK - tile, BLOCK}
                if least <= width <= BLOCK
            ]
            if not all(torch.equal(result, results[0]) for result in results[1:]):
                return False
    return True


def _attended(
    queries: torch.Tensor, keys: torch.Tensor, values: torch.Tensor, last_seen_T1: torch.Tensor
) -> torch.Tensor:
    hidden_TS = torch.arange(keys.shape[2]) > last_seen_T1
    mask_TS = torch.zeros(hidden_TS.shape, dtype=keys.dtype).masked_fill_(hidden_TS, float("-inf"))
    return torch.nn.functional.scaled_dot_product_attention(queries, keys, values, attn_mask=mask_TS)
