"""Logs are read while they grow."""

from __future__ import annotations

import os
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llm_backends.vllm_server.log_file import LogTail, last_lines, newest_log


@given(st.lists(st.binary(max_size=30), max_size=8))
def test_pieces_add_up_to_the_whole_lines(pieces: list[bytes]) -> None:
    with TemporaryDirectory() as directory:
        grown, whole = Path(directory, "grown"), Path(directory, "whole")
        grown.touch()
        whole.write_bytes(b"".join(pieces) + b"\n")
        tail, lines = LogTail(grown), []
        for piece in (*pieces, b"\n"):
            with grown.open("ab") as handle:
                handle.write(piece)
            lines += tail.read_new()
        assert tuple(lines) == LogTail(whole).read_new() == last_lines(whole, 1000)


@pytest.mark.parametrize(
    ("written", "shown"),
    [
        (b"\x1b[32mINFO\x1b[0m ready\n", "INFO ready"),
        (b"10%\r50%\r100%\n", "100%"),
        (b"windows\r\n", "windows"),
        (b"bell\x07 \x1b]0;title\n", "bell ]0;title"),
        ("naïve \N{SNOWMAN}\n".encode(), "naïve \N{SNOWMAN}"),
    ],
)
def test_lines_are_made_safe_to_show(place: Path, written: bytes, shown: str) -> None:
    path = place / "log"
    path.write_bytes(written)
    assert LogTail(path).read_new() == last_lines(path, 5) == (shown,)


def test_the_last_lines_include_one_that_is_not_complete(place: Path) -> None:
    path = place / "log"
    path.write_text("a\nb\nc")
    assert last_lines(path, 2) == ("b", "c")
    assert last_lines(path, 0) == ()
    assert last_lines(place / "none", 2) == ()


def test_the_newest_log_of_a_port(place: Path) -> None:
    for age, name in enumerate(("m_8000_20260101_000000", "m_8000_20260102_000000", "m_80_20260103_000000")):
        path = place / f"vllm_server_{name}.log"
        path.touch()
        os.utime(path, (age, age))
    newest = newest_log(place, 8000)
    assert newest is not None
    assert newest.name == "vllm_server_m_8000_20260102_000000.log"
    assert newest_log(place, 81) is None
