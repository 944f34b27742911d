"""Every error that an SDK has maps into our tree."""

from __future__ import annotations

import importlib
import inspect
import json
import time
from email.utils import formatdate
from types import ModuleType
from typing import Any

import pytest

from llm_backends import errors
from llm_backends.hosted.sdk_errors import backend_error

_SDKS = {"openai": "httpx2", "together": "httpx", "anthropic": "httpx2"}
_EXPECTED: dict[str, type[errors.BackendError]] = {
    "APIConnectionError": errors.ConnectionFailedError,
    "APIError": errors.BadRequestError,
    "APIResponseValidationError": errors.MalformedReplyError,
    "APIStatusError": errors.BadRequestError,
    "APITimeoutError": errors.RequestTimeoutError,
    "APIWebhookValidationError": errors.MalformedReplyError,
    "AnthropicError": errors.BadRequestError,
    "AuthenticationError": errors.AuthenticationError,
    "BadRequestError": errors.BadRequestError,
    "ClientClosedRequestError": errors.ConnectionFailedError,
    "ConflictError": errors.ServerError,
    "ContentFilterFinishReasonError": errors.ContentFilterError,
    "ContentTooLargeError": errors.ContextLengthError,
    "CredentialsError": errors.AuthenticationError,
    "GatewayTimeoutError": errors.RequestTimeoutError,
    "HTTPNotImplementedError": errors.ServerError,
    "IdentityTokenFileError": errors.AuthenticationError,
    "InternalServerError": errors.ServerError,
    "InvalidWebhookSignatureError": errors.MalformedReplyError,
    "LengthFinishReasonError": errors.UnparsedSchemaError,
    "NotFoundError": errors.ModelNotFoundError,
    "OAuthError": errors.AuthenticationError,
    "OpenAIError": errors.BadRequestError,
    "OverloadedError": errors.ServerError,
    "PaymentRequiredError": errors.AuthenticationError,
    "PermissionDeniedError": errors.AuthenticationError,
    "PreconditionFailedError": errors.BadRequestError,
    "RateLimitError": errors.RateLimitError,
    "RequestHeaderFieldsTooLargeError": errors.BadRequestError,
    "RequestTimeoutError": errors.RequestTimeoutError,
    "RetryableError": errors.ServerError,
    "ServiceUnavailableError": errors.ServerError,
    "SubjectTokenProviderError": errors.AuthenticationError,
    "TogetherError": errors.BadRequestError,
    "UnprocessableEntityError": errors.BadRequestError,
    "MissingDependencyError": errors.UnsupportedError,
    "MutuallyExclusiveAuthError": errors.AuthenticationError,
    "WorkloadIdentityError": errors.AuthenticationError,
    # Raised by parts of the SDKs that are not used here.
    "APIRemovedInV1": errors.BadRequestError,
    "DownloadError": errors.BadRequestError,
    "FileTypeError": errors.BadRequestError,
    "StreamAlreadyConsumed": errors.BadRequestError,
    "ToolsetUsageError": errors.BadRequestError,
    "_AmbiguousModuleClientUsageError": errors.BadRequestError,
    "WebSocketConnectionClosedError": errors.ConnectionFailedError,
    "WebSocketQueueFullError": errors.ConnectionFailedError,
}
_ROOTS = ("OpenAIError", "TogetherError", "AnthropicError", "APIError")
_FALLBACK_STATUS = {"APIStatusError": 418, "InternalServerError": 500}


def exceptions_of(sdk: str) -> list[type[Exception]]:
    """Every exception class of the SDK's module of errors, and every subclass of its root loaded from the SDK."""
    module = importlib.import_module(f"{sdk}._exceptions")
    pending = [
        kind for kind in vars(module).values() if inspect.isclass(kind) and issubclass(kind, Exception)
    ]
    found: set[type[Exception]] = set()
    while pending:
        kind = pending.pop()
        if kind not in found and kind.__module__.partition(".")[0] == sdk:
            found.add(kind)
            pending += kind.__subclasses__()
    return sorted(found, key=lambda kind: kind.__name__)


def response(sdk: str, status: int, body: object, headers: dict[str, str] | None = None) -> Any:
    http = importlib.import_module(_SDKS[sdk])
    return http.Response(
        status, content=json.dumps(body), headers=headers, request=http.Request("POST", "http://127.0.0.1/v1")
    )


def status_error(
    sdk: str, status: int, message: str = "no", headers: dict[str, str] | None = None, **fields: object
) -> Exception:
    """As the SDK's client makes it from a server's answer."""
    module: Any = importlib.import_module(sdk)
    client_class = {"openai": "AsyncOpenAI", "together": "AsyncTogether", "anthropic": "AsyncAnthropic"}[sdk]
    client = getattr(module, client_class)(api_key="key", base_url="http://127.0.0.1")
    body = {"error": {"message": message, **fields}}
    error: Exception = client._make_status_error_from_response(response(sdk, status, body, headers))
    return error


def instance(sdk: str, kind: type[Exception]) -> Exception:
    module: Any = importlib.import_module(sdk)
    if issubclass(kind, module.APIStatusError):
        status = getattr(kind, "status_code", _FALLBACK_STATUS.get(kind.__name__))
        make: Any = kind
        arguments = () if kind.__name__ == "OAuthError" else ("no",)
        made: Exception = make(*arguments, response=response(sdk, status or 500, {}), body={})
        return made
    error = kind.__new__(kind, "no")
    error.args = ("no",)
    vars(error)["request_id"] = None
    return error


def mapped(sdk: str, error: Exception) -> errors.BackendError:
    module: ModuleType = importlib.import_module(sdk)
    return backend_error(error, module, backend=sdk, model_name="m")


@pytest.mark.parametrize("sdk", _SDKS)
def test_every_exception_of_an_sdk_is_mapped(sdk: str) -> None:
    found = exceptions_of(sdk)
    assert len(found) > 10
    for kind in found:
        listed = next(ancestor.__name__ for ancestor in kind.__mro__ if ancestor.__name__ in _EXPECTED)
        assert listed == kind.__name__ or listed not in _ROOTS, f"{kind} is new: say what it means"
        assert type(mapped(sdk, instance(sdk, kind))) is _EXPECTED[listed], kind


@pytest.mark.parametrize("sdk", _SDKS)
@pytest.mark.parametrize(
    ("status", "message", "code", "expected"),
    [
        (400, "what?", None, errors.BadRequestError),
        (400, "too many", "context_length_exceeded", errors.ContextLengthError),
        (400, "This model's maximum context length is 10 tokens.", None, errors.ContextLengthError),
        (400, "prompt is too long: 11 tokens > 10 maximum", None, errors.ContextLengthError),
        (400, "withheld", "content_filter", errors.ContentFilterError),
        (401, "key", "invalid_api_key", errors.AuthenticationError),
        (402, "pay", None, errors.AuthenticationError),
        (403, "no", None, errors.AuthenticationError),
        (403, "`inputs` tokens + `max_new_tokens` must be <= 8193.", None, errors.ContextLengthError),
        (404, "no", "model_not_found", errors.ModelNotFoundError),
        (408, "slow", None, errors.RequestTimeoutError),
        (409, "again", None, errors.ServerError),
        (413, "large", None, errors.ContextLengthError),
        (418, "teapot", None, errors.BadRequestError),
        (422, "what?", None, errors.BadRequestError),
        (425, "early", None, errors.ServerError),
        (429, "slow down", "rate_limit_exceeded", errors.RateLimitError),
        (429, "no credit", "insufficient_quota", errors.AuthenticationError),
        (429, "no credit", "contract_spend_limit_reached", errors.AuthenticationError),
        (500, "oops", None, errors.ServerError),
        (503, "busy", None, errors.ServerError),
        (504, "slow", None, errors.RequestTimeoutError),
        (529, "overloaded", None, errors.ServerError),
        (599, "?", None, errors.ServerError),
    ],
)
def test_what_a_status_means(
    sdk: str, status: int, message: str, code: str | None, expected: type[errors.BackendError]
) -> None:
    error = mapped(sdk, status_error(sdk, status, message, code=code))
    assert type(error) is expected
    assert message in str(error)
    assert str(status) in str(error)


@pytest.mark.parametrize("sdk", _SDKS)
@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        ({"retry-after": "7"}, 7.0),
        ({"retry-after": "0.5"}, 0.5),
        ({"retry-after-ms": "250", "retry-after": "7"}, 0.25),
        ({"retry-after": "soon"}, None),
        ({"retry-after": "inf"}, None),
        ({"retry-after": "nan"}, None),
        ({"retry-after": "-1"}, None),
        ({"retry-after": "1e400"}, None),
        ({"retry-after-ms": "-inf", "retry-after": "7"}, 7.0),
        ({}, None),
    ],
)
def test_how_long_to_wait(sdk: str, headers: dict[str, str], expected: float | None) -> None:
    for status in (429, 503):
        error = mapped(sdk, status_error(sdk, status, headers=headers))
        assert isinstance(error, errors.TransientError)
        assert error.retry_after == expected


def test_waiting_until_a_date() -> None:
    error = mapped(
        "openai", status_error("openai", 429, headers={"retry-after": formatdate(time.time() + 60)})
    )
    assert isinstance(error, errors.RateLimitError)
    assert error.retry_after == pytest.approx(60, abs=3)
    past = mapped("openai", status_error("openai", 429, headers={"retry-after": formatdate(0)}))
    assert isinstance(past, errors.RateLimitError)
    assert past.retry_after == 0.0


def test_broken_json_is_a_malformed_reply() -> None:
    assert type(mapped("openai", json.JSONDecodeError("no", "x", 0))) is errors.MalformedReplyError
