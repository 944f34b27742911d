"""Which arms a study has: from their names, and from settings of their own."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from difflib import get_close_matches
from typing import Any

from hierarchical_reasoning.compare.plan import MOST_SAMPLES, ArmPlan, best_name
from hierarchical_reasoning.compare.shared_settings import OF_THE_STUDY, OF_THOUGHTS
from hierarchical_reasoning.config import RunConfig
from hierarchical_reasoning.errors import ConfigError
from hierarchical_reasoning.reasoning_config import MODEL_SETTINGS
from hierarchical_reasoning.search.settings import OF_VALUE_HEAD

VANILLA = "vanilla"
NAMES = (
    "vanilla, untyped, a level such as 3, levels from to such as 0-6, levels (all of the taxonomy), maj@K, the "
    "majority vote of K vanilla samples, and best@K, the one of K vanilla samples that a value head values most"
)
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._@+-]{0,79}")
_MAJORITY = re.compile(r"maj@(\d+)")
_BEST = re.compile(r"best@(\d+)")
_OF_A_TWIN = re.compile(r"(.+\.)?maj@\d+")
_LEVELS = re.compile(r"(\d+)-(\d+)")


def arms_named(names: Iterable[str], levels: Sequence[int]) -> list[ArmPlan]:
    """The arms that these names stand for.

    Args:
        names: as ``--arms`` has them.
        levels: of the taxonomy.

    Raises:
        ConfigError: there is no such arm.
    """
    arms = [arm for name in names for arm in _arms_named(name.strip(), levels)]
    check_names(arms)
    return arms


def arm_of(name: str, settings: Mapping[str, Any], levels: Sequence[int]) -> ArmPlan:
    """An arm with settings of its own: those of `RunConfig`, `level` for `label_level`, `votes`, which makes it a
    majority vote of so many vanilla samples, and `best_of`, with which a value head chooses among so many of its own.

    Raises:
        ConfigError: a setting does not exist, or is not the arm's to have.
    """
    given = dict(settings)
    if "level" in given:
        if "label_level" in given:
            raise ConfigError(f"arm {name}: level and label_level are the same; give one of them")
        given["label_level"] = given.pop("level")
    votes, best_of = _popped(name, given, "votes"), _popped(name, given, "best_of")
    if votes > 1 and best_of > 1:
        raise ConfigError(f"arm {name}: votes and best_of are two ways to choose; give one of them")
    if votes > 1:
        given.setdefault("vanilla_baseline", True)
        if given["vanilla_baseline"] is not True:
            raise ConfigError(f"arm {name}: votes are taken over vanilla samples; leave vanilla_baseline out")
    _check_settings(name, given)
    level = given.get("label_level")
    if isinstance(level, int) and level not in levels and "tree_model_path" not in given:
        raise _no_level(name, level, levels)
    by = {"votes": best_of, "chosen_by": "value"} if best_of > 1 else {"votes": votes}
    arm = ArmPlan(name=name, settings=given, **by)
    _check_meaning(arm)
    return arm


def check_names(arms: Sequence[ArmPlan]) -> None:
    """Raises ConfigError where a name stands there twice, or cannot be that of a directory."""
    names = [arm.name for arm in arms]
    for name in names:
        if not _NAME.fullmatch(name):
            raise ConfigError(
                f"an arm cannot be called {name!r}: letters, digits and . _ @ + - may stand in a name, at most 80"
            )
        if names.count(name) > 1:
            raise ConfigError(f"the arm {name} is asked for twice; every arm needs a name of its own")


def with_baselines(
    arms: Sequence[ArmPlan], *, matched: bool, existing: Sequence[ArmPlan] = ()
) -> list[ArmPlan]:
    """The arms, majority votes with the arm whose samples vote, and the vanilla arms that others are measured by.

    Args:
        matched: every arm needs the vanilla one of its model.
        existing: arms that the study has already.
    """
    found = [*existing]
    has_vanilla = any(arm.votes == 1 and arm.settings.get("vanilla_baseline") for arm in (*existing, *arms))
    for arm in (*existing, *arms):
        is_vanilla = arm.settings.get("vanilla_baseline") is True
        measured = matched or (has_vanilla and not arm.settings.keys().isdisjoint(MODEL_SETTINGS))
        if not arm.is_vote and ((is_vanilla and arm.votes == 1) or not measured):
            continue
        if vanilla_of(arm, [*found, *arms]) is None:
            found.append(_implied(arm, {one.name for one in (*found, *arms)}))
    implied = found[len(existing) :]
    complete = [*implied, *arms]
    return [
        arm.model_copy(update={"of": _name_of(vanilla_of(arm, [*existing, *complete]))})
        if arm.is_vote
        else arm
        for arm in complete
    ]


def best_named(name: str) -> int | None:
    """Of how many vanilla samples a value head chooses one in the arm of that name; None where it is no such name."""
    match = _BEST.fullmatch(name.strip())
    return None if match is None else int(match[1])


def vanilla_of(arm: ArmPlan, arms: Iterable[ArmPlan]) -> ArmPlan | None:
    """The arm that asks the same model in the same way, without thought types; None where there is none."""
    wanted = _vanilla_settings(arm)
    for other in arms:
        if other.votes == 1 and other.settings.get("vanilla_baseline") and _vanilla_settings(other) == wanted:
            return other
    return None


def nearest(key: str, known: Iterable[str]) -> str:
    """For a message: the key that was perhaps meant."""
    near = get_close_matches(key, sorted(known), n=1)
    return f"; did you mean {near[0]}?" if near else ""


def _majority_of(votes: int) -> ArmPlan:
    return ArmPlan(name=f"maj@{votes}", settings={"vanilla_baseline": True}, votes=votes)


def _best_of(votes: int) -> ArmPlan:
    settings = {"vanilla_baseline": True}
    return ArmPlan(name=best_name(votes), settings=settings, votes=votes, chosen_by="value")


def _check_meaning(arm: ArmPlan) -> None:
    """Some names say what the arm is."""
    if _OF_A_TWIN.fullmatch(arm.name) and not (arm.is_vote and arm == _majority_of(arm.votes)):
        raise ConfigError(
            f"arm {arm.name}: compute-matched baselines have such names, as majority votes of K samples; give it "
            "another"
        )
    plain = {key: value for key, value in arm.settings.items() if key not in OF_VALUE_HEAD}
    if _BEST.fullmatch(arm.name) and arm.model_copy(update={"settings": plain}) != _best_of(arm.votes):
        raise ConfigError(
            f"arm {arm.name}: the best of K vanilla samples has such a name (best_of: K, vanilla_baseline: true); give "
            "it another"
        )


def _check_settings(name: str, settings: Mapping[str, Any]) -> None:
    known = set(RunConfig.model_fields) - OF_THE_STUDY
    for key in settings:
        if key in OF_THE_STUDY:
            raise ConfigError(f"arm {name}: {key} is the same for all arms; set it for the whole study")
        if key not in known:
            near = nearest(key, {*known, "level", "votes", "best_of"})
            raise ConfigError(f"arm {name}: {key!r} is no setting{near}")


def _arms_named(name: str, levels: Sequence[int]) -> Iterator[ArmPlan]:
    if name == VANILLA:
        yield ArmPlan(name=VANILLA, settings={"vanilla_baseline": True})
    elif name == "untyped":
        yield ArmPlan(name=name, settings={"planner": "untyped"})
    elif match := _MAJORITY.fullmatch(name):
        yield _majority_of(_samples(name, int(match[1]), "a majority vote"))
    elif match := _BEST.fullmatch(name):
        yield _best_of(_samples(name, int(match[1]), "a choice"))
    elif name == "levels" or name.isdecimal() or _LEVELS.fullmatch(name):
        for level in _levels_named(name, levels):
            yield ArmPlan(name=str(level), settings={"label_level": level})
    else:
        raise ConfigError(
            f"--arms: there is no arm {name!r}; there are {NAMES}; others go into a file for --config"
        )


def _samples(name: str, n: int, what: str) -> int:
    if not 2 <= n <= MOST_SAMPLES:
        raise ConfigError(f"arm {name}: {what} needs 2 samples or more, and {MOST_SAMPLES:,} at most")
    return n


def _popped(name: str, given: dict[str, Any], key: str) -> int:
    """The number of samples that was among the settings; 1 where there was none."""
    value = given.pop(key, 1)
    if not isinstance(value, int) or isinstance(value, bool) or not 1 <= value <= MOST_SAMPLES:
        raise ConfigError(
            f"arm {name}: {key} is {value!r}; it must be a whole number from 1 to {MOST_SAMPLES:,}"
        )
    return value


def _levels_named(name: str, levels: Sequence[int]) -> Sequence[int]:
    if name == "levels":
        return levels
    match = _LEVELS.fullmatch(name)
    first, last = (int(match[1]), int(match[2])) if match else (int(name), int(name))
    if first > last:
        raise ConfigError(f"--arms {name}: the first level is behind the last; write {last}-{first}")
    for level in (first, last):
        if level not in levels:
            raise _no_level(name, level, levels)
    return range(first, last + 1)


def _no_level(name: str, level: int, levels: Sequence[int]) -> ConfigError:
    return ConfigError(
        f"arm {name}: the taxonomy has no level {level}; its levels are {levels[0]} to {levels[-1]} (--tree_model_path)"
    )


def _vanilla_settings(arm: ArmPlan) -> dict[str, Any]:
    left_out = OF_THOUGHTS | {"vanilla_baseline", "prompt_style"}  # one call is the same in every style
    return {name: value for name, value in arm.settings.items() if name not in left_out}


def _implied(arm: ArmPlan, taken: set[str]) -> ArmPlan:
    settings = _vanilla_settings(arm)
    name = f"{arm.name}.{VANILLA}" if settings or VANILLA in taken else VANILLA
    return ArmPlan(name=name, settings=settings | {"vanilla_baseline": True}, implied=True)


def _name_of(arm: ArmPlan | None) -> str:
    assert arm is not None, "one was added where there was none"
    return arm.name
