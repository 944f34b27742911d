"""The plain shape of a row: a text, and as a rule an answer, an id and a category, under their usual names."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from hierarchical_reasoning.errors import ProblemFileError
from hierarchical_reasoning.problems.answers import Answer, flaw_of, read_answer
from hierarchical_reasoning.problems.columns import Columns, is_missing
from hierarchical_reasoning.problems.problem import Problem
from hierarchical_reasoning.problems.rows import Row
from hierarchical_reasoning.problems.source import Source
from hierarchical_reasoning.wording import kind_of, quoted

TEXT_FIELDS = ("prompt", "problem", "question")
ANSWER_FIELDS = (
    "answer",
    "correct_answer",
    "ground_truth",
    "ground_truth_json",
    "gold_answer",
    "final_answer",
)
"""In this order."""
MODEL_ANSWER_FIELD = "final_answer"
"""In rollouts, a model's own answer: the truth only in a file whose rows have no other answer field."""
CHESS_ANSWER_FIELDS = ("best_move_san", "best_move_uci")
ID_FIELDS = ("id", "problem_id", "unique_id", "sample_id")


@dataclass(frozen=True)
class Plain:
    """Reads rows as they stand; the seam of shapes: another one overrides what it reads otherwise."""

    name: ClassVar[str] = "plain"
    note: ClassVar[str] = ""
    """How rows are read, where that is not as they stand."""
    has_answers: ClassVar[bool] = True
    """Whether a row without an answer lacks something."""
    id_fields: ClassVar[tuple[str, ...]] = ID_FIELDS
    category_fields: ClassVar[tuple[str, ...]] = ("category",)

    source: Source
    columns: Columns
    problem_field: str | None
    """As the user named it; None: the usual ones."""
    answer_field: str | None
    is_found: bool = False
    """The shape was found from the data, not asked for."""

    def check(self) -> None:
        """Raise ProblemFileError where a file of these columns does not have this shape."""

    @property
    def has_categories(self) -> bool:
        return any(name in self.columns.present for name in self.category_fields)

    @property
    def text_names(self) -> tuple[str, ...]:
        return (self.problem_field,) if self.problem_field else TEXT_FIELDS

    @property
    def answer_names(self) -> tuple[str, ...]:
        """The fields that may hold the ground truth."""
        return (self.answer_field,) if self.answer_field else usual_answer_names(self.columns)

    def problem(self, row: Row) -> Problem:
        """Raises ProblemFileError, with the line, where the row is no problem."""
        where = f"{self.source}, {row.place}"
        text = self.text(where, row)
        answer_field, answer = self.answer(where, row, text)
        return Problem(
            self._id(where, row),
            text,
            answer,
            self._category(where, row),
            self.fields(where, row),
            answer_field,
            row.place,
        )

    def text(self, where: str, row: Row) -> str:
        """What is asked."""
        present = [name for name in self.text_names if name in row.fields]
        if not present:
            raise ProblemFileError(
                f"{where}: none of {quoted(self.text_names)} is there, only {quoted(row.fields)}; name the field "
                "with --problem_field"
            )
        name = next((name for name in present if row.fields[name] is not None), present[0])
        value = row.fields[name]
        if value is not None and not isinstance(value, str):
            raise ProblemFileError(
                f"{where}: `{name}` must be text, not {kind_of(value)}; name another field with --problem_field"
            )
        flaw = flaw_of(value) if value and value.strip() else "is empty"
        if value is None or flaw is not None:
            raise ProblemFileError(
                f"{where}: `{name}` {flaw}; every problem needs a text, see --problem_field"
            )
        return value

    def answer(self, where: str, row: Row, text: str) -> tuple[str | None, Answer | None]:
        """The field of the ground truth and the truth in it."""
        return read_answer(where, text, row.fields, self.answer_names)

    def fields(self, where: str, row: Row) -> Mapping[str, Any]:
        """The row, for verifiers and prompts."""
        return row.fields

    def _id(self, where: str, row: Row) -> str:
        return self._word(where, row, self.id_fields, "text or a whole number") or f"row-{row.number}"

    def _category(self, where: str, row: Row) -> str | None:
        return self._word(where, row, self.category_fields, "text")

    @staticmethod
    def _word(where: str, row: Row, names: tuple[str, ...], wanted: str) -> str | None:
        """The first of these fields that is not empty."""
        for name in names:
            value = row.fields.get(name)
            if is_missing(value):
                continue
            if not isinstance(value, str | int) or isinstance(value, bool):
                raise ProblemFileError(f"{where}: `{name}` must be {wanted}, not {kind_of(value)}")
            if (flaw := flaw_of(str(value))) is not None:
                raise ProblemFileError(f"{where}: `{name}` {flaw}")
            if str(value).strip():
                return str(value)
        return None


def usual_answer_names(columns: Columns) -> tuple[str, ...]:
    """The fields that may hold the ground truth, where the user named none."""
    names = (*ANSWER_FIELDS, *CHESS_ANSWER_FIELDS)
    others = tuple(name for name in names if name != MODEL_ANSWER_FIELD)
    return others if columns.filled & set(others) else names
