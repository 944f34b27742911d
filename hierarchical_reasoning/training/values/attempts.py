"""The graded attempts in results files: traces, and whether they were right in the end."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from hierarchical_reasoning.outcomes import Outcome
from hierarchical_reasoning.problems import Problem
from hierarchical_reasoning.results.reader import open_run
from hierarchical_reasoning.results.reader.run_files import RunFacts
from hierarchical_reasoning.results.records import ResultEntry
from hierarchical_reasoning.values.base import Place
from hierarchical_reasoning.verifiers import FORMATS


@dataclass(frozen=True)
class Attempt:
    """One trace on one problem."""

    problem: Problem
    """Without its ground truth."""
    texts: tuple[str, ...]
    """Its thoughts, and behind them its final response."""
    answer: str | None
    """As it was found in the response, in the form that equal answers share."""
    is_correct: bool

    @property
    def places(self) -> tuple[Place, ...]:
        """Every beginning of the trace, from its first thought on; the last place is the answer."""
        return tuple(Place(self.problem, self.texts[:end]) for end in range(1, len(self.texts) + 1))


@dataclass(frozen=True)
class Source:
    """A file that attempts are read from."""

    path: Path
    flags: str
    """That tell attempts of one kind from others."""
    problems: str
    """The file that the problems were read from."""


@dataclass(frozen=True)
class Attempts:
    """Those of several files."""

    graded: tuple[Attempt, ...]
    """In the order of the files and of their entries."""
    left_out: Counter[Outcome]
    """Of entries that say nothing of right and wrong."""
    sources: tuple[Source, ...] = field(default=(), compare=False)
    repeated: int = 0
    """Entries that a file before had already, as a journal has those of its results file; they count once."""

    @property
    def problems(self) -> tuple[str, ...]:
        """Texts, each once."""
        return tuple(dict.fromkeys(attempt.problem.text for attempt in self.graded))

    def on(self, problems: Iterable[str]) -> list[Attempt]:
        """Those at the problems of these texts."""
        wanted = set(problems)
        return [attempt for attempt in self.graded if attempt.problem.text in wanted]


def read_attempts(paths: Sequence[Path]) -> Attempts:
    """
    Raises:
        ResultsFileError, JournalError: a file is missing, damaged, or none of a run.
    """
    graded, sources = [], []
    left_out: Counter[Outcome] = Counter()
    repeated = 0
    known: set[bytes] = set()
    for path in paths:
        before = frozenset(known)
        run = open_run(path)
        problems = str(run.facts.config.recorded.get("input_file"))
        sources.append(Source(path, _flags_of(run.facts), problems))
        format_name = run.facts.config.answer_format
        ballot = FORMATS[format_name]().ballot if format_name in FORMATS else str
        for entry in run.entries():
            digest = hashlib.sha256(entry.model_dump_json().encode(errors="surrogatepass")).digest()
            known.add(digest)
            if digest in before:
                repeated += 1
            elif entry.outcome in (Outcome.ERROR, Outcome.UNGRADED):
                left_out[entry.outcome] += 1
            else:
                graded.append(_attempt(entry, ballot))
    return Attempts(tuple(graded), left_out, tuple(sources), repeated)


def _flags_of(facts: RunFacts) -> str:
    recorded = facts.config.recorded
    if not facts.use_hierarchical_reasoning:
        kind = "--vanilla_baseline"
    elif recorded.get("planner") == "untyped":
        kind = "--planner untyped"
    else:
        kind = f"--label_level {facts.label_level}"
    search = "" if recorded.get("search") is None else f" --search {recorded['search']}"
    return f"{kind}{search} --temperature {recorded.get('temperature')}"


def _attempt(entry: ResultEntry, ballot: Callable[[str], str]) -> Attempt:
    problem = Problem(entry.problem_id, entry.problem, None, entry.category, {})
    return Attempt(
        problem=problem,
        texts=Place.of_answer(problem, entry.steps, entry.final_response).thoughts,
        answer=None if entry.extracted_answer is None else ballot(entry.extracted_answer),
        is_correct=entry.outcome is Outcome.CORRECT,
    )
