"""What a server is asked for."""

from __future__ import annotations

import ipaddress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal, get_args

from llm_backends.errors import BadRequestError

DEFAULT_MODEL = "meta-llama/Meta-Llama-3.1-8B-Instruct"
DEFAULT_PORT = 8000
DEFAULT_TIMEOUT_S = 1800.0

Dtype = Literal["auto", "bfloat16", "float16", "float32"]
_OTHER_WAYS = {
    "api_key": "set VLLM_API_KEY instead: arguments can be read by every user of the machine",
    "hf_token": "set HF_TOKEN instead: arguments can be read by every user of the machine",
    "uds": "the server is reached by its port",
    "ssl_keyfile": "the server is reached by http; put a proxy in front of it",
    "ssl_certfile": "the server is reached by http; put a proxy in front of it",
    "root_path": "the server is reached at /v1",
    "headless": "it would not serve requests",
}
_SHORT_NAMES = {"tp": "tensor_parallel_size", "dp": "data_parallel_size"}
_NOT_PART_OF_THE_SERVER = ("port", "timeout_s", "log_dir")
_OWN_OPTIONS = (
    "model",
    "host",
    "port",
    "max_model_len",
    "tensor_parallel_size",
    "data_parallel_size",
    "dtype",
    "gpu_memory_utilization",
    "served_model_name",
    "trust_remote_code",
)


@dataclass(frozen=True, slots=True)
class ServerOptions:
    """How to start a vLLM server. None leaves a setting to what fits the machine, or to vLLM."""

    host: str = "127.0.0.1"
    """The address it listens on. Anything but loopback lets other machines use the server."""
    port: int | None = None
    """None takes the first free port from 8000 on."""
    gpus: tuple[str, ...] | None = None
    """None: what CUDA_VISIBLE_DEVICES says, else the first two that nvidia-smi shows, else the CPU."""
    max_model_len: int | None = None
    """Tokens of context; None takes the model's own."""
    tensor_parallel_size: int | None = None
    """GPUs that share one copy of the model; None shares it over all GPUs."""
    data_parallel_size: int | None = None
    """Copies of the model; None means one."""
    dtype: Dtype | None = None
    """None: vLLM's choice, but float32 on a CPU without bfloat16."""
    gpu_memory_utilization: float | None = None
    """Part of each GPU's memory to use, up to 1."""
    served_model_name: str | None = None
    """The name by which clients ask for the model; None takes the model's name as given."""
    trust_remote_code: bool = False
    """Run code that comes with the model."""
    takes_weights: bool = False
    """Others can be loaded while it runs, by whoever reaches its port."""
    arguments: tuple[str, ...] = ()
    """Further arguments for vLLM, as they are."""
    python: Path | None = None
    """The interpreter that has vLLM; None takes HR_VLLM_PYTHON, else the one that runs this."""
    timeout_s: float = DEFAULT_TIMEOUT_S
    """Seconds it may take until it is ready; a large model may have to be downloaded first."""
    log_dir: Path = Path("logs")

    def __post_init__(self) -> None:
        _check_numbers(self)
        if self.dtype is not None and self.dtype not in get_args(Dtype):
            raise BadRequestError(
                f"dtype is {self.dtype!r}; allowed are {', '.join(get_args(Dtype))} (--dtype)"
            )
        if not self.host:
            raise BadRequestError("host is empty; give an address of this machine, as in 127.0.0.1 (--host)")
        if self.gpus is not None:
            _check_gpus(self.gpus)
        _check_arguments(self.arguments)

    @property
    def listens_beyond_this_machine(self) -> bool:
        if self.host == "localhost":
            return False
        try:
            return not ipaddress.ip_address(self.host).is_loopback
        except ValueError:
            return True

    def settings(self) -> dict[str, Any]:
        """What makes a server with these options differ from another one that serves the same model."""
        given = {name: value for name, value in asdict(self).items() if name not in _NOT_PART_OF_THE_SERVER}
        return given | {
            "gpus": None if self.gpus is None else list(self.gpus),
            "arguments": list(self.arguments),
            "python": None if self.python is None else str(self.python),
        }


def parse_gpus(text: str) -> tuple[str, ...]:
    """GPUs from how users write them: `0,1`, or `GPU-8a5c...` as nvidia-smi names them."""
    gpus = tuple(part.strip() for part in text.split(","))
    _check_gpus(gpus)
    return gpus


def _check_gpus(gpus: tuple[str, ...]) -> None:
    named = all(gpu.isdecimal() or gpu.startswith(("GPU-", "MIG-")) for gpu in gpus)
    if not gpus or not named or len(set(gpus)) < len(gpus):
        raise BadRequestError(
            f"GPUs are {','.join(gpus)!r}; give different numbers with commas, as in 0,1 (--gpus), or leave it out "
            "to run on what there is"
        )


def _check_numbers(options: ServerOptions) -> None:
    for name in ("max_model_len", "tensor_parallel_size", "data_parallel_size"):
        value = getattr(options, name)
        if value is not None and value < 1:
            raise BadRequestError(f"{name} is {value}; it must be 1 or more (--{name})")
    if options.port is not None and not 1 <= options.port <= 65535:
        raise BadRequestError(f"port is {options.port}; it must lie in 1 to 65535 (--port)")
    part = options.gpu_memory_utilization
    if part is not None and not 0.0 < part <= 1.0:
        raise BadRequestError(
            f"gpu_memory_utilization is {part}; it must lie in (0, 1] (--gpu_memory_utilization)"
        )
    if not 0.0 < options.timeout_s < float("inf"):
        raise BadRequestError(f"timeout is {options.timeout_s} seconds; it must be more than 0 (--timeout)")


def _check_arguments(arguments: tuple[str, ...]) -> None:
    for argument in arguments:
        if not argument.startswith("-"):
            continue
        flag = argument.partition("=")[0]  # never the value, which may be a key
        name = flag.lstrip("-").replace("-", "_")
        name = _SHORT_NAMES.get(name, name)
        if name in _OWN_OPTIONS:
            raise BadRequestError(
                f"{flag} is among the further vLLM arguments; give --{name} itself, before the two dashes"
            )
        if name in _OTHER_WAYS:
            raise BadRequestError(f"{flag} cannot be passed on to vLLM: {_OTHER_WAYS[name]}")
