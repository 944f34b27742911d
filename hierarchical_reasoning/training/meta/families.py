"""Families of problems: which are trained on, and which one is not seen until it is adapted to."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from hierarchical_reasoning.errors import ConfigError
from hierarchical_reasoning.problems import Problem, read_problems
from hierarchical_reasoning.training.meta.config import SAMPLE_FAMILIES, MetaConfig


@dataclass(frozen=True)
class FamilyProblems:
    """No problem is in two of the parts."""

    train: Mapping[str, tuple[Problem, ...]]
    """By family."""
    unseen: str
    support: tuple[Problem, ...]
    """Of the unseen family, to adapt with."""
    test: tuple[Problem, ...]
    """Of the unseen family, to measure with."""
    notes: tuple[str, ...]

    def everything(self) -> tuple[Problem, ...]:
        trained = (problem for problems in self.train.values() for problem in problems)
        return (*trained, *self.support, *self.test)


def read_families(config: MetaConfig) -> FamilyProblems:
    """
    Raises:
        UsageError: the file cannot be read, or a family is not there, or has too few problems.
    """
    found = _generated(config) if config.data_file is None else _read(config, config.data_file)
    if config.learned_field is not None:
        for problem in found.everything():
            solution = problem.fields.get(config.learned_field)
            if not isinstance(solution, str) or not solution.strip():
                raise ConfigError(
                    f"problem {problem.id!r} has no text in the field {config.learned_field!r}; its fields are "
                    f"{', '.join(problem.fields)} (--solution_field)"
                )
    return found


def _generated(config: MetaConfig) -> FamilyProblems:
    from hierarchical_reasoning.sample_tasks.family_problems import check_family, draw_family

    if config.family_field is not None:
        raise ConfigError(f"--family_field {config.family_field!r} goes with a --data_file")
    sampled = SAMPLE_FAMILIES[config.learn_from]
    unseen = config.unseen or sampled[-1]
    families = config.families or tuple(name for name in sampled if name != unseen)
    for name, flag in (*((name, "--families") for name in families), (unseen, "--unseen")):
        check_family(name, flag)
    _check_choice(families, unseen)
    train = {name: tuple(draw_family(name, config.n_train, "train", config.seed)) for name in families}
    support = tuple(draw_family(unseen, config.n_support, "train", config.seed))
    test = tuple(draw_family(unseen, config.n_test, "test", config.seed))
    return FamilyProblems(train, unseen, support, test, ("problems are generated, from --seed",))


def _read(config: MetaConfig, path: Path) -> FamilyProblems:
    """The order in which a family's problems are taken is drawn with the seed."""
    file = read_problems(
        path,
        shuffle_seed=config.seed,
        shape=config.problem_shape,
        problem_field=config.problem_field,
        answer_field=config.answer_field,
        flag="--data_file",
    )
    by_family: dict[str, list[Problem]] = {}
    texts: set[str] = set()
    for problem in file.problems:
        if problem.text not in texts:  # one that stands there twice would be trained on and measured with
            by_family.setdefault(_family_of(problem, config.family_field), []).append(problem)
            texts.add(problem.text)
    n_twice = len(file.problems) - len(texts)
    notes = [*file.notes, *([f"{n_twice} problems stand there twice, and are taken once"] if n_twice else [])]
    there_are = ", ".join(f"{name} ({len(each)})" for name, each in sorted(by_family.items()))
    if config.unseen is None:
        raise ConfigError(f"--unseen is not given; name a family of {path}: {there_are}")
    families = config.families or tuple(name for name in sorted(by_family) if name != config.unseen)
    for name, flag in (*((name, "--families") for name in families), (config.unseen, "--unseen")):
        if name not in by_family:
            raise ConfigError(f"{flag} {name!r} is no family of {path}; there are {there_are}")
    _check_choice(families, config.unseen)
    wanted = {**dict.fromkeys(families, config.n_train), config.unseen: config.n_support + config.n_test}
    _check_sizes(wanted, by_family, config)
    of_unseen = by_family[config.unseen]
    return FamilyProblems(
        {name: tuple(by_family[name][: config.n_train]) for name in families},
        config.unseen,
        tuple(of_unseen[: config.n_support]),
        tuple(of_unseen[config.n_support : config.n_support + config.n_test]),
        tuple(notes),
    )


def _family_of(problem: Problem, field: str | None) -> str:
    name = problem.category if field is None else problem.fields.get(field)
    if name is None or isinstance(name, list | dict):
        where = "category" if field is None else f"text in the field {field!r}"
        raise ConfigError(
            f"problem {problem.id!r} has no {where}, so its family is not known; its fields are "
            f"{', '.join(problem.fields)} (--family_field)"
        )
    return str(name)


def _check_choice(families: Sequence[str], unseen: str) -> None:
    if unseen in families:
        raise ConfigError(
            f"--unseen {unseen!r} is one of --families {' '.join(families)}; it must be another"
        )
    twice = [name for name, n in Counter(families).items() if n > 1]
    if twice:
        raise ConfigError(f"--families names {twice[0]!r} twice")
    if len(families) < 2:
        raise ConfigError(
            f"--families {' '.join(families)}: a start is learned across families, so give 2 or more besides --unseen"
        )


def _check_sizes(
    wanted: Mapping[str, int], by_family: Mapping[str, Sequence[Problem]], config: MetaConfig
) -> None:
    def too_few() -> Iterator[str]:
        for name, n in wanted.items():
            if len(by_family[name]) < n:
                flags = "--n_support + --n_test" if name == config.unseen else "--n_train"
                yield f"{name} has {len(by_family[name])} problems, and {flags} is {n}"

    if found := list(too_few()):
        raise ConfigError(f"a family of {config.data_file} has too few problems: {'; '.join(found)}")
