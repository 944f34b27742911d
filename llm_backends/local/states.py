"""Hidden states of a model's last layer: what it makes of a text, for those who compute with that."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import torch

from llm_backends.errors import ContextLengthError
from llm_backends.local.loading import LoadedModel


@torch.inference_mode()
def last_hidden_states(
    model: LoadedModel, rows: Sequence[Sequence[int]], *, rows_at_once: int = 1
) -> Iterator[torch.Tensor]:
    """Of each row of tokens, in their order: (tokens, width) in float32, on the CPU.

    A plain forward pass on the weights as they are now, which may run beside the engine's, but not while the weights
    are replaced.

    :param rows_at_once: rows that share a pass. With 1, a row's states depend on it and the weights alone; with more,
        the others change them by the rounding of sums.
    :raises ContextLengthError: a row is longer than the model's context.
    """
    longest = max(map(len, rows), default=0)
    if model.context_length is not None and longest > model.context_length:
        raise ContextLengthError(
            f"a text of {longest} tokens is longer than the context of the model, which holds {model.context_length}"
        )
    for start in range(0, len(rows), rows_at_once):
        batch = rows[start : start + rows_at_once]
        width = max(map(len, batch))
        # What is added behind a row is never attended to by it: attention is causal.
        tokens_NT = torch.tensor([[*row, *[0] * (width - len(row))] for row in batch], device=model.device)
        states_NTW = model.body(input_ids=tokens_NT, use_cache=False).last_hidden_state
        for row, states_TW in zip(batch, states_NTW, strict=True):
            yield states_TW[: len(row)].float().cpu()
