from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from problem_files import ROWS, TEXTS, write

from hierarchical_reasoning.cli.main import main
from hierarchical_reasoning.problems import read_problems

GSM8K = [{"question": f"{n} + 1? ½", "answer": f"It is <<{n}+1={n + 1}>>.\n#### {n + 1}"} for n in range(57)]


def prepare(*arguments: object) -> Result:
    return CliRunner().invoke(main, ["prepare-data", *map(str, arguments)])


def texts(path: Path) -> list[str]:
    return [problem.text for problem in read_problems(path).problems]


def as_published(rows: list[dict[str, Any]], output: Path) -> None:
    """The division of the published script, word for word but for the paths."""
    train_data = rows[: int(0.9 * len(rows))]
    val_data = rows[int(0.9 * len(rows)) :]
    for name, data in (("gsm8k_train.jsonl", train_data), ("gsm8k_val.jsonl", val_data)):
        with (output / name).open("w") as f:
            for item in data:
                f.write(json.dumps(item) + "\n")


@pytest.mark.parametrize("name", ["gsm8k.jsonl", "gsm8k_train.jsonl.gz", "gsm8k.parquet"])
def test_the_division_is_that_of_the_published_script(tmp_path: Path, name: str) -> None:
    output = tmp_path / "new" / "data"
    result = prepare(write(tmp_path / name, GSM8K), "--output", output)
    assert result.exit_code == 0, result.output
    as_published(GSM8K, tmp_path)
    for split in ("gsm8k_train.jsonl", "gsm8k_val.jsonl"):
        assert (output / split).read_bytes() == (tmp_path / split).read_bytes()
    assert sorted(path.name for path in output.iterdir()) == ["gsm8k_train.jsonl", "gsm8k_val.jsonl"]
    assert f"51 problems to train on: {output / 'gsm8k_train.jsonl'}" in result.output
    assert f"6 problems to measure with: {output / 'gsm8k_val.jsonl'}" in result.output
    assert "problem shape: gsm8k" in result.output


def test_what_is_written_reads_as_what_was_read(tmp_path: Path) -> None:
    path = write(tmp_path / "p.csv", [*TEXTS, {"id": "d", "prompt": "x"}])
    result = prepare(path, "--output", tmp_path, "--train_share", "0.5", "--name", "halves")
    assert "note: 1 problem without an answer" in result.output
    train, val = (read_problems(tmp_path / f"halves_{part}.jsonl") for part in ("train", "val"))
    before = read_problems(path).problems
    after = (*train.problems, *val.problems)
    assert [(p.id, p.text, p.answer, p.category) for p in after] == [
        (p.id, p.text, p.answer, p.category) for p in before
    ]


def test_a_seed_draws_and_keeps_the_order(tmp_path: Path) -> None:
    path = write(tmp_path / "gsm8k.jsonl", GSM8K)
    everything = texts(path)
    for folder, seed in (("a", 1), ("b", 1), ("c", 2)):
        assert prepare(path, "--output", tmp_path / folder, "--seed", seed).exit_code == 0
    drawn = {folder: texts(tmp_path / folder / "gsm8k_val.jsonl") for folder in "abc"}
    assert drawn["a"] == drawn["b"] != drawn["c"]
    assert drawn["a"] == [text for text in everything if text in drawn["a"]] != everything[-6:]
    assert sorted(texts(tmp_path / "a" / "gsm8k_train.jsonl") + drawn["a"]) == sorted(everything)


def test_nothing_is_overwritten_unasked(tmp_path: Path) -> None:
    path = write(tmp_path / "p.jsonl", ROWS)
    output = tmp_path / "out"
    assert prepare(path, "--output", output).exit_code == 0
    (output / "p_train.jsonl").unlink()
    again = prepare(path, "--output", output)
    assert again.exit_code == 2
    assert "p_val.jsonl is there already; replace it with --overwrite" in again.output
    assert not (output / "p_train.jsonl").exists()
    assert prepare(path, "--output", output, "--overwrite").exit_code == 0
    own = prepare(output / "p_train.jsonl", "--output", output, "--overwrite")
    assert own.exit_code == 2
    assert "is the file that is read" in own.output


def test_a_bad_row_leaves_nothing_behind(tmp_path: Path) -> None:
    path = write(tmp_path / "p.jsonl", [*ROWS, {"id": "a", "prompt": "again"}])
    result = prepare(path, "--output", tmp_path / "out")
    assert result.exit_code == 2
    assert "line 4: the id 'a' is also that of line 1" in result.output
    assert list((tmp_path / "out").iterdir()) == []


def test_problems_in_both_files_are_counted(tmp_path: Path) -> None:
    path = write(tmp_path / "p.jsonl", [{"prompt": text} for text in "abca"])
    result = prepare(path, "--output", tmp_path / "out")
    assert "note: 1 of the problems to measure with" in result.output


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--train_share", "1.0"], "--train_share 1.0 must lie between 0 and 1"),
        (["--train_share", "x"], "--train_share 'x' is no decimal"),
        (["--train_share", "1/0"], "--train_share '1/0' is no decimal"),
        (["--train_share", "1e-999999999"], "--train_share '1e-999999999' is no decimal"),
        (["--train_share", "0." + "9" * 100_000], "is no decimal"),
        (["--name", "../esc"], "--name '../esc' must be the beginning of a file's name"),
        (["--name", r"a\b"], "must be the beginning of a file's name"),
        (["--name", ""], "must be the beginning of a file's name"),
        (["--train_share", "0.2"], "--train_share 0.2 of 3 problems leaves 0 to train on and 3"),
        (["--answer_field", "truth"], "--answer_field 'truth' is in no row"),
        (["--problem_shape", "gsm8k"], "--problem_shape gsm8k needs solutions"),
    ],
)
def test_mistakes_are_named(tmp_path: Path, arguments: list[str], message: str) -> None:
    path = write(tmp_path / "p.jsonl", ROWS)
    result = prepare(path, "--output", tmp_path / "out", *arguments)
    assert result.exit_code == 2
    assert message in " ".join(result.output.split())


def test_an_output_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    path = write(tmp_path / "p.jsonl", ROWS)
    result = prepare(path, "--output", path)
    assert result.exit_code == 2
    assert "cannot be written" in result.output


@pytest.mark.shared_data
def test_gsm8k_itself(shared_data: Path, tmp_path: Path) -> None:
    path = shared_data / "problems" / "gsm8k_train.jsonl.gz"
    result = prepare(path, "--output", tmp_path)
    assert "6,725 problems to train on" in result.output
    (tmp_path / "published").mkdir()
    with gzip.open(path, "rt", encoding="utf-8") as handle:
        as_published([json.loads(line) for line in handle], tmp_path / "published")
    for split in ("gsm8k_train.jsonl", "gsm8k_val.jsonl"):
        assert (tmp_path / split).read_bytes() == (tmp_path / "published" / split).read_bytes()
    assert len(texts(tmp_path / "gsm8k_val.jsonl")) == 748
