"""``hierarchical-reasoning vllm``, which is also the scripts in ``runner_scripts/``: servers of our own."""

from __future__ import annotations

import asyncio
import contextlib
import os
import sys
import time
from collections.abc import Iterable
from functools import partial
from pathlib import Path
from typing import Any, get_args

import click

from hierarchical_reasoning.cli.failures import Broken, UserMistake, reported, until_interrupted
from hierarchical_reasoning.cli.grouped import COMMAND_CONTEXT, GroupedCommand, GroupedOption
from llm_backends.vllm_server import (
    DEFAULT_MODEL,
    DEFAULT_PORT,
    RunningServer,
    ServerOptions,
    ServerRecord,
    ServerRegistry,
    StartProgress,
    check_server,
    parse_gpus,
    start_server,
    stop_server,
)
from llm_backends.vllm_server.log_file import END_BYTES, LogTail, last_lines, newest_log
from llm_backends.vllm_server.options import DEFAULT_TIMEOUT_S, Dtype
from llm_backends.vllm_server.ports import port_in_use

_server = partial(click.option, cls=GroupedOption, group="Server")
_model = partial(click.option, cls=GroupedOption, group="Model")
_gpu = partial(click.option, cls=GroupedOption, group="GPUs and memory")
_running = partial(click.option, cls=GroupedOption, group="Running")
_path = click.Path(path_type=Path)
_PROGRESS_EVERY_S = 5.0
_PROGRESS_WIDTH = 140
_LOG_POLL_S = 0.5


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
def vllm() -> None:
    """Start, check and stop vLLM servers."""


@vllm.command(cls=GroupedCommand, context_settings=COMMAND_CONTEXT)
@_model(
    "--model", help=f"A directory, or a name on Hugging Face. [default: VLLM_MODEL, else {DEFAULT_MODEL}]"
)
@_model("--served_model_name", help="Name by which clients ask for it. [default: the model as given]")
@_model("--max_model_len", type=int, help="Tokens of context. [default: the model's own]")
@_model(
    "--dtype",
    type=click.Choice(get_args(Dtype)),
    help="Of the weights. [default: vLLM's choice; float32 on a CPU without bfloat16]",
)
@_model("--trust_remote_code", is_flag=True, help="Run code that comes with the model.")
@_server("--port", type=int, default=DEFAULT_PORT, show_default=True)
@_server(
    "--host",
    default="127.0.0.1",
    show_default=True,
    help="Address to listen on. Anything but loopback lets other machines in.",
)
@_gpu(
    "--gpus",
    help="As in 0,1. [default: CUDA_VISIBLE_DEVICES, else the first two there are, else the CPU]",
)
@_gpu("--tensor_parallel_size", type=int, help="GPUs that share a copy of the model. [default: all of them]")
@_gpu("--data_parallel_size", type=int, help="Copies of the model. [default: 1]")
@_gpu("--gpu_memory_utilization", type=float, help="Part of each GPU's memory to use. [default: vLLM's]")
@_running(
    "--foreground/--background",
    default=False,
    help="Stay, show the log, and stop the server with Ctrl-C; or return when it is ready. [default: background]",
)
@_running(
    "--timeout",
    "timeout_s",
    type=float,
    default=DEFAULT_TIMEOUT_S,
    show_default=True,
    help="Seconds until it must be ready; downloads count.",
)
@_running("--python", type=_path, help="Interpreter that has vLLM. [default: HR_VLLM_PYTHON, else this one]")
@_running("--log_dir", type=_path, default=Path("logs"), show_default=True, help="Where its log goes.")
@_running(
    "--disable_log_requests",
    is_flag=True,
    help="Taken for older scripts: vLLM logs requests only when asked to (-- --enable-log-requests).",
)
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED)
def start(
    model: str | None, gpus: str | None, foreground: bool, disable_log_requests: bool, **settings: Any
) -> None:
    """Start a vLLM server and wait until it is ready. Further vLLM ARGUMENTS go after two dashes:

    \b
    start --model Qwen/QwQ-32B-Preview --port 8001 --gpus 0,1 -- --enforce-eager
    """
    with reported():
        chosen = os.environ.get("VLLM_MODEL") or DEFAULT_MODEL if model is None else model
        options = ServerOptions(gpus=None if gpus is None else parse_gpus(gpus), **settings)
        if options.listens_beyond_this_machine:
            click.echo(
                f"Warning: --host {options.host} lets other machines use this server, and vLLM asks them for a key "
                "only where VLLM_API_KEY is set",
                err=True,
            )
        until_interrupted(
            _start(chosen, options, foreground=foreground), "interrupted; the server was stopped"
        )


@vllm.command(context_settings=COMMAND_CONTEXT)
@click.option("--port", type=int, help="Of the server that is to be stopped.")
@click.option("--kill_all", "--all", "kill_all", is_flag=True, help="Stop all servers that we started.")
@click.option(
    "--grace", "grace_s", type=float, default=15.0, show_default=True, help="Seconds before it is killed."
)
def stop(port: int | None, kill_all: bool, grace_s: float) -> None:
    """Stop servers that we started on this machine, with all their processes. Others are left alone."""
    with reported():
        if (port is None) == (not kill_all):
            raise UserMistake("say which servers to stop: either --port N, or --kill_all")
        registry = ServerRegistry()
        records = registry.records() if port is None else registry.on_port(port)
        running = [record for record in records if record.living_processes]
        until_interrupted(_stop(records, registry, grace_s), "interrupted; some servers may still run")
        if port is not None and not running and port_in_use("127.0.0.1", port):
            raise UserMistake(
                f"what listens on port {port} was not started by us, left alone; see `lsof -i :{port}` (--port)"
            )
        if not records:
            click.echo("no server of ours runs" if port is None else f"no server of ours is on port {port}")


@vllm.command(context_settings=COMMAND_CONTEXT)
@click.option("--port", type=int, help=f"Of a server on this machine. [default: {DEFAULT_PORT}]")
@click.option("--base_url", help="Of a server anywhere. [default: VLLM_BASE_URL, unless --port is given]")
@click.option(
    "--timeout", "timeout_s", type=float, default=60.0, show_default=True, help="Seconds for each question."
)
def check(port: int | None, base_url: str | None, timeout_s: float) -> None:
    """Try what a run needs of a server, and list those that we started."""
    with reported():
        if port is not None and base_url is not None:
            raise UserMistake(f"--port {port} and --base_url {base_url} name two servers; give one of them")
        registry = ServerRegistry()
        url = base_url or _url_of(port, registry)
        checked = asyncio.run(check_server(url, timeout_s=timeout_s))
        click.echo(checked.base_url)
        for step in checked.steps:
            mark = "ok    " if step.ok else "FAILED"
            click.echo(f"  {mark} {step.name:<10} {step.seconds * 1000:6.0f} ms  {step.detail}")
        _list(registry.records())
        if not checked.ok:
            raise Broken(f"{checked.base_url} cannot be used as it is; see the step that failed")


@vllm.command(context_settings=COMMAND_CONTEXT)
@click.option("--port", type=int, help="Of the server. [default: the log that was written to last]")
@click.option("--follow", "-f", is_flag=True, help="Go on as it grows, until Ctrl-C.")
@click.option("--lines", "-n", type=click.IntRange(min=0), default=50, show_default=True)
@click.option(
    "--log_dir",
    type=_path,
    default=Path("logs"),
    show_default=True,
    help="Where to look when no server runs there.",
)
def logs(port: int | None, follow: bool, lines: int, log_dir: Path) -> None:
    """Show the end of a server's log."""
    with reported():
        registry = ServerRegistry()
        known = [record.log for record in registry.records() if port in (None, record.port)]
        newest = max(
            (log for log in known if log.exists()), key=lambda log: log.stat().st_mtime, default=None
        )
        log = newest or newest_log(log_dir, port)
        if log is None:
            where = "" if port is None else f" for port {port}"
            raise UserMistake(f"there is no log{where} in {log_dir} (--port, --log_dir)")
        tail = LogTail(log, already_there=END_BYTES)
        end = tail.read_new() if follow else last_lines(log, lines)
        click.echo(f"==> {log}", err=True)  # from here on no line is missed
        for line in end[len(end) - min(lines, len(end)) :]:
            click.echo(line)
        if follow:
            with contextlib.suppress(KeyboardInterrupt):  # how one stops following
                while True:
                    for line in tail.read_new():
                        click.echo(line)
                    time.sleep(_LOG_POLL_S)


def main(command: str) -> None:
    """One of the commands as a script of its own."""
    vllm.commands[command].main(prog_name=Path(sys.argv[0]).name)


async def _start(model: str, options: ServerOptions, *, foreground: bool) -> None:
    click.echo(f"Starting vLLM with {model} on port {options.port}", err=True)
    began = time.monotonic()
    server = await start_server(model, options, _StartDisplay(show_log=foreground))
    _say_ready(server, time.monotonic() - began)
    if not foreground:
        return
    try:
        await server.follow(lambda line: click.echo(line, err=True))
    finally:
        await server.stop()


async def _stop(records: Iterable[ServerRecord], registry: ServerRegistry, grace_s: float) -> None:
    for record in records:
        living = len(record.living_processes)
        killed = await stop_server(record, registry, grace_s=grace_s)
        what = f"{record.served_model_name} on port {record.port} (pid {record.leader.pid})"
        if not living:
            click.echo(f"forgot {what}, which had ended")
        else:
            how = f", killed after {grace_s:.0f} s" if killed else ""
            click.echo(f"stopped {what}, {living} process{'' if living == 1 else 'es'}{how}")


class _StartDisplay:
    """Every few seconds, how long it has taken and what the log says; or the whole log."""

    def __init__(self, *, show_log: bool) -> None:
        self._show_log = show_log
        self._next_s = _PROGRESS_EVERY_S

    def __call__(self, progress: StartProgress) -> None:
        for note in progress.notes:
            click.echo(f"  {note}", err=True)
        if self._show_log:
            for line in progress.new_lines:
                click.echo(line, err=True)
        elif progress.seconds >= self._next_s:
            self._next_s = progress.seconds + _PROGRESS_EVERY_S
            click.echo(f"  {progress.seconds:4.0f} s  {progress.last_line[:_PROGRESS_WIDTH]}", err=True)


def _say_ready(server: RunningServer, seconds: float) -> None:
    context = f"context {server.max_model_len} tokens, " if server.max_model_len else ""
    click.echo(f"vLLM is ready at {server.base_url} ({server.model}, {context}{seconds:.0f} s)")
    click.echo(f'  export VLLM_BASE_URL="{server.base_url}"')
    click.echo(f'  export VLLM_MODEL="{server.model}"')
    click.echo(f"  log:   {server.log}")
    click.echo(f"  check: hierarchical-reasoning vllm check --port {server.record.port}")
    click.echo(f"  stop:  hierarchical-reasoning vllm stop --port {server.record.port}")


def _url_of(port: int | None, registry: ServerRegistry) -> str:
    from_environment = os.environ.get("VLLM_BASE_URL")
    if port is None and from_environment:
        return from_environment
    wanted = DEFAULT_PORT if port is None else port
    ours = [record for record in registry.on_port(wanted) if record.runs]
    return ours[0].base_url if ours else f"http://127.0.0.1:{wanted}/v1"


def _list(records: Iterable[ServerRecord]) -> None:
    for record in records:
        if record.runs:
            state = "running" if record.ready else "starting"
        else:
            left = len(record.living_processes)
            state = f"stale, {left} processes left" if left else "stale"
        where = f"GPU {','.join(record.gpus)}" if record.gpus else "CPU"
        click.echo(
            f"ours: port {record.port}  {state}  {record.served_model_name}  {where}  pid {record.leader.pid}  "
            f"since {record.started}  {record.log}"
        )
