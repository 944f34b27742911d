"""Inputs made wrong: bytes and JSON changed in small ways, by a seeded draw."""

from __future__ import annotations

import copy
import gzip
import json
import random
from collections.abc import Callable
from typing import Any

TOKENS = [
    *(
        b'"',
        b"'",
        b"{",
        b"}",
        b"[",
        b"]",
        b",",
        b":",
        b"\\",
        b"\n",
        b"\r",
        b"\t",
        b"\x00",
        b"\x1b[2J",
        b"\xff",
    ),
    *(
        b"\xef\xbb\xbf",
        b"\xc3",
        b"\\ud800",
        b"\\u0000",
        b"\\boxed{",
        b"####",
        b"null",
        b"true",
        b"NaN",
        b"-Infinity",
    ),
    *(
        b"1e999",
        b"-1",
        b"9" * 5000,
        b"[" * 3000,
        b'{"a":' * 3000,
        b"(" * 3000,
        b'"' * 99,
        b" " * 5000,
        b"0.0",
    ),
    *(
        "\u202e\u0000棋\U0001f600".encode(),
        b"&#39;&quot;&",
        b"graph [",
        b"node [",
        b"id 0",
        b"\r\n\r\n",
        b"\x1f\x8b",
    ),
]
VALUES: list[Any] = [
    *(
        None,
        True,
        False,
        0,
        -1,
        1.5,
        10**400,
        float("nan"),
        float("inf"),
        "",
        " ",
        "\x00",
        "\ud800",
        "棋",
        "1/0",
    ),
    *(
        [],
        {},
        [[]],
        [None],
        {"": None},
        {"a": {"b": []}},
        "x" * 10_000,
        list(range(300)),
        "correct",
        "\x1b[2J",
    ),
]


def mutated(seed: bytes, draw: random.Random) -> bytes:
    """`seed` with one to four changes."""
    for _ in range(draw.choice((1, 1, 2, 4))):
        seed = draw.choice(_MUTATORS)(seed, draw)
    return seed


def _flip(data: bytes, draw: random.Random) -> bytes:
    changed = bytearray(data)
    for _ in range(draw.randint(1, 8)):
        if changed:
            changed[draw.randrange(len(changed))] = draw.randrange(256)
    return bytes(changed)


def _cut(data: bytes, draw: random.Random) -> bytes:
    return data[: draw.randint(0, len(data))]


def _leave_out(data: bytes, draw: random.Random) -> bytes:
    start = draw.randint(0, len(data))
    return data[:start] + data[start + draw.choice((1, 1, 10, 200)) :]


def _double(data: bytes, draw: random.Random) -> bytes:
    start = draw.randint(0, len(data))
    end = start + draw.choice((1, 20, 400))
    return data[:end] + data[start:end] * draw.choice((1, 1, 30)) + data[end:]


def _insert(data: bytes, draw: random.Random) -> bytes:
    at = draw.randint(0, len(data))
    return data[:at] + draw.choice(TOKENS) + data[at:]


def _shuffle_lines(data: bytes, draw: random.Random) -> bytes:
    lines = data.splitlines(keepends=True)
    if not lines:
        return data
    chosen = draw.randrange(len(lines))
    change = draw.randrange(4)
    if change == 0:
        del lines[chosen]
    elif change == 1:
        lines.insert(draw.randint(0, len(lines)), lines[chosen])
    elif change == 2:
        lines[chosen] = draw.choice(lines)
    else:
        draw.shuffle(lines)
    return b"".join(lines)


def _change_json(data: bytes, draw: random.Random) -> bytes:
    """Well-formed, but not what was agreed: in the whole, or in one line."""
    lines = data.splitlines(keepends=True) or [data]
    chosen = draw.randrange(len(lines))
    for whole, start, end in (
        (data, b"", b""),
        (lines[chosen], b"".join(lines[:chosen]), b"".join(lines[chosen + 1 :])),
    ):
        try:
            content = json.loads(whole)
        except (ValueError, RecursionError):
            continue
        line_end = b"\n" if whole.endswith(b"\n") else b""
        return start + json.dumps(changed_value(content, draw)).encode() + line_end + end
    return _insert(data, draw)


def changed_value(content: Any, draw: random.Random) -> Any:
    """Parsed JSON with one value replaced, left out, renamed or doubled."""
    content = copy.deepcopy(content)
    places = list(_places(content))
    if not places:
        return draw.choice(VALUES)
    holder, key = draw.choice(places)
    change = draw.randrange(4)
    if change == 0:
        del holder[key]
    elif change == 1:
        other, place = draw.choice(places)
        holder[key] = copy.deepcopy(other[place]) if holder is not other else draw.choice(VALUES)
    elif change == 2 and isinstance(holder, dict):
        holder[draw.choice((f"{key}s", "", key.upper(), "id"))] = holder.pop(key)
    else:
        holder[key] = copy.deepcopy(draw.choice(VALUES))
    return content


def _places(content: Any) -> list[tuple[Any, Any]]:
    found: list[tuple[Any, Any]] = []
    waiting = [content]
    while waiting:
        holder = waiting.pop()
        keys: list[Any] = list(holder) if isinstance(holder, dict) else []
        keys = list(range(len(holder))) if isinstance(holder, list) else keys
        for key in keys:
            found.append((holder, key))
            waiting.append(holder[key])
    return found


def _as_gzip(data: bytes, draw: random.Random) -> bytes:
    packed = gzip.compress(data, mtime=0)
    return draw.choice((packed, packed[: draw.randint(0, len(packed))], _flip(packed, draw)))


_MUTATORS: tuple[Callable[[bytes, random.Random], bytes], ...] = (
    *(
        _flip,
        _cut,
        _leave_out,
        _double,
        _insert,
        _insert,
        _shuffle_lines,
        _change_json,
        _change_json,
        _change_json,
    ),
)
"""Those that find most stand several times."""


def gzip_mutated(seed: bytes, draw: random.Random) -> bytes:
    """`seed` changed and packed, the packing changed too in places."""
    return _as_gzip(mutated(seed, draw), draw)
