"""Checks of structured output formats and of fields, as strict as those of the real servers.

Stricter in one place: vLLM ignores a field that it does not know, so that a misspelt constraint goes unnoticed;
here it is refused.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from llm_backends.scripted_server.replies import Dialect


def _names(text: str) -> frozenset[str]:
    return frozenset(text.split())


_CHAT = _names(
    "messages model max_tokens max_completion_tokens temperature top_p seed stop n stream logprobs response_format "
    "frequency_penalty presence_penalty logit_bias user tools tool_choice reasoning_effort"
)
_FIELDS: Mapping[Dialect, frozenset[str]] = {
    "openai": _CHAT | _names("top_logprobs metadata store service_tier prompt_cache_key verbosity"),
    "vllm": _CHAT
    | _names(
        "top_logprobs top_k min_p repetition_penalty structured_outputs chat_template_kwargs min_tokens ignore_eos "
        "priority session_id cache_salt"
    ),
    "together": _CHAT
    | _names(
        "top_k min_p repetition_penalty reasoning chat_template_kwargs context_length_exceeded_behavior"
    ),
    "anthropic": _names(
        "messages model max_tokens system stop_sequences temperature top_p top_k output_config cache_control thinking "
        "metadata stream tools tool_choice service_tier"
    ),
}
_SCHEMA_NAME = re.compile(r"[a-zA-Z0-9_-]{1,64}")
_VLLM_KINDS = ("json", "regex", "choice", "grammar", "json_object", "structural_tag")
_MOST_LOGPROBS = 20


class RefusedError(Exception):
    """A request that a real server would answer with 400."""

    def __init__(self, message: str, param: str | None = None, code: str | None = None) -> None:
        super().__init__(message)
        self.param = param
        self.code = code


def check_body(dialect: Dialect, body: Mapping[str, Any]) -> None:
    """:raises RefusedError: the body has a field that is not known, or a format that is wrong."""
    for name in sorted(set(body) - _FIELDS[dialect]):
        if dialect == "anthropic":
            raise RefusedError(f"{name}: Extra inputs are not permitted", name)
        raise RefusedError(f"Unrecognized request argument supplied: {name}", name, "unknown_parameter")
    if not isinstance(body.get("messages"), list) or not body["messages"]:
        raise RefusedError("messages: at least one message is required", "messages")
    if dialect == "anthropic":
        _check_anthropic(body)
        return
    _check_logprobs(dialect, body)
    if "structured_outputs" in body:
        _check_vllm_constraint(body["structured_outputs"])
    if "response_format" in body:
        _check_response_format(dialect, body["response_format"])


def _check_logprobs(dialect: Dialect, body: Mapping[str, Any]) -> None:
    if dialect == "together":
        asked = body.get("logprobs", 0)
        if isinstance(asked, bool) or not isinstance(asked, int) or not 0 <= asked <= _MOST_LOGPROBS:
            raise RefusedError(f"logprobs is {asked!r}; it must be an integer from 0 to 20", "logprobs")
        return
    top = body.get("top_logprobs", 0)
    if not isinstance(body.get("logprobs", False), bool):
        raise RefusedError("logprobs must be true or false", "logprobs")
    if top and not body.get("logprobs"):
        raise RefusedError("when using `top_logprobs`, `logprobs` must be set to true.", "top_logprobs")
    if not isinstance(top, int) or not 0 <= top <= _MOST_LOGPROBS:
        raise RefusedError(f"Invalid 'top_logprobs': {top!r}, it must be from 0 to 20.", "top_logprobs")


def _check_vllm_constraint(constraint: object) -> None:
    if not isinstance(constraint, Mapping) or len([kind for kind in _VLLM_KINDS if kind in constraint]) != 1:
        raise RefusedError(
            f"You must use one kind of structured outputs constraint; it is {constraint!r}",
            "structured_outputs",
        )
    choice = constraint.get("choice", ["any"])
    if not isinstance(choice, list) or not choice or not all(isinstance(option, str) for option in choice):
        raise RefusedError("structured_outputs.choice must be a list of strings", "structured_outputs")
    if not isinstance(constraint.get("json", {}), (Mapping, str)):
        raise RefusedError("structured_outputs.json must be a schema", "structured_outputs")


def _check_response_format(dialect: Dialect, response_format: object) -> None:
    if not isinstance(response_format, Mapping) or response_format.get("type") not in (
        "text",
        "json_object",
        "json_schema",
    ):
        raise RefusedError("Invalid value for 'response_format.type'", "response_format.type")
    if response_format["type"] != "json_schema":
        return
    wanted = response_format.get("json_schema")
    if not isinstance(wanted, Mapping) or set(wanted) - {"name", "description", "schema", "strict"}:
        raise RefusedError(
            "Unknown parameter in 'response_format.json_schema'", "response_format.json_schema"
        )
    if not _SCHEMA_NAME.fullmatch(str(wanted.get("name", ""))):
        raise RefusedError(
            "Invalid 'response_format.json_schema.name': string does not match pattern '^[a-zA-Z0-9_-]+$'.",
            "response_format.json_schema.name",
        )
    if not isinstance(wanted.get("schema"), Mapping):
        raise RefusedError(
            "Missing required parameter: 'response_format.json_schema.schema'.",
            "response_format.json_schema.schema",
        )
    if wanted.get("strict"):
        _check_closed(
            wanted["schema"],
            f"Invalid schema for response_format '{wanted['name']}'",
            all_required=dialect == "openai",
        )


def _check_anthropic(body: Mapping[str, Any]) -> None:
    if not isinstance(body.get("max_tokens"), int):
        raise RefusedError("max_tokens: Field required", "max_tokens")
    for place, turn in enumerate(body["messages"]):
        if turn.get("role") not in ("user", "assistant"):
            raise RefusedError(f"messages.{place}.role: Input should be 'user' or 'assistant'", "messages")
    output_format = (body.get("output_config") or {}).get("format")
    if output_format is not None:
        if set(output_format) != {"type", "schema"} or output_format["type"] != "json_schema":
            raise RefusedError("output_config.format: Extra inputs are not permitted", "output_config")
        _check_closed(output_format["schema"], "output_config.format.schema", all_required=False)


def _check_closed(schema: object, where: str, *, all_required: bool) -> None:
    """Every object in a strict schema says that it has no further properties, and OpenAI wants all of them required."""
    if isinstance(schema, list):
        for part in schema:
            _check_closed(part, where, all_required=all_required)
    if not isinstance(schema, Mapping):
        return
    if schema.get("type") == "object":
        if schema.get("additionalProperties") is not False:
            raise RefusedError(
                f"{where}: 'additionalProperties' is required to be supplied and to be false.",
                "response_format",
            )
        if all_required and set(schema.get("required", ())) != set(schema.get("properties", {})):
            raise RefusedError(
                f"{where}: 'required' is required to be supplied and to be an array including every key in properties.",
                "response_format",
            )
    for part in schema.values():
        _check_closed(part, where, all_required=all_required)
