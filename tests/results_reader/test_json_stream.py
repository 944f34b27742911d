"""JSON read through a window: the same values as from the whole text, and every break in it named by its line."""

from __future__ import annotations

import io
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hierarchical_reasoning.results.reader import json_stream
from hierarchical_reasoning.results.reader.json_stream import JsonScanner, JsonStreamError, TruncatedJsonError

texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)
numbers = st.integers() | st.floats(allow_nan=False, allow_infinity=False)
values = st.recursive(
    st.none() | st.booleans() | numbers | texts,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(texts, inner, max_size=4),
    max_leaves=12,
)
layouts = st.sampled_from([None, 0, 2])
windows = st.integers(1, 20)


def scanner(text: str | bytes, window_bytes: int = 7) -> JsonScanner:
    return JsonScanner(
        io.BytesIO(text if isinstance(text, bytes) else text.encode()), window_bytes=window_bytes
    )


@given(st.lists(values, max_size=5), layouts, st.booleans(), windows)
def test_a_list_is_read_as_the_whole_text_would_be(
    wanted: list[Any], indent: int | None, ascii_only: bool, window: int
) -> None:
    text = json.dumps(wanted, indent=indent, ensure_ascii=ascii_only)
    reader = scanner(text, window)
    assert list(reader.items()) == wanted
    assert reader.expect("") == ""


@given(st.dictionaries(texts, values, max_size=5), layouts, windows)
def test_an_object_is_read_key_by_key(wanted: dict[str, Any], indent: int | None, window: int) -> None:
    reader = scanner(json.dumps(wanted, indent=indent), window)
    assert {key: reader.value() for key in reader.keys()} == wanted  # noqa: SIM118
    assert reader.peek() == ""


@given(
    st.lists(st.dictionaries(texts, values, max_size=3), min_size=1, max_size=4), layouts, windows, st.data()
)
def test_a_text_that_ends_too_early_is_told_apart(
    wanted: list[Any], indent: int | None, window: int, data: st.DataObject
) -> None:
    text = json.dumps(wanted, indent=indent).encode()
    cut = data.draw(st.integers(0, len(text) - 1))
    with pytest.raises(TruncatedJsonError):
        list(scanner(text[:cut], window).items())


@given(st.binary(max_size=60).map(lambda content: b"[" + content) | st.binary(max_size=20), windows)
def test_any_bytes_are_read_or_refused(content: bytes, window: int) -> None:
    try:
        found = list(scanner(content, window).items())
    except JsonStreamError:
        return
    text = content.decode("utf-8-sig").lstrip(" \t\r\n")  # what follows the list is not read
    assert repr(found) == repr(json.JSONDecoder().raw_decode(text)[0])


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('[\n{"a": 1},\n{"a": 1,}\n]', "line 3: broken JSON"),
        ('[\n{"a": 1}\n{"a": 1}]', "line 3: '{' stands where ',' or ']' is expected"),
        ('{"a": 1}', "line 1: '{' stands where '[' is expected"),
        ("[\n\n1, nul]", "line 3: broken JSON: Expecting value"),
        ('["\x01"]', "line 1: broken JSON: Invalid control character"),
        ("[" + "[" * 100_000, "line 1: cannot be read: maximum recursion depth"),
        ("[" + "9" * 5000 + "]", "line 1: cannot be read: Exceeds the limit"),
    ],
)
def test_what_is_broken_is_named_by_its_line(text: str, said: str) -> None:
    with pytest.raises(JsonStreamError, match="^" + said.replace("[", r"\[").replace("{", r"\{")) as caught:
        list(scanner(text).items())
    assert not isinstance(caught.value, TruncatedJsonError)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[",
        "[1",
        '[{"a": "b',
        '[{"a": "b"}',
        '[{"a": "b"},\n',
        '[{"a":',
        "[0.",
        "[-1e+",
        "[nul",
        r'["\ud83',
    ],
)
def test_a_text_that_ends_is_told_apart(text: str) -> None:
    with pytest.raises(TruncatedJsonError, match=r"line [12]: the text ends"):
        list(scanner(text).items())


def test_what_is_no_utf_8_is_refused() -> None:
    with pytest.raises(JsonStreamError, match=r"in or after line [123]: not UTF-8"):
        list(scanner(b'["a",\n\n"\xff"]').items())


def test_a_value_without_end_is_not_held(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(json_stream, "MAX_VALUE_CHARACTERS", 1000)

    class Endless(io.RawIOBase):
        given = 0

        def read(self, size: int = -1) -> bytes:
            self.given += size
            return b"x" * size

    endless = Endless()
    reader = JsonScanner(endless, window_bytes=10)  # type: ignore[arg-type]
    reader._window = '["'
    with pytest.raises(JsonStreamError, match="longer than 1,000 characters"):
        list(reader.items())
    assert endless.given < 4000
