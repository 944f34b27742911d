"""From a configuration to the parts of a run: problems, verifier, backend, solver.

Whatever is wrong with what the user gave is found here, before a model is loaded or asked.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from hierarchical_reasoning.assets import TEST_PROBLEMS
from hierarchical_reasoning.backends import Backends
from hierarchical_reasoning.cautions import cautions_among
from hierarchical_reasoning.combinations import check_combinations
from hierarchical_reasoning.config import RunConfig
from hierarchical_reasoning.errors import ConfigError
from hierarchical_reasoning.journal.file import fingerprint
from hierarchical_reasoning.model_settings import read_model_settings
from hierarchical_reasoning.observer import Observer
from hierarchical_reasoning.planners.base import Planner
from hierarchical_reasoning.planners.untyped import UNTYPED
from hierarchical_reasoning.problems import ProblemSet, read_problems
from hierarchical_reasoning.prompts import Prompts
from hierarchical_reasoning.reasoning_parts import (
    Examples,
    make_reasoner,
    model_identities,
    no_examples,
    prices_by_role,
    shown_examples,
    with_examples_by_model,
)
from hierarchical_reasoning.results.records import RoleUsage
from hierarchical_reasoning.search.combinations import check_path_reward
from hierarchical_reasoning.solvers import HierarchicalSolver, JointSolver, Solver, VanillaSolver
from hierarchical_reasoning.values.assembly import value_head_facts
from hierarchical_reasoning.verifiers import Verifier, verifier_for
from llm_backends import Backend, Price, Sampling
from taxonomy import (
    Taxonomy,
    TaxonomyFileError,
    ThoughtType,
    TransitionCounts,
    label_transition_counts,
    load_taxonomy,
    table_transition_counts,
)
from taxonomy.examples import LevelExamples
from taxonomy.reading import read_inputs


@dataclass(frozen=True)
class Run:
    """The parts of a run, checked; the solver is made last, since it needs the model."""

    config: RunConfig
    problems: ProblemSet
    verifier: Verifier
    notes: tuple[str, ...]
    """What the user should know before it starts."""
    settings: Mapping[str, Any]
    """All that can change what becomes of a problem: a resumed run must share it."""
    prices: Mapping[str, Price | None]
    """By role; None where a model has no known price."""
    make_solver: Callable[[Backends, Observer], Solver]
    examples: Examples
    examples_spent: RoleUsage | None = None
    """What choosing the in-context examples took."""

    @property
    def cautions(self) -> tuple[str, ...]:
        """Of the notes, those without which the results mislead."""
        return cautions_among(self.notes)


def check(config: RunConfig) -> None:
    """Find whatever is wrong with what the user gave, before anything is started or spent. Raises as `assemble`."""
    assemble(config, no_examples(config))


async def prepare(config: RunConfig, *, serving: RunConfig | None = None) -> Run:
    """As :func:`assemble`, and have the high-level model choose the in-context examples, where one was asked for.

    Args:
        config: of the run.
        serving: the same with the address of a server that was started for it.

    Raises:
        UsageError, TaxonomyError, BackendError: as `assemble`, and what the high-level model raises.
    """
    return await with_examples_by_model(assemble, config, serving)


def assemble(config: RunConfig, chosen_examples: LevelExamples | None = None) -> Run:
    """Read and check everything that a run needs, short of its model.

    Args:
        config: of the run.
        chosen_examples: those of the level; None: they are chosen here, without a model.

    Raises:
        UsageError: files, settings or combinations of them that cannot be used.
        TaxonomyError: the taxonomy cannot be used, or lacks the level.
        BackendError: there is no such backend.
    """
    unused = check_combinations(config)
    problems = read_problems(
        config.input_file,
        category=config.category,
        n_rows=config.n_rows,
        sample_ids=config.sample_id,
        shuffle_seed=config.seed if config.shuffle else None,
        shape=config.problem_shape,
        problem_field=config.problem_field,
        answer_field=config.answer_field,
    )
    verifier, verifier_note = verifier_for(
        config.ground_truth_format,
        problems.problems,
        found_in=problems.of_category,
        number_tolerance=config.number_tolerance,
    )
    prompts = Prompts(config.prompt_style, verifier.answer_form, config.prompts_dir)
    prompts.vanilla(problems.problems[0])
    notes = [*unused, *_doubts(config), *problems.notes, verifier_note]
    prices = prices_by_role(config)

    settings = config.affecting_output() | {
        "problems_sha256": problems.sha256,
        "answer_format": verifier.format,
        "prompts_sha256": prompts.sha256,
        "models": model_identities(config),
    }
    head_settings, head_notes = value_head_facts(config, problems.problems)
    settings |= head_settings
    notes += head_notes
    examples: Examples = {}
    if config.vanilla_baseline:
        make_solver = _vanilla(config, prompts)
    else:
        level, level_notes = _level(config, problems, chosen_examples)
        notes += level_notes
        prompts.check(problems.problems[0], level.options[0])
        settings |= {
            "options": [[o.node_id, o.name, o.description] for o in level.options],
            "examples": {name: list(texts) for name, texts in level.examples.items()},
        }
        if level.transitions is not None:
            settings["transitions_sha256"] = fingerprint(level.transitions.counts)
        if config.search is None:
            make_solver = _hierarchical(config, prompts, level)
        else:
            check_path_reward(config, verifier)
            make_solver = _searching(config, prompts, level, verifier)
        examples = level.examples
    if config.values_answers:
        make_solver = _valuing(config, make_solver)
    return Run(config, problems, verifier, tuple(notes), settings, prices, make_solver, examples)


def _doubts(config: RunConfig) -> list[str]:
    """What the user should know of the model and what it is asked."""
    notes = []
    if config.is_bundled_model and config.input_file.resolve().parent != TEST_PROBLEMS.parent.resolve():
        notes.append(
            "the bundled model knows its own three kinds of problems alone, and answers any other with nonsense; name "
            "another with --model_name"
        )
    settings = read_model_settings(config.reasoner.model_path)
    if settings is not None and config.n_examples > settings.num_icl_examples and not config.vanilla_baseline:
        notes.append(
            f"this model was trained with {settings.num_icl_examples} in-context examples per thought type, and is "
            f"shown {config.n_examples} (--num_icl_examples)"
        )
    return notes


@dataclass(frozen=True)
class _Level:
    """The options of a run, who plans among them, and the examples of each."""

    options: tuple[ThoughtType, ...]
    planner: Planner | None
    """None where a model plans."""
    examples: Examples
    transitions: TransitionCounts | None = None
    """What the planner markov goes by."""


def _level(
    config: RunConfig, problems: ProblemSet, chosen: LevelExamples | None
) -> tuple[_Level, tuple[str, ...]]:
    if config.planner == "untyped":
        return _Level((UNTYPED,), None, {}), ()
    taxonomy = load_taxonomy(config.tree_model_path)
    options = taxonomy.at_level(config.label_level)
    transitions, notes = _transitions(config, taxonomy)
    planner = _planner_without_model(config, taxonomy, transitions, problems)
    examples, more_notes = shown_examples(config, options, chosen)
    return _Level(options, planner, examples, transitions), (*notes, *more_notes)


def _planner_without_model(
    config: RunConfig, taxonomy: Taxonomy, transitions: TransitionCounts | None, problems: ProblemSet
) -> Planner | None:
    from hierarchical_reasoning.planners.without_model import FixedPlanner, MarkovPlanner, UniformPlanner

    if config.planner == "uniform":
        return UniformPlanner(config.seed)
    if config.planner == "fixed":
        return FixedPlanner.parse(config.planner_sequence, taxonomy, config.label_level)
    if transitions is not None:
        return MarkovPlanner(transitions, config.seed)
    if config.planner == "teacher":
        from hierarchical_reasoning.planners.teacher import TeacherPlanner

        TeacherPlanner.check(problems.problems)
        return TeacherPlanner(taxonomy, config.label_level)
    return None


def _transitions(config: RunConfig, taxonomy: Taxonomy) -> tuple[TransitionCounts | None, tuple[str, ...]]:
    """For the planner markov, what follows what: in the rollouts that are named, or else in the chunks that came
    with the taxonomy."""
    if config.planner != "markov":
        return None, ()
    if config.rollouts_file is not None:
        reading = read_inputs([config.rollouts_file], flag="--rollouts_file")
        return label_transition_counts(reading.rollouts, taxonomy, config.label_level), reading.notes
    try:
        return table_transition_counts(taxonomy, config.tree_model_path, config.label_level), ()
    except TaxonomyFileError as error:
        raise ConfigError(
            f"the planner markov: {error}; name labeled rollouts with --rollouts_file"
        ) from error


def _vanilla(config: RunConfig, prompts: Prompts) -> Callable[[Backends, Observer], Solver]:
    return lambda backends, observer: VanillaSolver(
        make_reasoner(config, prompts, backends.reasoner, {}, observer, top_p=config.top_p)
    )


def _hierarchical(
    config: RunConfig, prompts: Prompts, level: _Level
) -> Callable[[Backends, Observer], Solver]:
    def make(backends: Backends, observer: Observer) -> Solver:
        reasoner = make_reasoner(
            config, prompts, backends.reasoner, level.examples, observer, top_p=config.top_p
        )
        max_steps, seed = config.max_reasoning_steps, config.seed
        if config.joint:
            return JointSolver(reasoner, level.options, max_reasoning_steps=max_steps, seed=seed)
        planner = level.planner or _model_planner(config, prompts, backends.planner, observer)
        return HierarchicalSolver(planner, reasoner, level.options, max_reasoning_steps=max_steps, seed=seed)

    return make


def _searching(
    config: RunConfig, prompts: Prompts, level: _Level, verifier: Verifier
) -> Callable[[Backends, Observer], Solver]:
    def make(backends: Backends, observer: Observer) -> Solver:
        from hierarchical_reasoning.search.assembly import make_search

        reasoner = make_reasoner(
            config, prompts, backends.reasoner, level.examples, observer, top_p=config.top_p
        )

        def planner(paid: Callable[[Backend], Backend]) -> Planner:
            return level.planner or _model_planner(config, prompts, paid(backends.planner), observer)

        temperature = 1.0 if level.planner else config.planner_sampling_temperature
        return make_search(config, backends, verifier, reasoner, level.options, planner, temperature)

    return make


def _valuing(
    config: RunConfig, make_solver: Callable[[Backends, Observer], Solver]
) -> Callable[[Backends, Observer], Solver]:
    def make(backends: Backends, observer: Observer) -> Solver:
        from hierarchical_reasoning.values.assembly import valued

        return valued(make_solver(backends, observer), config, backends)

    return make


def _model_planner(config: RunConfig, prompts: Prompts, backend: Backend, observer: Observer) -> Planner:
    from hierarchical_reasoning.planners.model import ModelPlanner

    sampling = Sampling(
        temperature=config.planner_sampling_temperature,
        seed=config.seed,
        max_tokens=config.max_choice_tokens,
    )
    return ModelPlanner(backend, prompts, sampling, observer)
