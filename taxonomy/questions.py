"""Asking a language model many things at once while a taxonomy is built."""

import asyncio
from collections.abc import Awaitable, Iterable
from typing import TypeVar

Answer = TypeVar("Answer")


async def all_answers(questions: Iterable[Awaitable[Answer]]) -> list[Answer]:
    """The answers in order. Where one fails, the others are waited for first: a cache of replies then has them,
    and they are not paid for again.

    Raises:
        BackendError: the first failure.
    """
    answers = await asyncio.gather(*questions, return_exceptions=True)
    found: list[Answer] = []
    for answer in answers:
        if isinstance(answer, BaseException):
            raise answer
        found.append(answer)
    return found
