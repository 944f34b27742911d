"""Problems of families that the bundled model has never seen: for learning what is new from few of them.

``ratio`` a bracket divided by a number, ``average`` of a few numbers, ``remainder`` of a division, ``comparison`` of
two products, ``unit_price`` from the price of several. Their single steps are those of the families in
:mod:`.problem_shapes`; what is asked, and how steps combine, is not. Expressions like those of ``ratio`` the model has
met while it solved stories, so it gets some right; of the others none. They are in no shipped file. As there, a hash of
its text decides a problem's split.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from hierarchical_reasoning.sample_tasks.lines import Expression
from hierarchical_reasoning.sample_tasks.problem_shapes import SampleProblem, Split, split_of, value_of
from hierarchical_reasoning.sample_tasks.solvers import LARGEST_NUMBER, TEACHER, attempt

FurtherFamily = Literal["ratio", "average", "remainder", "comparison", "unit_price"]
FURTHER_FAMILIES: tuple[FurtherFamily, ...] = ("ratio", "average", "remainder", "comparison", "unit_price")
_THINGS = ("pens", "lamps", "books", "roses", "rolls", "fans")


@dataclass(frozen=True)
class FurtherProblem:
    """A problem of a further family, and the expression that it amounts to."""

    family: FurtherFamily
    text: str
    expression: Expression
    asked: str

    @property
    def answer(self) -> int:
        return value_of(self.expression)

    @property
    def split(self) -> Split:
        return split_of(self.text)

    @property
    def as_story(self) -> SampleProblem:
        """To the solvers it is a word problem like any other."""
        return SampleProblem(
            "story", self.text, self.answer, page=None, expression=self.expression, asked=self.asked
        )


def draw_further_problem(family: FurtherFamily, split: Split, rng: random.Random) -> FurtherProblem:
    """Draw until a problem belongs to the split and has a positive answer within the bounds of numbers."""
    while True:
        problem = _MAKERS[family](rng)
        if problem.split == split and _is_fit(problem):
            return problem


def _is_fit(problem: FurtherProblem) -> bool:
    if problem.answer <= 0:
        return False
    tried = attempt(problem.as_story, TEACHER, random.Random(0))
    return tried.answer == problem.answer and tried.smallest >= 0 and tried.largest <= LARGEST_NUMBER


def _ratio(rng: random.Random) -> FurtherProblem:
    divisor, quotient, gone = rng.randint(11, 19), rng.randint(11, 39), rng.randint(11, 99)
    written = (
        f"({divisor * quotient + gone} - {gone}) / {divisor} + {rng.randint(11, 19)} * {rng.randint(11, 19)}"
    )
    text = rng.choice(("Compute {}.", "What is {}?", "Work out {}."))
    return FurtherProblem("ratio", text.format(written), Expression.parse(written), f"the value of {written}")


def _average(rng: random.Random) -> FurtherProblem:
    numbers = [rng.randint(11, 99) for _ in range(rng.choice((3, 4)))]
    numbers[-1] += -sum(numbers) % len(numbers)
    *first, last = map(str, numbers)
    listed = f"{', '.join(first)} and {last}"
    text = rng.choice(("What is the average of {}?", "Find the average of {}.", "What is the mean of {}?"))
    expression = Expression.parse(f"({' + '.join(map(str, numbers))}) / {len(numbers)}")
    return FurtherProblem("average", text.format(listed), expression, f"the average of {listed}")


def _remainder(rng: random.Random) -> FurtherProblem:
    divisor, quotient = rng.randint(11, 19), rng.randint(11, 49)
    whole = divisor * quotient + rng.randint(1, divisor - 1)
    text = rng.choice(
        (
            "What is left over when {} is divided by {}?",
            "What is the remainder of {} divided by {}?",
            "{} is divided by {}. What is the remainder?",
        )
    )
    expression = Expression.parse(f"{whole} - {quotient} * {divisor}")
    return FurtherProblem("remainder", text.format(whole, divisor), expression, "what is left over")


def _comparison(rng: random.Random) -> FurtherProblem:
    more, less = (f"{rng.randint(11, 19)} * {rng.randint(11, 49)}" for _ in range(2))
    text = rng.choice(("How much more is {} than {}?", "By how much is {} larger than {}?"))
    expression = Expression.parse(f"{more} - {less}")
    return FurtherProblem("comparison", text.format(more, less), expression, "how much more it is")


def _unit_price(rng: random.Random) -> FurtherProblem:
    bought, price, wanted = rng.randint(11, 19), rng.randint(11, 49), rng.randint(11, 39)
    things = rng.choice(_THINGS)
    text = rng.choice(
        ("{} {} cost {} coins. How much do {} {} cost?", "For {} {} one pays {} coins. What do {} {} cost?")
    )
    expression = Expression.parse(f"{bought * price} / {bought} * {wanted}")
    return FurtherProblem(
        "unit_price",
        text.format(bought, things, bought * price, wanted, things),
        expression,
        f"the price of {wanted} {things}",
    )


_MAKERS: dict[FurtherFamily, Callable[[random.Random], FurtherProblem]] = {
    "ratio": _ratio,
    "average": _average,
    "remainder": _remainder,
    "comparison": _comparison,
    "unit_price": _unit_price,
}
