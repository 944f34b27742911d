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
_KEYS = (40, 130, 200, 250, 330, 450)
"""Even numbers."""


@cache
def keys_are_summed_alike(
    head_size: int, dtype: torch.dtype, tile: int, *, n_queries: int, threads: int
) -> bool:
    """Whether results on this CPU were found to be the same, bit for bit, for multiples of `tile` up to a block.

    :param n_queries: 1 as in a decode step, or more.
    :param threads: that torch has now; with others it is found again.
    """
    generator = torch.Generator().manual_seed(0)
    queries_NTHD = torch.zeros(1, n_queries, _HEADS, head_size, dtype=dtype)
    keys_NSHD = torch.zeros(1, BLOCK, _HEADS, head_size, dtype=dtype)
    for n_keys in _KEYS:
        values_NSHD = torch.zeros(1, BLOCK, _HEADS, head_size, dtype=dtype)
        values_NSHD[:, :n_keys] = cancelling_values(n_keys, head_size, generator).to(dtype)
        least = -(-n_keys // tile) * tile
        widths = sorted({least, least + tile, least + 4 * tile, BLOCK - tile, BLOCK})
        results = [
            _attended(queries_NTHD, keys_NSHD[:, :width], values_NSHD[:, :width], n_keys)
            for width in widths
            if least <= width <= BLOCK
        ]
        if not all(torch.equal(result, results[0]) for result in results[1:]):
            return False
    return True


def cancelling_values(n_keys: int, head_size: int, generator: torch.Generator) -> torch.Tensor:
    """Values of very different sizes, (1, keys, heads, head size), whose mean over the keys is zero, so that all that
    is left of it is the rounding of partial sums, which tells their order.

    :param n_keys: even.
    """
    shape = 1, n_keys // 2, _HEADS, head_size
    sizes = 2.0 ** torch.randint(-12, 12, shape, generator=generator)
    half = torch.randn(shape, generator=generator).to(torch.bfloat16).float() * sizes
    both = torch.cat([half, -half], dim=1)
    return both[:, torch.randperm(n_keys, generator=generator)]


def _attended(
    queries_NTHD: torch.Tensor, keys_NSHD: torch.Tensor, values_NSHD: torch.Tensor, n_keys: int
) -> torch.Tensor:
    """Of queries that all attend alike to the first keys, laid out as the engine's cache is."""
    mask_TS = torch.zeros(queries_NTHD.shape[1], keys_NSHD.shape[1], dtype=keys_NSHD.dtype)
    mask_TS[:, n_keys:] = float("-inf")
    return torch.nn.functional.scaled_dot_product_attention(
        queries_NTHD.transpose(1, 2),
        keys_NSHD.transpose(1, 2),
        values_NSHD.transpose(1, 2),
        attn_mask=mask_TS,
    )
