"""The state of AdamW inside DeepSpeed's ZeRO 1, 2 and 3, which keep it and the weights it steps on in flat float32
parts of their own."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import torch

STEP = "step"
MOMENTS = ("exp_avg", "exp_avg_sq")
_MASTER = "master"


def state_names(parameters: Mapping[str, torch.Tensor]) -> tuple[str, ...]:
    """What there is of each parameter: with weights in bf16 the float32 ones too."""
    in_float32 = all(parameter.dtype is torch.float32 for parameter in parameters.values())
    return (*MOMENTS, STEP) if in_float32 else (*MOMENTS, STEP, _MASTER)


def optimizer_tensors(
    engine: Any, parameters: Mapping[str, torch.Tensor]
) -> Iterator[tuple[str, torch.Tensor]]:
    """Whole, one by one; nothing before the first step. Collective."""
    from deepspeed.utils import safe_get_full_fp32_param, safe_get_full_optimizer_state

    states = engine.optimizer.optimizer.state
    if not any(states.get(flat) for flat in _flat_parts(engine)):
        return
    step = next(float(state[STEP]) for state in states.values())
    for name, parameter in parameters.items():
        for what in MOMENTS:
            yield f"{name}.{what}", safe_get_full_optimizer_state(parameter, what)
        yield f"{name}.{STEP}", torch.tensor(step)
        if _MASTER in state_names(parameters):
            yield f"{name}.{_MASTER}", safe_get_full_fp32_param(parameter)


def load_states(
    engine: Any, parameters: Mapping[str, torch.Tensor], states: Mapping[str, Mapping[str, torch.Tensor]]
) -> None:
    """Put in what `optimizer_tensors` gave, by parameter. Collective."""
    from deepspeed.utils import safe_set_full_fp32_param, safe_set_full_optimizer_state

    step = float(next(iter(states.values()))[STEP])
    inner = engine.optimizer.optimizer
    for flat in _flat_parts(engine):
        # Before the first step there is no state to copy into.
        inner.state[flat] = {what: torch.zeros_like(flat.data) for what in MOMENTS}
        inner.state[flat][STEP] = _step_of(inner, step, flat)
    if engine.zero_optimization_stage() < 3:
        engine.optimizer._hp_optimizer_states_linked = False
        engine.optimizer._lazy_init_hp_params_optimizer_state()
    for name, parameter in parameters.items():
        device = engine.device
        for what in MOMENTS:
            safe_set_full_optimizer_state(parameter, states[name][what].to(device), what)
        if _MASTER in states[name]:
            safe_set_full_fp32_param(parameter, states[name][_MASTER].to(device))


def _flat_parts(engine: Any) -> list[torch.Tensor]:
    """What the inner optimizer sees as its parameters in this process."""
    if engine.zero_optimization_stage() < 3:
        parts: list[torch.Tensor] = engine.optimizer.single_partition_of_fp32_groups
    else:
        parts = engine.optimizer.fp32_partitioned_groups_flat
    return parts


def _step_of(inner: Any, step: float, flat: torch.Tensor) -> torch.Tensor | int:
    if not isinstance(inner, torch.optim.Optimizer) or not isinstance(inner, torch.optim.Adam):
        return int(step)  # DeepSpeed's own, for offloading
    group = inner.param_groups[0]
    on_device = group.get("fused") or group.get("capturable")
    return torch.tensor(step, device=flat.device if on_device else "cpu")
