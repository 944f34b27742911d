"""From the errors of a generated SDK to those of `llm_backends.errors`.

The SDKs of OpenAI, Together and Anthropic come from one generator: each has the same root classes, and what a server
answered is told by its status. Everything else they raise is listed by name.
"""

from __future__ import annotations

import math
import re
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from types import ModuleType
from typing import Any

from llm_backends.errors import (
    AuthenticationError,
    BackendError,
    BadRequestError,
    ConnectionFailedError,
    ContentFilterError,
    ContextLengthError,
    MalformedReplyError,
    ModelNotFoundError,
    RateLimitError,
    RequestTimeoutError,
    ServerError,
    TransientError,
    UnparsedSchemaError,
    UnsupportedError,
)

_LONGEST_SHOWN = 300
_OF_NO_STATUS: Mapping[str, type[BackendError]] = {
    "APIResponseValidationError": MalformedReplyError,
    "APIWebhookValidationError": MalformedReplyError,
    "InvalidWebhookSignatureError": MalformedReplyError,
    "ContentFilterFinishReasonError": ContentFilterError,
    "LengthFinishReasonError": UnparsedSchemaError,
    "CredentialsError": AuthenticationError,
    "IdentityTokenFileError": AuthenticationError,
    "MutuallyExclusiveAuthError": AuthenticationError,
    "SubjectTokenProviderError": AuthenticationError,
    "WorkloadIdentityError": AuthenticationError,
    "MissingDependencyError": UnsupportedError,
    "RetryableError": ServerError,
    "WebSocketConnectionClosedError": ConnectionFailedError,
    "WebSocketQueueFullError": ConnectionFailedError,
}
_OF_STATUS: Mapping[int, type[BackendError]] = {
    401: AuthenticationError,
    402: AuthenticationError,
    403: AuthenticationError,
    404: ModelNotFoundError,
    408: RequestTimeoutError,
    409: ServerError,
    413: ContextLengthError,
    425: ServerError,
    429: RateLimitError,
    499: ConnectionFailedError,
    504: RequestTimeoutError,
}
_HINTS: Mapping[type[BackendError], str] = {
    AuthenticationError: "is the key right, and is there credit? (--api_key_env)",
    ModelNotFoundError: "are the model's name and the address right? (--model_name, --base_url)",
    ContextLengthError: "the conversation is too long for the model (--max_reasoning_steps, "
    "--max_thought_tokens, --num_icl_examples)",
    RequestTimeoutError: "(--request_timeout)",
}
_NO_CREDIT = re.compile(r"insufficient_quota|billing|spend_limit")
_FILTERED = ("content_filter", "content_policy_violation", "ResponsibleAIPolicyViolation")
_FILTERED_WORDS = re.compile(r"content (management|filter|policy)|safety (system|filter)", re.IGNORECASE)
_TOO_LONG_WORDS = re.compile(
    r"context[ _](length|window|limit)|prompt is too long|input is too long|max_tokens must be at least 1, got|"
    r"`inputs` tokens \+ `max_new_tokens`",
    re.IGNORECASE,
)


@dataclass(frozen=True, slots=True)
class Refusal:
    """What a server said when it answered with a status of failure."""

    status: int
    message: str
    code: str | None = None
    param: str | None = None


def refusal_in(error: Exception) -> Refusal | None:
    """What the server said; None when `error` is not a server's answer."""
    status = getattr(error, "status_code", None)
    if not isinstance(status, int) or not hasattr(error, "response"):
        return None
    body = getattr(error, "body", None)
    inner = body.get("error", body) if isinstance(body, Mapping) else body
    if not isinstance(inner, Mapping):
        return Refusal(status, str(inner or error))
    # FastAPI says `detail`. Anthropic has `details.error_code`, and else `type`, where others have `code`.
    message = inner.get("message") or inner.get("detail") or error
    details = inner.get("details")
    code = details.get("error_code") if isinstance(details, Mapping) else None
    code = code or inner.get("code") or inner.get("type")
    param = inner.get("param")
    return Refusal(
        status, str(message), None if code is None else str(code), param if isinstance(param, str) else None
    )


def backend_error(
    error: Exception,
    sdk: ModuleType,
    *,
    backend: str,
    model_name: str,
    redacted: Callable[[str], str] = str,
) -> BackendError:
    """`error`, raised by the client of `sdk`, as one of ours.

    A status that is not listed is the caller's mistake below 500, and the server's from there on.

    :param redacted: takes keys out of what a server said. It comes before shortening, which could leave half a key.
    """

    def shortened(text: str) -> str:
        text = " ".join(redacted(text).split())
        return text if len(text) <= _LONGEST_SHOWN else f"{text[:_LONGEST_SHOWN]}..."

    who = f"{backend} (model {model_name!r})"
    refusal = refusal_in(error)
    if isinstance(error, sdk.APITimeoutError):
        return RequestTimeoutError(f"{who} gave no reply in time (--request_timeout)")
    if isinstance(error, sdk.APIConnectionError):
        return ConnectionFailedError(
            f"{who} could not be reached, or broke off: {shortened(_root_of(error))} (--base_url)"
        )
    if isinstance(error, sdk.APIStatusError) and refusal is not None:
        kind = _kind_of(refusal)
        hint = _HINTS.get(kind, "")
        message = f"{who} answered {refusal.status}: {shortened(refusal.message)}" + (
            f"; {hint}" if hint else ""
        )
        if issubclass(kind, TransientError):
            return kind(message, retry_after=_retry_after(error.response.headers))
        return kind(message)
    for ancestor in type(error).__mro__:
        if ancestor.__name__ in _OF_NO_STATUS:
            return _OF_NO_STATUS[ancestor.__name__](f"{who}: {shortened(str(error))}")
    if isinstance(error, (ValueError, RecursionError)) and not isinstance(error, root_error(sdk)):
        return MalformedReplyError(f"{who} sent a reply that is not JSON: {shortened(str(error))}")
    return BadRequestError(f"{who}: {type(error).__name__}: {shortened(str(error))}")


def root_error(sdk: ModuleType) -> type[Exception]:
    """What all errors of an SDK derive from."""
    root: type[Exception] = sdk.APIError.__mro__[1]
    return root


def is_too_long(refusal: Refusal) -> bool:
    """Whether the prompt, or the prompt and the reply, do not fit into the context."""
    return refusal.code == "context_length_exceeded" or bool(_TOO_LONG_WORDS.search(refusal.message))


def _kind_of(refusal: Refusal) -> type[BackendError]:
    if refusal.status in (400, 403, 413, 422) and is_too_long(refusal):
        return ContextLengthError
    if refusal.status in (400, 403, 422) and (
        refusal.code in _FILTERED or (refusal.status != 403 and _FILTERED_WORDS.search(refusal.message))
    ):
        return ContentFilterError
    if refusal.status == 429 and refusal.code is not None and _NO_CREDIT.search(refusal.code):
        return AuthenticationError
    if refusal.status in _OF_STATUS:
        return _OF_STATUS[refusal.status]
    return ServerError if refusal.status >= 500 else BadRequestError


def _retry_after(headers: Mapping[str, str]) -> float | None:
    """Seconds to wait, from `retry-after-ms` or `retry-after` (seconds, or a date); None when the server does not
    say, or says what is no time."""
    milliseconds = _seconds(headers.get("retry-after-ms", ""))
    if milliseconds is not None:
        return milliseconds / 1000
    said = headers.get("retry-after", "")
    seconds = _seconds(said)
    if seconds is not None:
        return seconds
    try:
        return max(0.0, parsedate_to_datetime(said).timestamp() - time.time())
    except (ValueError, TypeError, OverflowError):
        return None


def _seconds(text: str) -> float | None:
    try:
        number = float(text)
    except ValueError:
        return None
    return number if math.isfinite(number) and number >= 0 else None


def _root_of(error: BaseException) -> str:
    while error.__cause__ is not None or error.__context__ is not None:
        cause: Any = error.__cause__ or error.__context__
        error = cause
    return str(error) or type(error).__name__
