"""JSON schemas in the form that strict structured outputs take."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pydantic import BaseModel


def choice_schema(choices: Sequence[str]) -> dict[str, Any]:
    """An object whose only field, `choice`, is one of the choices."""
    return {
        "type": "object",
        "properties": {"choice": {"type": "string", "enum": list(choices)}},
        "required": ["choice"],
        "additionalProperties": False,
    }


def closed_schema(model: type[BaseModel]) -> tuple[dict[str, Any], bool]:
    """The schema of a pydantic model with every object closed and all its fields required, and whether that could be
    done: an object with free keys cannot be closed."""
    return _closed(model.model_json_schema())


def _closed(schema: Mapping[str, Any]) -> tuple[dict[str, Any], bool]:
    strict = True

    def close(part: Any) -> Any:
        nonlocal strict
        if isinstance(part, list):
            return [close(item) for item in part]
        if not isinstance(part, Mapping):
            return part
        closed = {key: close(value) for key, value in part.items()}
        if part.get("type") == "object":
            if "properties" not in part or part.get("additionalProperties"):
                strict = False
                return closed
            closed["additionalProperties"] = False
            closed["required"] = list(part["properties"])
            # A field's default means nothing once the field is required, and the servers refuse it.
            for name, field in closed["properties"].items():
                closed["properties"][name] = {key: value for key, value in field.items() if key != "default"}
        return closed

    return close(schema), strict
