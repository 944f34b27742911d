"""Which launches are taken, and what the others are told."""

from __future__ import annotations

from collections.abc import Mapping
from types import SimpleNamespace
from typing import cast

import pytest
from accelerate import Accelerator
from accelerate.utils import DistributedType

from hierarchical_reasoning.errors import ConfigError
from hierarchical_reasoning.training.sharding import Launch, check_launch, check_sharding


def torchrun(rank: int = 1, processes: int = 2, **more: str) -> dict[str, str]:
    return {
        "RANK": str(rank),
        "WORLD_SIZE": str(processes),
        "LOCAL_RANK": str(rank),
        "LOCAL_WORLD_SIZE": str(processes),
        "MASTER_ADDR": "127.0.0.1",
        "MASTER_PORT": "29500",
    } | more


FSDP1 = {"ACCELERATE_USE_FSDP": "true"}
FSDP2 = FSDP1 | {"FSDP_VERSION": "2"}


def launch(environ: Mapping[str, str], *, device: str = "auto", gpus: int = 0, problems: int = 4) -> Launch:
    return check_launch(problems_per_update=problems, device=device, environ=environ, visible_gpus=gpus)


@pytest.mark.parametrize(
    ("environ", "device", "gpus", "expected"),
    [
        ({}, "auto", 0, Launch(1, 0, "auto")),
        ({}, "cpu", 4, Launch(1, 0, "cpu")),
        ({}, "auto", 1, Launch(1, 0, "cuda")),
        ({"MASTER_ADDR": "login"}, "auto", 0, Launch(1, 0, "auto")),
        ({"SLURM_NTASKS": "4"}, "auto", 0, Launch(1, 0, "auto")),
        (torchrun(0, 1), "auto", 1, Launch(1, 0, "cuda")),
        (torchrun(), "auto", 0, Launch(2, 1, "auto")),
        (torchrun(), "cpu", 2, Launch(2, 1, "cpu")),
        (torchrun(), "auto", 2, Launch(2, 1, "cuda:1")),
        (torchrun(**FSDP2), "cuda", 2, Launch(2, 1, "cuda:1")),
        (torchrun(ACCELERATE_USE_DEEPSPEED="true"), "auto", 2, Launch(2, 1, "cuda:1")),
    ],
)
def test_taken(environ: Mapping[str, str], device: str, gpus: int, expected: Launch) -> None:
    assert launch(environ, device=device, gpus=gpus) == expected


def test_one_process_says_that_it_leaves_gpus_idle() -> None:
    found = launch({}, gpus=4)
    assert found.device == "cuda"
    assert "torchrun --nproc_per_node 4" in found.notes[0]


def test_uneven_shares_are_said() -> None:
    assert "do not divide evenly" in launch(torchrun(), problems=5).notes[0]


@pytest.mark.parametrize(
    ("environ", "options", "said"),
    [
        ({"WORLD_SIZE": "2"}, {}, "missing are RANK, LOCAL_RANK.*torchrun"),
        ({"RANK": "0", "WORLD_SIZE": "1"}, {}, "MASTER_ADDR"),
        ({"SLURM_STEP_NUM_TASKS": "2"}, {}, "srun started 2 tasks"),
        ({"ACCELERATE_USE_CPU": "True", "MASTER_ADDR": "127.0.0.1"}, {}, "--cpu starts one process"),
        (torchrun(), {"problems": 1}, "2 processes share 1 problems.*--batch_size"),
        (torchrun(), {"device": "cuda:1", "gpus": 2}, "--device cuda:1"),
        (torchrun(), {"gpus": 1}, "shows 1 GPUs.*--nproc_per_node"),
        ({}, {"device": "cuda:1", "gpus": 2}, "CUDA_VISIBLE_DEVICES=1"),
        (torchrun(**FSDP1), {"gpus": 2}, "fsdp_version is 1.*--fsdp_version 2"),
        (torchrun(**FSDP2), {}, "FSDP was asked for.*CPU"),
        (FSDP2, {"gpus": 1}, "one process"),
        (torchrun(ACCELERATE_USE_DEEPSPEED="true"), {}, "DeepSpeed was asked for.*CPU"),
    ],
)
def test_refused(environ: Mapping[str, str], options: Mapping[str, object], said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        launch(environ, **options)  # type: ignore[arg-type]


def accelerator(kind: DistributedType, **settings: object) -> Accelerator:
    """What `check_sharding` reads of one; accelerate makes one of these kinds only on GPUs."""
    deepspeed = SimpleNamespace(
        zero_stage=settings.pop("stage", 2), deepspeed_config=settings.pop("config", {})
    )
    return cast(
        Accelerator,
        SimpleNamespace(
            distributed_type=kind,
            state=SimpleNamespace(deepspeed_plugin=deepspeed),
            **({"is_fsdp2": False, "mixed_precision": "no"} | settings),
        ),
    )


@pytest.mark.parametrize(
    "taken",
    [
        accelerator(DistributedType.NO),
        accelerator(DistributedType.MULTI_GPU, mixed_precision="bf16"),
        accelerator(DistributedType.FSDP, is_fsdp2=True),
        accelerator(DistributedType.DEEPSPEED, stage=3, config={"gradient_accumulation_steps": "auto"}),
    ],
)
def test_sharding_taken(taken: Accelerator) -> None:
    check_sharding(taken)


@pytest.mark.parametrize(
    ("refused", "said"),
    [
        (accelerator(DistributedType.MEGATRON_LM), "MEGATRON_LM"),
        (accelerator(DistributedType.FSDP), "--fsdp_version 2"),
        (accelerator(DistributedType.NO, mixed_precision="fp16"), "fp16; allowed are no and bf16"),
        (accelerator(DistributedType.DEEPSPEED, stage=0), "stage is 0; allowed are 1, 2 and 3"),
        (accelerator(DistributedType.DEEPSPEED, config={"optimizer": {}}), "section 'optimizer'"),
        (accelerator(DistributedType.DEEPSPEED, config={"gradient_accumulation_steps": 4}), "is 4"),
        (
            accelerator(
                DistributedType.DEEPSPEED,
                config={"zero_optimization": {"offload_optimizer": {"device": "nvme"}}},
            ),
            "nvme; allowed are cpu and none",
        ),
    ],
)
def test_sharding_refused(refused: Accelerator, said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        check_sharding(refused)
