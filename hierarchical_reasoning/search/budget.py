"""What a search may take: tokens and calls, never exceeded, however many calls are in flight.

Before a call, what it can take at most is set aside; afterwards what it did take is counted. Calls are let in one after
the other, in the order in which they come: one is let in if it fits in what those before it left, and refused if it
does not. Where it does not fit beside what is set aside, it waits until the calls in flight have told what they took.
So which calls are let in does not depend on which of them ends first.
"""

from __future__ import annotations

import asyncio
from collections import deque
from dataclasses import dataclass

from hierarchical_reasoning.errors import ReasoningError
from llm_backends import Spent


class BudgetSpentError(ReasoningError):
    """A call does not fit in what is left."""


@dataclass(frozen=True)
class Cost:
    """What calls take."""

    tokens: int = 0
    """Of prompts and replies, those that a cache served included."""
    calls: int = 0
    """Replies, unusable ones included."""

    @classmethod
    def of(cls, spent: Spent) -> Cost:
        usage = spent.usage + spent.cached_usage
        return cls(usage.prompt_tokens + usage.completion_tokens, spent.replies + spent.cached_replies)

    def __add__(self, other: Cost) -> Cost:
        return Cost(self.tokens + other.tokens, self.calls + other.calls)

    def __sub__(self, other: Cost) -> Cost:
        return Cost(self.tokens - other.tokens, self.calls - other.calls)


class Budget:
    """Belongs to one search, and so to one event loop."""

    def __init__(self, *, tokens: int | None = None, calls: int | None = None) -> None:
        """
        Args:
            tokens: at most; None: no bound.
            calls: at most; None: no bound.
        """
        self._tokens = tokens
        self._calls = calls
        self.spent = Cost()
        self._set_aside = Cost()
        self._kept = Cost()
        self._in_flight = 0
        self._waiting: deque[tuple[Cost, asyncio.Future[None]]] = deque()

    def keep(self, cost: Cost) -> None:
        """Keep so much back, which no call gets until it is released.

        Raises:
            BudgetSpentError: there is not so much.
        """
        self._kept = Cost()
        if not self._fits(cost):
            raise BudgetSpentError(self._refusal(cost))
        self._kept = cost

    def release(self) -> None:
        """What was kept back is there for any call."""
        self._kept = Cost()
        self._let_in()

    async def admit(self, most: Cost) -> None:
        """Wait for what a call can take at most, and set it aside; the caller settles it.

        Raises:
            BudgetSpentError: it does not fit in what the calls before it left.
        """
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append((most, turn))
        self._let_in()
        try:
            await turn
        except asyncio.CancelledError:
            if turn.done() and not turn.cancelled() and turn.exception() is None:
                self.settle(most, Cost())  # let in at the moment of the cancellation
            raise

    def settle(self, most: Cost, took: Cost) -> None:
        """A call that was let in has ended."""
        self._in_flight -= 1
        self._set_aside -= most
        self.spent += took
        self._let_in()

    def _let_in(self) -> None:
        while self._waiting:
            most, turn = self._waiting[0]
            if turn.cancelled():
                self._waiting.popleft()
            elif self._fits(most):
                self._waiting.popleft()
                self._set_aside += most
                self._in_flight += 1
                turn.set_result(None)
            elif self._in_flight:
                return
            else:
                self._waiting.popleft()
                turn.set_exception(BudgetSpentError(self._refusal(most)))

    def _fits(self, cost: Cost) -> bool:
        used = self.spent + self._set_aside + self._kept + cost
        return (self._tokens is None or used.tokens <= self._tokens) and (
            self._calls is None or used.calls <= self._calls
        )

    def _refusal(self, cost: Cost) -> str:
        used = self.spent + self._kept
        short = [
            f"{flag} is {limit}, {taken} of them are taken or kept for the answer, and the next call may take {wanted}"
            for flag, limit, taken, wanted in (
                ("--max_search_tokens", self._tokens, used.tokens, cost.tokens),
                ("--max_search_calls", self._calls, used.calls, cost.calls),
            )
            if limit is not None and taken + wanted > limit
        ]
        return "; ".join(short)
