"""How a server is held against the weights in training."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from hierarchical_reasoning.training.packed.packed_forward import PackedModel
from hierarchical_reasoning.training.packed.token_forest import NO_PLACE, lay_out
from llm_backends.hosted.token_sampler import Probe

_LONGEST = 256
_TOP = 20


@torch.no_grad()
def weights_probe(model: PackedModel, prompt: Sequence[int]) -> Probe:
    """A beginning of the prompt, and what the model expects behind it: where it is least sure, since how it opens a
    reply is often settled, and other weights would expect the same."""
    forest, _ = lay_out([NO_PLACE], [list(prompt[:_LONGEST])])
    log_probs_TV = model.logits(forest, torch.arange(len(forest))).float().log_softmax(-1)
    entropy_T = -(log_probs_TV.exp() * log_probs_TV).sum(-1)
    place = int(entropy_T.argmax())
    log_probs, tokens = log_probs_TV[place].topk(min(_TOP, log_probs_TV.shape[-1]))
    return Probe(tuple(prompt[: place + 1]), tuple(zip(tokens.tolist(), log_probs.tolist(), strict=True)))
