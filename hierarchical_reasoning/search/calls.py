"""Calls in flight together, of which some may fail: a search goes on with the others."""

from __future__ import annotations

from collections.abc import Coroutine, Sequence
from typing import Any, TypeVar

from hierarchical_reasoning.errors import VerifierError
from hierarchical_reasoning.fatal import FATAL
from hierarchical_reasoning.search.budget import BudgetSpentError
from hierarchical_reasoning.together import all_or_none
from llm_backends import BackendError

T = TypeVar("T")


class Calls:
    """Makes the calls of one search. They are begun in the order given, which is the order they have in the budget."""

    def __init__(self, notes: list[str]) -> None:
        """
        Args:
            notes: gets one for each call that failed.
        """
        self._notes = notes
        self.last_error: Exception | None = None
        """Of the last call that failed."""
        self.refused: str | None = None
        """Why the budget refused a call, the first time; None where it did not."""

    async def all(self, what: Sequence[str], work: Sequence[Coroutine[Any, Any, T]]) -> list[T | None]:
        """What each returns; None for one that failed, or that the budget refused.

        Args:
            what: what each is for, for notes.

        Raises:
            UsageError, BackendError: what ends a run (see :data:`hierarchical_reasoning.fatal.FATAL`); the others have
                been cancelled.
        """
        try:
            return await all_or_none([self._one(each, call) for each, call in zip(what, work, strict=True)])
        finally:
            for call in work:
                call.close()  # one that was cancelled before it began would be told to have been forgotten

    async def _one(self, what: str, call: Coroutine[Any, Any, T]) -> T | None:
        try:
            return await call
        except FATAL:
            raise
        except BudgetSpentError as error:
            self.refused = self.refused or str(error)
        except (BackendError, VerifierError) as error:
            self.last_error = error
            self._notes.append(f"{what}: {type(error).__name__}: {error}")
        return None
