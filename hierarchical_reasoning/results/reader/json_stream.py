"""JSON values out of a file of any size, one after the other, with a bounded window of it in memory.

Layout does not matter: a value may share its line with others, or stand over many. What is broken is named by its
line, and a text that merely ends too early is told apart from one that is wrong. Left out on purpose: writing.
"""

from __future__ import annotations

import codecs
import json
import re
from collections.abc import Iterator
from typing import Any, BinaryIO

WINDOW_BYTES = 2**20
MAX_VALUE_CHARACTERS = 32 * 2**20
"""Of one value; a longer one is an error."""

_BLANKS = re.compile(r"[ \t\r\n]*")
_LONGEST_TOKEN = 16
"""Characters. No token but a string is as long as that: `-Infinity` and a pair of `\\u` escapes are shorter."""

_LONGEST_ESCAPE = len(r"\ud800")
_BEGUN = re.compile(
    r"-|-?I(n(f(i(n(it?)?)?)?)?)?|N(aN?)?|n(ul?)?|t(ru?)?|f(a(ls?)?)?"  # a constant, or a number's sign
    r"|[.]|([.]\d+)?[eE][-+]?"  # what follows the digits that a number has so far
)
"""What of a token without quotes may stand at the end of a text that was cut off within it, where parsing fails."""


class JsonStreamError(ValueError):
    """The text is no JSON; the message begins with where."""


class TruncatedJsonError(JsonStreamError):
    """The text ends before it is complete."""


class JsonScanner:
    """Reads forward only.

    Every method raises JsonStreamError where the text is not what was asked for, and OSError where the file cannot be
    read.
    """

    def __init__(self, file: BinaryIO, *, window_bytes: int = WINDOW_BYTES) -> None:
        self._file = file
        self._window_bytes = window_bytes
        self._decoder = json.JSONDecoder()
        self._utf8 = codecs.getincrementaldecoder("utf-8-sig")()
        self._window = ""
        self._at = 0
        self._lines_before = 0
        """Before the window."""
        self._ended = False

    def line(self, at: int | None = None) -> int:
        """Of a place in the window, by default of what comes next; counted from 1."""
        return self._lines_before + self._window.count("\n", 0, self._at if at is None else at) + 1

    def peek(self) -> str:
        """The next character that is not blank, left where it is; an empty string at the end."""
        while True:
            self._at = _end_of_blanks(self._window, self._at)
            if self._at < len(self._window) or not self._read_more():
                return self._window[self._at : self._at + 1]

    def expect(self, *allowed: str) -> str:
        """Take the next character, one of those allowed; an empty string stands for the end of the text."""
        found = self.peek()
        if found not in allowed:
            wanted = " or ".join(f"'{character}'" if character else "the end" for character in allowed)
            if not found or self._is_cut_off(self._at):
                raise TruncatedJsonError(f"line {self.line()}: the text ends where {wanted} is expected")
            raise JsonStreamError(f"line {self.line()}: {found!r} stands where {wanted} is expected")
        self._at += len(found)
        return found

    def value(self) -> Any:
        """Take the next value, whole."""
        self.peek()
        while True:
            try:
                value, end = self._decoder.raw_decode(self._window, self._at)
            except json.JSONDecodeError as error:
                if not (self._could_go_on(error) and self._read_more()):
                    raise self._broken(error) from error
            except (ValueError, RecursionError) as error:  # a number of too many digits; nested too deeply
                raise JsonStreamError(f"line {self.line()}: cannot be read: {error}") from error
            else:
                # A number near the end could go on: "1." is read as 1 with a full stop behind it.
                if end <= len(self._window) - _LONGEST_TOKEN or not self._read_more():
                    self._at = end
                    return value

    def items(self) -> Iterator[Any]:
        """Take a list, value by value."""
        self.expect("[")
        if self.peek() == "]":
            self.expect("]")
            return
        while True:
            yield self.value()
            if self.expect(",", "]") == "]":
                return

    def keys(self) -> Iterator[str]:
        """Take an object, key by key; whoever asks takes the value of a key before asking for the next."""
        self.expect("{")
        if self.peek() == "}":
            self.expect("}")
            return
        while True:
            key = self.value()
            if not isinstance(key, str):
                raise JsonStreamError(
                    f"line {self.line()}: {key!r} stands where the name of a field is expected"
                )
            self.expect(":")
            yield key
            if self.expect(",", "}") == "}":
                return

    def _could_go_on(self, error: json.JSONDecodeError) -> bool:
        """Whether more text could make it right."""
        near_the_end = error.pos > len(self._window) - _LONGEST_TOKEN
        return near_the_end or error.msg.startswith("Unterminated string")

    def _broken(self, error: json.JSONDecodeError) -> JsonStreamError:
        rest = self._window[error.pos :].strip()
        in_escape = error.msg.startswith("Invalid \\uXXXX") and len(rest) < _LONGEST_ESCAPE
        in_string = in_escape or error.msg.startswith("Unterminated string")
        if self._ended and (not rest or in_string or self._is_cut_off(error.pos)):
            return TruncatedJsonError(f"line {self.line()}: the text ends within what begins here")
        return JsonStreamError(f"line {self.line(error.pos)}: broken JSON: {error.msg.removesuffix(' at')}")

    def _is_cut_off(self, at: int) -> bool:
        """Whether what stands at a place may be the end of a token that the text ends within."""
        return self._ended and _BEGUN.fullmatch(self._window, at) is not None

    def _read_more(self) -> bool:
        """Let go of what was taken, and add to the window as much as it holds, so that a long value costs no more
        than twice its length; False, with nothing changed, at the end of the file."""
        rest = len(self._window) - self._at
        if rest > MAX_VALUE_CHARACTERS:
            raise JsonStreamError(
                f"line {self.line()}: what begins here is longer than {MAX_VALUE_CHARACTERS:,} characters"
            )
        more = ""
        while not more and not self._ended:
            data = self._file.read(max(self._window_bytes, rest))
            self._ended = not data
            try:
                more = self._utf8.decode(data, final=self._ended)
            except UnicodeDecodeError as error:
                raise JsonStreamError(f"in or after line {self.line()}: not UTF-8: {error.reason}") from error
        if more:
            self._lines_before = self.line() - 1
            self._window = self._window[self._at :] + more
            self._at = 0
        return bool(more)


def _end_of_blanks(text: str, start: int) -> int:
    match = _BLANKS.match(text, start)
    assert match is not None, "it matches nothing at all too"
    return match.end()
