"""What the scripted server is told to answer: replies, and faults in their stead."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, TypeAlias

from llm_backends.types import TokenLogprob

Dialect = Literal["openai", "vllm", "together", "anthropic"]


@dataclass
class Call:
    """One call that asked for a reply."""

    index: int
    """Counted from 0, in the order of arrival."""
    path: str
    body: Mapping[str, Any]
    headers: Mapping[str, str]
    """Names in lower case; those that carry the key are left out."""
    key_right: bool
    started: float
    """Seconds of `time.perf_counter`."""
    ended: float | None = None
    """None while it is in flight."""
    fault: str | None = None
    """What was done instead of replying: the fault's class, `refused` for a request that is wrong, or
    `disconnected` when the client went away."""

    @property
    def messages(self) -> list[tuple[str, str]]:
        """(role, text) of each turn; Anthropic's system text comes first."""
        system = self.body.get("system")
        turns = [] if system is None else [("system", _text_of(system))]
        return turns + [(turn["role"], _text_of(turn["content"])) for turn in self.body.get("messages", [])]

    @property
    def choices(self) -> tuple[str, ...] | None:
        """The choices that the request constrains the reply to; None when it does not."""
        structured = self.body.get("structured_outputs") or {}
        if "choice" in structured:
            return tuple(structured["choice"])
        schema = self.schema or {}
        options = schema.get("properties", {}).get("choice", {}).get("enum")
        return None if options is None else tuple(options)

    @property
    def schema(self) -> Mapping[str, Any] | None:
        """The JSON schema that the request constrains the reply to."""
        structured = self.body.get("structured_outputs") or {}
        response_format = self.body.get("response_format") or {}
        output_format = (self.body.get("output_config") or {}).get("format") or {}
        found = (
            structured.get("json")
            or (response_format.get("json_schema") or {}).get("schema")
            or output_format.get("schema")
        )
        return found if isinstance(found, Mapping) else None


@dataclass(frozen=True)
class Reply:
    """A reply. Numbers of tokens that are None are counted: words, and one for the end."""

    text: str | None = ""
    finish_reason: str | None = "stop"
    """In the words of OpenAI; `length` ends the reply there, whatever the request allows."""
    reasoning: str | None = None
    refusal: str | None = None
    logprobs: Sequence[TokenLogprob] | None = None
    """Sent when the request asks for them; None makes them up: each token as certain, with no alternatives."""
    prompt_tokens: int | None = None
    cached_tokens: int = 0
    completion_tokens: int | None = None
    reasoning_tokens: int = 0
    reports_usage: bool = True


@dataclass(frozen=True)
class Status:
    """Answer with an HTTP status of failure."""

    code: int
    message: str = "scripted failure"
    error_code: str | None = None
    """The machine-readable code in the error's body."""
    param: str | None = None
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Reset:
    """Reset the connection instead of answering."""


@dataclass(frozen=True)
class Truncated:
    """Send half of the body, then close."""


@dataclass(frozen=True)
class Raw:
    """Answer 200 with this body, whatever it is."""

    body: bytes
    content_type: str = "application/json"


@dataclass(frozen=True)
class Stall:
    """Wait before the usual reply."""

    seconds: float


Fault: TypeAlias = "Status | Reset | Truncated | Raw | Stall"
Answer: TypeAlias = "Reply | str | Status | Reset | Truncated | Raw | Stall"
ReplyFunction: TypeAlias = "Callable[[Call], Answer]"

_TOKEN = re.compile(r"\s*\S+|\s+\Z")


def tokens_of(text: str) -> list[str]:
    """The scripted tokenizer: words, each with the white space before it. They join to `text`."""
    return _TOKEN.findall(text)


def first_option(call: Call) -> str:
    """A reply function: the first choice, an instance of the schema, or some words of plain text."""
    if call.choices is not None:
        return choice_text(call, call.choices[0])
    if call.schema is not None:
        return json.dumps(instance_of(call.schema, call.schema.get("$defs", {})))
    return "scripted reply"


def choice_text(call: Call, choice: str) -> str:
    """`choice` as the request wants it: alone, or as the value in a JSON object."""
    return choice if call.schema is None else json.dumps({"choice": choice})


def instance_of(schema: Mapping[str, Any], definitions: Mapping[str, Any]) -> Any:
    """A small value that fits a JSON schema made by pydantic."""
    if "$ref" in schema:
        return instance_of(definitions[schema["$ref"].rpartition("/")[2]], definitions)
    for key in ("enum", "anyOf", "allOf"):
        if key in schema:
            first = schema[key][0]
            return first if key == "enum" else instance_of(first, definitions)
    if "const" in schema:
        return schema["const"]
    if schema.get("type") == "object":
        return {name: instance_of(part, definitions) for name, part in schema.get("properties", {}).items()}
    if schema.get("type") == "array":
        return [instance_of(schema["items"], definitions)] * schema.get("minItems", 0)
    plain: dict[str, Any] = {"string": "scripted", "integer": 1, "number": 1.0, "boolean": True, "null": None}
    return plain[schema["type"]]


def _text_of(content: object) -> str:
    if isinstance(content, str):
        return content
    if isinstance(content, Sequence):
        return "".join(part.get("text", "") for part in content if isinstance(part, Mapping))
    return ""
