"""Asking a language model many things at once while a taxonomy is built."""

import asyncio
from collections.abc import Awaitable, Iterable
from typing import TypeVar

from pydantic import BaseModel

from llm_backends import Backend, Request
from llm_backends.errors import PermanentError, UnparsedReplyError
from taxonomy.errors import BuildError

Answer = TypeVar("Answer")
AT_ONCE = 64
FAILURES_IN_A_ROW = 3
"""After so many, whatever failed is taken to fail for all."""


async def all_answers(questions: Iterable[Awaitable[Answer]], *, at_once: int = AT_ONCE) -> list[Answer]:
    """The answers in order.

    Once a failure shows that the others would fail too, no further question is begun. Those in flight are waited for
    first: a cache of replies then has them, and they are not paid for again.

    Args:
        questions: taken one by one, as their turn comes.
        at_once: how many are open at the same time; the backend bounds its calls besides.

    Raises:
        BackendError: the first failure, in the order of the questions.
    """
    waiting = enumerate(questions)
    answers: dict[int, Answer] = {}
    failures: dict[int, Exception] = {}
    in_a_row = 0
    hopeless = False

    async def ask_in_turn() -> None:
        nonlocal in_a_row, hopeless
        while not hopeless and (turn := next(waiting, None)) is not None:
            place, question = turn
            try:
                answers[place] = await question
            except Exception as error:  # noqa: BLE001  raised below, when those in flight are done
                failures[place] = error
                in_a_row += 1
                hopeless = hopeless or isinstance(error, PermanentError) or in_a_row == FAILURES_IN_A_ROW
            else:
                in_a_row = 0

    await asyncio.gather(*(ask_in_turn() for _ in range(at_once)))
    if failures:
        raise failures[min(failures)]
    return [answers[place] for place in range(len(answers))]


async def parsed_reply(backend: Backend, request: Request) -> BaseModel | UnparsedReplyError:
    """What the model replied in the schema of the request, or why none of its replies was usable.

    Raises:
        BackendError: there was no reply.
    """
    try:
        completion = await backend.complete(request)
    except UnparsedReplyError as error:
        return error
    assert completion.parsed is not None  # the request has a schema
    return completion.parsed


def check_some_usable(unusable: list[UnparsedReplyError], asked: int, things: str, flag: str) -> None:
    """
    Raises:
        BuildError: all that was asked for failed; such a result is none, and must not be kept.
    """
    if asked and len(unusable) == asked:
        reason = " ".join(str(unusable[0]).split())
        raise BuildError(
            f"of {asked} {things} none got a usable reply; the first: {reason}; another model may do better "
            f"(--model_name), or none ({flag})"
        )


def how_to_ask_again(result_file: str) -> str:
    """Of a stage of which some replies were not usable; all others are in the cache of replies."""
    return (
        f"to ask for those again, delete {result_file} in the directory of the stages (--stages_dir) and build with it "
        "into another --output"
    )
