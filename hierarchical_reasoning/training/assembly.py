"""From a configuration to the parts of a training run.

Whatever is wrong with what the user gave is found here, before a model is loaded.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from hierarchical_reasoning.config import BUNDLED, JUDGE
from hierarchical_reasoning.errors import ConfigError
from hierarchical_reasoning.problems import Problem, ProblemSet, read_problems
from hierarchical_reasoning.prompts import Prompts
from hierarchical_reasoning.reasoner import Reasoner
from hierarchical_reasoning.training.config import GrpoConfig
from hierarchical_reasoning.training.rollouts import Rollouts
from hierarchical_reasoning.verifiers import FORMATS, Verifier, verifier_for
from llm_backends import Backend, Sampling
from llm_backends.local.loading import find_device
from taxonomy import ThoughtType, load_taxonomy


@dataclass(frozen=True)
class TrainingParts:
    """What a training run is made of, checked, short of its models."""

    config: GrpoConfig
    problems: tuple[Problem, ...]
    held_out: tuple[Problem, ...]
    verifier: Verifier
    prompts: Prompts
    options: tuple[ThoughtType, ...]
    examples: Mapping[str, Sequence[str]]
    notes: tuple[str, ...]
    """What the user should know before it starts."""

    def rollouts(self, planner: Backend, reasoner: Backend) -> Rollouts:
        """Episodes by these two backends, which may be one."""
        config = self.config
        return Rollouts(
            planner=planner,
            reasoner=Reasoner(
                reasoner,
                self.prompts,
                Sampling(temperature=config.reasoning_temperature, seed=config.seed),
                max_thought_tokens=config.max_thought_tokens,
                max_answer_tokens=config.max_answer_tokens,
                examples=self.examples,
            ),
            verifier=self.verifier,
            options=self.options,
            max_steps=config.max_steps_per_episode,
            length_reward_weight=config.length_reward_weight,
            max_concurrency=config.max_concurrency,
            seed=config.seed,
        )


def assemble_training(config: GrpoConfig) -> TrainingParts:
    """Read and check everything that training needs, short of its models.

    Raises:
        UsageError: files, settings or combinations of them that cannot be used.
        TaxonomyError: the taxonomy cannot be used, or lacks the level.
    """
    _check_settings(config)
    problems, held_out, notes = _read(config)
    verifier, verifier_note = verifier_for(config.ground_truth_format, (*problems, *held_out))
    _check_graded(verifier, (*problems, *held_out))
    prompts = Prompts("chat", verifier.answer_form)
    options = load_taxonomy(config.tree_model_path).at_level(config.label_level)
    prompts.check(problems[0], options[0])
    examples, example_notes = _examples(config)
    return TrainingParts(
        config,
        problems,
        held_out,
        verifier,
        prompts,
        options,
        examples,
        (*notes, verifier_note, *example_notes),
    )


def _check_settings(config: GrpoConfig) -> None:
    if config.llm_framework != "local":
        raise ConfigError(
            f"--llm_framework {config.llm_framework!r}: the reasoner of a training run is run by the backend "
            "local in this version; take --llm_framework local"
        )
    if config.sample_action and config.temperature == 0:
        raise ConfigError(
            "--temperature 0 with --sample_action: at temperature 0 nothing is sampled, and rollouts that are "
            "all alike teach nothing; give a --temperature above 0"
        )
    if (config.ground_truth_format or "").strip().lower() == JUDGE:
        raise ConfigError(
            "--ground_truth_format judge: the rewards of a training run are computed in this version, not judged by a "
            f"model; choose another of {', '.join(FORMATS)}"
        )
    find_device(config.device)
    for flag, name in (
        ("--planner_model_name", config.planner_model_name),
        ("--reasoning_model_name", config.reasoning_model_name),
    ):
        _check_model(flag, name, Path(config.planner_path if "planner" in flag else config.reasoner_path))


def _check_model(flag: str, name: str, path: Path) -> None:
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
    everything = _read_file(config, config.data_file, n_rows, flag="--data_file", rows_flag=rows_flag)
    notes = [f"problems to train on: {note}" for note in everything.notes]
    problems = everything.problems[: config.n_rows]
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
        held_out = everything.problems[config.n_rows :]
        if not held_out:
            raise ConfigError(
                f"all {len(problems)} problems of {config.data_file} are trained on, and none is left to measure "
                "with; lower --n_rows, name a file with --eval_file, or give --eval_rows 0"
            )
    _check_not_trained_on(config, problems, held_out)
    return problems, held_out, tuple(notes)


def _read_file(config: GrpoConfig, path: Path, n_rows: int, *, flag: str, rows_flag: str) -> ProblemSet:
    return read_problems(
        path,
        category=config.category,
        n_rows=n_rows,
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


def _examples(config: GrpoConfig) -> tuple[Mapping[str, Sequence[str]], tuple[str, ...]]:
    if config.n_examples == 0:
        return {}, ()
    from taxonomy.examples import examples_for_level

    chosen = examples_for_level(config.tree_model_path, config.label_level, cache_dir=config.cache_dir)
    return chosen.shown(config.n_examples), chosen.notes
