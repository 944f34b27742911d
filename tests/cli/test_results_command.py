"""`hierarchical-reasoning results`: what a table, a list, a trace and an export say of real runs."""

from __future__ import annotations

import csv
import json
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from scripted_run import config_for, number_of, reply, run_with

from hierarchical_reasoning.cli.results import results
from hierarchical_reasoning.cli.trace_view import colour_of
from hierarchical_reasoning.errors import CategoryError, ConfigError
from hierarchical_reasoning.outcomes import Outcome
from hierarchical_reasoning.results.reader import open_run, to_frame
from hierarchical_reasoning.runner import Finished
from llm_backends import BadRequestError, Request, ScriptedBackend

ROOT = Path(__file__).parents[2]
N = 6


def all_right(request: Request) -> str:
    """As `reply`, but always right, with a control character in each thought; p5 fails."""
    number = number_of(request)
    if number == 5:
        raise BadRequestError("the prompt is refused")
    said = reply(request)
    return (
        f"\\boxed{{{10 + number}}}" if "boxed" in said else said.replace("Thought", "Clear \x1b[2J thought")
    )


@pytest.fixture
async def first(tmp_path: Path) -> Finished:
    """Three of six problems are right, the even ones."""
    return await run_with(config_for(tmp_path))


@pytest.fixture
async def second(tmp_path: Path) -> Finished:
    """Five are right, the sixth ended in an error; its name has another model."""
    return await run_with(config_for(tmp_path, model_name="other"), ScriptedBackend(all_right))


def invoke(*arguments: object) -> Result:
    return CliRunner().invoke(results, [str(argument) for argument in arguments])


def shown(*arguments: object) -> str:
    done = invoke(*arguments)
    assert done.exit_code == 0, done.output
    return done.output


def row_of(output: str, name: str) -> list[str]:
    runs = output.partition("\nSamples ")[0]
    (line,) = [line for line in runs.splitlines() if name in line]
    return [cell.strip() for cell in line.strip("│").split("│")]


def test_the_table_has_a_row_a_file(first: Finished, second: Finished) -> None:
    output = shown(first.path, second.path)
    assert row_of(output, first.path.name)[1:7] == [
        "fake/model",
        "level 3",
        "6",
        "50.0 % [18.8, 81.2] (3 of 6)",
        "50.0 % [18.8, 81.2] (3 of 6)",
        "3 correct, 3 wrong",
    ]
    row = row_of(output, second.path.name)
    assert row[4:7] == [
        "83.3 % [43.6, 97.0] (5 of 6)",
        "100.0 % [56.6, 100.0] (5 of 5)",
        "5 correct, 1 error",
    ]
    assert row[-1] == "same outcome on 3 of 6; 2 gained, 0 lost"


async def test_settings_in_which_runs_differ_have_a_column(tmp_path: Path, first: Finished) -> None:
    assert "planner" not in shown(first.path)
    for name in ("other", "vanilla"):
        (tmp_path / name).mkdir()
    other = await run_with(config_for(tmp_path / "other", planner="uniform", seed=7))
    vanilla = await run_with(config_for(tmp_path / "vanilla", vanilla_baseline=True))
    rows = [
        [cell.strip() for cell in re.split("[│┃]", line)]
        for line in shown(first.path, other.path, vanilla.path).splitlines()
        if "results_" in line or "planner" in line
    ]
    column = rows[0].index("planner")
    assert [row[column] for row in rows[1:]] == ["model", "uniform", "-"]
    assert "temperature" not in rows[0]


def test_the_journal_of_a_run_says_what_its_results_say(first: Finished) -> None:
    assert (
        row_of(shown(first.path), first.path.name)[1:] == row_of(shown(first.journal), first.journal.name)[1:]
    )
    kept = {entry.problem_id: entry for entry in open_run(first.journal).entries()}
    assert kept == {entry.problem_id: entry for entry in open_run(first.path).entries()}
    assert len(kept) == N


async def test_in_a_journal_the_last_attempt_counts(tmp_path: Path, second: Finished) -> None:
    again = await run_with(config_for(tmp_path, model_name="other"), resume=True)
    assert again.journal == second.journal
    outcomes = [entry.outcome for entry in open_run(again.journal).entries()]
    assert len(outcomes) == N
    assert Outcome.ERROR not in outcomes


async def test_samples_of_a_problem_count_together(tmp_path: Path) -> None:
    finished = await run_with(config_for(tmp_path, samples=4, temperature=1.0))
    row = row_of(shown(finished.path), finished.path.name)
    assert row[3] == "24 (up to 4 samples a problem)"
    assert row[4] == "50.0 % [16.7, 83.3] (12 of 24)", "problems are drawn again, and there are six"
    assert "sample 3" in shown(finished.path, "--trace", "p1", "--sample", 3)
    assert "p1#3 " in shown(finished.path, "--outcome", "wrong")


def test_an_unfinished_run_is_shown(first: Finished, tmp_path: Path) -> None:
    torn = tmp_path / "torn.jsonl"
    lines = first.journal.read_bytes().splitlines(keepends=True)
    torn.write_bytes(b"".join(lines[:4]) + lines[4][:50])
    assert row_of(shown(torn), "torn.jsonl")[3] == "3"


def test_problems_of_an_outcome_are_listed(first: Finished) -> None:
    lines = shown(first.path, "--outcome", "wrong").splitlines()
    assert lines[1].split() == ["problem", "outcome", "extracted", "truth", "steps", "reason"]
    assert [line.split()[:5] for line in lines[2:5]] == [
        [f"p{number}", "wrong", "0", str(10 + number), "3"] for number in (1, 3, 5)
    ]
    assert "another number: 0, not 11" in lines[2]
    assert lines[5] == "3 problems"


def test_a_list_says_how_much_of_it_is_shown(first: Finished) -> None:
    output = shown(first.path, "--outcome", "all", "--limit", 2)
    assert [line.split()[0] for line in output.splitlines()[2:5]] == ["p0", "p1", "6"]
    assert "6 problems, 2 of them shown (--limit)" in output
    assert "shown" not in shown(first.path, "--outcome", "all", "--limit", 0)


def test_a_category_is_taken_alone(first: Finished) -> None:
    assert row_of(shown(first.path, "--category", "sum"), first.path.name)[3] == "6"
    done = invoke(first.path, "--category", "chess")
    assert done.exit_code == 2
    assert "--category 'chess'; its categories: 'sum'" in done.output


def test_problems_on_which_files_differ_are_listed(first: Finished, second: Finished) -> None:
    lines = shown(first.path, second.path, "--disagree").splitlines()
    assert [line.split() for line in lines[3:6]] == [
        ["p1", "wrong", "correct"],
        ["p3", "wrong", "correct"],
        ["p5", "wrong", "error"],
    ]
    assert lines[6] == "3 problems did not end alike"


def test_ids_of_other_problems_are_not_compared(first: Finished, tmp_path: Path) -> None:
    content = json.loads(first.path.read_text())
    for entry in content["results"][:2]:
        entry["problem"] += " Another."
    (tmp_path / "other.json").write_text(json.dumps(content))
    output = shown(first.path, tmp_path / "other.json")
    assert "same outcome on 4 of 4" in output
    assert "note: 2 ids stand for another problem in another file" in output


def test_a_trace_is_shown_in_full(first: Finished) -> None:
    output = shown(first.path, "--trace", "p1")
    entry = next(entry for entry in open_run(first.path).entries() if entry.problem_id == "p1")
    for text in (entry.problem, *entry.thoughts, *(f"[{kind}]" for kind in entry.thought_types)):
        assert text in output
    assert "outcome wrong: another number: 0, not 11" in output
    assert re.search(r"planner \d+ tokens in \(0 cached\), \d+ out; reasoner \d+ tokens in", output)
    assert re.search(r"^reasoner: 3 calls, ", output, re.M)


def test_a_trace_that_ended_in_an_error_says_so(second: Finished) -> None:
    assert "error: BadRequestError: the prompt is refused" in shown(second.path, "--trace", "p5")


@pytest.mark.parametrize("variable", ["NO_COLOR", "FORCE_COLOR"])
def test_control_characters_are_written_out_and_colours_can_be_refused(
    second: Finished, monkeypatch: pytest.MonkeyPatch, variable: str
) -> None:
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.setenv(variable, "1")
    output = CliRunner().invoke(results, [str(second.path), "--trace", "p1"], color=True).output
    assert r"Clear \x1b[2J thought" in output
    assert "\x1b[2J" not in output
    assert ("\x1b[1;38;5;" in output) == (variable == "FORCE_COLOR")


def test_a_thought_type_keeps_its_colour() -> None:
    assert colour_of("Check") == colour_of("Check")
    assert len({colour_of(f"Type {i}").color for i in range(100)}) > 15


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--trace", "p11"], "--trace p11: no such problem; there is p1"),
        (["--trace", "p1", "--sample", "3"], "no sample 3 (--sample)"),
        (["--trace", "p1", "--disagree"], "give two or more"),
        (["--trace", "p1", "--export", "-"], "--trace and --export do not go together"),
        (["--trace", "p1", "--outcome", "wrong"], "--outcome does not go with --trace"),
        (["--steps"], "give --export too"),
        (["--sample", "1"], "give --trace too"),
        (["--outcome", "bad"], "'bad' is not one of"),
        (["--export", "table.xlsx"], ".csv, .jsonl, .parquet, or be - for CSV"),
    ],
)
def test_options_that_do_not_go_together(first: Finished, options: list[str], said: str) -> None:
    done = invoke(first.path, *options)
    assert done.exit_code == 2
    assert said in done.output


def table(path: Path) -> list[dict[str, Any]]:
    if path.suffix == ".csv":
        with path.open(newline="") as file:
            return list(csv.DictReader(file))
    if path.suffix == ".jsonl":
        return [json.loads(line) for line in path.read_text().splitlines()]
    from pyarrow import parquet

    return list(parquet.read_table(path).to_pylist())


@pytest.mark.parametrize("suffix", [".csv", ".jsonl", ".parquet"])
def test_every_format_has_the_same_rows(
    first: Finished, second: Finished, tmp_path: Path, suffix: str
) -> None:
    output = tmp_path / f"table{suffix}"
    assert "12 rows written" in shown(first.path, second.path, "--export", output)
    rows = table(output)
    assert [row["problem_id"] for row in rows] == [f"p{i}" for i in range(N)] * 2
    assert [row["outcome"] for row in rows[:2]] == ["correct", "wrong"]
    assert rows[0]["file"] == str(first.path)
    assert int(rows[0]["calls"]) == 6
    assert json.loads(rows[0]["thought_types"])[-1] == "Finish thinking"
    assert rows[-1]["error_message"] == "the prompt is refused"
    assert rows[0]["error_message"] in ("", None)


def test_steps_have_a_row_each(first: Finished, tmp_path: Path) -> None:
    shown(first.path, "--export", tmp_path / "steps.csv", "--steps", "--outcome", "wrong")
    rows = table(tmp_path / "steps.csv")
    assert [(row["problem_id"], row["step"]) for row in rows[:4]] == [
        ("p1", "1"),
        ("p1", "2"),
        ("p1", "3"),
        ("p3", "1"),
    ]
    assert rows[0]["thought"] == "Thought 1 on problem 1."


def test_a_table_on_stdout_is_nothing_but_the_table(first: Finished) -> None:
    done = CliRunner().invoke(results, [str(first.path), "--export", "-"])
    assert len(list(csv.DictReader(done.stdout.splitlines()))) == N


def test_an_export_replaces_only_what_it_may(first: Finished, tmp_path: Path) -> None:
    (tmp_path / "table.csv").write_text("mine")
    done = invoke(first.path, "--export", tmp_path / "table.csv")
    assert done.exit_code == 2
    assert "--overwrite" in done.output
    assert (tmp_path / "table.csv").read_text() == "mine"
    shown(first.path, "--export", tmp_path / "table.csv", "--overwrite")
    assert len(table(tmp_path / "table.csv")) == N
    done = invoke(first.journal, "--export", first.journal, "--overwrite")
    assert done.exit_code == 2
    assert "one of the files to read" in done.output


def test_an_export_that_fails_leaves_nothing(first: Finished, tmp_path: Path) -> None:
    torn = tmp_path / "torn.json"
    torn.write_bytes(first.path.read_bytes()[:-200])
    assert invoke(torn, "--export", tmp_path / "out" / "table.csv").exit_code == 2
    assert list((tmp_path / "out").iterdir()) == []


def test_a_data_frame_has_the_rows_of_an_export(first: Finished, second: Finished) -> None:
    frame = to_frame([first.path, second.path])
    assert list(frame["is_correct"])[:2] == [True, False]
    assert frame["prompt_tokens"].min() >= 0
    steps = to_frame([first.path], steps=True, outcomes=[Outcome.WRONG])
    assert set(steps["problem_id"]) == {"p1", "p3", "p5"}
    with pytest.raises(CategoryError):
        to_frame([first.path], category="chess")


@pytest.mark.parametrize("package", ["pandas", "pyarrow"])
def test_what_is_not_installed_is_named(
    first: Finished, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, package: str
) -> None:
    monkeypatch.setitem(sys.modules, package, None)
    if package == "pandas":
        with pytest.raises(ConfigError, match="needs pandas, which is not installed: pip install"):
            to_frame([first.path])
    else:
        done = invoke(first.path, "--export", tmp_path / "table.parquet")
        assert done.exit_code == 2
        assert "needs pyarrow" in done.output


def cut(content: bytes) -> bytes:
    return content[: len(content) // 2]


def without(*path: str | int) -> Callable[[bytes], bytes]:
    def change(content: bytes) -> bytes:
        whole = json.loads(content)
        part = whole
        for name in path[:-1]:
            part = part[name]
        del part[path[-1]]
        return json.dumps(whole).encode()

    return change


BAD: dict[str, tuple[Callable[[bytes], bytes], str]] = {
    "empty": (lambda _: b"", "line 1: the text ends where '{' is expected"),
    "no JSON": (lambda _: b"\x89PNG\r\n", "not UTF-8"),
    "text": (lambda _: b"hello", "'h' stands where '{' is expected"),
    "a list": (lambda _: b'[{"problem": "1 + 1?"}]', "'[' stands where '{' is expected"),
    "another object": (lambda _: b'{"problems": []}', "the object has no 'results'"),
    "no model": (without("model_name"), "model_name: Field required"),
    "cut off": (cut, "is cut off after"),
    "no outcome": (
        without("results", 2, "outcome"),
        "result 3: none that this version reads (outcome: Field",
    ),
    "more behind it": (lambda content: content + b"{}", "'{' stands where the end is expected"),
}


@pytest.mark.parametrize("kind", BAD)
@pytest.mark.parametrize("beside_a_good_one", [False, True])
def test_bad_results_files(first: Finished, tmp_path: Path, kind: str, beside_a_good_one: bool) -> None:
    change, said = BAD[kind]
    bad = tmp_path / "bad.json"
    bad.write_bytes(change(first.path.read_bytes()))
    done = invoke(*([first.path] if beside_a_good_one else []), bad)
    assert done.exit_code == 2
    assert said in done.output
    assert "bad.json" in done.output


def test_bad_journals_directories_and_missing_files(first: Finished, tmp_path: Path) -> None:
    damaged = tmp_path / "damaged.jsonl"
    lines = first.journal.read_bytes().splitlines(keepends=True)
    damaged.write_bytes(b"".join([*lines[:2], lines[2].replace(b"Thought", b"Taught"), *lines[3:]]))
    problems = tmp_path / "problems.jsonl"
    for path, said in (
        (damaged, "line 3 is damaged"),
        (problems, "this is no journal"),
        (tmp_path, "Is a directory"),
        (tmp_path / "none.json", "No such file"),
        (tmp_path / "none.jsonl", "No such file"),
    ):
        done = invoke(path)
        assert done.exit_code == 2, done.output
        assert said in done.output
        assert "Traceback" not in done.output


def test_a_large_file_is_read_in_little_memory(first: Finished, tmp_path: Path) -> None:
    """20,000 entries of 5 KB, in the layout of older files and in that of newer ones."""
    whole = json.loads(first.path.read_text())
    entry = whole.pop("results")[0]
    entry["final_response"] = "so " * 1200
    for indent in (None, 2):
        path = tmp_path / "large.json"
        with path.open("w") as file:
            file.write(json.dumps(whole)[:-1] + ', "results": [\n')
            for i in range(20_000):
                separator = ",\n" if i else ""
                file.write(separator + json.dumps({**entry, "problem_id": f"p{i}"}, indent=indent))
            file.write("\n]}\n")
        assert path.stat().st_size > 90 * 2**20
        code = (
            "from hierarchical_reasoning.cli.results import results; results(standalone_mode=False); "
            "print(*(line for line in open('/proc/self/status') if line.startswith('VmHWM')))"
        )
        command = [sys.executable, "-c", code, str(path), "--outcome", "correct"]
        done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, check=True)
        assert "20,000 problems, 50 of them shown" in done.stdout
        peak = re.search(r"VmHWM:\s*(\d+) kB", done.stdout)
        assert peak is not None
        assert int(peak[1]) < 130 * 2**10


def test_the_console_script_has_the_command(first: Finished) -> None:
    script = shutil.which("hierarchical-reasoning", path=str(Path(sys.executable).parent))
    assert script is not None
    done = subprocess.run([script, "results", str(first.path)], capture_output=True, text=True, check=True)
    assert "fake/model" in done.stdout
    head = subprocess.run(
        f"{script} results {first.path} --outcome all --limit 0 | head -n 1",
        shell=True,
        capture_output=True,
        text=True,
        check=True,
    )
    assert head.stderr == ""


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="there is no device that is always full")
@pytest.mark.parametrize("options", [[], ["--export", "-"], ["--outcome", "all"]])
def test_a_full_stdout_is_one_message(first: Finished, options: list[str]) -> None:
    program = shutil.which("hierarchical-reasoning", path=str(Path(sys.executable).parent))
    assert program is not None
    with Path("/dev/full").open("wb") as full:
        command = (program, "results", str(first.path), *options)
        done = subprocess.run(command, stdout=full, stderr=subprocess.PIPE, text=True, timeout=60)
    assert (done.returncode, done.stderr) == (
        1,
        "Error: the output cannot be written or read (No space left on device)\n",
    )


async def test_what_a_problem_took_is_what_the_run_says(tmp_path: Path) -> None:
    finished = await run_with(config_for(tmp_path, samples=4, temperature=1.0, seed=7))
    summary = finished.head.summary
    for path in (finished.path, finished.journal):
        row = row_of(shown(path), path.name)
        assert f"{summary.tokens_per_problem:,.0f}" in row
        assert f"{100 * summary.accuracy.low:.1f}, {100 * summary.accuracy.high:.1f}" in row[4]


def test_a_file_that_is_no_journal_is_not_told_to_resume(tmp_path: Path) -> None:
    (tmp_path / "p.jsonl").write_text('{"prompt": "1 + 1?"}\n')
    result = invoke(tmp_path / "p.jsonl")
    assert "line 1: this is no journal of a run" in result.output
    assert "--resume" not in result.output


def test_characters_that_turn_text_around_are_written_out(first: Finished, tmp_path: Path) -> None:
    turned = tmp_path / "turned.json"
    turned.write_text(first.path.read_text().replace('"p1"', '"p1\\u202e\\u2066"'))
    for arguments in ((turned, "--outcome", "all"), (turned, "--trace", "p1\u202e\u2066")):
        said = shown(*arguments)
        assert r"p1\u202e\u2066" in said
        assert "\u202e" not in said
