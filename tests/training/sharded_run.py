"""Steps of AdamW on a tiny model, in one process or as one of several: ``sharded_run.py FOLDER KIND ...``.

Each step learns from the same sequences however many processes there are. Each kind is trained for two steps, and
again from what was kept after the first; what was kept in ``FOLDER/ddp`` and ``FOLDER/fsdp2`` is taken up by
``single`` too. Of each, ``weights``, ``adapter`` and ``optimizer`` are written as safetensors, and by ``single`` what
peft makes of the kept LoRA weights, as ``merged``. Few steps of a tiny model: processes that wait for each other are
slow on a busy machine.
"""

from __future__ import annotations

import copy
import json
import math
import sys
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from accelerate import Accelerator
from accelerate.state import AcceleratorState, PartialState
from accelerate.utils import DeepSpeedPlugin, DistributedType, FullyShardedDataParallelPlugin
from peft import LoraConfig, get_peft_model
from safetensors.torch import load_file, save_file
from torch.distributed.tensor import DTensor
from transformers import AutoModelForCausalLM, TrainingArguments

from hierarchical_reasoning.training.sharding import (
    adapter_weights,
    any_true,
    check_sharding,
    full_weights,
    gather_objects,
    load_adapter_weights,
    load_optimizer_tensors,
    one_pass,
    optimizer_tensors,
    sum_across,
    whole_models,
)

LORA = LoraConfig(r=4, lora_alpha=8, lora_dropout=0.0, target_modules="all-linear", init_lora_weights=False)
STEPS = 2
KEPT_AFTER = 1
SEQUENCES = 3  # so that two processes have unequal work


@dataclass(frozen=True)
class Run:
    """A model in training."""

    accelerator: Accelerator
    model: Any
    optimizer: Any

    def step(self, number: int) -> None:
        self.model.train()
        generator = torch.Generator().manual_seed(number)
        sequences = [torch.randint(3, 384, (1, 6 + 2 * n), generator=generator) for n in range(SEQUENCES)]
        n_tokens = sum(sequence.shape[1] - 1 for sequence in sequences)
        rank, processes = self.accelerator.process_index, self.accelerator.num_processes
        mine = sequences[rank::processes]
        passes = math.ceil(SEQUENCES / processes)
        for index in range(passes):
            with one_pass(self.accelerator, self.model, last=index == passes - 1) as backward:
                sequence = mine[min(index, len(mine) - 1)]
                logits = self.model(input_ids=sequence, use_cache=False).logits[0, :-1]
                loss = torch.nn.functional.cross_entropy(logits, sequence[0, 1:], reduction="sum")
                backward(loss / n_tokens * (index < len(mine)))
        self.optimizer.step()
        self.optimizer.zero_grad()

    def keep(self, folder: Path) -> None:
        before = dict(adapter_weights(self.accelerator, self.model))
        weights = {name: tensor.clone() for name, tensor in full_weights(self.accelerator, self.model)}
        adapter = dict(adapter_weights(self.accelerator, self.model))
        assert all(torch.equal(adapter[name], before[name]) for name in before)
        state = optimizer_tensors(self.accelerator, self.model, self.optimizer)
        if self.accelerator.is_main_process:
            folder.mkdir(parents=True)
            save_file(weights, folder / "weights.safetensors")
            save_file(
                {name: tensor.contiguous() for name, tensor in adapter.items()},
                folder / "adapter.safetensors",
            )
            save_file(state, folder / "optimizer.safetensors")
        else:
            assert not state
        self.accelerator.wait_for_everyone()


def start(folder: Path, kind: str, *, lora: bool, kept: Path | None = None) -> Run:
    """A model, new or as kept, and prepared."""
    accelerator = _accelerator(kind)
    check_sharding(accelerator)
    dtype = torch.bfloat16 if kind.endswith("bf16") else torch.float32 if "zero" in kind else torch.float64
    with whole_models():
        module = AutoModelForCausalLM.from_pretrained(folder / "model", dtype=dtype)
    if lora:
        torch.manual_seed(1)
        module = get_peft_model(module, LORA)
        if kept is not None:
            load_adapter_weights(module, load_file(kept / "adapter.safetensors"))
    elif kept is not None:
        module.load_state_dict(load_file(kept / "weights.safetensors"))
    optimizer = torch.optim.AdamW([p for p in module.parameters() if p.requires_grad], lr=1e-2, eps=1e-4)
    model, optimizer = accelerator.prepare(module, optimizer)
    assert any(isinstance(p, DTensor) for p in model.parameters()) == (kind == "fsdp2")
    assert any(hasattr(p, "ds_id") for p in model.parameters()) == kind.startswith("zero3")
    if kept is not None:
        load_optimizer_tensors(accelerator, model, optimizer, load_file(kept / "optimizer.safetensors"))
    return Run(accelerator, model, optimizer)


def _accelerator(kind: str) -> Accelerator:
    """As the trainer of transformers makes it."""
    AcceleratorState._reset_state(reset_partial_state=True)
    if "zero" in kind:
        return _deepspeed_accelerator(kind)
    if kind != "fsdp2":
        return Accelerator(cpu=True)
    arguments = TrainingArguments(use_cpu=True, report_to="none", fsdp=True, fsdp_config={"version": 2})
    plugin = FullyShardedDataParallelPlugin(**arguments.fsdp_plugin_args)
    accelerator = Accelerator(cpu=True, fsdp_plugin=plugin)
    # accelerate leaves FSDP out where there is no GPU; torch does not need one.
    accelerator.state.distributed_type = DistributedType.FSDP
    accelerator.state.fsdp_plugin = plugin
    return accelerator


def _deepspeed_accelerator(kind: str) -> Accelerator:
    import deepspeed

    settings = {
        "zero_optimization": {"stage": int(kind[4])},
        "bf16": {"enabled": kind.endswith("bf16")},
        "train_micro_batch_size_per_gpu": 1,
        "gradient_accumulation_steps": 1,
        "gradient_clipping": 0.0,
    }
    deepspeed.init_distributed("gloo")
    # accelerate takes DeepSpeed without a GPU for one process.
    state = PartialState()
    state.num_processes = torch.distributed.get_world_size()
    state.process_index = state.local_process_index = torch.distributed.get_rank()
    return Accelerator(deepspeed_plugin=DeepSpeedPlugin(hf_ds_config=settings))


def train(folder: Path, kind: str, *, lora: bool) -> None:
    """Two steps; the last one again, from what was kept; and, in one process, from what two processes kept."""
    name = "lora" if lora else "full"
    run = start(folder, kind, lora=lora)
    for step in range(STEPS):
        run.step(step)
        if step + 1 in (KEPT_AFTER, STEPS):
            run.keep(folder / kind / name / f"after_{step + 1}")
    others = [other for other in ("ddp", "fsdp2") if (folder / other).exists()] if kind == "single" else []
    for source in [kind, *others]:
        kept = folder / source / name / f"after_{KEPT_AFTER}"
        again = start(folder, kind, lora=lora, kept=kept)
        if kind == "single" and lora:
            merged = copy.deepcopy(again.model).merge_and_unload().state_dict()
            save_file({key: tensor.clone() for key, tensor in merged.items()}, kept / "merged.safetensors")
        for step in range(KEPT_AFTER, STEPS):
            again.step(step)
        again.keep(folder / kind / name / f"from_{source}")


def exchange(folder: Path) -> None:
    """What each process hears of the others."""
    accelerator = _accelerator("ddp")
    rank = accelerator.process_index
    heard = {
        "sum": sum_across(accelerator, [rank + 0.5, 2**40 + rank]),
        "any": any_true(accelerator, rank == 1),
        "none": any_true(accelerator, False),
        "objects": gather_objects(accelerator, [{"rank": rank}] * (rank + 1)),
    }
    (folder / f"heard_by_{rank}.json").write_text(json.dumps(heard))


def main(folder: Path, kinds: Sequence[str]) -> None:
    if "ddp" in kinds:
        exchange(folder)
    for kind in kinds:
        for lora in (False, True):
            train(folder, kind, lora=lora)


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    main(Path(sys.argv[1]), sys.argv[2:])
    if torch.distributed.is_initialized():
        torch.distributed.destroy_process_group()
