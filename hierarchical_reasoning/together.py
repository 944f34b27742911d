"""Coroutines that succeed together."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Sequence
from typing import Any, TypeVar

T = TypeVar("T")


async def all_or_none(work: Sequence[Coroutine[Any, Any, T]]) -> list[T]:
    """All results; where one raises, the others are cancelled, and have ended when it is raised here."""
    tasks = [asyncio.create_task(each) for each in work]
    try:
        return await asyncio.gather(*tasks)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
