"""``model_config.yaml``: which model, in how much room."""

from __future__ import annotations

from typing import Annotated, Literal

from hierarchical_reasoning.training.hato.keys import LEFT_OUT, Read, Section, Sets, Unused


def _in_bf16(precision: str) -> bool:
    if precision == "fp16":
        raise ValueError(
            "gradients leave the range of float16, and nothing scales the loss here; take bf16, which has the range "
            "of float32, or fp32"
        )
    return precision == "bf16"


class ModelSection(Section):
    name: Annotated[str, Sets("model_id")] = LEFT_OUT
    tokenizer: Annotated[str, Read()] = LEFT_OUT
    """A model is trained with the tokenizer that it came with."""
    max_length: Annotated[int, Sets("max_length")] = LEFT_OUT
    use_flash_attention: Annotated[
        bool,
        Unused(
            "a token of a tree sees its own path alone, which flash-attn has no mask for: passes take FlexAttention on "
            "a GPU and PyTorch's attention on a CPU, and what acts takes PyTorch's, fused kernels included"
        ),
    ] = LEFT_OUT
    precision: Annotated[Literal["fp32", "fp16", "bf16"], Sets("bf16", by=_in_bf16)] = LEFT_OUT


class ModelFile(Section):
    model: ModelSection = LEFT_OUT
