"""vLLM servers that we start, check and stop. Nothing here prints, and no vLLM is imported."""

from llm_backends.vllm_server.launch import StartProgress, stop_server
from llm_backends.vllm_server.options import DEFAULT_MODEL, DEFAULT_PORT, ServerOptions, parse_gpus
from llm_backends.vllm_server.probe import CheckStep, ServedModel, ServerCheck, check_server
from llm_backends.vllm_server.registry import ServerRecord, ServerRegistry
from llm_backends.vllm_server.servers import (
    RunningServer,
    ensure_server,
    own_server,
    start_server,
    stop_servers_of_job,
)

__all__ = [
    "DEFAULT_MODEL",
    "DEFAULT_PORT",
    "CheckStep",
    "RunningServer",
    "ServedModel",
    "ServerCheck",
    "ServerOptions",
    "ServerRecord",
    "ServerRegistry",
    "StartProgress",
    "check_server",
    "ensure_server",
    "own_server",
    "parse_gpus",
    "start_server",
    "stop_server",
    "stop_servers_of_job",
]
