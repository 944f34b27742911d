from __future__ import annotations

import json
from pathlib import Path

import pytest

from llm_backends import BadRequestError, Price, PriceTable, Usage


def test_every_kind_of_token_has_its_price() -> None:
    price = Price(input=10, output=100, cached_input=1, cache_write=20)
    usage = Usage(
        prompt_tokens=1_000_000, cached_tokens=500_000, completion_tokens=10_000, cache_write_tokens=100_000
    )
    assert price.of(usage) == pytest.approx(0.4 * 10 + 0.5 * 1 + 0.1 * 20 + 0.01 * 100)
    assert Price(input=10, output=100).of(usage) == pytest.approx(10 + 1)


def test_a_model_that_is_not_listed_has_no_price() -> None:
    table = PriceTable.load()
    assert table.price("openai", "gpt-4o-mini") == Price(input=0.15, cached_input=0.075, output=0.6)
    assert table.price("openai", "some-new-model") is None
    assert table.price("vllm", "gpt-4o-mini") is None


def test_own_prices_go_over_the_shipped_ones(tmp_path: Path) -> None:
    own = tmp_path / "prices.json"
    prices = {"openai": {"gpt-4o-mini": {"input": 1, "output": 2}}, "mine": {"m": {"input": 3, "output": 4}}}
    own.write_text(json.dumps({"as_of": "today", "prices": prices}))
    table = PriceTable.load(own)
    assert table.price("openai", "gpt-4o-mini") == Price(input=1, output=2)
    assert table.price("mine", "m") == Price(input=3, output=4)
    assert table.price("openai", "gpt-4o") is not None
    assert "today" in table.as_of


@pytest.mark.parametrize(
    "text", ["{", "[]", '{"as_of": "x", "prices": {"openai": {"m": {"input": -1, "output": 1}}}}']
)
def test_a_broken_table_is_said(tmp_path: Path, text: str) -> None:
    own = tmp_path / "prices.json"
    own.write_text(text)
    with pytest.raises(BadRequestError, match=r"prices.json is no table of prices \(.*--prices"):
        PriceTable.load(own)
