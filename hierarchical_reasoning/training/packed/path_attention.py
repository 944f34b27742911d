"""Attention in which a token sees its own path through a forest, and no other branch.

On the CPU it is computed block by block (`path_blocks`), and no mask over the whole row is made. On a GPU it is
FlexAttention, whose block mask leaves out what nothing sees.

What a model adds to plain attention is computed exactly or refused (`UnsupportedError`), never left out.
Axes: B = 1 row, H heads, T places, D width of a head; Q queries and K keys of a block.
"""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import torch
from torch.nn.functional import scaled_dot_product_attention
from transformers import AttentionInterface
from transformers.integrations.flex_attention import flex_attention_forward
from transformers.integrations.sdpa_attention import repeat_kv, sdpa_attention_forward
from transformers.masking_utils import AttentionMaskInterface, sdpa_mask

from hierarchical_reasoning.training.packed.path_blocks import TokenPaths
from llm_backends import UnsupportedError

PATH_ATTENTION = "forest_paths"
"""Its name in transformers; without `TokenPaths` it is SDPA."""
_NARROWEST_FLEX_HEAD = 16
"""FlexAttention's kernels take no head that is narrower."""


def attend_by_blocks(
    query_BHTD: torch.Tensor,
    key_BHTD: torch.Tensor,
    value_BHTD: torch.Tensor,
    paths: TokenPaths,
    scaling: float | None,
) -> torch.Tensor:
    """(B, T, H, D), block by block."""
    widths = [stop - start for start, stop in pairwise(paths.cuts)]
    keys, values = torch.split(key_BHTD, widths, dim=2), torch.split(value_BHTD, widths, dim=2)
    queries = torch.split(query_BHTD, [block.stop - block.start for block in paths.blocks], dim=2)
    found = [
        scaled_dot_product_attention(
            query_BHQD,
            torch.cat([keys[piece] for piece in pieces], dim=2),
            torch.cat([values[piece] for piece in pieces], dim=2),
            attn_mask=mask_QK,
            is_causal=mask_QK is None,
            scale=scaling,
        ).transpose(1, 2)
        for query_BHQD, pieces, mask_QK in zip(queries, paths.pieces, paths.masks, strict=True)
    ]
    return torch.cat(found, dim=1)


def _path_attention(
    module: torch.nn.Module,
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    attention_mask: torch.Tensor | None,
    dropout: float = 0.0,
    scaling: float | None = None,
    token_paths: TokenPaths | None = None,
    **others: Any,
) -> tuple[torch.Tensor, torch.Tensor | None]:
    """As transformers calls it. The names of its arguments are those that models use."""
    if token_paths is None and attention_mask is not None and not attention_mask.shape[-1]:
        raise UnsupportedError(f"{type(module).__name__} is not handed what its model is called with")
    found: tuple[torch.Tensor, torch.Tensor | None]
    if token_paths is None:
        found = sdpa_attention_forward(
            module, query, key, value, attention_mask, dropout=dropout, scaling=scaling, **others
        )
        return found
    _check(token_paths, query, dropout, others)
    if query.is_cuda and query.dtype != torch.float64 and query.shape[-1] >= _NARROWEST_FLEX_HEAD:
        found = flex_attention_forward(module, query, key, value, token_paths.block_mask, scaling=scaling)
        return found
    repeats = query.shape[1] // key.shape[1]
    output = attend_by_blocks(query, repeat_kv(key, repeats), repeat_kv(value, repeats), token_paths, scaling)
    return output, None


_HARMLESS = frozenset(
    {
        "position_ids",
        "use_cache",
        "is_causal",
        "output_attentions",
        "output_hidden_states",
        "output_router_logits",
    }
)
"""What models hand to their attention and what changes nothing in it."""


def _check(paths: TokenPaths, query: torch.Tensor, dropout: float, others: dict[str, Any]) -> None:
    if query.shape[0] != 1 or query.shape[2] != len(paths):
        raise UnsupportedError(
            f"queries have shape {tuple(query.shape)}; a forest of {len(paths)} tokens is one row"
        )
    if dropout:
        raise UnsupportedError(f"attention has dropout {dropout}; a forest is computed without")
    window = others.get("sliding_window")
    if window is not None and window < paths.longest:
        raise UnsupportedError(f"attention has a window of {window} tokens, and paths of {paths.longest}")
    unknown = [
        name
        for name, value in others.items()
        if name not in _HARMLESS and name != "sliding_window" and value is not None
    ]
    if unknown:
        raise UnsupportedError(
            f"attention is given {', '.join(unknown)}, which is not computed over a forest"
        )


AttentionInterface.register(PATH_ATTENTION, _path_attention)
AttentionMaskInterface.register(PATH_ATTENTION, sdpa_mask)
