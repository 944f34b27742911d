"""What the statistics of a comparison study are computed from: how each arm ended each problem, and what it took."""

from __future__ import annotations

import math
import zlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import reduce
from operator import add

from hierarchical_reasoning.errors import ConfigError, ResultsFileError
from hierarchical_reasoning.outcomes import Outcome
from hierarchical_reasoning.results.records import NOTHING_SPENT, ResultEntry, RoleUsage
from hierarchical_reasoning.wording import first_of


@dataclass(frozen=True)
class ProblemFacts:
    """What problems are grouped by."""

    category: str | None = None
    difficulty: str | float | None = None
    """A name, or a number such as a rating."""

    def __post_init__(self) -> None:
        if isinstance(self.difficulty, float) and not math.isfinite(self.difficulty):
            raise ConfigError(f"a difficulty must be a finite number or a name, not {self.difficulty}")


@dataclass(frozen=True)
class Solved:
    """What one arm did on one problem."""

    outcomes: tuple[Outcome | None, ...]
    """By sample; None where a sample is still owed. Never `ungraded`."""
    tokens: int = 0
    """Of prompts and replies, all samples together."""
    cost_usd: float | None = None
    """Of the same, replies from the cache at what they had cost; None where the price is not known."""
    text: int | None = None
    """A checksum of the problem's text, which tells whether arms were asked the same; None: not known."""


@dataclass(frozen=True)
class ArmOutcomes:
    """One arm of the study."""

    name: str
    problems: Mapping[str, Solved]
    """By the problem's id. One that is not there is owed."""
    label: str = ""
    """What sentences call it, such as "level 3"; empty: its name."""
    twin: str | None = None
    """The arm that spends about as much without the taxonomy, which this one is compared with besides."""
    ungraded: int = 0
    """Entries without a ground truth, which are in no number."""

    @property
    def called(self) -> str:
        """The label, or where there is none the name."""
        return self.label or self.name

    @classmethod
    def of(
        cls,
        name: str,
        entries: Iterable[ResultEntry],
        *,
        samples: int = 1,
        label: str = "",
        twin: str | None = None,
    ) -> ArmOutcomes:
        """The arm whose run has these entries, one a problem and sample in any order.

        Args:
            samples: a problem, as asked for; those that have no entry are owed.

        Raises:
            ResultsFileError: a problem's sample stands there twice, or is one that was not asked for.
        """
        found: dict[str, _Found] = {}
        ungraded = 0
        for entry in entries:
            if entry.is_correct is None and not (
                entry.outcome is Outcome.ERROR and entry.ground_truth is not None
            ):
                ungraded += 1
                continue
            problem = found.setdefault(
                entry.problem_id, _Found(zlib.crc32(entry.problem.encode("utf-8", "surrogatepass")))
            )
            if entry.sample in problem.outcomes or not 0 <= entry.sample < samples:
                what = "stands there twice" if entry.sample in problem.outcomes else f"is not among {samples}"
                raise ResultsFileError(
                    f"arm {name}: sample {entry.sample} of problem {entry.problem_id} {what}; an arm has one entry "
                    "a problem and sample"
                )
            problem.outcomes[entry.sample] = entry.outcome
            problem.usage = reduce(add, entry.usage.values(), problem.usage)
        solved = {problem_id: problem.solved(samples) for problem_id, problem in found.items()}
        return cls(name, solved, label, twin, ungraded)


@dataclass
class _Found:
    text: int
    outcomes: dict[int, Outcome] = field(default_factory=dict)
    usage: RoleUsage = NOTHING_SPENT

    def solved(self, samples: int) -> Solved:
        used = self.usage
        costs = (used.cost_usd, used.cost_from_cache_usd)
        known = [cost for cost in costs if cost is not None]
        return Solved(
            outcomes=tuple(self.outcomes.get(sample) for sample in range(samples)),
            tokens=used.prompt_tokens + used.completion_tokens,
            cost_usd=sum(known) if len(known) == len(costs) else None,
            text=self.text,
        )


@dataclass(frozen=True)
class StudyOutcomes:
    """Arms over the same problems.

    Raises:
        ConfigError: arms of one name, a twin that is no arm, problems that are not the study's or whose text
            differs between arms, an outcome that says nothing of right or wrong.
    """

    problems: Mapping[str, ProblemFacts]
    """Every problem of the study, by its id."""
    arms: tuple[ArmOutcomes, ...]

    def __post_init__(self) -> None:
        names = [arm.name for arm in self.arms]
        if len(set(names)) < len(names):
            twice = sorted({name for name in names if names.count(name) > 1})
            raise ConfigError(f"arms of one name: {', '.join(twice)}; every arm needs a name of its own")
        texts: dict[str, int] = {}
        for arm in self.arms:
            if arm.twin is not None:
                self.arm(arm.twin)
            if strangers := sorted(set(arm.problems) - set(self.problems)):
                raise ConfigError(
                    f"arm {arm.name} has problems that the study has not: {first_of(strangers)}"
                )
            for problem_id, solved in arm.problems.items():
                if Outcome.UNGRADED in solved.outcomes:
                    raise ConfigError(f"arm {arm.name}: problem {problem_id} is ungraded; leave it out")
                if solved.text is not None and texts.setdefault(problem_id, solved.text) != solved.text:
                    raise ConfigError(
                        f"problem {problem_id} has another text in arm {arm.name} than in an arm before it; "
                        "arms are compared on the same problems alone"
                    )

    def arm(self, name: str) -> ArmOutcomes:
        """The arm of that name. Raises ConfigError where there is none."""
        for arm in self.arms:
            if arm.name == name:
                return arm
        raise ConfigError(
            f"{name!r} is no arm of the study; there are {', '.join(arm.name for arm in self.arms)}"
        )
