"""The options of a multiple-choice problem, from its fields or its prompt, and which of them a ground truth is."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from hierarchical_reasoning.verifiers.wording import normalized

OPTION_FIELDS = ("choices", "options")
LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
Options = Mapping[str, str]
"""Label to text, in the order given."""

_LABELED = re.compile(r"\s*\(?([A-Z])\s*[).:]\s*(\S.*)", re.DOTALL)
_IN_PROMPT = re.compile(
    r"(?:^|(?<=[\s,;$])|(?<=\\quad)|(?<=\\qquad))(?:\\text\{|\\textbf\{|\*\*)?\(?([A-Z])\s?[).:](?:\*\*|\})?(?=[\s~\\$]|\w)"
)
_TRAILING = re.compile(r"(?:[\s,;$]|\\q?quad)+$")


def options_of(text: str, fields: Mapping[str, Any]) -> Options:
    """The options of a problem with this prompt and these fields; raises ValueError, with the reason."""
    for name in OPTION_FIELDS:
        if fields.get(name) not in (None, "", [], {}):
            return _in_field(name, fields[name])
    options = _in_prompt(text)
    if len(options) < 2:
        raise ValueError("no `choices` or `options` field, and no options A) ... B) ... in the prompt")
    return options


def label_of_truth(answer: str, options: Options) -> str | None:
    """The label of an accepted answer: a label, an option's text, or a place counted from 0; None for none of these."""
    plain = answer.strip()
    letter = re.fullmatch(r"\(?([A-Za-z])[).]?", plain)
    if letter and letter[1].upper() in options:
        return letter[1].upper()
    if plain in options:
        return plain
    same = with_text(plain, options)
    if same is not None:
        return same
    labeled = _LABELED.fullmatch(plain)
    if labeled and labeled[1] in options and normalized(labeled[2]) == normalized(options[labeled[1]]):
        return labeled[1]
    return list(options)[int(plain)] if is_place(plain, options) else None


def is_place(answer: str, options: Options) -> bool:
    """Whether an accepted answer can only be a place in the list of options, counted from 0."""
    plain = answer.strip()
    if not (plain.isascii() and plain.isdecimal() and len(plain) < 4) or int(plain) >= len(options):
        return False
    return plain not in options and with_text(plain, options) is None


def with_text(text: str, options: Options) -> str | None:
    """The label of the one option with this text."""
    wanted = normalized(text)
    labels = [label for label, option in options.items() if normalized(option) == wanted]
    return labels[0] if len(labels) == 1 and wanted else None


def _in_field(name: str, value: Any) -> Options:
    if isinstance(value, Mapping) and {"label", "text"} <= value.keys():
        pairs = list(zip(map(str, value["label"]), map(str, value["text"]), strict=False))
    elif isinstance(value, Mapping):
        pairs = [(str(label), str(text)) for label, text in value.items()]
    elif isinstance(value, list | tuple):
        pairs = _listed(value)
    else:
        raise ValueError(f"`{name}` must be a list of options or an object with a label each, not {value!r}")
    options = dict(pairs)
    if len(options) < 2 or len(options) < len(pairs):
        raise ValueError(f"`{name}` must hold two options or more with labels that differ, not {value!r}")
    return options


def _listed(value: Sequence[Any]) -> list[tuple[str, str]]:
    if all(isinstance(option, Mapping) and {"label", "text"} <= option.keys() for option in value):
        return [(str(option["label"]), str(option["text"])) for option in value]
    labeled = [_LABELED.fullmatch(str(option)) for option in value]
    pairs = [(match[1], match[2].strip()) for match in labeled if match]
    if len(pairs) == len(value) and "".join(label for label, _ in pairs) == LETTERS[: len(pairs)]:
        return pairs
    return list(zip(LETTERS, map(str, value), strict=False))


def _in_prompt(text: str) -> Options:
    """The last run of A, B, C, ... in the prompt, each with the text up to the next, or to the end of its line."""
    runs: list[list[re.Match[str]]] = []
    for match in _IN_PROMPT.finditer(text):
        if match[1] == "A":
            runs.append([match])
        elif runs and match[1] == LETTERS[len(runs[-1]) : len(runs[-1]) + 1]:
            runs[-1].append(match)
    run = next((run for run in reversed(runs) if len(run) > 1), [])
    if not run:
        return {}
    line_end = text.find("\n", run[-1].end())
    ends = [*(match.start() for match in run[1:]), line_end if line_end >= 0 else len(text)]
    return {
        match[1]: _TRAILING.sub("", text[match.end() : end].strip())
        for match, end in zip(run, ends, strict=True)
    }
