"""What can go wrong between a request and its completion.

    BackendError
    ├── TransientError            the same request may succeed later; `Backend.complete` tries it again
    │   ├── RateLimitError
    │   ├── ServerError
    │   ├── ConnectionFailedError     also a ConnectionError
    │   ├── RequestTimeoutError       also a TimeoutError
    │   └── MalformedReplyError       also a ValueError
    └── PermanentError            the same request would fail again
        ├── BadRequestError           also a ValueError
        │   └── ContextLengthError
        ├── UnsupportedError          also a ValueError
        ├── UnparsedReplyError        also a ValueError
        │   ├── UnparsedChoiceError
        │   ├── UnparsedSchemaError
        │   └── EmptyReplyError
        ├── ContentFilterError        also a ValueError
        ├── AuthenticationError       also a PermissionError
        ├── ModelNotFoundError        also a FileNotFoundError
        ├── CacheError                also an OSError
        ├── BackendClosedError        also a RuntimeError
        ├── OutOfTokensError          also a ValueError
        └── EngineDiedError           also a RuntimeError

Where nothing else is said, a class is a RuntimeError too. All of them survive pickling.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from llm_backends.types import Spent


class BackendError(Exception):
    """The root: anything a backend raises on purpose."""

    spent: Spent | None = None
    """What the call had taken when it failed, once `Backend.complete` has raised it."""
    role: str | None = None
    """Who had asked."""


class TransientError(BackendError):
    """The same request may succeed later."""

    def __init__(self, message: str, retry_after: float | None = None) -> None:
        super().__init__(message)
        self.retry_after = retry_after
        """Seconds the server asked us to wait; None where it did not say."""


class PermanentError(BackendError):
    """The same request would fail again."""


class RateLimitError(TransientError, RuntimeError):
    """Too many requests or tokens in a span of time."""


class ServerError(TransientError, RuntimeError):
    """The server failed, or said that it is overloaded."""


class ConnectionFailedError(TransientError, ConnectionError):
    """The server was not reached, or the connection broke before the reply was complete."""


class RequestTimeoutError(TransientError, TimeoutError):
    """No reply within the time allowed."""


class MalformedReplyError(TransientError, ValueError):
    """What came back is not what the protocol says: broken JSON, or a field missing."""


class BadRequestError(PermanentError, ValueError):
    """The request itself is wrong."""


class ContextLengthError(BadRequestError):
    """The prompt leaves no room for a reply in the model's context."""


class UnsupportedError(PermanentError, ValueError):
    """The request, or the model, needs something that this backend cannot do."""


class UnparsedReplyError(PermanentError, ValueError):
    """The model was asked as often as allowed, and no reply had the form asked for."""


class UnparsedChoiceError(UnparsedReplyError):
    """No reply was one of the choices."""


class UnparsedSchemaError(UnparsedReplyError):
    """No reply matched the schema."""


class EmptyReplyError(UnparsedReplyError):
    """No reply had any text."""


class OutOfTokensError(PermanentError, ValueError):
    """All tokens that a choice or a JSON reply may have were spent before it said anything, as on reasoning."""


class ContentFilterError(PermanentError, ValueError):
    """The provider refused the prompt or withheld the reply."""


class AuthenticationError(PermanentError, PermissionError):
    """The key is missing, wrong, or not allowed to use this model."""


class ModelNotFoundError(PermanentError, FileNotFoundError):
    """No such model, or the path holds none."""


class CacheError(PermanentError, OSError):
    """The cache of replies cannot be read or written."""


class BackendClosedError(PermanentError, RuntimeError):
    """The backend was closed before it could answer."""


class EngineDiedError(PermanentError, RuntimeError):
    """An engine in this process failed and answers nothing any more; `__cause__` says why."""
