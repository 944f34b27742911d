"""The lines of a journal: a header, finished problems, and the ends of sessions; each with its checksum.

What is here knows bytes and lines, not files: see `journal`.
"""

from __future__ import annotations

import hashlib
import json
import re
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

SCHEMA_VERSION = 2
READABLE_VERSIONS = (1, 2)
"""Version 1 has no ends of sessions, and its records no times."""
LONGEST_SHOWN = 60
"""Characters of a setting in a message; a longer one is said to have changed."""

SESSION_LINE = b'{"kind": "session"'
"""How the end of a session begins; no problem is lost with it."""
_CHECKSUM_KEY = b', "crc": '
_PROBLEM_ID = re.compile(rb'"problem_id": ?("(?:[^"\\]|\\.)*"), ?"sample": ?(\d+)')


@dataclass(frozen=True)
class JournalHeader:
    """The first line: what the run is."""

    fingerprint: str
    """Of `settings`; two runs with the same fingerprint would write the same."""
    settings: Mapping[str, Any]
    """All that affects what is written."""
    config: Mapping[str, Any]
    """The whole resolved configuration, with what affects speed or display alone."""
    versions: Mapping[str, str]
    created: str
    order: int = 0
    """More than that of every journal that was in the directory before: newer, whatever the clock says."""
    schema_version: int = SCHEMA_VERSION


@dataclass(frozen=True)
class JournalRecord:
    """One finished problem."""

    problem_id: str
    sample: int
    entry: Mapping[str, Any]

    @property
    def key(self) -> tuple[str, int]:
        """What the record is found by."""
        return self.problem_id, self.sample


def fingerprint(settings: Mapping[str, Any]) -> str:
    """The SHA-256 of `settings` as canonical JSON: keys sorted, no blanks.

    Raises TypeError for what JSON cannot hold and ValueError for NaN and infinity.
    """
    text = json.dumps(settings, sort_keys=True, separators=(",", ":"), allow_nan=False)
    return hashlib.sha256(text.encode()).hexdigest()


def differences(old: Mapping[str, Any], new: Mapping[str, Any], prefix: str = "") -> list[str]:
    """Where two settings differ, one line each, such as `model.temperature: 0.1 before, 0.7 now`."""
    found = []
    for name in sorted({*old, *new}):
        before, now = old.get(name, "(absent)"), new.get(name, "(absent)")
        if isinstance(before, Mapping) and isinstance(now, Mapping):
            found.extend(differences(before, now, f"{prefix}{name}."))
        elif as_json(before) != as_json(now):
            long = max(len(str(before)), len(str(now))) > LONGEST_SHOWN
            found.append(f"{prefix}{name}: {'changed' if long else f'{before} before, {now} now'}")
    return found


def line_of(content: Mapping[str, Any]) -> bytes:
    """One line, its end included. Raises TypeError or ValueError for what is no JSON."""
    text = as_json(content).encode()
    return text[:-1] + _CHECKSUM_KEY + b'"%08x"}\n' % zlib.crc32(text)


def parsed(line: bytes) -> dict[str, Any] | None:
    """The content of a line without its end, or None if it is not to the byte as it was written."""
    text, _, checksum = line.rpartition(_CHECKSUM_KEY)
    text += b"}"
    if checksum != b'"%08x"}' % zlib.crc32(text):
        return None
    try:
        content = json.loads(text)
    except (ValueError, RecursionError):
        return None
    return content if isinstance(content, dict) else None


def name_in(line: bytes) -> str:
    """Which problem a line is about, as far as a damaged one can tell."""
    match = _PROBLEM_ID.search(line)
    try:
        return f"problem {json.loads(match[1])!r} (sample {int(match[2])})" if match else "one problem"
    except ValueError:
        return "one problem"


def as_json(content: Any) -> str:
    """JSON as it is in a journal, on one line."""
    return json.dumps(content, allow_nan=False)
