"""From what is asked for and what the machine has, to one command and its environment."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from llm_backends.errors import BadRequestError, UnsupportedError
from llm_backends.vllm_server.hardware import Hardware
from llm_backends.vllm_server.options import ServerOptions
from llm_backends.vllm_server.plugins import ADAPTIVE_TEMPERATURE, FOLDER

SERVER_MODULE = "vllm.entrypoints.openai.api_server"
_HAS_VLLM = (
    "import importlib.util as u, sys; s = u.find_spec('vllm'); sys.exit(s is None or s.origin is None)"
)
_OURS_ALONE = ("VLLM_MODEL", "VLLM_BASE_URL")
"""Set by users for this project; vLLM takes every VLLM_ name for its own and complains of these."""
_DEFAULT_GPUS = 2
_TELL_CACHED = "--enable-prompt-tokens-details"
"""Without it, the server does not tell how much of a prompt its prefix cache served."""
_CHUNKING = ("--no-enable-chunked-prefill", "--enable-chunked-prefill")
_FIND_VLLM_S = 120.0


@dataclass(frozen=True, slots=True)
class LaunchPlan:
    """A server that is not started yet."""

    command: tuple[str, ...]
    environment: Mapping[str, str]
    """The whole environment of the server."""
    model: str
    """As vLLM is given it: a directory as an absolute path."""
    served_model_name: str
    gpus: tuple[str, ...]
    """Empty: the CPU."""
    notes: tuple[str, ...]
    """What was decided without being asked."""


def plan_launch(
    model: str, port: int, options: ServerOptions, hardware: Hardware, environment: Mapping[str, str]
) -> LaunchPlan:
    """Decide on everything that `options` leaves open.

    :param environment: what the server's environment is made from.
    :raises BadRequestError: the options do not fit the machine.
    """
    served = options.served_model_name or model
    resolved = resolve_model(model)
    gpus, notes = _choose_gpus(options, hardware, environment)
    own = {name: value for name, value in environment.items() if name not in _OURS_ALONE}
    own["PYTHONUNBUFFERED"] = "1"
    if options.takes_weights:
        own["VLLM_SERVER_DEV_MODE"] = "1"
    if any(ADAPTIVE_TEMPERATURE in argument for argument in options.arguments):
        own["PYTHONPATH"] = os.pathsep.join(filter(None, (str(FOLDER), own.get("PYTHONPATH"))))
        own["VLLM_USE_V2_MODEL_RUNNER"] = "0"
        notes.append("VLLM_USE_V2_MODEL_RUNNER is set to 0, as the adaptive temperature needs raw logits")
    dtype: str | None = options.dtype
    extra = [] if _TELL_CACHED in options.arguments else [_TELL_CACHED]
    if gpus:
        own["CUDA_VISIBLE_DEVICES"] = ",".join(gpus)
    else:
        if not own.get("VLLM_CPU_KVCACHE_SPACE"):
            own["VLLM_CPU_KVCACHE_SPACE"] = str(hardware.cpu_cache_gib)
            notes.append(f"VLLM_CPU_KVCACHE_SPACE is not set; {hardware.cpu_cache_gib} GiB are taken")
        if not any(argument.startswith(_CHUNKING) for argument in options.arguments):
            extra.append(_CHUNKING[0])
            notes.append("chunked prefill is off: on a CPU, vLLM fails on requests with a seed when it is on")
        if dtype is None and not hardware.cpu_has_bfloat16:
            dtype = "float32"
            notes.append("this CPU does not compute in bfloat16; float32 is taken (--dtype)")
    flags = {
        "model": resolved,
        "served_model_name": served,
        "host": options.host,
        "port": port,
        "tensor_parallel_size": _tensor_parallel_size(options, gpus),
        "data_parallel_size": options.data_parallel_size,
        "max_model_len": options.max_model_len,
        "dtype": dtype,
        "gpu_memory_utilization": options.gpu_memory_utilization,
    }
    command = [str(find_python(options, environment)), "-m", SERVER_MODULE]
    for name, value in flags.items():
        if value is not None:
            command += [_flag(name), str(value)]
    if options.trust_remote_code:
        command.append(_flag("trust_remote_code"))
    return LaunchPlan((*command, *extra, *options.arguments), own, resolved, served, gpus, tuple(notes))


def resolve_model(model: str) -> str:
    """A model in a directory by its absolute path, any other by its name."""
    path = Path(model).expanduser()
    return str(path.resolve()) if path.is_dir() else model


def name_in_file(model: str) -> str:
    """The model's name as part of a file's name: of a directory, the last part."""
    name = Path(model).name if Path(model).is_absolute() else model
    return re.sub(r"[^\w.-]+", "_", name)[:80]


def find_python(options: ServerOptions, environment: Mapping[str, str]) -> Path:
    """The interpreter that is to run vLLM."""
    if options.python is not None:
        return options.python
    return Path(environment.get("HR_VLLM_PYTHON") or sys.executable)


def check_has_vllm(python: Path) -> None:
    """
    :raises UnsupportedError: there is no such interpreter, or vLLM is not installed for it.
    """
    try:
        found = subprocess.run(
            [str(python), "-c", _HAS_VLLM], capture_output=True, check=False, timeout=_FIND_VLLM_S
        )
    except OSError as error:
        raise UnsupportedError(
            f"{python} cannot be run as a Python ({error.strerror}); give the interpreter that has vLLM "
            "(--python, or HR_VLLM_PYTHON)"
        ) from error
    if found.returncode != 0:
        raise UnsupportedError(
            f"{python} has no vLLM; install it with `{python} -m pip install vllm`, or give the interpreter that "
            "has it (--python, or HR_VLLM_PYTHON)"
        )


def _flag(name: str) -> str:
    return f"--{name.replace('_', '-')}"


def _choose_gpus(
    options: ServerOptions, hardware: Hardware, environment: Mapping[str, str]
) -> tuple[tuple[str, ...], list[str]]:
    if options.gpus is not None:
        _check_there_are(options.gpus, hardware)
        return options.gpus, []
    visible = environment.get("CUDA_VISIBLE_DEVICES")
    if visible is not None and hardware.gpus:
        gpus = tuple(part.strip() for part in visible.split(",") if part.strip())
        return gpus, [f"CUDA_VISIBLE_DEVICES is {visible!r}, so it runs on {_spoken(gpus)} (--gpus)"]
    gpus = tuple(str(index) for index in range(min(_DEFAULT_GPUS, hardware.gpus)))
    if not gpus:
        return gpus, ["no NVIDIA GPU is found, so it runs on the CPU"]
    return gpus, [f"it runs on {_spoken(gpus)} of {hardware.gpus} (--gpus)"]


def _check_there_are(gpus: tuple[str, ...], hardware: Hardware) -> None:
    if not hardware.gpus:
        raise BadRequestError(
            f"GPUs are {','.join(gpus)}, and nvidia-smi shows none on this machine; leave --gpus out to run on the CPU"
        )
    missing = [gpu for gpu in gpus if gpu.isdecimal() and int(gpu) >= hardware.gpus]
    if missing:
        there = ", ".join(map(str, range(hardware.gpus)))
        raise BadRequestError(
            f"GPUs are {','.join(gpus)}, and this machine has no {','.join(missing)}; there are {there} (--gpus)"
        )


def _tensor_parallel_size(options: ServerOptions, gpus: tuple[str, ...]) -> int | None:
    size, copies = options.tensor_parallel_size, options.data_parallel_size or 1
    if not gpus:
        return size
    if size is None:
        if len(gpus) % copies:
            raise BadRequestError(
                f"{copies} copies of the model do not share {len(gpus)} GPUs evenly; change "
                "--data_parallel_size, --gpus, or give --tensor_parallel_size"
            )
        return len(gpus) // copies
    if size * copies > len(gpus):
        raise BadRequestError(
            f"{copies} copies of the model on {size} GPUs each need {size * copies}, and it has {_spoken(gpus)}; "
            "change --tensor_parallel_size, --data_parallel_size or --gpus"
        )
    return size


def _spoken(gpus: tuple[str, ...]) -> str:
    return f"GPU {','.join(gpus)}" if gpus else "the CPU"
