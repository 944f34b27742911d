"""How a training run was started, judged before a model is loaded: one process, or several by torchrun or accelerate
launch."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass

import torch
from transformers import TrainingArguments

from hierarchical_reasoning.errors import ConfigError

_LAUNCHERS = ("RANK", "WORLD_SIZE", "LOCAL_RANK", "LOCAL_WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT")
_HOW = "torchrun --nproc_per_node N train_model_grpo.py ..., or accelerate launch"


@dataclass(frozen=True)
class Launch:
    """One of the processes of a run."""

    processes: int
    rank: int
    device: str
    """What this process takes for ``--device``."""
    notes: tuple[str, ...] = ()
    """What was decided without being asked."""


def check_launch(
    *,
    problems_per_update: int,
    device: str,
    environ: Mapping[str, str] | None = None,
    visible_gpus: int | None = None,
) -> Launch:
    """Find this process's place.

    Args:
        problems_per_update: of all processes together; the rollouts of a problem stay in one.
        device: ``--device``.
        environ: None: this process's.
        visible_gpus: None: as many as torch sees.

    Raises:
        ConfigError: the launcher's variables are incomplete, there are more processes than problems or GPUs, or it was
            asked to shard in a way that is not supported.
    """
    environ = os.environ if environ is None else environ
    visible_gpus = torch.cuda.device_count() if visible_gpus is None else visible_gpus
    processes = _processes(environ)
    on_gpu = visible_gpus > 0 and (device == "auto" or device.startswith("cuda"))
    _check_sharding_asked_for(environ, processes, on_gpu)
    if processes == 1:
        return _one_process(device, visible_gpus if on_gpu else 0)
    if problems_per_update < processes:
        raise ConfigError(
            f"{processes} processes share {problems_per_update} problems an update, and the rollouts of a problem stay "
            "in one process; raise --batch_size or --gradient_accumulation_steps, or start fewer processes"
        )
    if device not in ("auto", "cpu", "cuda"):
        raise ConfigError(
            f"--device {device} is for one process, and there are {processes}, which take a GPU each; leave it out, "
            "and choose GPUs with CUDA_VISIBLE_DEVICES"
        )
    local, here = int(environ["LOCAL_RANK"]), int(environ["LOCAL_WORLD_SIZE"])
    if on_gpu and here > visible_gpus:
        raise ConfigError(
            f"{here} processes were started on this machine, which shows {visible_gpus} GPUs; start at most as many "
            "(--nproc_per_node), or train on the CPU with --device cpu"
        )
    notes = []
    if problems_per_update % processes:
        notes.append(
            f"{problems_per_update} problems an update do not divide evenly among {processes} processes, so some wait "
            "for others; --batch_size times --gradient_accumulation_steps sets their number"
        )
    return Launch(processes, int(environ["RANK"]), f"cuda:{local}" if on_gpu else device, notes=tuple(notes))


def _processes(environ: Mapping[str, str]) -> int:
    """How many there are, by the launcher's variables."""
    given = [name for name in _LAUNCHERS if name in environ]
    missing = [name for name in _LAUNCHERS if name not in environ]
    if "WORLD_SIZE" in given and not missing:
        return int(environ["WORLD_SIZE"])
    if "RANK" in given or int(environ.get("WORLD_SIZE", "1")) > 1:
        raise ConfigError(
            f"of a launcher's variables there are {', '.join(given)}, and missing are {', '.join(missing)}; start with "
            f"{_HOW}"
        )
    if int(environ.get("SLURM_STEP_NUM_TASKS", "1")) > 1:
        raise ConfigError(
            f"srun started {environ['SLURM_STEP_NUM_TASKS']} tasks, each of which would train by itself; start one "
            f"task a node, and in it {_HOW} (runner_scripts/train_grpo.slurm does)"
        )
    if "MASTER_ADDR" in given and environ.get("ACCELERATE_USE_CPU", "").lower() == "true":
        raise ConfigError(
            "accelerate launch --cpu starts one process, however many it is asked for; start several with "
            "torchrun --nproc_per_node N train_model_grpo.py --device cpu ..."
        )
    return 1


def _check_sharding_asked_for(environ: Mapping[str, str], processes: int, on_gpu: bool) -> None:
    """By accelerate's configuration, which reaches us in the environment."""
    asked = [
        name
        for name, variable in (("FSDP", "ACCELERATE_USE_FSDP"), ("DeepSpeed", "ACCELERATE_USE_DEEPSPEED"))
        if environ.get(variable, "").lower() == "true"
    ]
    if "FSDP" in asked and environ.get("FSDP_VERSION", "1") != "2":
        raise ConfigError(
            f"accelerate's fsdp_version is {environ.get('FSDP_VERSION', '1')}; allowed is 2: fsdp_version: 2 in its "
            "configuration, or accelerate launch --fsdp_version 2"
        )
    if asked and not on_gpu:
        raise ConfigError(
            f"{asked[0]} was asked for, and training is on the CPU, where accelerate would leave it out without a "
            "word; take it out of accelerate's configuration"
        )
    if "FSDP" in asked and processes == 1:
        raise ConfigError(
            "FSDP was asked for, and there is one process, so nothing to shard over; take it out of accelerate's "
            "configuration, or start several processes"
        )


def _one_process(device: str, visible_gpus: int) -> Launch:
    """On one GPU, even where several are visible."""
    if not visible_gpus:
        return Launch(1, 0, device)
    if device not in ("auto", "cuda", "cuda:0"):
        number = device.partition(":")[2]
        raise ConfigError(
            f"--device is {device}; training takes the first GPU it sees, so choose one with "
            f"CUDA_VISIBLE_DEVICES={number} and leave --device out"
        )
    note = (
        f"{visible_gpus} GPUs are visible and there is one process, which trains on the first alone; for all of them: "
        f"torchrun --nproc_per_node {visible_gpus} train_model_grpo.py ..."
    )
    return Launch(1, 0, "cuda", (note,) if visible_gpus > 1 else ())


def use_one_device(arguments: TrainingArguments) -> None:
    """Keep the trainer from spreading one process over all GPUs by DataParallel, as it does unasked."""
    if arguments.n_gpu > 1:
        arguments._n_gpu = 1
