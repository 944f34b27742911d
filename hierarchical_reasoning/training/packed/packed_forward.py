"""A causal language model over a forest of tokens, each computed once.

The model is called as a whole, which is how wrappers (several devices, shards, adapters) see it: one row of tokens
with the positions that they have on their own paths. Attention learns of the paths by a keyword of that call, so that
a layer that is computed again for its gradient attends alike; the places whose logits are asked for reach the head by
a hook, and it is applied nowhere else. Where a model does not hand the keyword on, or attends in a way that is not
computed over a forest, it gets a mask over the whole row in its place: exact too, and slower. That mask would stand in
for the windows of layers that see the last tokens alone, so what is longer than these is refused.

Axes: T places of the forest, L places asked for, V vocabulary.
"""

from __future__ import annotations

from typing import Any

import torch

from hierarchical_reasoning.training.packed.path_attention import PATH_ATTENTION
from hierarchical_reasoning.training.packed.path_blocks import TokenPaths
from hierarchical_reasoning.training.packed.token_forest import NO_PLACE, TokenForest, lay_out
from llm_backends import UnsupportedError

_PROBE_PARENTS = (NO_PLACE, 0, 0, 1, 1, NO_PLACE)
_PROBE_LENGTHS = (5, 4, 6, 3, 2, 4)
_WINDOWS_OF_PATHS = ("sliding_window", "attention_chunk_size")
_WINDOWS_OF_ROWS = ("window_size",)
"""By what names models call the tokens that some layers see at most: along a path; by their places in a row."""


class PackedModel:
    """A model whose forward passes are over forests. Its dropout is off, so that new and old policy differ by their
    weights alone; called in any other way, it does what it did."""

    def __init__(self, module: Any) -> None:
        """
        Args:
            module: a causal language model of transformers, not yet wrapped.

        Raises:
            UnsupportedError: its logits over a forest are not those of its paths one by one.
        """
        self._module = module
        self._places_L: torch.Tensor | None = None
        _turn_dropout_off(module)
        module.get_output_embeddings().register_forward_pre_hook(self._pick_places)
        self._by_blocks = self._takes_paths()
        if not self._by_blocks:
            difference = self._probe()
            if difference is not None:
                name = self._module.config.name_or_path or type(self._module).__name__
                raise UnsupportedError(
                    f"{name!r} cannot be trained on branches that share a prefix: over a packed row its logits differ "
                    f"by {difference:.2g} from those of each path alone; take a model that attends by masks and "
                    "position ids"
                )

    @property
    def has_path_attention(self) -> bool:
        """Whether attention is computed along the paths; else by a mask over the whole row."""
        return self._by_blocks

    @property
    def device(self) -> torch.device:
        """Where the model is."""
        device: torch.device = next(self._module.parameters()).device
        return device

    @property
    def _dtype(self) -> torch.dtype:
        dtype: torch.dtype = next(self._module.parameters()).dtype
        return dtype

    def logits(self, forest: TokenForest, places_L: torch.Tensor, model: Any | None = None) -> torch.Tensor:
        """(L, V) logits at these places of the forest, in this order; differentiable.

        Args:
            model: what wraps the module to train it on several devices or with adapters; None: the module itself.

        Raises:
            UnsupportedError: a path is longer than what some layer sees.
        """
        if not self._by_blocks:
            _check_windows(self._module.config.get_text_config(), forest)
        return self._logits(forest, places_L, model)

    def _logits(self, forest: TokenForest, places_L: torch.Tensor, model: Any | None = None) -> torch.Tensor:
        device = self.device
        paths = TokenPaths(forest, device)
        if self._by_blocks:
            # A mask of no width: none is made, and a layer that did not hear of the paths fails.
            extra = {
                "attention_mask": torch.empty(1, 1, len(forest), 0, dtype=torch.bool, device=device),
                "token_paths": paths,
            }
        else:
            extra = {"attention_mask": paths.dense_mask(self._dtype)}
        self._places_L = places_L.to(device)
        try:
            output = (self._module if model is None else model)(
                input_ids=forest.tokens_T.unsqueeze(0).to(device),
                position_ids=forest.positions_T.unsqueeze(0).to(device),
                use_cache=False,
                **extra,
            )
        finally:
            self._places_L = None
        logits_LV: torch.Tensor = output.logits
        return logits_LV

    def _pick_places(
        self, head: torch.nn.Module, inputs: tuple[torch.Tensor, ...]
    ) -> tuple[torch.Tensor, ...] | None:
        if self._places_L is None:
            return None
        return (inputs[0].flatten(0, 1).index_select(0, self._places_L),)

    def _takes_paths(self) -> bool:
        """Whether the model now attends along paths, and exactly so; if not, it is left as it was."""
        if not self._module._can_set_attn_implementation():
            return False
        before = self._module.config._attn_implementation
        self._module.set_attn_implementation(PATH_ATTENTION)
        self._by_blocks = True
        try:
            taken = self._probe() is None
        except (UnsupportedError, TypeError):  # refused by the attention, or no such keyword
            taken = False
        if not taken:
            self._module.set_attn_implementation(before)
        return taken

    @torch.no_grad()
    def _probe(self) -> float | None:
        """How far the logits over a small forest are from those of its paths, each as a row of its own; None: not."""
        vocabulary = self._module.get_input_embeddings().num_embeddings
        counted = iter(range(sum(_PROBE_LENGTHS)))
        tokens = [[(7 * next(counted) + 3) % vocabulary for _ in range(length)] for length in _PROBE_LENGTHS]
        forest, _ = lay_out(_PROBE_PARENTS, tokens)
        found_TV = self._logits(forest, torch.arange(len(forest))).float()
        expected_TV = torch.empty_like(found_TV)
        for place in range(len(forest)):
            path_T = torch.cat([forest.path_above(place), torch.tensor([place])])
            row = self._module(
                input_ids=forest.tokens_T[path_T].unsqueeze(0).to(self.device), use_cache=False
            )
            expected_TV[place] = row.logits[0, -1].float()
        difference = float((found_TV - expected_TV).abs().max())
        tolerance = (1e-3 if self._dtype in (torch.float32, torch.float64) else 5e-2) * max(
            float(expected_TV.abs().max()), 1.0
        )
        return None if difference <= tolerance else difference


def _check_windows(config: Any, forest: TokenForest) -> None:
    paths = int(forest.positions_T.max()) + 1
    for names, what, length in (
        (_WINDOWS_OF_PATHS, "paths", paths),
        (_WINDOWS_OF_ROWS, "packed rows", len(forest)),
    ):
        for name in names:
            window = getattr(config, name, None)
            if window is not None and window < length:
                raise UnsupportedError(
                    f"attention has a window of {window} tokens ({name}), and {what} of {length}; train on shorter "
                    "ones, or take a model without"
                )


def _turn_dropout_off(module: torch.nn.Module) -> None:
    """And all else that models do at random in training alone: to attention weights, to layers, to a router."""
    for part in module.modules():
        if isinstance(part, torch.nn.Dropout):
            part.p = 0.0
        for name, value in vars(part).items():
            if isinstance(value, float) and ("drop" in name or "jitter" in name):
                setattr(part, name, 0.0)
