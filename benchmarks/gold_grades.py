"""How the ground truths of a file grade as answers to their own problems, and to others.

    python benchmarks/gold_grades.py FILE [--format math] [--rows 7473]

Every problem is answered with its own ground truth in three forms (boxed; in a sentence; boxed, and spelled another
way), which should be correct, and with the ground truth of another problem that differs, which should be wrong. What
is not as it should be is printed, and the time of each.
"""

from __future__ import annotations

import argparse
import asyncio
import random
import re
import time
from collections import Counter
from pathlib import Path

from hierarchical_reasoning.errors import ProblemFileError
from hierarchical_reasoning.outcomes import Outcome
from hierarchical_reasoning.problems import Problem, read_problems
from hierarchical_reasoning.verifiers import FORMATS, Verifier
from hierarchical_reasoning.verifiers.numerals import read_number
from hierarchical_reasoning.verifiers.wording import is_words

SEED = 0
NO_TERM = re.compile(r"[,=<>\[\]_:%]|\\(?:text|mbox|in|leq?|geq?|cup|begin|pm|mathbb|emptyset|circ)")
"""To what has this in it, 0 is not added."""


def respelled(answer: str) -> str:
    """The same answer, which is no longer the same text."""
    number = read_number(answer)
    if number is not None and not number.is_percent:
        return f"{number.value.numerator * 7}/{number.value.denominator * 7}"
    if is_words(answer) or NO_TERM.search(answer):
        return re.sub(r"(?<!\\),", " , ", answer.replace(r"\frac", r"\dfrac"))
    return f"0 + {answer}"


FORMS = {
    "boxed": lambda answer: rf"So we have \boxed{{{answer}}}.",
    "in a sentence": lambda answer: f"The answer is ${answer}$.",
    "respelled": lambda answer: rf"\boxed{{{respelled(answer)}}}",
}


def readable(verifier: Verifier, problems: list[Problem]) -> list[Problem]:
    found = []
    started = time.perf_counter()
    for problem in problems:
        try:
            verifier.check(problem)
        except ProblemFileError as error:
            print("  cannot be read:", error)
        else:
            found.append(problem)
    print(f"check: {len(found)} of {len(problems)} can be graded, {time.perf_counter() - started:.1f} s")
    return found


async def measure(verifier: Verifier, pairs: list[tuple[Problem, str]], name: str, wanted: Outcome) -> None:
    outcomes: Counter[str] = Counter()
    started = time.perf_counter()
    for problem, text in pairs:
        grade = await verifier.grade(problem, text)
        outcomes[grade.outcome.value] += 1
        if grade.outcome is not wanted:
            print(f"  {problem.id}: {problem.answer!r} for {text!r}: {grade.reason}")
    print(f"{name}: {dict(outcomes)}, {time.perf_counter() - started:.1f} s")


async def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("file", type=Path)
    parser.add_argument("--format", choices=sorted(FORMATS), default="math")
    parser.add_argument("--rows", type=int)
    arguments = parser.parse_args()
    rng = random.Random(SEED)
    async with FORMATS[arguments.format]() as verifier:
        problems = [p for p in read_problems(arguments.file, n_rows=arguments.rows).problems if p.answers]
        problems = readable(verifier, problems)
        for name, form in FORMS.items():
            pairs = [(problem, form(problem.answers[0])) for problem in problems]
            await measure(verifier, pairs, name, Outcome.CORRECT)
        others = [(problem, rng.choice(problems).answers[0]) for problem in problems]
        pairs = [
            (problem, FORMS["boxed"](other)) for problem, other in others if other not in problem.answers
        ]
        await measure(verifier, pairs, "of another problem", Outcome.WRONG)


if __name__ == "__main__":
    asyncio.run(main())
