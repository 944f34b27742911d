"""How far a study is, from its journals and the records of its shards; other processes may be at work on it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from hierarchical_reasoning.compare.layout import Shard, StudyFiles
from hierarchical_reasoning.compare.matching import all_arms, needs_twin, read_matched, samples_needed
from hierarchical_reasoning.compare.plan import StudyPlan, read_plan, read_record, read_study_problems
from hierarchical_reasoning.compare.work import ShardRecord, State
from hierarchical_reasoning.errors import JournalError
from hierarchical_reasoning.journal.lines import parsed
from hierarchical_reasoning.outcomes import Outcome

Key = tuple[str, int]
_KNOWN = {outcome.value: outcome for outcome in Outcome}


@dataclass(frozen=True)
class ArmStatus:
    """How far the run of an arm is; a majority vote has none of its own."""

    name: str
    label: str
    n: int
    """Attempts: problems, times the samples of each that this arm and its votes need."""
    done: int
    """Errors included."""
    errors: int
    correct: int
    graded: int
    """Of those that are done, errors included."""

    @property
    def owed(self) -> int:
        return self.n - self.done


@dataclass(frozen=True)
class ShardStatus:
    """How a shard is."""

    shard: Shard
    state: State
    is_alive: bool
    """A process is at it. One that runs and is not alive was killed."""
    host: str
    process: int
    begun: str
    ended: str | None
    message: str

    @property
    def is_lost(self) -> bool:
        """Whether it ended without a word."""
        return self.state == "running" and not self.is_alive


@dataclass(frozen=True)
class StudyStatus:
    """How far all of it is."""

    arms: tuple[ArmStatus, ...]
    shards: tuple[ShardStatus, ...]
    waiting: tuple[str, ...]
    """Arms whose matched baselines are chosen when they are complete."""

    @property
    def done(self) -> int:
        return sum(arm.done for arm in self.arms)

    @property
    def n(self) -> int:
        return sum(arm.n for arm in self.arms)

    @property
    def owed(self) -> int:
        return self.n - self.done

    @property
    def is_complete(self) -> bool:
        """Whether nothing is owed."""
        return not self.owed and not self.waiting


def study_status(directory: Path) -> StudyStatus:
    """How far the study is.

    Raises:
        ConfigError: there is none.
        JournalError: a file of it is damaged.
    """
    return StudyWatch(directory).now()


class StudyWatch:
    """Looks at a study again and again, and reads of its journals only what is new."""

    def __init__(self, directory: Path) -> None:
        """Raises as `study_status`."""
        self._files = StudyFiles(directory)
        read_plan(self._files)
        self._problems = {problem.id for problem in read_study_problems(self._files).problems}
        self._journals: dict[Path, _JournalTail] = {}

    def now(self) -> StudyStatus:
        """How far it is; raises as `study_status`."""
        plan = read_plan(self._files)
        matched = read_matched(self._files, plan)
        needed = samples_needed(plan, all_arms(plan, matched))
        arms = tuple(self._arm(name, _called(plan, name), samples) for name, samples in needed.items())
        waiting = tuple(
            arm.name for arm in plan.arms if needs_twin(plan, arm) and arm.name not in matched.arms
        )
        return StudyStatus(arms, self._shards(), waiting)

    def _arm(self, name: str, label: str, samples: int) -> ArmStatus:
        ended: dict[Key, Outcome] = {}
        for path in self._files.journals(name):
            for key, outcome in self._journals.setdefault(path, _JournalTail(path)).read().items():
                if outcome is not Outcome.ERROR or key not in ended:
                    ended[key] = outcome
        found = [
            outcome
            for (problem, sample), outcome in ended.items()
            if problem in self._problems and sample < samples
        ]
        return ArmStatus(
            name,
            label,
            n=len(self._problems) * samples,
            done=len(found),
            errors=found.count(Outcome.ERROR),
            correct=found.count(Outcome.CORRECT),
            graded=len(found) - found.count(Outcome.UNGRADED),
        )

    def _shards(self) -> tuple[ShardStatus, ...]:
        found = []
        for path in self._files.shards.glob("*.json"):
            record = read_record(path, ShardRecord)
            if record is None:
                continue
            shard = Shard.parse(record.shard)
            found.append(
                ShardStatus(
                    shard,
                    record.state,
                    self._files.is_being_done(shard),
                    record.host,
                    record.process,
                    record.begun,
                    record.ended,
                    record.message,
                )
            )
        return tuple(sorted(found, key=lambda one: (one.shard.of, one.shard.index)))


def _called(plan: StudyPlan, name: str) -> str:
    """An arm whose answers are chosen is not as often right as the samples that are counted here."""
    arm = plan.arm(name)
    return plan.label(arm) if arm.votes == 1 else f"samples for {plan.label(arm)}"


class _JournalTail:
    """How the attempts of a journal ended, as it grows."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._offset = 0
        self._ended: dict[Key, Outcome] = {}

    def read(self) -> dict[Key, Outcome]:
        """All so far; a line that is being written is left for the next time."""
        with self._path.open("rb") as file:
            file.seek(self._offset)
            for line in file:
                if not line.endswith(b"\n"):
                    break
                self._offset += len(line)
                self._note(line[:-1])
        return self._ended

    def _note(self, line: bytes) -> None:
        content = parsed(line)
        if content is None:
            raise JournalError(f"{self._path} is damaged at byte {self._offset:,}; a merge says what is lost")
        if content.get("kind") == "problem":
            outcome = _KNOWN.get(content["entry"].get("outcome"))
            if outcome is not None:
                self._ended[content["problem_id"], content["sample"]] = outcome
