"""What was spent, by role, and what it cost."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import pydantic

from llm_backends.errors import BadRequestError
from llm_backends.types import Spent, Usage

PRICES = Path(__file__).parent / "prices.json"
_MILLION = 1_000_000
_IN_PROCESS = "local"


class UsageMeter:
    """Sums what calls took, by role. Belongs to one backend, and so to one event loop."""

    def __init__(self) -> None:
        self._by_role: dict[str, Spent] = {}

    def add(self, role: str, spent: Spent) -> None:
        self._by_role[role] = self._by_role.get(role, Spent()) + spent

    @property
    def by_role(self) -> Mapping[str, Spent]:
        """A copy: what is counted later does not show in it."""
        return dict(self._by_role)

    @property
    def total(self) -> Spent:
        return sum(self._by_role.values(), Spent())


class Price(pydantic.BaseModel):
    """US dollars for a million tokens."""

    model_config = pydantic.ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    input: float = pydantic.Field(ge=0)
    output: float = pydantic.Field(ge=0)
    cached_input: float | None = pydantic.Field(None, ge=0)
    """For tokens of the prompt that the provider's cache served; None: as `input`."""
    cache_write: float | None = pydantic.Field(None, ge=0)
    """For tokens of the prompt that were put into its cache; None: as `input`."""

    def of(self, usage: Usage) -> float:
        """What this usage costs."""
        read = self.input if self.cached_input is None else self.cached_input
        write = self.input if self.cache_write is None else self.cache_write
        plain = usage.prompt_tokens - usage.cached_tokens - usage.cache_write_tokens
        return (
            plain * self.input
            + usage.cached_tokens * read
            + usage.cache_write_tokens * write
            + usage.completion_tokens * self.output
        ) / _MILLION


class _PriceFile(pydantic.BaseModel):
    model_config = pydantic.ConfigDict(extra="forbid")

    as_of: str
    source: str = ""
    prices: dict[str, dict[str, Price]]
    """By backend, then by model."""


@dataclass(frozen=True)
class PriceTable:
    """Prices by backend and model. A model that is not in it has no price, which is not the price 0."""

    prices: Mapping[str, Mapping[str, Price]]
    as_of: str

    @classmethod
    def load(cls, overrides: Path | None = None) -> PriceTable:
        """The shipped table, with those of a file of the same form put over it, model by model.

        :raises BadRequestError: the file cannot be read, or has another form.
        """
        shipped = _read(PRICES)
        if overrides is None:
            return cls(shipped.prices, shipped.as_of)
        own = _read(overrides)
        backends = {*shipped.prices, *own.prices}
        merged = {name: shipped.prices.get(name, {}) | own.prices.get(name, {}) for name in backends}
        return cls(merged, f"{own.as_of} ({overrides.name}), else {shipped.as_of}")

    def price(self, backend: str, model_name: str) -> Price | None:
        """None where it is not known. A model in this process costs nothing."""
        if backend == _IN_PROCESS:
            return Price(input=0, output=0)
        return self.prices.get(backend, {}).get(model_name)


def _read(path: Path) -> _PriceFile:
    try:
        return _PriceFile.model_validate(json.loads(path.read_text(encoding="utf-8")))
    except pydantic.ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"])) or "the whole of it"
        raise _no_table(path, f"{where}: {first['msg']}") from error
    except (OSError, ValueError) as error:
        raise _no_table(path, str(error)) from error


def _no_table(path: Path, reason: str) -> BadRequestError:
    return BadRequestError(
        f"{path} is no table of prices ({reason}); it needs as_of, and prices by backend and model with input and "
        "output in US dollars for a million tokens (--prices)"
    )
