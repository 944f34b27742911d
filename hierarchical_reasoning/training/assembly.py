"""From a configuration to the parts of a training run.

Whatever is wrong with what the user gave is found here, before a model is loaded.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hierarchical_reasoning.backends import Backends
from hierarchical_reasoning.errors import ConfigError
from hierarchical_reasoning.journal.file import fingerprint
from hierarchical_reasoning.model_combinations import (
    check_models,
    model_flag,
    notes_on_unused,
    unused_model_settings,
)
from hierarchical_reasoning.problems import Problem, ProblemSet, read_problems
from hierarchical_reasoning.prompts import Prompts
from hierarchical_reasoning.reasoning_config import BUNDLED
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
from hierarchical_reasoning.training.config import GrpoConfig
from hierarchical_reasoning.training.patience import Waiting
from hierarchical_reasoning.training.rollouts import Rollouts
from hierarchical_reasoning.verifiers import Verifier, verifier_for
from llm_backends import Backend, Price
from llm_backends.local.loading import find_device
from llm_backends.model_files import model_files
from taxonomy import ThoughtType, load_taxonomy
from taxonomy.examples import LevelExamples

_FREE_TO_PLAN = Price(input=0, output=0)


@dataclass(frozen=True)
class TrainingParts:
    """What a training run is made of, checked, short of its models."""

    config: GrpoConfig
    problems: tuple[Problem, ...]
    held_out: tuple[Problem, ...]
    verifier: Verifier
    prompts: Prompts
    options: tuple[ThoughtType, ...]
    examples: Examples
    settings: Mapping[str, Any]
    """All that can change the weights: a resumed run must share it."""
    prices: Mapping[str, Price | None]
    """By role; None where a model has no known price."""
    notes: tuple[str, ...]
    """What the user should know before it starts."""
    examples_spent: RoleUsage | None = None
    """What choosing the in-context examples took."""

    def rollouts(
        self,
        planner: Backend,
        backends: Backends,
        waiting: Callable[[Waiting], None] = lambda waiting: None,
    ) -> Rollouts:
        """
        Args:
            planner: runs the weights that are trained.
            backends: of the reasoner, and of the judge where there is one.
            waiting: told when nothing is asked for a while, since calls fail.
        """
        config = self.config
        return Rollouts(
            planner=planner,
            reasoner=make_reasoner(config, self.prompts, backends.reasoner, self.examples),
            verifier=self.verifier.judged_by(backends.judge),
            options=self.options,
            label_level=config.label_level,
            max_steps=config.max_steps_per_episode,
            length_reward_weight=config.length_reward_weight,
            max_concurrency=config.max_concurrency,
            seed=config.seed,
            prices=self.prices,
            patience_s=config.reasoner_patience,
            waiting=waiting,
        )


def check_training(config: GrpoConfig) -> None:
    """Find whatever is wrong with what the user gave, before anything is started or spent. Raises as
    `assemble_training`."""
    assemble_training(config, no_examples(config))


async def prepare_training(config: GrpoConfig, *, serving: GrpoConfig | None = None) -> TrainingParts:
    """As :func:`assemble_training`, and have the high-level model choose the in-context examples, where one was asked
    for.

    Args:
        config: of the training run.
        serving: the same with the address of a server that was started for it.

    Raises:
        UsageError, TaxonomyError, BackendError: as `assemble_training`, and what the high-level model raises.
    """
    return await with_examples_by_model(assemble_training, config, serving)


def assemble_training(config: GrpoConfig, chosen_examples: LevelExamples | None = None) -> TrainingParts:
    """Read and check everything that training needs, short of its models.

    Args:
        config: of the training run.
        chosen_examples: those of the level; None: they are chosen here, without a model.

    Raises:
        UsageError: files, settings or combinations of them that cannot be used.
        TaxonomyError: the taxonomy cannot be used, or lacks the level.
        BackendError: there is no such backend, or a key is missing.
    """
    unused = _check_settings(config)
    problems, held_out, notes = _read(config)
    verifier, verifier_note = verifier_for(
        config.ground_truth_format, (*problems, *held_out), number_tolerance=config.number_tolerance
    )
    _check_graded(verifier, (*problems, *held_out))
    prompts = Prompts(config.prompt_style, verifier.answer_form, config.prompts_dir)
    options = load_taxonomy(config.tree_model_path).at_level(config.label_level)
    prompts.check(problems[0], options[0])
    examples, example_notes = shown_examples(config, options, chosen_examples)
    settings = config.affecting_weights() | {
        "problems_sha256": fingerprint({"problems": [[p.id, p.text, p.answers] for p in problems]}),
        "answer_format": verifier.format,
        "prompts_sha256": prompts.sha256,
        "options": [[option.node_id, option.name, option.description] for option in options],
        "examples": {name: list(texts) for name, texts in examples.items()},
        "models": _identities(config),
    }
    return TrainingParts(
        config,
        problems,
        held_out,
        verifier,
        prompts,
        options,
        examples,
        settings,
        {"planner": _FREE_TO_PLAN} | prices_by_role(config),
        (*unused, *notes, verifier_note, *example_notes),
    )


def _check_settings(config: GrpoConfig) -> tuple[str, ...]:
    """Notes on settings that have no effect."""
    if config.sample_action and config.planner_sampling_temperature == 0:
        flag = "--temperature" if config.planner_temperature is None else "--planner_temperature"
        raise ConfigError(
            f"{flag} 0 with --sample_action: at temperature 0 the planner samples nothing, and rollouts that are "
            f"all alike teach nothing; give a {flag} above 0"
            + (", or a --planner_temperature" if flag == "--temperature" else "")
        )
    check_models(config)
    find_device(config.device)
    _check_model("--planner_model_name", config.planner_model_name, config.planner_path)
    if config.framework == "local":
        _check_model(model_flag(config, "reasoner"), config.main_model_name, config.reasoner.model_path)
    # The planner runs in this process, on the device.
    unused = unused_model_settings(config) - {"device"}
    return notes_on_unused(config, unused, f"--llm_framework {config.framework}")


def _identities(config: GrpoConfig) -> dict[str, object]:
    """What the models are. Where a server is may change from one session to the next."""
    identities = {
        role: {name: value for name, value in identity.items() if name != "base_url"}
        for role, identity in model_identities(config).items()
    }
    return {"planner": model_files(config.planner_path), **identities}


def _check_model(flag: str, name: str, model_path: str) -> None:
    path = Path(model_path)
    if (path / "config.json").is_file():
        return
    if name == BUNDLED:
        raise ConfigError(
            f"the bundled model is not at {path}; make it with `python -m hierarchical_reasoning.sample_tasks "
            f"model`, or name another with {flag}"
        )
    if path.exists() or path.is_absolute() or name.startswith((".", "~")) or name.count("/") > 1:
        raise ConfigError(
            f"{flag} {name!r} is no model folder: it has no config.json; give a folder that "
            "transformers can load, or a Hugging Face name"
        )


def _read(config: GrpoConfig) -> tuple[tuple[Problem, ...], tuple[Problem, ...], tuple[str, ...]]:
    """Problems to train on, problems held out, and notes."""
    n_rows, rows_flag = config.n_rows, "--n_rows"
    if config.held_out_file is None and config.eval_rows:
        n_rows, rows_flag = n_rows + config.eval_rows, "--n_rows + --eval_rows"
    everything = _read_file(
        config,
        config.data_file,
        n_rows,
        flag="--data_file",
        rows_flag=rows_flag,
        sample_ids=config.sample_id,
    )
    notes = [f"problems to train on: {note}" for note in everything.notes]
    problems = everything.problems if config.sample_id else everything.problems[: config.n_rows]
    if config.eval_rows == 0:
        held_out: tuple[Problem, ...] = ()
        notes.append("--eval_rows 0: nothing is measured on held-out problems")
    elif config.held_out_file is not None:
        found = _read_file(
            config, config.held_out_file, config.eval_rows, flag="--eval_file", rows_flag="--eval_rows"
        )
        held_out = found.problems
        notes += [f"held-out problems: {note}" for note in found.notes]
    else:
        held_out = everything.problems[len(problems) :]
        if not held_out:
            raise ConfigError(
                f"all {len(problems)} problems of {config.data_file} are trained on, and none is left to measure "
                "with; lower --n_rows, name a file with --eval_file, or give --eval_rows 0"
            )
    _check_not_trained_on(config, problems, held_out)
    return problems, held_out, tuple(notes)


def _read_file(
    config: GrpoConfig,
    path: Path,
    n_rows: int,
    *,
    flag: str,
    rows_flag: str,
    sample_ids: tuple[str, ...] = (),
) -> ProblemSet:
    return read_problems(
        path,
        category=config.category,
        n_rows=n_rows,
        sample_ids=sample_ids,
        shuffle_seed=config.seed if config.shuffle else None,
        shape=config.problem_shape,
        problem_field=config.problem_field,
        answer_field=config.answer_field,
        flag=flag,
        rows_flag=rows_flag,
    )


def _check_graded(verifier: Verifier, problems: Sequence[Problem]) -> None:
    for problem in problems:
        if verifier.ground_truth(problem) is None:
            raise ConfigError(
                f"problem {problem.id} has no ground truth, so nothing could reward its rollouts; every problem "
                "of --data_file and --eval_file needs one"
            )


def _check_not_trained_on(
    config: GrpoConfig, problems: Sequence[Problem], held_out: Sequence[Problem]
) -> None:
    trained_on = {problem.text for problem in problems}
    leaked = [problem.id for problem in held_out if problem.text in trained_on]
    if leaked:
        raise ConfigError(
            f"{len(leaked)} of {len(held_out)} held-out problems are trained on as well (the first is {leaked[0]}); "
            f"give another --eval_file than {config.held_out_file or config.data_file}"
        )
