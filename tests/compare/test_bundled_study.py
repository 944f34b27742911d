"""A study on the bundled model, as it is typed."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner
from scripted_study import results_of

from hierarchical_reasoning.cli.main import main
from hierarchical_reasoning.compare import open_study
from hierarchical_reasoning.results.reader.run_files import open_run


def test_arms_of_the_bundled_model_are_what_the_main_command_makes_of_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    common = ["--n_rows", "3", "--max_concurrency", "3"]
    study = ["compare", "--output", "study", "--arms", "vanilla,3,maj@2", "--no_matched", "--processes", "1"]
    told = CliRunner().invoke(main, [*study, *common])
    assert told.exit_code == 0, told.output
    assert (tmp_path / "study" / "report" / "index.html").exists()
    assert open_study("study").record.is_finished
    for arm, flags in {"vanilla": ["--vanilla_baseline"], "3": ["--label_level", "3"]}.items():
        alone = CliRunner().invoke(main, ["run", "--cache_dir", arm, *flags, *common])
        assert alone.exit_code == 0, alone.output
        (path,) = (tmp_path / arm).glob("results_*.json")
        assert [
            (one.problem_id, one.final_response, one.thoughts, one.outcome)
            for one in open_run(path).entries()
        ] == [
            (one.problem_id, one.final_response, one.thoughts, one.outcome)
            for one in results_of(tmp_path / "study", arm)
        ]
