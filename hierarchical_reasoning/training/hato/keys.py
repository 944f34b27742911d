"""What a key of HATO's files is for: each says it where it is declared, and a file is translated by that alone."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict

LEFT_OUT: Any = None
"""Default of every key: what a file does not have is left to the settings themselves."""


@dataclass(frozen=True)
class Sets:
    """The key is a setting of `LanguageModelConfig`."""

    setting: str
    """Of a setting with fields: its name, a dot, the field's."""
    by: Callable[[Any], Any] = lambda value: value
    """Of the value in the file; raises ValueError for one that is not served."""


@dataclass(frozen=True)
class Unused:
    """The key is read, and said to have no effect."""

    why: str


@dataclass(frozen=True)
class Read:
    """The key means something together with others; `reading` has what."""


Use = Sets | Unused | Read


class Section(BaseModel):
    """Keys below a key."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, protected_namespaces=())

    def given(self, above: tuple[str, ...] = ()) -> Iterator[tuple[str, Any, Use]]:
        """What the file has: each key with its sections before it, its value, and its use."""
        for name, field in type(self).model_fields.items():
            value = getattr(self, name)
            here = (*above, field.alias or name)
            if isinstance(value, Section):
                yield from value.given(here)
            elif name in self.model_fields_set:
                yield ".".join(here), value, _use(type(self), name)


def known_keys(section: type[Section], above: tuple[str, ...] = ()) -> Iterator[tuple[str, Use]]:
    """Every key that there can be, and its use."""
    for name, field in section.model_fields.items():
        here = (*above, field.alias or name)
        if isinstance(field.annotation, type) and issubclass(field.annotation, Section):
            yield from known_keys(field.annotation, here)
        else:
            yield ".".join(here), _use(section, name)


def _use(section: type[Section], name: str) -> Use:
    (use,) = (
        found for found in section.model_fields[name].metadata if isinstance(found, Sets | Unused | Read)
    )
    return use


def _number(value: Any) -> Any:
    """YAML has 1e-3, without a point, as a text."""
    try:
        return float(value) if isinstance(value, str) else value
    except ValueError:
        return value


Number = Annotated[float, BeforeValidator(_number)]
