"""What the user did wrong ends the command with one message and exit status 2; what broke, with 1."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Coroutine, Iterator
from contextlib import contextmanager
from typing import Any

import click
import pydantic

from hierarchical_reasoning.errors import UsageError
from llm_backends import (
    BackendClosedError,
    BackendError,
    ContentFilterError,
    EngineDiedError,
    PermanentError,
    UnparsedReplyError,
)
from taxonomy import TaxonomyError


class UserMistake(click.ClickException):
    """Something the user gave cannot be used; one message, no traceback."""

    exit_code = 2


class Broken(click.ClickException):
    """Something broke that the user did not cause."""

    exit_code = 1


class Interrupted(click.ClickException):
    """The user stopped the command."""

    exit_code = 130


def until_interrupted(work: Coroutine[Any, Any, None], message: str) -> None:
    """Run to the end, or until SIGINT, SIGTERM or SIGHUP: then cancel, so that what was started is stopped.

    Raises:
        Interrupted: with the message.
    """

    async def cancellable() -> None:
        task = asyncio.ensure_future(work)
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGHUP):
            if signal.getsignal(number) is not signal.SIG_IGN:  # as nohup has it
                loop.add_signal_handler(number, task.cancel)
        await task

    try:
        asyncio.run(cancellable())
    except (KeyboardInterrupt, asyncio.CancelledError):
        raise Interrupted(message) from None


@contextmanager
def reported() -> Iterator[None]:
    """Turn the errors of the packages into failures of the command."""
    try:
        yield
    except (EngineDiedError, BackendClosedError, UnparsedReplyError, ContentFilterError) as error:
        raise Broken(f"{type(error).__name__}: {error}") from error
    except (UsageError, TaxonomyError, PermanentError) as error:
        raise UserMistake(str(error)) from error
    except pydantic.ValidationError as error:
        problems = (
            f"--{e['loc'][0]} {e['input']!r}: {e['msg']}" if e["loc"] else e["msg"] for e in error.errors()
        )
        raise UserMistake("; ".join(problems)) from error
    except BackendError as error:
        raise Broken(f"{type(error).__name__}: {error}") from error
