"""Equal calls in flight at once, made once.

The call runs in a task of its own, so that none of those who wait for it is the one whom it depends on: who is
cancelled leaves the others waiting, and only when nobody waits any more is the call cancelled too.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

T = TypeVar("T")


@dataclass(eq=False)
class _Call(Generic[T]):
    task: asyncio.Task[T]
    waiting: int = 0


class InFlight(Generic[T]):
    """Calls by key. Belongs to one event loop at a time."""

    def __init__(self) -> None:
        self._calls: dict[str, _Call[T]] = {}

    async def joined(self, key: str, make: Callable[[], Coroutine[Any, Any, T]]) -> tuple[T, bool]:
        """What the call of this key returns, and whether this one began it.

        :param make: begins the call; used where there is none of this key in flight.
        :raises SharedError: the call failed, and another one had begun it.
        """
        call = self._calls.get(key)
        began = call is None
        if call is None:
            call = self._calls[key] = _Call(asyncio.create_task(make()))
            call.task.add_done_callback(lambda task: self._forget(key, task))
        call.waiting += 1
        try:
            return await asyncio.shield(call.task), began
        except asyncio.CancelledError:
            if call.waiting == 1 and not call.task.done():
                self._forget(key, call.task)
                call.task.cancel()
                await asyncio.wait([call.task])
            raise
        except Exception as error:
            if began:
                raise
            raise SharedError from error
        finally:
            call.waiting -= 1

    def _forget(self, key: str, task: asyncio.Task[T]) -> None:
        if key in self._calls and self._calls[key].task is task:
            del self._calls[key]


class SharedError(Exception):
    """A call that another had begun failed; `__cause__` says how."""
