from __future__ import annotations

import asyncio
import gzip
import json
import subprocess
import sys
import textwrap
from pathlib import Path
from typing import Any

import chess
import pytest
from click.testing import CliRunner, Result
from scripted_run import config_for, run_with

from hierarchical_reasoning.cli.main import main
from hierarchical_reasoning.results.reader import open_run
from llm_backends import Completion, FinishReason, Request, ScriptedBackend, Usage, registry

NUMBERS = [
    {"id": "a", "prompt": "1 + 1?", "answer": "2", "prediction": r"so \boxed{2}"},
    {"id": "b", "prompt": "1 + 2?", "answer": 3, "prediction": "The answer is 4."},
    {"question": "What?", "answer": "1,000", "prediction": "maybe 1000"},
    {"id": "d", "prompt": "1 + 3?", "answer": "4", "prediction": "no idea"},
    {"id": "e", "prompt": "1 + 3?", "answer": "4", "prediction": "First 4 and", "truncated": True},
    {"id": "f", "prompt": "1 + 3?", "prediction": 4},
]


def write(path: Path, rows: list[dict[str, Any]]) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def run(*arguments: object) -> Result:
    return CliRunner().invoke(main, ["grade", *map(str, arguments)])


def graded(file: Path, answer_format: str, *arguments: object) -> list[dict[str, Any]]:
    output = file.parent / "grades.jsonl"
    result = run(file, "--ground_truth_format", answer_format, "--output", output, "--overwrite", *arguments)
    assert result.exit_code == 0, result.output
    return [json.loads(line) for line in output.read_text().splitlines()]


def test_a_line_comes_out_for_each_line_in_their_order(tmp_path: Path) -> None:
    file, output = write(tmp_path / "answers.jsonl", NUMBERS), tmp_path / "grades.jsonl"
    result = run(file, "--ground_truth_format", "number", "--output", output)
    assert result.exit_code == 0
    lines = [json.loads(line) for line in output.read_text().splitlines()]
    assert [set(line) for line in lines] == [{"id", "outcome", "extracted", "reason", "how"}] * 6
    assert [(line["id"], line["outcome"], line["extracted"], line["how"]) for line in lines] == [
        ("a", "correct", "2", r"\boxed{}"),
        ("b", "wrong", "4", "the answer is"),
        ("row-3", "correct", "1000", "last number"),
        ("d", "no_answer", None, ""),
        ("e", "truncated", None, ""),
        ("f", "ungraded", "4", "last number"),
    ]
    assert lines[1]["reason"] == "another number: 4, not 3"
    assert result.stdout == ""
    assert "6 predictions: accuracy 40.0 % [11.8, 76.9] (2 of 5); correct 2" in result.stderr
    assert str(output) in result.stderr


def test_how_the_file_is_read_is_said(tmp_path: Path) -> None:
    rows = [{"question": "What?", "answer": "work\n#### 1,000", "prediction": "maybe 1000"}]
    result = run(write(tmp_path / "a.jsonl", rows), "--ground_truth_format", "number", "--output", "-")
    assert json.loads(result.stdout)["outcome"] == "correct"
    assert "note: " in result.stderr
    assert "####" in result.stderr


def test_a_dash_is_stdout_and_gz_is_read(tmp_path: Path) -> None:
    file = tmp_path / "answers.jsonl.gz"
    file.write_bytes(gzip.compress(b"".join(json.dumps(row).encode() + b"\n" for row in NUMBERS)))
    result = run(file, "--ground-truth-format", "number", "--output", "-")
    assert result.exit_code == 0
    assert [json.loads(line)["id"] for line in result.stdout.splitlines()] == [
        "a",
        "b",
        "row-3",
        "d",
        "e",
        "f",
    ]


def test_every_format_grades_and_a_text_is_not_needed(tmp_path: Path) -> None:
    rows: dict[str, dict[str, Any]] = {
        "number": {"answer": "1/2", "prediction": "0.5"},
        "math": {"answer": r"2\sqrt{3}", "prediction": r"\boxed{\sqrt{12}}"},
        "chess coordinate notation": {"answer": "e4", "fen": chess.STARTING_FEN, "prediction": "e2-e4"},
        "choice": {"answer": "Rome", "choices": ["Oslo", "Rome"], "prediction": "The answer is (B)."},
        "countdown": {"numbers": [1, 1, 4, 6], "target": 24, "prediction": "6*4*1*1 = 24"},
        "text": {"answer": "Rome", "prediction": "rome"},
    }
    for answer_format, row in rows.items():
        file = write(tmp_path / "answers.jsonl", [row, {**row, "prediction": "nonsense 9\nand so on"}])
        good, bad = graded(file, answer_format)
        assert (good["outcome"], bad["outcome"] in ("wrong", "no_answer")) == ("correct", True), answer_format


def test_fields_have_other_names_and_numbers_a_tolerance(tmp_path: Path) -> None:
    row = {"q": "?", "gold": "100", "model": "100.5", "prediction": "7"}
    file = write(tmp_path / "answers.jsonl", [row])
    flags = ("--prediction_field", "model", "--answer_field", "gold", "--problem_field", "q")
    assert [line["outcome"] for line in graded(file, "number", *flags)] == ["wrong"]
    assert [line["outcome"] for line in graded(file, "number", *flags, "--number_tolerance", "0.01")] == [
        "correct"
    ]


def test_all_wrong_for_one_reason_is_said_loudly(tmp_path: Path) -> None:
    rows = [{"prompt": "?", "answer": "1", "prediction": "I like\ntalking"} for _ in range(3)]
    result = run(
        write(tmp_path / "a.jsonl", rows),
        "--ground_truth_format",
        "number",
        "--output",
        tmp_path / "out.jsonl",
    )
    assert "ATTENTION ALL 3 failed for the same reason (no_answer: no answer found" in result.stderr


@pytest.mark.parametrize(
    ("line", "message"),
    [
        (
            '{"prompt": "?", "answer": "1"}',
            "line 2: `prediction` is missing; name the field with --prediction_field",
        ),
        ('{"prompt": "?", "answer": "1", "prediction": [1]}', "line 2: `prediction` must be text, not list"),
        (
            '{"prompt": "?", "answer": "x", "prediction": "1"}',
            "line 2: problem 'row-2': the answer 'x' is not one number",
        ),
        (
            '{"prompt": "?", "answer": "1", "prediction": "1", "truncated": "no"}',
            "line 2: `truncated` must be true or",
        ),
        ('{"prompt": "?", "answer', "line 2"),
        ("[1]", "line 2"),
    ],
)
def test_a_bad_line_is_named_and_nothing_is_written(tmp_path: Path, line: str, message: str) -> None:
    file, output = tmp_path / "answers.jsonl", tmp_path / "grades.jsonl"
    file.write_text(json.dumps(NUMBERS[0]) + "\n" + line + "\n")
    output.write_text("old")
    result = run(file, "--ground_truth_format", "number", "--output", output, "--overwrite")
    assert (result.exit_code, "Traceback" in result.output) == (2, False)
    assert message in result.stderr
    assert [path.name for path in tmp_path.iterdir() if path != file] == ["grades.jsonl"]
    assert output.read_text() == "old"


def test_mistakes_are_told(tmp_path: Path) -> None:
    file, output = write(tmp_path / "answers.jsonl", NUMBERS), tmp_path / "grades.jsonl"
    output.write_text("old")
    usual = (file, "--ground_truth_format", "number", "--output")
    for arguments, message in (
        ((*usual, output), "exists; choose another name, or give --overwrite"),
        ((*usual, file, "--overwrite"), "is the file to grade"),
        ((*usual, tmp_path, "--overwrite"), "exists; choose another name"),
        (
            (*usual, "-", "--high_level_model_name", "x"),
            "--high_level_model_name is for --ground_truth_format judge",
        ),
        ((file, "--ground_truth_format", "judge", "--output", "-"), "name it with --high_level_model_name"),
        ((file, "--ground_truth_format", "poem", "--output", "-"), "'poem' is not known"),
        (
            (file, "--ground_truth_format", "text", "--output", "-", "--number_tolerance", "0.1"),
            "goes with the format",
        ),
        ((tmp_path / "no.jsonl", "--ground_truth_format", "number", "--output", "-"), "does not exist"),
    ):
        result = run(*arguments)
        assert (result.exit_code, message in " ".join(result.stderr.split())) == (2, True), result.stderr
    assert output.read_text() == "old"


def test_a_results_file_and_a_journal_are_graded_again(tmp_path: Path) -> None:
    finished = asyncio.run(run_with(config_for(tmp_path, ground_truth_format="number")))
    entries = list(open_run(finished.path).entries())
    for file in (finished.path, finished.journal):
        result = run(file, "--ground_truth_format", "number", "--output", "-")
        assert result.exit_code == 0, result.output
        lines = [json.loads(line) for line in result.stdout.splitlines()]
        found = {
            (line["id"], line["sample"], line["outcome"], line["extracted"], line["how"]) for line in lines
        }
        assert found == {
            (e.problem_id, e.sample, e.outcome.value, e.extracted_answer, e.extracted_by) for e in entries
        }


def test_fields_that_results_leave_out_come_from_the_problems(tmp_path: Path) -> None:
    fen = chess.STARTING_FEN
    rows = [
        {"id": f"p{i}", "prompt": f"Problem {i}: which move?", "fen": fen, "answer": "e4"} for i in range(3)
    ]
    problems = write(tmp_path / "problems.jsonl", rows)
    config = config_for(tmp_path, ground_truth_format="chess", vanilla_baseline=True)
    finished = asyncio.run(run_with(config, ScriptedBackend(lambda request: r"\boxed{e2-e4}")))
    usual = (finished.path, "--ground_truth_format", "chess", "--output", "-")
    without = run(*usual)
    assert (without.exit_code, "no `fen` field" in without.stderr) == (2, True)
    result = run(*usual, "--input_file", problems)
    assert [json.loads(line)["outcome"] for line in result.stdout.splitlines()] == ["correct"] * 3
    other = write(tmp_path / "others.jsonl", [{**row, "prompt": "Another"} for row in rows])
    assert "has another text there" in run(*usual, "--input_file", other).stderr


class _Judge(ScriptedBackend):
    """The backend "judge_fake" of the process."""

    def __init__(self, model_name: str, **options: Any) -> None:
        super().__init__(self._verdict, model_name=model_name)

    @staticmethod
    def _verdict(request: Request) -> Completion:
        verdict = "correct" if "Paris" in request.messages[0].content.rpartition("Answer:")[2] else "wrong"
        return Completion(verdict, FinishReason.CHOICE, Usage(prompt_tokens=50, completion_tokens=1))


def test_a_judge_grades_and_its_cost_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(registry._BACKENDS, "judge_fake", f"{__name__}:_Judge")
    monkeypatch.setitem(sys.modules, __name__, sys.modules[__name__])
    rows = [{"prompt": "Capital?", "answer": "Paris", "prediction": text} for text in ("It is Paris", "Rome")]
    file = write(tmp_path / "answers.jsonl", rows)
    result = run(
        *(file, "--ground_truth_format", "judge", "--output", "-", "--cache_dir", tmp_path / "cache"),
        *("--high_level_model_name", "some/judge", "--high_level_llm_framework", "judge_fake"),
    )
    assert result.exit_code == 0, result.output
    assert [json.loads(line)["outcome"] for line in result.stdout.splitlines()] == ["correct", "wrong"]
    assert (
        "judge: 2 calls (0 from the cache), 100 tokens in, 2 out, price unknown (--prices)" in result.stderr
    )


@pytest.mark.skipif(sys.platform != "linux", reason="the peak of a process is read from /proc")
def test_memory_does_not_grow_with_the_file(tmp_path: Path) -> None:
    """40 MB of predictions, graded by a process that is measured against one that grades ten."""
    row = json.dumps({"prompt": "?" * 2000, "answer": "1", "prediction": "x" * 2000 + r" \boxed{1}"}) + "\n"
    sizes = {}
    for n in (10, 10_000):
        file = tmp_path / f"{n}.jsonl"
        file.write_text(row * n)
        script = textwrap.dedent(
            """
            import re, sys
            from pathlib import Path
            from hierarchical_reasoning.cli.main import main
            flags = ["--ground_truth_format", "number", "--output", sys.argv[2]]
            main(["grade", sys.argv[1], *flags], standalone_mode=False)
            print(re.search(r"VmHWM:\\s+(\\d+) kB", Path("/proc/self/status").read_text())[1])
            """
        )
        command = [sys.executable, "-c", script, str(file), str(tmp_path / f"{n}.out")]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
        sizes[n] = int(done.stdout)
    assert (tmp_path / "10000.out").read_text().count("\n") == 10_000
    assert sizes[10_000] - sizes[10] < 20 * 1024  # kilobytes


def test_the_format_is_found_and_said(tmp_path: Path) -> None:
    result = run(write(tmp_path / "a.jsonl", NUMBERS), "--output", "-")
    assert [json.loads(line)["outcome"] for line in result.stdout.splitlines()][:2] == ["correct", "wrong"]
    assert "note: answer format: number (found from the data)" in result.stderr


def test_a_run_is_graded_again_in_its_own_format(tmp_path: Path) -> None:
    finished = asyncio.run(run_with(config_for(tmp_path, ground_truth_format="text")))
    for path in (finished.path, finished.journal):
        result = run(path, "--output", "-")
        assert result.exit_code == 0, result.output
        assert "note: answer format: text (that of the run)" in result.stderr


def test_samples_are_counted_as_in_the_run(tmp_path: Path) -> None:
    finished = asyncio.run(run_with(config_for(tmp_path, samples=4, temperature=1.0, seed=7)))
    accuracy = finished.head.summary.accuracy
    said = f"[{100 * accuracy.low:.1f}, {100 * accuracy.high:.1f}] ({accuracy.correct} of {accuracy.n})"
    assert said in run(finished.path, "--output", "-").stderr


def test_one_word_is_the_format_and_the_next_the_file(tmp_path: Path) -> None:
    file = write(tmp_path / "a.jsonl", NUMBERS)
    for words in (["number"], ["exact"], ["Multiple", "choice"]):
        result = run("--ground_truth_format", *words, file, "--output", "-")
        assert "Missing argument" not in result.output, words


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("p.jsonl", '{"answer": "2", "prediction": ""}'),
        ("p.jsonl", '{"answer": "2", "prediction": null}'),
        ("p.jsonl", '{"answer": "2", "prediction": NaN}'),
        ("p.csv", "answer,prediction\n2,\n"),
        ("p.tsv", "answer\tprediction\n2\t\n"),
    ],
)
def test_an_empty_prediction_is_no_answer_in_every_kind_of_file(tmp_path: Path, name: str, text: str) -> None:
    (tmp_path / name).write_text(text)
    result = run(tmp_path / name, "--ground_truth_format", "number", "--output", "-")
    assert json.loads(result.stdout)["outcome"] == "no_answer"


@pytest.mark.parametrize(
    ("row", "said"),
    [
        ('{"answer": "2"}', "line 1: `prediction` is missing"),
        ('{"answer": "2", "prediction": ["2"]}', "line 1: `prediction` must be text, not list"),
        ('{"answer": "2", "prediction": []}', "line 1: `prediction` must be text, not list"),
        ('{"answer": "2", "prediction": "2 \\ud800"}', "line 1: `prediction` holds half of a surrogate pair"),
    ],
)
def test_what_is_no_prediction_is_named_by_its_line(tmp_path: Path, row: str, said: str) -> None:
    (tmp_path / "p.jsonl").write_text(row)
    result = run(tmp_path / "p.jsonl", "--ground_truth_format", "number", "--output", "-")
    assert (result.exit_code, said in result.output) == (2, True), result.output


def test_ids_that_come_twice_are_said(tmp_path: Path) -> None:
    rows = [{"id": name, "answer": "2", "prediction": "2"} for name in ("a\u202e", "b", "a\u202e")]
    result = run(write(tmp_path / "a.jsonl", rows), "--ground_truth_format", "number", "--output", "-")
    assert r"1 id in more than one row (a\u202e): every row is graded" in result.stderr
    assert "(3 of 3)" in result.stderr


def test_a_results_file_that_was_cut_off_says_so(tmp_path: Path) -> None:
    whole = asyncio.run(run_with(config_for(tmp_path))).path.read_bytes()
    for length, said in ((len(whole) - 300, "is cut off after"), (300, "the text ends within")):
        (tmp_path / "cut.json").write_bytes(whole[:length])
        result = run(tmp_path / "cut.json", "--ground_truth_format", "number", "--output", "-")
        assert (result.exit_code, said in result.output) == (2, True), result.output


MAIN = "from hierarchical_reasoning.cli.main import main; main()"


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="there is no device that is always full")
def test_a_full_stdout_is_one_message(tmp_path: Path) -> None:
    file = write(tmp_path / "a.jsonl", NUMBERS)
    command = (sys.executable, "-c", MAIN, "grade", str(file), "--output", "-")
    with Path("/dev/full").open("wb") as full:
        done = subprocess.run(command, stdout=full, stderr=subprocess.PIPE, text=True, timeout=60)
    assert done.returncode == 1
    assert (
        done.stderr.splitlines()[-1]
        == "Error: the output cannot be written or read (No space left on device)"
    )
    assert "Traceback" not in done.stderr
