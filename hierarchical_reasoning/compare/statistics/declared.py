"""What is declared before the results are known: which arms are compared, and by what measure."""

from __future__ import annotations

from dataclasses import dataclass

from hierarchical_reasoning.compare.statistics.inputs import StudyOutcomes
from hierarchical_reasoning.compare.statistics.power import ALPHA, POWER
from hierarchical_reasoning.errors import ConfigError


@dataclass(frozen=True)
class Family:
    """Comparisons that were declared together.

    Raises ConfigError where there is none, one stands there twice, or an arm is compared with itself.
    """

    noun: str
    """What they are, such as "levels"."""
    pairs: tuple[tuple[str, str], ...]
    """Names of arm and baseline."""

    def __post_init__(self) -> None:
        if not self.pairs:
            raise ConfigError(f"no comparison is declared among the {self.noun}; declare one or more")
        for arm, baseline in self.pairs:
            if arm == baseline:
                raise ConfigError(f"arm {arm} would be compared with itself; name another baseline")
            if self.pairs.count((arm, baseline)) > 1:
                raise ConfigError(f"{arm} against {baseline} is declared twice among the {self.noun}")


@dataclass(frozen=True)
class Settings:
    """Chosen before the results are known."""

    alpha: float = ALPHA
    """What adjusted p-values are held against."""
    power: float = POWER
    """With which a detectable difference would be found."""
    seed: int = 0
    """Of intervals and tests that draw."""


def default_families(
    study: StudyOutcomes, *, baseline: str = "vanilla", noun: str = "arms"
) -> tuple[Family, ...]:
    """What is compared where nothing else is declared: every arm with the baseline; every arm that has a twin with
    that; and the twins with the baseline, which tells what tokens alone bring. Each is a family of its own.

    Args:
        baseline: the name of an arm. Raises ConfigError where there is none of that name.
        noun: what the arms of the first family are, such as "levels".
    """
    study.arm(baseline)
    twins = {arm.name: arm.twin for arm in study.arms if arm.twin is not None and arm.twin != baseline}
    matched = sorted(set(twins.values()))
    families = {
        noun: [
            (arm.name, baseline) for arm in study.arms if arm.name != baseline and arm.name not in matched
        ],
        "compute-matched comparisons": list(twins.items()),
        "compute-matched baselines": [(twin, baseline) for twin in matched],
    }
    return tuple(Family(name, tuple(pairs)) for name, pairs in families.items() if pairs)
