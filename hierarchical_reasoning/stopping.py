"""Ending a run before its end: nothing new is begun, what is in flight is finished, and the results are written."""

from __future__ import annotations

from enum import Enum


class StopCause(str, Enum):
    """Why a run was asked to stop."""

    INTERRUPTED = "interrupted"
    TOO_MANY_ERRORS = "too many errors"

    def __str__(self) -> str:
        return self.value


class Stop:
    """The request to stop, shared by who makes it and the run. Belongs to one event loop."""

    def __init__(self) -> None:
        self.in_flight = 0
        """Problems being worked on."""
        self.cause: StopCause | None = None
        """None as long as the run goes on. What was asked for first stays."""
        self.message = ""
        """The cause, and what brought it about."""

    def request(self, cause: StopCause, message: str) -> None:
        """Have the run begin nothing new."""
        if self.cause is None:
            self.cause, self.message = cause, message
