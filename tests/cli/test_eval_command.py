"""``hierarchical-reasoning eval gsm8k``, against a real HTTP server and with the bundled model."""

from __future__ import annotations

import gzip
import json
import os
import re
from collections import Counter
from itertools import islice
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from hierarchical_reasoning.cli.main import main
from hierarchical_reasoning.gsm8k import Measure, measurements
from hierarchical_reasoning.results.records import ResultsFile
from llm_backends.scripted_server import Answer, Call, ScriptedServer

DRAWN: dict[int, list[str]] = {
    0: ["10", "10", "10", "no box", "3", "3", "4", "5"],
    1: ["5", "5", "5", "11", "11", "6", "6", "no box"],
    2: ["12", "7", "12", "7", "12", "7", "8", "no box"],
    3: ["no box"] * 8,
}
"""What eight samples of each problem answer: a majority that is right, one that is wrong, a tie, and nothing."""
GREEDY = {0: "10", 1: "11", 2: "no box", 3: "the answer is 13"}


@pytest.fixture(autouse=True)
def _a_key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-of-the-tests")


def write_gsm8k(path: Path, n: int = 4) -> Path:
    rows = [
        {
            "question": f"Problem {i}: 10 + {i}?",
            "answer": f"10 + {i} = <<10+{i}={10 + i}>>{10 + i}\n#### {10 + i}",
        }
        for i in range(n)
    ]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


class Model:
    """Replies what `GREEDY` and `DRAWN` say, and keeps the bodies of what it was asked."""

    def __init__(self) -> None:
        self.bodies: list[dict[str, Any]] = []
        self._drawn: Counter[int] = Counter()

    def __call__(self, call: Call) -> Answer:
        self.bodies.append(dict(call.body))
        match = re.search(r"Problem (\d+)", call.messages[-1][1])
        assert match is not None
        problem = int(match[1])
        if call.body["temperature"] == 0:
            said = GREEDY[problem]
        else:
            said = DRAWN[problem][self._drawn[problem]]
            self._drawn[problem] += 1
        return f"So it is \\boxed{{{said}}}." if said.isdecimal() else f"10 and 13 and {said}"


def evaluate(*arguments: str | Path) -> Result:
    return CliRunner().invoke(main, ["eval", "gsm8k", *map(str, arguments)])


def against(server: ScriptedServer, directory: Path, *more: str) -> list[str]:
    path = directory / "gsm8k.jsonl"
    if not path.exists():
        write_gsm8k(path)
    return [
        *("--input_file", str(path), "--cache_dir", str(directory / "cache"), "--max_concurrency", "1"),
        *("--llm_framework", "openai", "--base_url", server.base_url, "--model_id", "scripted", *more),
    ]


def written(directory: Path) -> dict[int, ResultsFile]:
    """By samples."""
    files = [
        ResultsFile.model_validate_json(path.read_bytes()) for path in (directory / "cache").glob("*.json")
    ]
    return {file.config["samples"]: file for file in files}


def test_both_accuracies_are_printed_and_what_has_no_box_is_wrong(tmp_path: Path) -> None:
    model = Model()
    with ScriptedServer(model, models=("scripted",)) as server:
        result = evaluate(*against(server, tmp_path))
    assert result.exit_code == 0, result.output
    greedy, majority = result.output.splitlines()[-2:]
    assert greedy.startswith(
        "greedy: 50.0 % [15.0, 85.0] (2 of 4); 2 of 4 texts had no \\boxed{}, and count as wrong"
    )
    right = {"25.0": 1, "50.0": 2}  # the tie is drawn
    share = re.match(r"majority of 8: (\S+) % \[.*\] \((\d) of 4\); 11 of 32 texts had no \\boxed", majority)
    assert share is not None, majority
    assert right[share[1]] == int(share[2])
    votes = {vote.problem_id: vote for vote in written(tmp_path)[8].summary.sampling.votes}  # type: ignore[union-attr]
    assert [(vote.answer, vote.votes, vote.tied) for vote in list(votes.values())[:2]] == [
        ("10", 3, False),
        ("5", 3, False),
    ]
    assert votes["row-3"].tied
    assert votes["row-3"].answer in ("12", "7")
    assert (votes["row-4"].answer, votes["row-4"].is_correct) == (None, False)


def test_what_is_asked_is_as_specified(tmp_path: Path) -> None:
    model = Model()
    with ScriptedServer(model, models=("scripted",)) as server:
        evaluate(*against(server, tmp_path))
    asked = Counter(
        (body["temperature"], body.get("top_p", 1), body.get("max_completion_tokens", body.get("max_tokens")))
        for body in model.bodies
    )
    assert asked == {(0, 1, 1024): 4, (0.7, 0.8, 1024): 32}
    assert not {"top_k", "min_p", "repetition_penalty"} & set().union(*model.bodies)
    assert all("\\boxed{}" in body["messages"][0]["content"] for body in model.bodies)


def test_k_temperature_top_p_and_tokens_are_flags(tmp_path: Path) -> None:
    model = Model()
    flags = ["--samples", "3", "--temperature", "1", "--top_p", "0.5", "--max_new_tokens", "20"]
    with ScriptedServer(model, models=("scripted",)) as server:
        result = evaluate(*against(server, tmp_path, "--only", "majority", "--n_rows", "2", *flags))
    assert result.exit_code == 0, result.output
    assert "majority of 3: " in result.output
    assert "greedy" not in result.output
    asked = {
        (body["temperature"], body["top_p"], body.get("max_completion_tokens", body.get("max_tokens")))
        for body in model.bodies
    }
    assert (len(model.bodies), asked) == (6, {(1, 0.5, 20)})


def test_a_resumed_evaluation_asks_nothing_again(tmp_path: Path) -> None:
    with ScriptedServer(Model(), models=("scripted",)) as server:
        arguments = [*against(server, tmp_path), "--no_cache"]
        first = evaluate(*arguments)
        asked = len(server.calls)
        again = evaluate(*arguments, "--resume")
        assert len(server.calls) == asked == 36
    assert first.output.splitlines()[-2:] == again.output.splitlines()[-2:]
    assert len(list((tmp_path / "cache").glob("*.json"))) == 2


def test_the_results_tools_open_what_is_written(tmp_path: Path) -> None:
    with ScriptedServer(Model(), models=("scripted",)) as server:
        evaluate(*against(server, tmp_path))
    paths = sorted(map(str, (tmp_path / "cache").glob("*.json")))
    shown = CliRunner().invoke(main, ["results", *paths])
    assert shown.exit_code == 0, shown.output
    assert "50.0 %" in shown.output
    assert {samples: file.summary.n for samples, file in written(tmp_path).items()} == {1: 4, 8: 32}
    assert {file.config["answer_format"] for file in written(tmp_path).values()} == {"boxed"}


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--only", "greedy", "--samples", "4"], "--samples: --only greedy takes no vote"),
        (["--samples", "1"], "--samples 1 leaves nothing to vote on"),
        (["--temperature", "0"], "--samples 8 with --temperature 0"),
        (["--top_p", "0"], "--top_p 0.0: Input should be greater than 0"),
        (["--input_file", "none.jsonl"], "none.jsonl does not exist"),
    ],
)
def test_a_mistake_is_one_message_before_anything_is_asked(
    tmp_path: Path, flags: list[str], message: str
) -> None:
    result = evaluate("--input_file", write_gsm8k(tmp_path / "p.jsonl"), "--cache_dir", tmp_path, *flags)
    assert result.exit_code == 2
    assert message in " ".join(result.output.split())
    assert not list(tmp_path.glob("results*"))


def test_a_file_of_another_format_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "p.jsonl"
    path.write_text(json.dumps({"question": "Who?", "answer": "Ada"}) + "\n")
    result = evaluate("--input_file", path, "--cache_dir", tmp_path / "cache")
    assert result.exit_code == 2
    assert "'Ada' is not one number" in result.output


def test_the_settings_are_those_of_the_published_numbers() -> None:
    runs = measurements({"input_file": Path("gsm8k.jsonl")})
    found = {
        measure: (c.temperature, c.top_p, c.samples, c.max_answer_tokens, c.n_rows, c.vanilla_baseline)
        for measure, c in runs.items()
    }
    assert found == {
        Measure.GREEDY: (0.0, 1.0, 1, 1024, None, True),
        Measure.MAJORITY: (0.7, 0.8, 8, 1024, None, True),
    }


@pytest.mark.model
@pytest.mark.shared_data
def test_the_bundled_model_on_real_problems_counts_what_has_no_box_as_wrong(tmp_path: Path) -> None:
    shared = Path(os.environ.get("HR_SHARED_DATA", Path(__file__).parents[3] / "shared" / "data"))
    source = shared / "problems" / "gsm8k_train.jsonl.gz"
    if not source.is_file():
        pytest.skip(f"no {source} (HR_SHARED_DATA)")
    path = tmp_path / "gsm8k.jsonl"
    with gzip.open(source, "rt", encoding="utf-8") as lines:
        path.write_text("".join(islice(lines, 4)))
    result = evaluate(
        "--input_file", path, "--cache_dir", tmp_path / "cache", "--samples", "2", "--max_new_tokens", "64"
    )
    assert result.exit_code == 0, result.output
    greedy, drawn = written(tmp_path)[1], written(tmp_path)[2]
    for file in (greedy, drawn):
        boxed = ["\\boxed{" in entry.final_response for entry in file.results]
        assert [entry.extracted_answer is not None for entry in file.results] == boxed
        assert all(entry.is_correct is False for entry in file.results if entry.extracted_answer is None)
    without = sum(entry.extracted_answer is None for entry in greedy.results)
    assert f"{without} of 4 texts had no \\boxed{{}}, and count as wrong" in result.output
    assert "majority of 2: " in result.output
