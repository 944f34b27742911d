"""The shapes that rows are met in, and which of them a file has."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, Literal, cast, get_args

from hierarchical_reasoning.errors import ProblemFileError
from hierarchical_reasoning.problems.answers import Answer, flaw_of
from hierarchical_reasoning.problems.columns import Columns, after_hashes, check_field
from hierarchical_reasoning.problems.plain import (
    ANSWER_FIELDS,
    CHESS_ANSWER_FIELDS,
    ID_FIELDS,
    TEXT_FIELDS,
    Plain,
    usual_answer_names,
)
from hierarchical_reasoning.problems.rows import Row
from hierarchical_reasoning.problems.source import Source
from hierarchical_reasoning.wording import quoted

ShapeName = Literal["auto", "plain", "gsm8k", "numina", "lichess", "game24"]


class Gsm8k(Plain):
    """Solutions that end with `#### ` and the answer. A row without that has no answer, its solution being none; where
    the shape was found from the data, it is an error, since other rows may be all that has this shape."""

    name: ClassVar[str] = "gsm8k"
    note: ClassVar[str] = (
        "the truth is what follows #### in the answer field, which keeps the solution; --problem_shape plain takes "
        "that field whole"
    )

    def check(self) -> None:
        if not self.columns.hashed & set(self.answer_names):
            raise ProblemFileError(
                f"{self.source}: --problem_shape gsm8k needs solutions that end with #### and the answer, and none of "
                f"{quoted(self.answer_names)} has that; name the field with --answer_field"
            )

    def answer(self, where: str, row: Row, text: str) -> tuple[str | None, Answer | None]:
        name, answer = super().answer(where, row, text)
        found = [after_hashes(one) for one in ([answer] if isinstance(answer, str) else answer or ())]
        truths = tuple(truth for truth in found if truth is not None)
        if self.is_found and len(truths) < len(found):
            raise ProblemFileError(
                f"{where}: `{name}` has no #### with the answer after it, and other rows have; say how the file is "
                "laid out: --problem_shape plain takes every answer whole, --problem_shape gsm8k takes what follows "
                "####, and leaves rows without it ungraded"
            )
        return (name, truths[0] if len(truths) == 1 else truths) if truths else (None, None)


class Numina(Plain):
    r"""Solutions that end with `\boxed{}` around the answer, as in NuminaMath-CoT and MATH."""

    name: ClassVar[str] = "numina"
    note: ClassVar[str] = (
        r"the truth is the last \boxed{} of the solution, where a row has no answer field; `source` is the category"
    )
    category_fields: ClassVar[tuple[str, ...]] = ("category", "source")

    @property
    def solution_field(self) -> str:
        return self.answer_field or "solution"

    @property
    def answer_names(self) -> tuple[str, ...]:
        return () if self.answer_field else super().answer_names

    def check(self) -> None:
        if self.solution_field not in self.columns.filled:
            raise ProblemFileError(
                f"{self.source}: --problem_shape numina needs a `{self.solution_field}`, and the first row has "
                f"{quoted(self.columns.first.fields)}; name it with --answer_field"
            )

    def answer(self, where: str, row: Row, text: str) -> tuple[str | None, Answer | None]:
        name, answer = super().answer(where, row, text)
        if answer is not None:
            return name, answer
        solution = row.fields.get(self.solution_field)
        boxed = _last_boxed(solution) if isinstance(solution, str) else None
        if boxed is None:
            return None, None
        if (flaw := flaw_of(boxed)) is not None:
            raise ProblemFileError(f"{where}: `{self.solution_field}` {flaw}; see --answer_field")
        return self.solution_field, boxed


class Lichess(Plain):
    """Chess puzzles with the position to move in."""

    name: ClassVar[str] = "lichess"
    note: ClassVar[str] = (
        "the position to move in is `fen`, and only the first move of the solution is asked for; of several mates in "
        "one every one counts"
    )

    def check(self) -> None:
        if "fen" not in self.columns.filled or not self.columns.filled & set(CHESS_ANSWER_FIELDS):
            raise ProblemFileError(
                f"{self.source}: --problem_shape lichess needs `fen` and one of {quoted(CHESS_ANSWER_FIELDS)}, and the "
                f"first row has {quoted(self.columns.first.fields)}"
            )

    @property
    def answer_names(self) -> tuple[str, ...]:
        return (self.answer_field,) if self.answer_field else CHESS_ANSWER_FIELDS

    def answer(self, where: str, row: Row, text: str) -> tuple[str | None, Answer | None]:
        name, answer = super().answer(where, row, text)
        mates = row.fields.get("mate_in_one_moves")
        if not isinstance(answer, str) or not isinstance(mates, list) or answer not in mates:
            return name, answer
        others = tuple(mate for mate in mates if isinstance(mate, str) and mate != answer)
        return name, (answer, *others) if others else answer


class Game24(Plain):
    """Four numbers in one cell, to be made into 24; there is no answer to compare with."""

    name: ClassVar[str] = "game24"
    note: ClassVar[str] = (
        "four numbers to make 24 of: the text is made from them, and any expression that does it is right (`numbers` "
        "and `target` are added to the fields); `Rank` is the id"
    )
    has_answers: ClassVar[bool] = False
    id_fields: ClassVar[tuple[str, ...]] = (*ID_FIELDS, "Rank")
    target: ClassVar[int] = 24

    @property
    def numbers_field(self) -> str:
        return self.problem_field or "Puzzles"

    def check(self) -> None:
        if self.numbers_field not in self.columns.present:
            raise ProblemFileError(
                f"{self.source}: --problem_shape game24 needs a `{self.numbers_field}` with four numbers, and the "
                f"first row has {quoted(self.columns.first.fields)}; name it with --problem_field"
            )

    def text(self, where: str, row: Row) -> str:
        first, second, third, fourth = self._numbers(where, row)
        return (
            f"Use the numbers {first}, {second}, {third} and {fourth}, each exactly once, with +, -, *, / and "
            f"parentheses, to make {self.target}."
        )

    def answer(self, where: str, row: Row, text: str) -> tuple[str | None, Answer | None]:
        return None, None

    def fields(self, where: str, row: Row) -> Mapping[str, Any]:
        return {**row.fields, "numbers": list(self._numbers(where, row)), "target": self.target}

    def _numbers(self, where: str, row: Row) -> tuple[int, ...]:
        cell = row.fields.get(self.numbers_field)
        numbers = four_numbers(cell)
        if numbers is None:
            raise ProblemFileError(
                f"{where}: `{self.numbers_field}` must be four whole numbers with spaces between them, not {cell!r}; "
                "name another field with --problem_field"
            )
        return numbers


SHAPES: tuple[type[Plain], ...] = (Plain, Gsm8k, Numina, Lichess, Game24)


def shape_of(
    name: str, source: Source, columns: Columns, problem_field: str | None, answer_field: str | None
) -> tuple[Plain, list[str]]:
    """The shape of this name, or with "auto" the one that the columns show, and what the user should know of it.

    Raises ProblemFileError where there is none of that name, where the columns do not have it, or where a field that
    was named is not there.
    """
    if name not in get_args(ShapeName):
        raise ProblemFileError(
            f"--problem_shape {name!r} is not known; choose one of {', '.join(get_args(ShapeName))}"
        )
    check_field(source, columns, problem_field, "--problem_field")
    check_field(source, columns, answer_field, "--answer_field")
    found = _shown_by(columns, problem_field, answer_field) if name == "auto" else name
    kind = next(kind for kind in SHAPES if kind.name == found)
    shape = kind(source, columns, problem_field, answer_field, is_found=name == "auto")
    shape.check()
    if not shape.note:
        return shape, []
    how = "found from the data" if name == "auto" else "asked for"
    return shape, [f"problem shape: {shape.name} ({how}): {shape.note}"]


def _shown_by(columns: Columns, problem_field: str | None, answer_field: str | None) -> ShapeName:
    names = (answer_field,) if answer_field else usual_answer_names(columns)
    if next((name for name in names if name in columns.filled), None) in columns.hashed:
        return "gsm8k"
    if problem_field is None and not columns.present & set(TEXT_FIELDS):
        return "game24" if four_numbers(columns.first.fields.get("Puzzles")) else "plain"
    if answer_field or columns.filled & set(ANSWER_FIELDS):
        return "plain"
    if "fen" in columns.filled and columns.filled & set(CHESS_ANSWER_FIELDS):
        return "lichess"
    return "numina" if "solution" in columns.filled else "plain"


def four_numbers(cell: object) -> tuple[int, ...] | None:
    """The four whole numbers of a game of 24; None where the cell holds something else."""
    parts = cell.split() if isinstance(cell, str) else cell if isinstance(cell, list) else []
    if len(parts) != 4:
        return None
    texts = [str(part) for part in cast("list[object]", parts)]
    if not all(text.isascii() and text.isdecimal() and len(text) <= 9 for text in texts):
        return None
    return tuple(int(text) for text in texts)


def _last_boxed(solution: str) -> str | None:
    from hierarchical_reasoning.verifiers.extract import Marker, best_candidate

    found = best_candidate(solution, accepts=lambda candidate: False)
    return found.text if found is not None and found.marker is Marker.BOXED else None
