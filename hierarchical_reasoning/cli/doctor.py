"""``hierarchical-reasoning doctor``: what works here, and what does not."""

from __future__ import annotations

import asyncio
from functools import partial
from pathlib import Path
from typing import Any

import click

from hierarchical_reasoning.cli.failures import Broken, reported
from hierarchical_reasoning.cli.grouped import COMMAND_CONTEXT, GroupedCommand, GroupedOption
from hierarchical_reasoning.config import RunConfig

_option = partial(click.option, cls=GroupedOption, group="As for run")


@click.command(
    cls=GroupedCommand,
    context_settings=COMMAND_CONTEXT,
)
@_option("--llm_framework", help="Backend of the model to ask.")
@_option("--model_name", help="Model to ask. [default: the bundled model]")
@_option("--base_url", help="URL of an OpenAI-compatible server.")
@_option("--vllm_base_url", help="URL of a vLLM server. [default: VLLM_BASE_URL, else port 8000]")
@_option("--api_key_env", help="Environment variable with the key.")
@_option("--structured_output", type=click.Choice(("auto", "json_schema", "words")), help="[default: auto]")
@_option("--prices", type=click.Path(path_type=Path), help="JSON with your prices.")
@_option("--request_timeout", type=float, default=20.0, show_default=True, help="Seconds for one try.")
@_option("--cache_dir", type=click.Path(path_type=Path), help="Where results would go. [default: cache]")
@click.option(
    "--ask/--no_ask",
    default=True,
    help="Send the model two short requests; a provider charges for them. [default: ask]",
)
def doctor(ask: bool, **settings: Any) -> None:
    """Look at packages, hardware, keys and servers, and ask the model for a choice and for JSON.

    Exits with 1 when something that is needed does not work.
    """
    with reported():
        given = {name: value for name, value in settings.items() if value is not None}
        failed = asyncio.run(_look(RunConfig(max_retries=0, **given), ask=ask))
    if failed:
        raise Broken(f"{failed} of the checks failed")


async def _look(config: RunConfig, *, ask: bool) -> int:
    from rich.console import Console
    from rich.text import Text

    from hierarchical_reasoning.doctor import Status, checks
    from taxonomy.terminal import visible

    styles = {Status.OK: "green", Status.NOTE: "yellow", Status.FAILED: "bold red"}
    console = Console(highlight=False, soft_wrap=True, emoji=False, markup=False)
    failed = 0
    async for check in checks(config, ask=ask):
        failed += check.status is Status.FAILED
        line = (
            (f"{check.status.value:<7}", styles[check.status]),
            f"{visible(check.name)}: {visible(check.detail)}",
        )
        console.print(Text.assemble(*line))
    return failed
