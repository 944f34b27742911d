"""The process that compares mathematical answers with Math-Verify, one question at a time.

A line of JSON comes in, `{"truths": [...], "answer": ...}` (`answer` null: can the truths be read?), and a line goes
out, `{"readable": ..., "same": ...}`. The process may be killed at any moment: it keeps nothing but a cache. It ends
when its input does, and by itself, with SIGPROF, when one question takes more than its share of CPU time. CPU time and
not the clock, so that a busy machine grades as an idle one does.
"""

from __future__ import annotations

import cmath
import json
import logging
import re
import signal
import sys
from collections.abc import Sequence
from functools import lru_cache
from typing import Any, TextIO

from hierarchical_reasoning.verifiers.numerals import repeating_decimals_as_fractions

MAX_MEMORY = 2 * 2**30
"""Bytes of address space."""
_ROUNDING = 1e-6
"""Numbers that differ by a smaller share are one number, rounded."""
_PLAIN = tuple(
    (re.compile(pattern), replacement)
    for pattern, replacement in (
        (r"\s+", " "),
        (r"\\?\$", ""),
        (r"^\s*(?:\\approx|≈)|[\s.,;]+$", ""),
        (r"\{,\}|,\\!|\\phantom ?\{?-?\}?", ""),
        (r"\\([dt]?frac) ?(\\[a-z]+|\d) ?(\\[a-z]+|\d)(?![a-z])", r"\\\1{\2}{\3}"),
        (r"[−–]", "-"),
        (r"[×∗]", r"\\times "),
        (r"[·⋅]", r"\\cdot "),
        (r"÷", "/"),
        (r"²", "^2"),
        (r"³", "^3"),
        (r"½", r"\\frac{1}{2}"),
        (r"π", r"\\pi "),
        (r"∞", r"\\infty "),
        (r"≤|<=", r"\\le "),
        (r"≥|>=", r"\\ge "),
        (r"≠|!=", r"\\ne "),
        (r"∪|(?<=[)\]]) ?U ?(?=[(\[])", r"\\cup "),
        (r"∅|\\varnothing", r"\\emptyset "),
        (r"∩", r"\\cap "),
        (r"∈", r"\\in "),
        (r"±", r"\\pm "),
        (r"√ ?\(([^()]*)\)", r"\\sqrt{\1}"),
        (r"√ ?(\w+)", r"\\sqrt{\1}"),
        (r"\*\*", "^"),
        (r"\*", r"\\cdot "),
        (r"\^ ?\((-?[\w./]+)\)", r"^{\1}"),
        (r"\^ ?(-?\d{2,}|-\d)", r"^{\1}"),
        (r"(?<![\\A-Za-z])sqrt ?\(([^()]*)\)", r"\\sqrt{\1}"),
        (r"(?<![\\A-Za-z])(?:inf|infinity|oo)(?![A-Za-z])", r"\\infty "),
        (r"(?<![\\A-Za-z])pi(?![A-Za-z])", r"\\pi "),
        (r"(?<![\\A-Za-z])(?=(?:sin|cos|tan|cot|sec|csc|log|ln|arcsin|arccos|arctan)(?![A-Za-z]))", r"\\"),
    )
)
"""How mathematics is written without LaTeX, and LaTeX that Math-Verify reads in no other way."""
_LETTER = re.compile(r"\\(?:text|textbf|mathrm|mbox) ?\{[^{}]*\}|(?<=[\s\d])([A-Za-z])(?![A-Za-z])")
_RATIO = re.compile(r"[^:]+(?::[^:]+){2,}")


@lru_cache(maxsize=4096)
def parsed(text: str) -> list[Any]:
    """What the text is to Math-Verify; empty where it can make nothing of it."""
    import math_verify

    for pattern, replacement in _PLAIN:
        text = pattern.sub(replacement, text)
    text = repeating_decimals_as_fractions(_LETTER.sub(_in_braces, text))
    if _RATIO.fullmatch(text):
        text = f"({text.replace(':', ',')})"
    config = [math_verify.LatexExtractionConfig()]
    found: list[Any] = math_verify.parse(
        f"${text}$", config, fallback_mode="no_fallback", parsing_timeout=None
    )
    return found


def _in_braces(match: re.Match[str]) -> str:
    """A letter that stands alone is a variable: without braces, Math-Verify takes the t of "2 t" for tonnes."""
    return f"{{{match[1]}}}" if match[1] else match[0]


def reply_to(question: dict[str, Any]) -> dict[str, bool]:
    """Whether everything could be read, and whether the answer is one of the truths."""
    import math_verify

    truths = [parsed(truth) for truth in question["truths"]]
    if not all(truths) or question["answer"] is None:
        return {"readable": all(bool(truth) for truth in truths), "same": False}
    answer = parsed(question["answer"])
    same = any(
        math_verify.verify(truth, answer, allow_set_relation_comp=True, timeout_seconds=None)
        and not _far_apart(truth, answer)
        for truth in truths
    )
    return {"readable": bool(answer), "same": same}


def _far_apart(truth: Sequence[Any], answer: Sequence[Any]) -> bool:
    """Whether both are numbers that differ by more than rounding: Math-Verify compares decimal places, and so takes
    all that is small enough for zero."""
    one, other = _value(truth), _value(answer)
    if one is None or other is None:
        return False
    return abs(one - other) > _ROUNDING * max(abs(one), abs(other))


def _value(read: Sequence[Any]) -> complex | None:
    """The number that was read, where it was one number; percent may have been read twice, as 50 and as 1/2."""
    from sympy import Expr

    found = [each for each in read if isinstance(each, Expr)]
    if len(found) != 1 or not found[0].is_number:
        return None
    value = complex(found[0].evalf())
    return value if cmath.isfinite(value) else None


def serve(questions: TextIO, replies: TextIO, cpu_seconds: float) -> None:
    """Answer until the questions end."""
    for line in questions:
        signal.setitimer(signal.ITIMER_PROF, cpu_seconds)
        try:
            reply = reply_to(json.loads(line))
        except (MemoryError, RecursionError, ArithmeticError, TypeError, ValueError, AttributeError):
            reply = {"readable": False, "same": False}
        signal.setitimer(signal.ITIMER_PROF, 0)
        replies.write(json.dumps(reply) + "\n")
        replies.flush()


def main() -> None:
    """For `python -m`; the one argument is the CPU time of a question, in seconds."""
    if sys.platform == "linux":
        import resource

        resource.setrlimit(resource.RLIMIT_AS, (MAX_MEMORY, MAX_MEMORY))
    logging.disable()
    parsed("1")  # so that no question pays for the imports
    replies = sys.stdout
    sys.stdout = sys.stderr  # nothing a package prints may pass for a reply
    replies.write("ready\n")
    replies.flush()
    serve(sys.stdin, replies, float(sys.argv[1]))


if __name__ == "__main__":
    main()
