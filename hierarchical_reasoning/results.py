"""The results file: what a run found, as one JSON object.

The entries carry the names that readers of such files expect (`problem_id` to `ground_truth`), and after them
what a scientist needs besides. The file is written whole: to a temporary file, fsynced, and only then given
its name, which is never one that another file has. A kill leaves the whole file or none of that name.
"""

from __future__ import annotations

import glob
import json
import os
import re
import tempfile
import uuid
from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import datetime
from functools import reduce
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, model_validator

from hierarchical_reasoning.errors import OutputError
from hierarchical_reasoning.intervals import Accuracy
from hierarchical_reasoning.journal import sync_directory
from hierarchical_reasoning.outcomes import Outcome
from llm_backends import Price, Spent, Usage

MAX_MODEL_NAME = 100
ALARM_FROM = 3
"""With fewer problems, that all fail alike says nothing."""


class _Record(BaseModel):
    model_config = ConfigDict(
        frozen=True,
        extra="forbid",
        allow_inf_nan=False,
        ser_json_inf_nan="constants",  # in `config`, where any value may stand: the writer refuses it
        protected_namespaces=(),
    )


class TokenUsage(_Record):
    """Calls and their tokens, whether the replies came from a model or from the cache of replies."""

    calls: int = 0
    """Replies, unusable ones included."""
    prompt_tokens: int = 0
    cached_tokens: int = 0
    """The part of `prompt_tokens` that the prefix cache of the model served."""
    completion_tokens: int = 0
    reasoning_tokens: int = 0
    """The part of `completion_tokens` that a reasoning model spent before it replied."""

    @classmethod
    def of(cls, spent: Spent) -> TokenUsage:
        """What a call took, as it is recorded."""
        return cls(**_counts(spent))


class RoleUsage(TokenUsage):
    """What one role took."""

    from_cache: int = 0
    """The part of `calls` that had been paid for before, and was not asked for again."""
    repeats: dict[str, int] = Field(default_factory=dict)
    """How often something was asked again, by reason."""
    cost_usd: float | None = None
    """Of the calls that were made; None where the price is not known."""
    cost_from_cache_usd: float | None = None
    """What the replies from the cache had cost when they were received; None where the price is not known."""

    @classmethod
    def priced(cls, spent: Spent, price: Price | None) -> RoleUsage:
        """What calls took, and what that costs."""
        return cls(
            **_counts(spent),
            from_cache=spent.cached_replies,
            repeats=dict(spent.repeats),
            cost_usd=_cost(spent.usage, price),
            cost_from_cache_usd=_cost(spent.cached_usage, price),
        )

    def __add__(self, other: RoleUsage) -> RoleUsage:
        repeats = Counter(self.repeats)
        repeats.update(other.repeats)
        return RoleUsage(
            calls=self.calls + other.calls,
            prompt_tokens=self.prompt_tokens + other.prompt_tokens,
            cached_tokens=self.cached_tokens + other.cached_tokens,
            completion_tokens=self.completion_tokens + other.completion_tokens,
            reasoning_tokens=self.reasoning_tokens + other.reasoning_tokens,
            from_cache=self.from_cache + other.from_cache,
            repeats=dict(repeats),
            cost_usd=_sum(self.cost_usd, other.cost_usd),
            cost_from_cache_usd=_sum(self.cost_from_cache_usd, other.cost_from_cache_usd),
        )


def _counts(spent: Spent) -> dict[str, int]:
    usage = spent.usage + spent.cached_usage
    return {
        "calls": spent.replies + spent.cached_replies,
        "prompt_tokens": usage.prompt_tokens,
        "cached_tokens": usage.cached_tokens,
        "completion_tokens": usage.completion_tokens,
        "reasoning_tokens": usage.reasoning_tokens,
    }


def _cost(usage: Usage, price: Price | None) -> float | None:
    """What tokens cost; no tokens cost nothing, whatever the price."""
    if usage == Usage():
        return 0.0
    return None if price is None else price.of(usage)


def _by_role(entries: Sequence[ResultEntry]) -> dict[str, RoleUsage]:
    usage: dict[str, RoleUsage] = {}
    for entry in entries:
        for role, used in entry.usage.items():
            usage[role] = usage[role] + used if role in usage else used
    return usage


def _sum(one: float | None, other: float | None) -> float | None:
    return None if one is None or other is None else one + other


class StepRecord(_Record):
    """One step of a trace."""

    thought_type: str
    """"Next thought" where thoughts have no type."""
    node_id: str | None
    """The thought type's node in the taxonomy; None for "Finish thinking" and where thoughts have no type."""
    thought: str
    planner_probabilities: dict[str, float] | None
    """Of each option, where the planner gives them."""
    planner_usage: TokenUsage | None
    reasoner_usage: TokenUsage | None
    truncated: bool = False
    """The thought was cut off by a limit on tokens or by the end of the context."""
    notes: tuple[str, ...] = ()


class ErrorRecord(_Record):
    """What ended a problem in `error`."""

    type: str
    message: str


class ResultEntry(_Record):
    """One problem, as it ended."""

    problem_id: str
    problem: str
    use_hierarchical: bool
    label_level: int
    thought_types: tuple[str, ...]
    thoughts: tuple[str, ...]
    final_response: str
    extracted_answer: str | None
    is_correct: bool | None
    """None where nothing was graded: no ground truth, or an error."""
    ground_truth: str | tuple[str, ...] | None
    outcome: Outcome
    reason: str
    category: str | None = None
    sample: int = 0
    steps: tuple[StepRecord, ...] = ()
    usage: dict[str, RoleUsage] = Field(default_factory=dict)
    """By role, such as planner and reasoner."""
    seconds: float = 0.0
    error: ErrorRecord | None = None
    notes: tuple[str, ...] = ()

    @model_validator(mode="after")
    def _outcome_agrees(self) -> ResultEntry:
        if self.is_correct is not self.outcome.is_correct:
            raise ValueError(
                f"is_correct must be {self.outcome.is_correct} where the outcome is {self.outcome}"
            )
        if (self.error is not None) != (self.outcome is Outcome.ERROR):
            raise ValueError(f"an error goes with the outcome error, not with {self.outcome}")
        return self


class Summary(_Record):
    """A run in numbers."""

    n: int
    outcomes: dict[Outcome, int]
    """Every outcome, those that did not occur too."""
    accuracy: Accuracy
    """Over all problems with a ground truth; one that ended in an error counts as not solved."""
    accuracy_completed: Accuracy
    """Over those that were finished, whatever their end: errors left out."""
    usage: dict[str, RoleUsage]
    """By role, over all problems and what was done for all of them together."""
    usage_of_earlier_attempts: dict[str, RoleUsage] = Field(default_factory=dict)
    """By role, of attempts that ended in an error and were made again."""
    cost_usd: float | None
    """Of all calls that were made, earlier attempts included; None where a price is not known."""
    tokens_per_problem: float | None
    """Prompt and completion tokens of planner and reasoner, of the attempts that count; None without problems."""
    seconds: float
    """Summed over problems; they overlap when several run at once."""
    wall_seconds: float | None
    alarms: tuple[str, ...]
    """What must not be overlooked."""
    thoughts_cut_off: int = 0
    """Steps whose thought was cut off."""


class ResultsFile(_Record):
    """The whole file."""

    model_name: str
    label_level: int
    use_hierarchical_reasoning: bool
    summary: Summary
    config: dict[str, Any]
    """The resolved configuration, the seed, the versions and the commit."""
    results: tuple[ResultEntry, ...]


def summarize(
    entries: Sequence[ResultEntry],
    *,
    wall_seconds: float | None = None,
    superseded: Sequence[ResultEntry] = (),
    besides: Mapping[str, RoleUsage] | None = None,
) -> Summary:
    """The numbers of a run, both denominators of accuracy, and what must be said loudly.

    Args:
        entries: one a problem.
        wall_seconds: of this session.
        superseded: attempts that ended in an error and were made again; they were paid for too.
        besides: what was spent on no problem in particular, by role.
    """
    counts = Counter(entry.outcome for entry in entries)
    outcomes = {outcome: counts[outcome] for outcome in Outcome}
    correct = counts[Outcome.CORRECT]
    with_truth = sum(entry.ground_truth is not None for entry in entries if entry.outcome is Outcome.ERROR)
    completed = sum(count for outcome, count in counts.items() if outcome.is_correct is not None)
    tokens = sum(
        used.prompt_tokens + used.completion_tokens for entry in entries for used in entry.usage.values()
    )
    usage = {**(besides or {}), **_by_role(entries)}
    earlier = _by_role(superseded)
    costs = [used.cost_usd for used in (*usage.values(), *earlier.values())]
    return Summary(
        n=len(entries),
        outcomes=outcomes,
        accuracy=Accuracy.of(correct, completed + with_truth),
        accuracy_completed=Accuracy.of(correct, completed),
        usage=usage,
        usage_of_earlier_attempts=earlier,
        cost_usd=None if not costs else reduce(_sum, costs),
        tokens_per_problem=tokens / len(entries) if entries else None,
        seconds=sum(entry.seconds for entry in entries),
        wall_seconds=wall_seconds,
        alarms=tuple(_alarms(entries, counts)),
        thoughts_cut_off=sum(step.truncated for entry in entries for step in entry.steps),
    )


def _alarms(entries: Sequence[ResultEntry], counts: Mapping[Outcome, int]) -> list[str]:
    n = len(entries)
    if n < ALARM_FROM:
        return []
    alarms = []
    failures = (Outcome.WRONG, Outcome.NO_ANSWER, Outcome.TRUNCATED, Outcome.ERROR)
    reasons = {_cause(entry) for entry in entries}
    if all(entry.outcome in failures for entry in entries) and len(reasons) == 1:
        alarms.append(
            f"ALL {n} problems failed for the same reason ({entries[0].outcome}: {reasons.pop()}); "
            f"the first is {entries[0].problem_id}: {entries[0].reason}"
        )
    elif counts[Outcome.ERROR] * 2 >= n:
        kinds = Counter(_cause(entry) for entry in entries if entry.outcome is Outcome.ERROR)
        named = ", ".join(f"{kind} ({count})" for kind, count in kinds.most_common())
        alarms.append(f"{counts[Outcome.ERROR]} of {n} problems ended in an error: {named}")
    answers = {entry.extracted_answer for entry in entries}
    truths = {entry.ground_truth for entry in entries}
    if len(answers) == 1 and answers != {None} and len(truths) > 1:
        alarms.append(f"every one of the {n} answers is the same: {answers.pop()!r}")
    return alarms


def _cause(entry: ResultEntry) -> str:
    """The part of a reason that does not change from problem to problem (see `Grade.reason`)."""
    return entry.error.type if entry.error else entry.reason.partition(":")[0]


def results_stem(model_name: str, *, level: int, hierarchical: bool, now: datetime) -> str:
    """The name of a run's files without their ending: `results_{mode}_level{L}_{model}_{YYYYmmdd_HHMMSS}`."""
    mode = "hierarchical" if hierarchical else "vanilla"
    model = re.sub(r"[^A-Za-z0-9._-]+", "-", model_name).strip("-.")[:MAX_MODEL_NAME] or "model"
    return f"results_{mode}_level{level}_{model}_{now:%Y%m%d_%H%M%S}"


def check_writable(directory: str | Path) -> Path:
    """Make `directory` if need be and prove, by writing there, that it can hold results; raises
    OutputError."""
    directory = Path(directory)
    try:
        directory.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(dir=directory, prefix=".writable-") as probe:
            probe.write(b"x")
            probe.flush()
            os.fsync(probe.fileno())
    except OSError as error:
        raise OutputError(
            f"results cannot be written to {directory} ({error.strerror}); choose another --cache_dir"
        ) from error
    return directory


def write_results(directory: str | Path, stem: str, results: ResultsFile) -> Path:
    """Write the file as `{stem}.json`, or with a counter where that exists; returns its path. Raises
    OutputError."""
    directory = Path(directory)
    text = json.dumps(results.model_dump(mode="json"), indent=2, allow_nan=False)
    temporary = directory / f".{stem}.{uuid.uuid4().hex}.tmp"
    try:
        try:
            with temporary.open("x", encoding="utf-8") as file:
                file.write(text)
                file.flush()
                os.fsync(file.fileno())
            path = _link(temporary, directory, stem)
        finally:
            temporary.unlink(missing_ok=True)
        sync_directory(directory)
    except OSError as error:
        raise OutputError(
            f"the results cannot be written to {directory} ({error.strerror}); the journal has every "
            "finished problem: make room, then go on with --resume"
        ) from error
    return path


def find_results(
    directory: str | Path, stem: str, entries: Sequence[ResultEntry]
) -> tuple[Path, ResultsFile] | None:
    """The file that `write_results` made of these very entries; None where there is none that this version reads."""
    wanted = tuple(entries)
    for path in sorted(Path(directory).glob(f"{glob.escape(stem)}*.json")):
        try:
            found = ResultsFile.model_validate_json(path.read_bytes())
        except (OSError, ValueError):
            continue
        if found.results == wanted:
            return path, found
    return None


def _link(temporary: Path, directory: Path, stem: str) -> Path:
    """Give the file the first free name. A link, unlike a rename, fails where the name is taken."""
    counter = 0
    while True:
        path = directory / (f"{stem}_{counter}.json" if counter else f"{stem}.json")
        try:
            os.link(temporary, path)
        except FileExistsError:
            counter += 1
        else:
            return path
