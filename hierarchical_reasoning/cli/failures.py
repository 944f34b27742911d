"""What the user did wrong ends the command with one message and exit status 2; what broke, with 1."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import Callable, Coroutine, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import click
import pydantic

from hierarchical_reasoning.errors import ProcessFailedError, UsageError
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


def until_interrupted(
    work: Coroutine[Any, Any, None], message: str, *, ends_soon: Callable[[], bool] = lambda: False
) -> None:
    """Run to the end, or until SIGINT, SIGTERM or SIGHUP: then cancel, so that what was started is stopped.

    Args:
        work: what to run.
        message: for who interrupted it.
        ends_soon: called at SIGINT and SIGTERM; it may ask the work to come to an end by itself, and returns whether
            it did. Where it did not, the work is cancelled, and the signal after that ends the process.

    Raises:
        Interrupted: with the message.
    """

    async def cancellable() -> None:
        task = asyncio.ensure_future(work)
        loop = asyncio.get_running_loop()
        numbers = [
            number
            for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
            if signal.getsignal(number) is not signal.SIG_IGN  # as nohup has it
        ]

        def interrupted(number: signal.Signals) -> None:
            if number is signal.SIGHUP or not ends_soon():
                task.cancel()
                for installed in numbers:
                    loop.remove_signal_handler(installed)

        for number in numbers:
            loop.add_signal_handler(number, interrupted, number)
        await task

    try:
        asyncio.run(cancellable())
    except (KeyboardInterrupt, asyncio.CancelledError):
        raise Interrupted(message) from None


def mistakes(error: pydantic.ValidationError, flags: Mapping[str, str] | None = None) -> str:
    """What is wrong with settings, in a line.

    Args:
        flags: of settings that are not named as their flag is, without dashes.
    """
    said = []
    for each in error.errors():
        message = each["msg"].removeprefix("Value error, ")
        name = str(each["loc"][0]) if each["loc"] else ""
        said.append(f"--{(flags or {}).get(name, name)} {each['input']!r}: {message}" if name else message)
    return "; ".join(said)


@contextmanager
def reported() -> Iterator[None]:
    """Turn the errors of the packages, and those of the system, into failures of the command.

    What was printed is flushed, so that a full disk behind stdout is told as well. A broken pipe is left to click: who
    reads has had enough, and nothing is wrong.
    """
    try:
        yield
        sys.stdout.flush()
    except (EngineDiedError, BackendClosedError, UnparsedReplyError, ContentFilterError) as error:
        raise Broken(f"{type(error).__name__}: {error}") from error
    except (UsageError, TaxonomyError, PermanentError) as error:
        raise UserMistake(str(error)) from error
    except pydantic.ValidationError as error:
        raise UserMistake(mistakes(error)) from error
    except BackendError as error:
        raise Broken(f"{type(error).__name__}: {error}") from error
    except ProcessFailedError as error:
        raise Broken(str(error)) from error
    except ConnectionError:  # a broken pipe among them
        raise
    except OSError as error:
        if error.errno is None:  # not the system's, such as a time limit
            raise
        _let_go_of_stdout()
        where = "the output" if error.filename is None else error.filename
        raise Broken(f"{where} cannot be written or read ({error.strerror or error})") from error


def _let_go_of_stdout() -> None:
    """Have what is still held for a stdout that cannot take it go nowhere: Python would try again at exit."""
    try:
        sys.stdout.flush()
    except OSError:
        with Path(os.devnull).open("wb") as nowhere:
            os.dup2(nowhere.fileno(), sys.stdout.fileno())
