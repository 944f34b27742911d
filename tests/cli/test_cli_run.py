"""The command line: what it takes, and one clear message for every mistake."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import click
import pytest
from click.testing import CliRunner, Result

from hierarchical_reasoning.cli.failures import reported
from hierarchical_reasoning.cli.grouped import joined_words
from hierarchical_reasoning.cli.main import main
from hierarchical_reasoning.cli.run import run
from hierarchical_reasoning.config import RunConfig
from llm_backends import BackendClosedError, BadRequestError, EngineDiedError, ServerError

ROOT = Path(__file__).parents[2]
FLAGS = """
    input_file tree_model_path vanilla_baseline label_level max_reasoning_steps category llm_framework model_name
    temperature vllm_base_url n_rows cache_dir prompt_verbose thinking_verbose num_icl_examples high_level_model_name
    high_level_llm_framework ground_truth_format vllm_gpus vllm_auto_start start_vllm_verbose
"""
"""Flags that users' scripts give to the main command."""
NO_TREE = """graph [ directed 1
  node [ id 0 label "One" ] node [ id 1 label "Other" ] node [ id 2 label "Below" ]
  edge [ source 0 target 2 ]
]"""


@pytest.fixture(autouse=True)
def in_an_empty_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """So that relative paths, and what is written by default, stay in it."""
    monkeypatch.chdir(tmp_path)


def write(name: str, content: Any) -> str:
    text = content if isinstance(content, str) else json.dumps(content)
    Path(name).write_text(text)
    return name


def invoke(*arguments: str) -> Result:
    return CliRunner().invoke(run, arguments)


MISTAKES: dict[str, tuple[dict[str, Any], list[str], list[str]]] = {
    "missing file": ({}, ["--input_file", "none.json"], ["none.json does not exist", "--input_file"]),
    "broken JSON": (
        {"p.json": '[{"prompt": "1 + 1?",]'},
        ["--input_file", "p.json"],
        ["p.json, line 1, column 22: broken JSON"],
    ),
    "broken line": (
        {"p.jsonl": '{"prompt": "1 + 1?", "answer": 2}\n{"prompt": \n'},
        ["--input_file", "p.jsonl"],
        ["p.jsonl, line 2"],
    ),
    "no problem": (
        {"p.json": [{"question_text": "1 + 1?", "answer": 2}]},
        ["--input_file", "p.json"],
        ["row 1", "`prompt`, `problem`", "only `question_text`, `answer`"],
    ),
    "no level 9": ({}, ["--label_level", "9"], ["level 9", "0 to 6", "--label_level"]),
    "level below 0": ({}, ["--label_level", "-1"], ["--label_level", "-1", "greater than or equal to 0"]),
    "unknown category": (
        {},
        ["--category", "chess_puzzle"],
        ["--category 'chess_puzzle'", "equation (200), expression (200), story (200)"],
    ),
    "no tree": (
        {"t.gml": NO_TREE},
        ["--tree_model_path", "t.gml"],
        ["t.gml", "not a tree: 2 roots", "'One'", "'Other'"],
    ),
    "no GML": ({"t.gml": "graph ["}, ["--tree_model_path", "t.gml"], ["t.gml"]),
    "missing tree": ({}, ["--tree_model_path", "none"], ["none: does not exist", "--tree_model_path"]),
    "unwritable": (
        {"file": ""},
        ["--cache_dir", "file/results"],
        ["file/results", "choose another --cache_dir"],
    ),
    "unwritable with examples": (
        {"file": ""},
        ["--cache_dir", "file/results", "--num_icl_examples", "2"],
        ["file/results", "choose another --cache_dir"],
    ),
    "unknown backend": (
        {},
        ["--llm_framework", "telepathy"],
        ["'telepathy'", "local", "--llm_framework"],
    ),
    "backend for tests": (
        {},
        ["--llm_framework", "scripted"],
        ["--llm_framework scripted", "take anthropic, local"],
    ),
    "two addresses": (
        {},
        ["--llm_framework", "vllm", "--vllm_base_url", "http://a/v1", "--base_url", "http://b/v1"],
        ["--base_url http://b/v1", "--vllm_base_url http://a/v1", "give one"],
    ),
    "bundled model elsewhere": (
        {},
        ["--llm_framework", "openai"],
        ["--llm_framework openai", "--model_name"],
    ),
    "joint in this process": ({}, ["--joint"], ["--joint", "'local'", "openai", "--llm_framework"]),
    "joint without a model": ({}, ["--joint", "--planner", "uniform"], ["--joint", "--planner uniform"]),
    "dry run of half a run": ({}, ["--dry_run", "--resume"], ["--dry_run", "--resume"]),
    "no key": ({}, ["--model_name", "gpt-4o-mini", "--num_icl_examples", "0"], ["OPENAI_API_KEY"]),
    "broken prices": ({"p.json": "{"}, ["--prices", "p.json"], ["p.json", "no table of prices", "--prices"]),
    "no time": ({}, ["--request_timeout", "0"], ["--request_timeout 0", "greater than 0"]),
    "unknown answer format": (
        {},
        ["--ground_truth_format", "haiku"],
        [
            "--ground_truth_format 'haiku'",
            "chess, countdown, choice, number, boxed, math, text, judge, ungraded",
        ],
    ),
    "no rows": ({}, ["--n_rows", "0"], ["--n_rows 0", "greater than or equal to 1"]),
    "endless temperature": ({}, ["--temperature", "inf"], ["--temperature inf", "less than or equal to 2"]),
    "no prompts": ({}, ["--prompts_dir", "none"], ["no folder of prompts at none", "--prompts_dir"]),
    "no sequence": ({}, ["--planner", "fixed"], ["--planner_sequence", '"Parenthesis Resolution"']),
    "no examples": ({}, ["--examples_file", "none.json"], ["none.json", "--examples_file"]),
    "no rollouts": (
        {},
        ["--planner", "markov", "--rollouts_file", "none.jsonl"],
        ["none.jsonl", "no such file", "(--rollouts_file)"],
    ),
    "broken rollouts": (
        {"r.jsonl": "{"},
        ["--planner", "markov", "--rollouts_file", "r.jsonl"],
        ["r.jsonl, line 1: not valid JSON", "(--rollouts_file)"],
    ),
}


@pytest.mark.parametrize("case", MISTAKES)
def test_a_mistake_is_one_clear_message_and_status_2(case: str) -> None:
    files, arguments, parts = MISTAKES[case]
    for name, content in files.items():
        write(name, content)
    result = invoke(*arguments)
    assert result.exit_code == 2, result.output
    assert isinstance(result.exception, SystemExit)
    assert result.output.startswith("Error: ")
    assert result.output.count("\n") == 1, result.output
    for part in parts:
        assert part in result.output
    assert not list(Path().rglob("results_*")), "nothing may be begun"


def test_a_device_that_is_not_there_is_one_clear_message() -> None:
    result = invoke("--device", "cuda:99", "--n_rows", "1")
    assert result.exit_code == 2
    assert isinstance(result.exception, SystemExit)
    *_, last = result.output.splitlines()
    assert last.startswith("Error: device is 'cuda:99', and torch")
    assert last.endswith("(--device)")
    assert not list(Path().rglob("results_*"))


@pytest.mark.parametrize("arguments", [["--no_such_flag"], ["--planner", "oracle"], ["--n_rows", "many"]])
def test_what_click_finds_wrong_has_status_2_too(arguments: list[str]) -> None:
    result = invoke(*arguments)
    assert result.exit_code == 2
    assert arguments[0] in result.output


@pytest.mark.parametrize(
    ("error", "status", "said"),
    [
        (BadRequestError("mend it"), 2, "mend it"),
        (EngineDiedError("out of memory"), 1, "EngineDiedError: out of memory"),
        (BackendClosedError("gone"), 1, "BackendClosedError: gone"),
        (ServerError("overloaded"), 1, "ServerError: overloaded"),
    ],
)
def test_the_status_says_whether_the_user_can_mend_it(error: Exception, status: int, said: str) -> None:
    with pytest.raises(click.ClickException) as caught, reported():
        raise error
    assert (caught.value.exit_code, caught.value.message) == (status, said)


def test_a_bug_is_not_made_to_look_like_a_mistake() -> None:
    with pytest.raises(ZeroDivisionError), reported():
        raise ZeroDivisionError


def test_dashes_stand_for_underscores() -> None:
    result = invoke("--input-file", "none.json", "--label-level", "3", "--vanilla-baseline")
    assert (result.exit_code, "none.json does not exist" in result.output) == (2, True)
    result = invoke("--label-level=9", "--cache-dir", "out")
    assert "level 9" in result.output


def test_the_answer_format_may_be_several_words_without_quotes() -> None:
    row = {
        "prompt": "Position: 6k1/5ppp/8/8/8/8/5PPP/3R2K1 w - - 0 1. Best move?",
        "answer": "Rd8",
        "category": "chess_puzzle",
    }
    problems = write("p.json", [row])
    given = ["--input_file", problems, "--ground_truth_format", "chess", "coordinate", "notation"]
    # Both get past the format to a mistake that is looked for later.
    for arguments in ([*given, "--label_level", "9"], ["--label-level", "9", *given]):
        result = invoke(*arguments)
        assert "level 9" in result.output, result.output
    result = invoke("--ground-truth-format", "chess", "crossword", "notation", "--label_level", "3")
    assert "unexpected extra arguments (crossword notation)" in result.output


@pytest.mark.parametrize(
    ("arguments", "joined"),
    [
        ([], []),
        (["--a", "b", "c"], ["--a", "b", "c"]),
        (["--the_format", "x"], ["--the_format", "x"]),
        (["--the_format", "x", "y", "--b", "c"], ["--the_format", "x", "y", "--b", "c"]),
        (["--the_format", "Multiple", "choice", "--b"], ["--the_format", "Multiple choice", "--b"]),
        (["--the-format", "game", "of", "24", "p.jsonl"], ["--the-format", "game of 24", "p.jsonl"]),
        (["--the_format=chess", "coordinate", "notation"], ["--the_format", "chess coordinate notation"]),
        (["--the_format", "number", "p.jsonl", "--b"], ["--the_format", "number", "p.jsonl", "--b"]),
        (["--the_format"], ["--the_format"]),
        (["--the_format", "--b", "c"], ["--the_format", "--b", "c"]),
    ],
)
def test_words_are_joined_where_they_name_a_format(arguments: list[str], joined: list[str]) -> None:
    assert joined_words(arguments, "--the_format") == joined


def test_help_lists_every_flag_that_scripts_give() -> None:
    result = invoke("--help")
    assert result.exit_code == 0
    listed = {word.strip(",") for word in result.output.split() if word.startswith("--")}
    assert {f"--{flag}" for flag in FLAGS.split()} <= listed
    assert {f"--{name}" for name in RunConfig.model_fields} <= listed
    for heading in ("Reasoning:", "Models:", "Running and results:"):
        assert heading in result.output


def test_defaults_are_those_of_the_configuration() -> None:
    help_of = {parameter.name: getattr(parameter, "help", "") or "" for parameter in run.params}
    defaults = {"n_rows": 10, "label_level": 3, "max_reasoning_steps": 10, "temperature": 0.1}
    for name, value in defaults.items():
        assert RunConfig.model_fields[name].default == value
        assert f"[default: {value}]" in help_of[name]


def test_every_command_is_named_and_none_is_loaded_for_the_list() -> None:
    result = CliRunner().invoke(main, ["--help"])
    assert result.exit_code == 0
    for name in main.list_commands(click.Context(main)):
        assert name in result.output
        assert CliRunner().invoke(main, [name, "--help"]).exit_code == 0, name
    assert CliRunner().invoke(main, ["nonsense"]).exit_code == 2


def python(*arguments: str, cwd: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, *arguments],
        cwd=cwd,
        env=os.environ | environment,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


@pytest.mark.parametrize("script", sorted(ROOT.glob("*.py")), ids=lambda path: path.name)
def test_every_script_at_the_root_works_from_another_directory(tmp_path: Path, script: Path) -> None:
    shown = python(str(script), "--help", cwd=tmp_path)
    assert (shown.returncode, shown.stderr) == (0, "")
    assert shown.stdout.startswith(f"Usage: {script.name} [OPTIONS]")


def test_a_missing_file_is_looked_for_where_the_user_is(tmp_path: Path) -> None:
    script = str(ROOT / "hierarchical_reasoning.py")
    failed = python(script, "--input_file", "none.json", cwd=tmp_path)
    assert (failed.returncode, failed.stdout) == (2, "")
    assert failed.stderr.startswith("Error: none.json does not exist")
    assert "Traceback" not in failed.stderr


def test_a_mistake_in_a_real_process_leaves_no_traceback(tmp_path: Path) -> None:
    write("t.gml", NO_TREE)
    script = str(ROOT / "hierarchical_reasoning.py")
    failed = python(script, "--tree_model_path", "t.gml", cwd=tmp_path)
    assert (failed.returncode, failed.stdout) == (2, "")
    assert failed.stderr.count("\n") == 1
    assert not list(tmp_path.glob("cache/*"))


def test_help_loads_no_model_library(tmp_path: Path) -> None:
    code = (
        "import sys, contextlib\n"
        "from hierarchical_reasoning.cli.run import main\n"
        "sys.argv = ['hierarchical_reasoning.py', '--help']\n"
        "with contextlib.suppress(SystemExit):\n"
        "    main()\n"
        "print([name for name in ('torch', 'transformers', 'sklearn', 'networkx') if name in sys.modules])\n"
    )
    done = python("-c", code, cwd=tmp_path)
    assert done.stdout.rstrip().endswith("[]"), done.stdout + done.stderr
    assert "--label_level" in done.stdout
