"""What a training run is asked: problems to train on, problems held out, and what grades both."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from hierarchical_reasoning.errors import ConfigError
from hierarchical_reasoning.journal.file import fingerprint
from hierarchical_reasoning.problems import Problem, ProblemSet, read_problems
from hierarchical_reasoning.training.config import TrainingConfig
from hierarchical_reasoning.verifiers import Verifier, verifier_for


@dataclass(frozen=True)
class ProblemSets:
    """Read and checked; every problem has a ground truth, and none is in both."""

    problems: tuple[Problem, ...]
    held_out: tuple[Problem, ...]
    verifier: Verifier
    notes: tuple[str, ...]

    @property
    def sha256(self) -> str:
        """Of those that are trained on."""
        return fingerprint({"problems": [[p.id, p.text, p.answers] for p in self.problems]})


def read_problem_sets(config: TrainingConfig) -> ProblemSets:
    """
    Raises:
        UsageError: a file cannot be used, a problem has no ground truth, or one that is held out is trained on.
    """
    problems, held_out, notes = _read(config)
    verifier, note = verifier_for(
        config.ground_truth_format, (*problems, *held_out), number_tolerance=config.number_tolerance
    )
    _check_graded(verifier, (*problems, *held_out))
    return ProblemSets(problems, held_out, verifier, (*notes, note))


def _read(
    config: TrainingConfig,
) -> tuple[tuple[Problem, ...], tuple[Problem, ...], tuple[str, ...]]:
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
    if config.eval_rows == 0 and config.val_only:
        raise ConfigError("--val_only measures with held-out problems, and --eval_rows is 0; raise it")
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
    config: TrainingConfig,
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
    config: TrainingConfig, problems: Sequence[Problem], held_out: Sequence[Problem]
) -> None:
    trained_on = {problem.text for problem in problems}
    leaked = [problem.id for problem in held_out if problem.text in trained_on]
    if leaked:
        raise ConfigError(
            f"{len(leaked)} of {len(held_out)} held-out problems are trained on as well (the first is {leaked[0]}); "
            f"give another --eval_file than {config.held_out_file or config.data_file}"
        )
