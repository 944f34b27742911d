"""The traces of a study, packed so that a page with ten thousand of them opens at once.

They lie in the page as blocks of gzipped JSON in base64, arm by arm in the order of the entries; an index says which
trace is where, how each ended, and what the list of problems shows. The page unpacks the index when it opens, and a
block when something in it is to be shown or searched. Base64 has no character that could end the element it stands in.
"""

from __future__ import annotations

import base64
import gzip
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from hierarchical_reasoning.compare.report.boards import Board, board_of, move_on
from hierarchical_reasoning.compare.report.data import ReportedArm, ReportedProblem
from hierarchical_reasoning.errors import ResultsFileError
from hierarchical_reasoning.outcomes import Outcome
from hierarchical_reasoning.results.reader.rows import total_usage
from hierarchical_reasoning.results.records import ResultEntry, sum_of_costs
from taxonomy.terminal import one_line, visible

BLOCK_CHARACTERS = 200_000
"""Of JSON, after which a block is closed: it is unpacked in milliseconds."""
EXCERPT_CHARACTERS = 140
LETTERS: Mapping[Outcome, str] = {
    Outcome.CORRECT: "c",
    Outcome.WRONG: "w",
    Outcome.NO_ANSWER: "n",
    Outcome.TRUNCATED: "t",
    Outcome.ERROR: "e",
    Outcome.UNGRADED: "u",
}
OWED = "."


@dataclass(frozen=True)
class _Asked:
    """A problem, as the first entry of it has it."""

    text: str
    answers: tuple[str, ...]
    board: Board | None


@dataclass(frozen=True)
class PackedTraces:
    """As they stand in the page: elements by their id, the index among them."""

    blocks: Mapping[str, str]
    has_boards: bool


class _Packer:
    """Blocks of JSON values that were added one by one."""

    def __init__(self, prefix: str) -> None:
        self._prefix = prefix
        self._waiting: list[str] = []
        self._characters = 0
        self._added = 0
        self.starts: list[int] = []
        """The number of the first value of each block."""
        self.blocks: dict[str, str] = {}

    def add(self, value: object) -> int:
        """Returns its number."""
        text = json.dumps(value, separators=(",", ":"), allow_nan=False)
        if self._waiting and self._characters + len(text) > BLOCK_CHARACTERS:
            self.close()
        self._waiting.append(text)
        self._characters += len(text)
        self._added += 1
        return self._added - 1

    def close(self) -> None:
        """What was added since the last block becomes one."""
        if self._waiting:
            self.starts.append(self._added - len(self._waiting))
            self.blocks[f"{self._prefix}{len(self.blocks)}"] = packed("[" + ",".join(self._waiting) + "]")
            self._waiting, self._characters = [], 0


class TracePacker:
    """Takes the entries of all arms in one pass."""

    def __init__(self, problems: Sequence[ReportedProblem], arms: Sequence[ReportedArm]) -> None:
        self._problems = problems
        self._number = {each.id: number for number, each in enumerate(problems)}
        self._asked: list[_Asked | None] = [None] * len(problems)
        self._arms = arms
        self._packers = [_Packer(f"traces-{number}-") for number in range(len(arms))]
        self._places: list[dict[tuple[int, int], tuple[str, int]]] = [{} for _ in arms]
        self._types: dict[str, int] = {}

    def add(self, arm: int, entry: ResultEntry) -> None:
        """An entry of the arm with that number.

        Raises:
            ResultsFileError: it is of a problem that the study has not.
        """
        problem = self._number.get(entry.problem_id)
        if problem is None:
            raise ResultsFileError(
                f"arm {self._arms[arm].name}: problem {visible(entry.problem_id)!r} is none of the study's"
            )
        asked = self._asked[problem]
        if asked is None:
            asked = self._asked[problem] = _asked(entry)
        place = self._packers[arm].add(self._trace(entry, asked.board))
        self._places[arm][problem, entry.sample] = (LETTERS[entry.outcome], place)

    def packed(self, *, left: int, right: int, classes: Mapping[str, str]) -> PackedTraces:
        """All of it; nothing can be added any more.

        Args:
            left: the arm that is shown first at the left.
            right: and at the right.
            classes: of the page's style, by thought type.
        """
        texts = _Packer("problems-")
        for each, asked in zip(self._problems, self._asked, strict=True):
            texts.add(_in_page(each, asked))
        for packer in (*self._packers, texts):
            packer.close()
        blocks = {name: text for packer in (*self._packers, texts) for name, text in packer.blocks.items()}
        index = {
            "arms": [self._arm(number) for number in range(len(self._arms))],
            "problems": self._listed(texts.starts),
            "types": [[name, classes.get(name, "")] for name in self._types],
            "left": left,
            "right": right,
        }
        blocks["index"] = packed(json.dumps(index, separators=(",", ":"), allow_nan=False))
        return PackedTraces(
            blocks, any(asked is not None and asked.board is not None for asked in self._asked)
        )

    def _trace(self, entry: ResultEntry, board: Board | None) -> dict[str, object]:
        used = total_usage(entry)
        steps = [
            {
                "type": self._types.setdefault(visible(step.thought_type), len(self._types)),
                "p": _rounded((step.planner_probabilities or {}).get(step.thought_type)),
                "text": visible(step.thought),
                "cut": step.truncated,
                "notes": [visible(note) for note in step.notes],
            }
            for step in entry.steps
        ]
        return {
            "answer": None if entry.extracted_answer is None else visible(entry.extracted_answer),
            "reason": visible(entry.reason),
            "steps": steps,
            "text": visible(entry.final_response),
            "tokens": used.prompt_tokens + used.completion_tokens,
            "cost": sum_of_costs(used.cost_usd, used.cost_from_cache_usd),
            "seconds": round(entry.seconds, 2),
            "error": None if entry.error is None else visible(f"{entry.error.type}: {entry.error.message}"),
            "notes": [visible(note) for note in entry.notes],
            "move": None if board is None else move_on(board, entry.extracted_answer),
        }

    def _arm(self, number: int) -> dict[str, object]:
        places = self._places[number]
        samples = 1 + max((sample for _, sample in places), default=0)
        problems = range(len(self._problems))
        found = [
            [places.get((problem, sample), (OWED, -1)) for problem in problems] for sample in range(samples)
        ]
        return {
            "name": visible(self._arms[number].name),
            "label": visible(self._arms[number].called),
            "starts": self._packers[number].starts,
            "outcomes": ["".join(letter for letter, _ in row) for row in found],
            "places": [[place for _, place in row] for row in found],
        }

    def _listed(self, starts: Sequence[int]) -> dict[str, object]:
        problems = self._problems
        categories = sorted({problem.category for problem in problems if problem.category is not None})
        return {
            "ids": [visible(problem.id) for problem in problems],
            "excerpts": ["" if asked is None else _excerpt(asked.text) for asked in self._asked],
            "categories": [visible(category) for category in categories],
            "category": [
                -1 if problem.category is None else categories.index(problem.category) for problem in problems
            ],
            "starts": list(starts),
        }


def packed(text: str) -> str:
    """Base64 of the gzipped text; the same for the same text."""
    return base64.b64encode(gzip.compress(text.encode(), 6, mtime=0)).decode()


def _asked(entry: ResultEntry) -> _Asked:
    truth = entry.ground_truth
    answers = () if truth is None else (truth,) if isinstance(truth, str) else truth
    return _Asked(entry.problem, answers, board_of(entry.problem, answers))


def _in_page(problem: ReportedProblem, asked: _Asked | None) -> dict[str, object]:
    return {
        "text": "" if asked is None else visible(asked.text),
        "answers": [] if asked is None else [visible(answer) for answer in asked.answers],
        "difficulty": _difficulty(problem.difficulty),
        "board": None if asked is None or asked.board is None else asked.board.in_page,
    }


def _difficulty(difficulty: str | float | None) -> str | None:
    if difficulty is None:
        return None
    return visible(difficulty) if isinstance(difficulty, str) else f"{difficulty:g}"


def _excerpt(text: str) -> str:
    line = one_line(text[: 4 * EXCERPT_CHARACTERS])
    return line if len(line) <= EXCERPT_CHARACTERS else line[: EXCERPT_CHARACTERS - 1].rstrip() + "…"


def _rounded(probability: float | None) -> float | None:
    return None if probability is None else round(probability, 4)
