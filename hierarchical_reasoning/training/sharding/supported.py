"""Which ways to spread training are supported, asked of what accelerate has set up."""

from __future__ import annotations

from typing import Any

from accelerate import Accelerator
from accelerate.utils import DistributedType

from hierarchical_reasoning.errors import ConfigError

_KNOWN = (
    DistributedType.NO,
    DistributedType.MULTI_CPU,
    DistributedType.MULTI_GPU,
    DistributedType.FSDP,
    DistributedType.DEEPSPEED,
)


def check_sharding(accelerator: Accelerator) -> None:
    """Raises ConfigError for what training cannot do exactly."""
    kind = accelerator.distributed_type
    if kind not in _KNOWN:
        raise ConfigError(
            f"accelerate runs {kind.value}; training runs in one process, or with DDP, FSDP2 or DeepSpeed ZeRO: "
            "change it with accelerate config, or start with torchrun"
        )
    if kind is DistributedType.FSDP and not accelerator.is_fsdp2:
        raise ConfigError(
            "accelerate runs FSDP version 1; FSDP is supported in version 2: fsdp_version: 2 in accelerate's "
            "configuration, or accelerate launch --fsdp_version 2"
        )
    if accelerator.mixed_precision not in ("no", "bf16"):
        raise ConfigError(
            f"accelerate's mixed_precision is {accelerator.mixed_precision}; allowed are no and bf16 (mixed_precision "
            "in accelerate's configuration, or accelerate launch --mixed_precision)"
        )
    if kind is DistributedType.DEEPSPEED:
        _check_deepspeed(accelerator.state.deepspeed_plugin)


def _check_deepspeed(plugin: Any) -> None:
    if plugin.zero_stage not in (1, 2, 3):
        raise ConfigError(
            f"DeepSpeed's ZeRO stage is {plugin.zero_stage}; allowed are 1, 2 and 3 (zero_stage in accelerate's "
            "configuration); without ZeRO, start with torchrun, which is DDP"
        )
    settings = plugin.deepspeed_config
    for section in ("optimizer", "scheduler"):
        if section in settings:
            raise ConfigError(
                f"DeepSpeed's configuration has a section {section!r}; take it out: training makes AdamW and its "
                "schedule itself, by --learning_rate and what belongs to it"
            )
    steps = settings.get("gradient_accumulation_steps", 1)
    if steps not in (1, "auto"):
        raise ConfigError(
            f"DeepSpeed's gradient_accumulation_steps is {steps}; set it to 1 or auto there, and give training's own "
            "--gradient_accumulation_steps"
        )
    zero = settings.get("zero_optimization", {})
    for what in ("offload_optimizer", "offload_param"):
        if zero.get(what, {}).get("device") == "nvme":
            raise ConfigError(f"DeepSpeed's {what} goes to nvme; allowed are cpu and none")
