"""The vLLM server that ``--vllm_auto_start`` starts for a command, and backends that no command can have."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any, TypeVar

from hierarchical_reasoning.errors import ConfigError
from hierarchical_reasoning.reasoning_config import ReasoningConfig
from llm_backends import backend_names

if TYPE_CHECKING:
    from llm_backends.vllm_server import StartProgress

_SECONDS_BETWEEN_LINES = 5.0
_LOG_WIDTH = 140
_LOG_LINE = "vLLM: {}"
ConfigT = TypeVar("ConfigT", bound=ReasoningConfig)


@asynccontextmanager
async def served(config: ConfigT, show: Callable[[str], None]) -> AsyncIterator[ConfigT]:
    """With ``--vllm_auto_start``, a server for the block, and the settings that ask it. The block ends when the server
    does.

    Args:
        show: a line of what is done.
    """
    if not config.vllm_auto_start:
        yield config
        return
    from llm_backends.vllm_server import ServerOptions, ensure_server, parse_gpus

    options = ServerOptions(
        gpus=None if config.vllm_gpus is None else parse_gpus(config.vllm_gpus),
        trust_remote_code=config.trust_remote_code,
    )

    def show_log(line: str) -> None:
        show(_LOG_LINE.format(line))

    told = starting(show, verbose=config.start_vllm_verbose)
    async with await ensure_server(config.reasoner.model_path, options, told) as server:
        show(f"vLLM serves {server.model} at {server.base_url}, log {server.log}")
        block = asyncio.current_task()
        assert block is not None
        watching = asyncio.create_task(server.follow(show_log if config.start_vllm_verbose else _nothing))

        def ended_by_itself(task: asyncio.Task[None]) -> None:
            if not task.cancelled():
                show(f"the vLLM server has ended by itself; its log is {server.log}")
                block.cancel()

        watching.add_done_callback(ended_by_itself)
        try:
            yield config.model_copy(
                update={"vllm_base_url": server.base_url, config.main_model: server.model}
            )
        finally:
            died = watching.done()
            watching.cancel()
            (ended,) = await asyncio.gather(watching, return_exceptions=True)
            if died and isinstance(ended, Exception):
                raise ended


def refuse_scripted(given: Mapping[str, Any]) -> None:
    """Raises ConfigError where the settings name the backend scripted."""
    for name, value in given.items():
        if name.endswith("llm_framework") and value == "scripted":
            others = ", ".join(name for name in backend_names() if name != "scripted")
            raise ConfigError(
                f"--{name} scripted replies from a Python function, which the command line cannot give it; "
                f"take {others}"
            )


def starting(show: Callable[[str], None], *, verbose: bool) -> Callable[[StartProgress], None]:
    """What to call while a server starts, and when it starts anew: its log is shown whole, or its last line now and
    then; each note once."""
    next_s = 0.0
    said: set[str] = set()

    def progressed(progress: StartProgress) -> None:
        nonlocal next_s
        if progress.seconds == 0:
            next_s = 0.0
        for note in progress.notes:
            if note not in said:
                show(f"note: {note}")
                said.add(note)
        if verbose:
            for line in progress.new_lines:
                show(_LOG_LINE.format(line))
        elif progress.seconds >= next_s:
            next_s = progress.seconds + _SECONDS_BETWEEN_LINES
            show(f"vLLM is starting, {progress.seconds:.0f} s: {progress.last_line[:_LOG_WIDTH]}")

    return progressed


def _nothing(line: str) -> None:
    """What is done with a line of a log that nobody asked for."""
