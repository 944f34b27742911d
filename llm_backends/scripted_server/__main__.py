"""`python -m llm_backends.scripted_server --port 8000`: the scripted server from a shell, for trying a command line."""

from __future__ import annotations

import time
from typing import cast

import click

from llm_backends.scripted_server.replies import Dialect
from llm_backends.scripted_server.server import ScriptedServer


@click.command()
@click.option(
    "--port", type=click.IntRange(0, 65535), default=8000, show_default=True, help="0: any that is free."
)
@click.option(
    "--model", "models", multiple=True, default=("scripted",), show_default=True, help="May be repeated."
)
@click.option(
    "--dialect",
    type=click.Choice(["openai", "vllm", "together"]),
    default="vllm",
    show_default=True,
    help="Whose chat completions; Anthropic's messages are served besides.",
)
@click.option(
    "--first_s", type=click.FloatRange(0), default=0.0, help="Seconds before a reply's first token."
)
@click.option(
    "--per_token_s", type=click.FloatRange(0), default=0.0, help="Seconds for each token of a reply."
)
def main(port: int, models: tuple[str, ...], dialect: str, first_s: float, per_token_s: float) -> None:
    """Serve scripted replies on 127.0.0.1: the first choice, an instance of the schema, or plain text."""
    server = ScriptedServer(
        dialect=cast("Dialect", dialect), models=models, first_s=first_s, per_token_s=per_token_s, port=port
    )
    try:
        server.start()
    except OSError as error:
        raise click.ClickException(f"port {port} cannot be listened on: {error.strerror} (--port)") from error
    try:
        click.echo(f"{server.base_url} serves {', '.join(models)}; Ctrl-C ends it")
        while True:
            time.sleep(3600)
    except KeyboardInterrupt:
        server.stop()
        click.echo(f"{len(server.calls)} calls, at most {server.max_in_flight} at once")


if __name__ == "__main__":
    main()
