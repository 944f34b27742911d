from __future__ import annotations

import json
import math
import signal
import subprocess
import sys
import textwrap
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from hierarchical_reasoning.errors import OutputError
from hierarchical_reasoning.outcomes import Outcome
from hierarchical_reasoning.results.file import check_writable, results_stem, write_results
from hierarchical_reasoning.results.intervals import Accuracy, wilson_interval
from hierarchical_reasoning.results.records import (
    ErrorRecord,
    ResultEntry,
    ResultsFile,
    RoleUsage,
    StepRecord,
    TokenUsage,
)
from hierarchical_reasoning.results.summary import Sessions, summarize
from llm_backends import Price, Spent, Usage

NOW = datetime(2026, 1, 2, 3, 4, 5)
SPEC_NAMES = [
    "problem_id",
    "problem",
    "use_hierarchical",
    "label_level",
    "thought_types",
    "thoughts",
    "final_response",
    "extracted_answer",
    "is_correct",
    "ground_truth",
]


def entry(outcome: Outcome, index: int = 0, **changes: Any) -> ResultEntry:
    values: dict[str, Any] = {
        "problem_id": f"p{index}",
        "problem": "1 + 1?",
        "use_hierarchical": True,
        "label_level": 3,
        "thought_types": ("Add", "Finish thinking"),
        "thoughts": ("1 + 1 is 2.", "\\boxed{2}"),
        "final_response": "\\boxed{2}",
        "extracted_answer": str(index),
        "is_correct": outcome.is_correct,
        "ground_truth": None if outcome is Outcome.UNGRADED else f"truth {index}",
        "outcome": outcome,
        "reason": f"{outcome}: {index}",
        "usage": {"planner": RoleUsage(calls=2, prompt_tokens=10, cached_tokens=4, completion_tokens=1)},
        "seconds": 0.5,
        "error": ErrorRecord(type="TimeoutError", message=f"{index}") if outcome is Outcome.ERROR else None,
    }
    return ResultEntry(**{**values, **changes})


def results_file(entries: list[ResultEntry]) -> ResultsFile:
    return ResultsFile(
        model_name="m",
        label_level=3,
        use_hierarchical_reasoning=True,
        summary=summarize(entries),
        config={"seed": 0},
        results=tuple(entries),
    )


def test_the_file_has_the_names_of_the_format(tmp_path: Path) -> None:
    step = StepRecord(
        thought_type="Add",
        node_id="7",
        thought="½",
        planner_probabilities={"Add": 0.75, "Finish thinking": 0.25},
        planner_usage=TokenUsage(calls=1, prompt_tokens=5),
        reasoner_usage=None,
    )
    written = results_file([entry(Outcome.CORRECT, steps=(step,)), entry(Outcome.UNGRADED, 1)])
    path = write_results(tmp_path, "results", written, written.results)
    content = json.loads(path.read_text())
    assert list(content) == [
        "model_name",
        "label_level",
        "use_hierarchical_reasoning",
        "summary",
        "config",
        "results",
    ]
    assert list(content["results"][0])[:10] == SPEC_NAMES
    assert [one["is_correct"] for one in content["results"]] == [True, None]
    assert content["results"][0]["steps"][0]["planner_probabilities"]["Add"] == 0.75
    assert ResultsFile.model_validate_json(path.read_text()) == written


def test_no_file_is_ever_overwritten_and_none_is_left_half_written(tmp_path: Path) -> None:
    one = results_file([entry(Outcome.CORRECT)])
    names = [write_results(tmp_path, "results", one, one.results).name for _ in range(3)]
    assert names == ["results.json", "results_1.json", "results_2.json"]
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(names)


@pytest.mark.parametrize(("nth", "written"), [(1, ["results.json"]), (2, ["results.json", "results_1.json"])])
def test_a_kill_leaves_the_whole_file_or_none(tmp_path: Path, nth: int, written: list[str]) -> None:
    one = results_file([entry(Outcome.CORRECT)])
    whole = write_results(tmp_path, "results", one, one.results).read_text()
    script = textwrap.dedent(
        """
        import os, signal, sys
        from hierarchical_reasoning.results.records import ResultsFile
        from hierarchical_reasoning.results.file import write_results

        fsync, calls = os.fsync, []

        def killed(descriptor):
            calls.append(descriptor)
            if len(calls) == int(sys.argv[2]):
                os.kill(os.getpid(), signal.SIGKILL)
            fsync(descriptor)

        os.fsync = killed
        results = ResultsFile.model_validate_json(sys.stdin.read())
        write_results(sys.argv[1], "results", results, results.results)
        """
    )
    command = [sys.executable, "-c", script, str(tmp_path), str(nth)]
    process = subprocess.run(command, input=whole, text=True, check=False)
    assert process.returncode == -signal.SIGKILL
    assert sorted(path.name for path in tmp_path.glob("results*")) == written
    assert {path.read_text() for path in tmp_path.glob("results*")} == {whole}
    following = write_results(tmp_path, "results", one, one.results)
    assert following.name == f"results_{len(written)}.json"


def test_a_file_that_cannot_be_written_leaves_nothing(tmp_path: Path) -> None:
    broken = results_file([entry(Outcome.CORRECT)]).model_copy(update={"config": {"a": math.nan}})
    with pytest.raises(ValueError):
        write_results(tmp_path, "results", broken, broken.results)
    with pytest.raises(OutputError, match="journal"):
        write_results(tmp_path / "absent", "results", results_file([]), [])
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("model", "hierarchical", "expected"),
    [
        ("gpt-4o-mini", True, "results_hierarchical_level3_gpt-4o-mini_20260102_030405"),
        ("google/gemma-2-27b-it", False, "results_vanilla_level3_google-gemma-2-27b-it_20260102_030405"),
        ("../../etc/π model", True, "results_hierarchical_level3_etc-model_20260102_030405"),
        ("//", True, "results_hierarchical_level3_model_20260102_030405"),
    ],
)
def test_the_name_says_what_ran(model: str, hierarchical: bool, expected: str) -> None:
    assert results_stem(model, level=3, hierarchical=hierarchical, now=NOW) == expected


@given(model=st.text(max_size=300))
def test_every_model_name_is_safe_in_a_file_name(model: str) -> None:
    stem = results_stem(model, level=0, hierarchical=True, now=NOW)
    assert Path(stem).name == stem
    assert len(stem) < 200


def test_an_entry_cannot_contradict_itself() -> None:
    with pytest.raises(ValidationError, match="is_correct must be True"):
        entry(Outcome.CORRECT, is_correct=False)
    with pytest.raises(ValidationError, match="outcome error"):
        entry(Outcome.ERROR, error=None)
    with pytest.raises(ValidationError, match="outcome error"):
        entry(Outcome.WRONG, error=ErrorRecord(type="X", message=""))


def test_a_summary_counts_outcomes_tokens_and_both_accuracies() -> None:
    ends = [Outcome.CORRECT, Outcome.CORRECT, Outcome.WRONG, Outcome.NO_ANSWER, Outcome.TRUNCATED]
    ends += [Outcome.ERROR, Outcome.UNGRADED]
    summary = summarize([entry(end, index) for index, end in enumerate(ends)], sessions=Sessions(1.5))
    assert summary.n == 7
    assert summary.outcomes == {outcome: ends.count(outcome) for outcome in Outcome}
    assert (summary.accuracy.correct, summary.accuracy.n) == (2, 6)
    assert (summary.accuracy_completed.correct, summary.accuracy_completed.n) == (2, 5)
    assert summary.usage == {
        "planner": RoleUsage(calls=14, prompt_tokens=70, cached_tokens=28, completion_tokens=7)
    }
    assert summary.tokens_per_problem == 11
    assert (summary.seconds, summary.wall_seconds) == (3.5, 1.5)
    assert summary.alarms == ()


def test_a_price_that_is_not_known_is_not_zero() -> None:
    spent = Spent(2, Usage(1_000_000, 0, 100_000), 1, Usage(500_000), {"RateLimitError": 3})
    priced = RoleUsage.priced(spent, Price(input=2, output=10))
    assert (priced.cost_usd, priced.cost_from_cache_usd) == (pytest.approx(3.0), pytest.approx(1.0))
    assert (priced.calls, priced.from_cache, priced.prompt_tokens) == (3, 1, 1_500_000)
    free = RoleUsage.priced(spent, None)
    assert (free.cost_usd, (priced + free).cost_usd) == (None, None)
    assert (priced + priced).repeats == {"RateLimitError": 6}
    summary = summarize([entry(Outcome.CORRECT, usage={"planner": priced, "reasoner": priced})])
    assert summary.cost_usd == pytest.approx(6.0)
    nothing = RoleUsage.priced(Spent(), None)
    assert (nothing.cost_usd, nothing.cost_from_cache_usd) == (0.0, 0.0)


def test_what_was_paid_for_attempts_made_again_and_besides_is_counted() -> None:
    used = RoleUsage(calls=1, prompt_tokens=10, cost_usd=1.0, cost_from_cache_usd=0.0)
    failed, done = (entry(end, usage={"reasoner": used}) for end in (Outcome.ERROR, Outcome.CORRECT))
    summary = summarize([done], superseded=[failed], sessions=Sessions(besides={"examples": used}))
    assert summary.usage == {"reasoner": used, "examples": used}
    assert summary.usage_of_earlier_attempts == {"reasoner": used}
    assert summary.cost_usd == 3.0
    assert summary.tokens_per_problem == 10


def test_a_summary_of_nothing_claims_nothing() -> None:
    summary = summarize([])
    assert (summary.accuracy.value, summary.tokens_per_problem, summary.alarms) == (None, None, ())


def test_failing_all_for_one_reason_is_said_loudly() -> None:
    (alarm,) = summarize([entry(Outcome.NO_ANSWER, index) for index in range(4)]).alarms
    assert alarm.startswith("ALL 4 problems failed for the same reason (no_answer: no_answer)")
    (alarm,) = summarize([entry(Outcome.ERROR, index) for index in range(4)]).alarms
    assert "error: TimeoutError" in alarm


def test_one_right_answer_is_enough_to_stay_quiet() -> None:
    entries = [entry(Outcome.WRONG, index) for index in range(4)]
    assert summarize([*entries, entry(Outcome.CORRECT, 9)]).alarms == ()


def test_many_errors_and_one_answer_for_everything_are_said() -> None:
    errors = [entry(Outcome.ERROR, index) for index in range(3)]
    (alarm,) = summarize([*errors, entry(Outcome.CORRECT, 3), entry(Outcome.WRONG, 4)]).alarms
    assert alarm == "3 of 5 problems ended in an error: TimeoutError (3)"
    same = [entry(Outcome.WRONG, index, extracted_answer="0") for index in range(3)]
    (alarm,) = summarize([*same, entry(Outcome.CORRECT, 3, extracted_answer="0")]).alarms
    assert alarm == "every one of the 4 answers is the same: '0'"


def test_a_directory_is_made_and_proved_writable(tmp_path: Path) -> None:
    made = check_writable(tmp_path / "a" / "b")
    assert made.is_dir()
    assert list(made.iterdir()) == []
    (tmp_path / "file").write_text("")
    for bad in (tmp_path / "file", tmp_path / "file" / "below", Path("/proc/self/results")):
        with pytest.raises(OutputError, match=f"{bad}.*--cache_dir"):
            check_writable(bad)


@pytest.mark.parametrize(
    ("successes", "n", "low", "high"),
    [(0, 10, 0.0, 0.2775), (10, 10, 0.7225, 1.0), (5, 10, 0.2366, 0.7634), (80, 100, 0.7112, 0.8666)],
)
def test_wilson_matches_published_values(successes: int, n: int, low: float, high: float) -> None:
    assert wilson_interval(successes, n) == pytest.approx((low, high), abs=1e-4)


@given(data=st.data(), n=st.integers(1, 10**6), confidence=st.floats(0.01, 0.99))
def test_an_interval_holds_its_share(data: st.DataObject, n: int, confidence: float) -> None:
    successes = data.draw(st.integers(0, n))
    low, high = wilson_interval(successes, n, confidence)
    assert 0 <= low <= successes / n + 1e-9
    assert successes / n - 1e-9 <= high <= 1


def test_impossible_counts_are_refused() -> None:
    assert wilson_interval(0, 0) == (0.0, 1.0)
    for successes, n, confidence in ((2, 1, 0.95), (-1, 1, 0.95), (1, 1, 1.0)):
        with pytest.raises(ValueError):
            wilson_interval(successes, n, confidence)
    assert Accuracy.of(1, 2).value == 0.5


def test_a_planner_that_never_plans_is_said() -> None:
    finish = StepRecord(
        thought_type="Finish thinking",
        node_id=None,
        thought="",
        planner_probabilities=None,
        planner_usage=None,
        reasoner_usage=None,
    )
    at_once = [entry(Outcome.CORRECT, index, thoughts=(), steps=(finish,)) for index in range(3)]
    (alarm,) = summarize(at_once).alarms
    assert alarm == "3 of 3 problems were answered without a thought: the planner chose to finish at once"
    planned = [entry(Outcome.CORRECT, 3 + index, steps=(finish,)) for index in range(4)]
    assert summarize([*at_once, *planned]).alarms == ()
