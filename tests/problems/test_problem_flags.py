"""The flags of the commands that read problems."""

from __future__ import annotations

from pathlib import Path

from click.testing import CliRunner
from problem_files import TEXTS, write

from hierarchical_reasoning.assembly import assemble
from hierarchical_reasoning.cli.main import main
from hierarchical_reasoning.config import RunConfig
from hierarchical_reasoning.training.config import GrpoConfig
from hierarchical_reasoning.training.planner.assembly import assemble_training

NUMBERED = [{"prompt": f"{n} + 1?", "answer": f"It is so.\n#### {n + 1}"} for n in range(30)]


def test_a_run_takes_what_its_flags_say(tmp_path: Path) -> None:
    path = write(tmp_path / "p.csv", NUMBERED)
    base = {"input_file": path, "cache_dir": tmp_path, "vanilla_baseline": True}
    one = assemble(RunConfig(**base, sample_id=("row-4",)))
    assert [problem.answer for problem in one.problems.problems] == ["2"]
    drawn = [assemble(RunConfig(**base, shuffle=True, seed=seed)) for seed in (1, 1, 2)]
    first, same, other = ([problem.id for problem in run.problems.problems] for run in drawn)
    assert first == same != other
    assert len(first) == 10


def test_which_problems_are_taken_is_not_part_of_what_a_run_is_but_how_they_are_read_is(
    tmp_path: Path,
) -> None:
    path = write(tmp_path / "p.jsonl", NUMBERED)
    plain = RunConfig(input_file=path).affecting_output()
    assert RunConfig(input_file=path, sample_id=("row-1",)).affecting_output() == plain
    assert RunConfig(input_file=path, shuffle=True).affecting_output() != plain
    assert RunConfig(input_file=path, problem_shape="plain").affecting_output() != plain


def test_the_config_of_a_run_runs_it_again(tmp_path: Path) -> None:
    config = RunConfig(sample_id=("a", "b"), shuffle=True, problem_shape="gsm8k")
    assert RunConfig.model_validate(config.model_dump(mode="json")) == config


def test_training_reads_the_same_files(tmp_path: Path) -> None:
    path = write(tmp_path / "p.parquet", NUMBERED)
    config = {"data_file": path, "n_rows": 5, "eval_rows": 4, "cache_dir": tmp_path}
    parts = assemble_training(GrpoConfig(**config))
    assert [problem.answer for problem in parts.problems] == ["1", "2", "3", "4", "5"]
    assert [problem.answer for problem in parts.held_out] == ["6", "7", "8", "9"]
    drawn = assemble_training(GrpoConfig(**config, shuffle=True))
    assert [problem.id for problem in drawn.problems] != [problem.id for problem in parts.problems]
    assert not {problem.id for problem in drawn.problems} & {problem.id for problem in drawn.held_out}


def test_mistakes_end_with_one_line_and_status_2(tmp_path: Path) -> None:
    path = write(tmp_path / "p.csv", TEXTS)
    for arguments, message in (
        (["--sample_id", "a", "--sample_id", "d"], "--sample_id 'd': no problem of"),
        (["--problem_shape", "game24"], "--problem_shape game24 needs a `Puzzles`"),
    ):
        command = ["run", "--input_file", str(path), "--cache_dir", str(tmp_path), *arguments]
        result = CliRunner().invoke(main, command)
        assert result.exit_code == 2
        assert result.output.count("\n") == 1
        assert message in result.output
