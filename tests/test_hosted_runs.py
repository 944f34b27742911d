"""Whole runs against a real HTTP server that fails: everything ends, nothing is lost, nothing leaks."""

from __future__ import annotations

import json
import os
import random
import re
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from scripted_run import config_for, run_with, write_problems

from hierarchical_reasoning.backends import Backends
from hierarchical_reasoning.config import RunConfig
from hierarchical_reasoning.dry_run import CHARACTERS_PER_TOKEN
from hierarchical_reasoning.outcomes import Outcome
from hierarchical_reasoning.results.records import ResultsFile
from hierarchical_reasoning.runner import Finished
from hierarchical_reasoning.trace import FINISH
from llm_backends import Backend, create_backend
from llm_backends.scripted_server import (
    Answer,
    Call,
    Fault,
    Raw,
    Reply,
    Reset,
    ScriptedServer,
    Stall,
    Status,
    Truncated,
    choice_text,
)

ROOT = Path(__file__).parents[1]
KEY = "sk-planted-2f6b1c0d9e8a7b6c5d4e"


def reply(call: Call) -> Answer:
    """Two thoughts, then an answer, which is right for even problems. It depends on the messages alone."""
    match = re.search(r"Problem (\d+)", call.messages[0][1])
    assert match is not None
    number = int(match[1])
    said = [text for role, text in call.messages if role == "assistant"]
    if call.choices is not None:
        types = sorted(set(call.choices) - {FINISH})
        return choice_text(call, FINISH if len(said) == 4 else types[(number + len(said)) % len(types)])
    if said and said[-1] != FINISH:
        return f"Thought {len(said)} on problem {number}."
    return f"So it is \\boxed{{{10 + number if number % 2 == 0 else 0}}}."


FAULTS: tuple[Fault | Reply, ...] = (
    Status(429, headers={"retry-after": "1"}),
    Status(500),
    Reset(),
    Truncated(),
    Raw(b'{"choices": [{"mess'),
    Reply(""),
    Stall(2.0),
    Reply("So it", finish_reason="length"),
)


class Unreliable:
    """Of the calls 30 % fail, in one of eight ways."""

    def __init__(self) -> None:
        draw = random.Random(0)
        fails = {call: draw.choice(FAULTS) for call in range(10_000) if draw.random() < 0.3}
        self.faults = {call: fault for call, fault in fails.items() if not isinstance(fault, Reply)}
        self._replies = {call: fault for call, fault in fails.items() if isinstance(fault, Reply)}
        self.answered: Counter[str] = Counter()
        """How often each question, to the letter, was answered well."""

    def __call__(self, call: Call) -> Answer:
        if call.index in self._replies:
            return self._replies[call.index]
        self.answered[json.dumps(call.body, sort_keys=True)] += 1
        return reply(call)

    def failed(self, calls: int) -> Counter[str]:
        """How often each fault occurred in so many calls."""
        every = {**self.faults, **self._replies}
        return Counter(repr(fault) for call, fault in every.items() if call < calls)


async def no_wait(_: float) -> None:
    return


async def run_against(server: ScriptedServer, config: RunConfig, **options: Any) -> tuple[Finished, Backend]:
    backend = create_backend(
        "openai", model_name="scripted", base_url=server.base_url, sleep=no_wait, **options
    )
    try:
        return await run_with(config, backend), backend
    finally:
        await backend.aclose()


async def test_with_three_replies_in_ten_failing_every_problem_ends_and_none_is_asked_for_twice(
    tmp_path: Path,
) -> None:
    unreliable = Unreliable()
    write_problems(tmp_path / "problems.jsonl", 200)
    config = config_for(tmp_path, n_rows=200, max_concurrency=64)
    with ScriptedServer(unreliable, models=("scripted",), faults=unreliable.faults) as server:
        finished, _ = await run_against(
            server, config, max_concurrency=64, max_retries=12, max_choice_attempts=8, timeout_s=1.0
        )
        failed = unreliable.failed(len(server.calls))
    summary = finished.results.summary
    assert summary.outcomes[Outcome.CORRECT] == summary.outcomes[Outcome.WRONG] == 100
    assert all(re.fullmatch(r"So it is \\boxed\{\d+\}\.", e.final_response) for e in finished.results.results)
    assert set(failed) == {repr(fault) for fault in FAULTS}
    stalled = failed[repr(Stall(2.0))]
    repeats: Counter[str] = Counter()
    for used in summary.usage.values():
        repeats.update(used.repeats)
    timed_out = repeats["RequestTimeoutError"]  # a busy machine adds to those that stall
    # A reply that came after the client had given up on it was not received.
    assert sum(unreliable.answered.values()) - len(unreliable.answered) <= timed_out
    late = timed_out - stalled
    assert late >= 0
    assert 0 <= failed[repr(FAULTS[0])] - repeats["RateLimitError"] <= late
    assert 0 <= failed[repr(Status(500))] - repeats["ServerError"] <= late
    assert 0 <= sum(failed.values()) - stalled - (sum(repeats.values()) - timed_out) <= late


async def test_where_retries_run_out_the_problem_is_an_error_and_not_wrong(tmp_path: Path) -> None:
    with ScriptedServer(lambda _: Status(500, "out of order"), models=("scripted",)) as server:
        finished, _ = await run_against(server, config_for(tmp_path), max_retries=1)
    for entry in finished.results.results:
        assert (entry.outcome, entry.is_correct, entry.final_response) == (Outcome.ERROR, None, "")
        assert entry.error is not None
        assert "out of order" in entry.error.message
        assert entry.usage["planner"].repeats == {"ServerError": 1}
    assert len(finished.results.summary.alarms) == 1


def command(tmp_path: Path, server: ScriptedServer, *more: str) -> list[str]:
    write_problems(tmp_path / "problems.jsonl", 12)
    return [
        *(sys.executable, str(ROOT / "hierarchical_reasoning.py")),
        *("--llm_framework", "openai", "--base_url", server.base_url, "--model_name", "scripted"),
        *("--input_file", str(tmp_path / "problems.jsonl"), "--cache_dir", str(tmp_path / "cache")),
        *("--n_rows", "12", "--num_icl_examples", "0", "--max_retries", "1", "--prompt_verbose", *more),
    ]


def leaks(tmp_path: Path, printed: str) -> list[str]:
    found = ["what was printed"] if KEY in printed else []
    files = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert any(path.suffix == ".jsonl" for path in files)
    return found + [str(path) for path in files if KEY.encode() in path.read_bytes()]


@pytest.mark.parametrize("end", ["success", "refused", "failing", "interrupted"])
def test_a_key_is_in_nothing_that_a_run_leaves_behind(tmp_path: Path, end: str) -> None:
    def talkative(call: Call) -> Answer:
        if end == "failing":
            return Status(500, f"upstream failed for Authorization: Bearer {KEY}")
        return f"{reply(call)} You are {KEY}." if call.choices is None else reply(call)

    wanted = "another key" if end == "refused" else KEY
    slow = 0.2 if end == "interrupted" else 0.0
    environment = os.environ | {"OPENAI_API_KEY": KEY, "OPENAI_LOG": "debug"}
    with ScriptedServer(talkative, models=("scripted",), key=wanted, first_s=slow) as server:
        process = subprocess.Popen(
            command(tmp_path, server, "--max_concurrency", "2"),
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        if end == "interrupted":
            while not server.calls:
                assert process.poll() is None, process.communicate()[0]
                time.sleep(0.01)
            time.sleep(0.5)
            process.send_signal(signal.SIGINT)
        printed, _ = process.communicate(timeout=120)
    assert process.returncode == {"success": 0, "refused": 2, "failing": 1, "interrupted": 130}[end], printed
    assert leaks(tmp_path, printed) == []
    assert ("[redacted key]" in printed) == (end in ("success", "failing")) or end == "interrupted"


def test_a_second_run_asks_nothing_and_says_what_had_been_paid(tmp_path: Path) -> None:
    prices = tmp_path / "prices.json"
    prices.write_text(
        json.dumps({"as_of": "today", "prices": {"openai": {"scripted": {"input": 2, "output": 4}}}})
    )
    with ScriptedServer(reply, models=("scripted",)) as server:
        for _ in range(2):
            done = subprocess.run(
                command(tmp_path, server, "--prices", str(prices)), capture_output=True, text=True, check=True
            )
        calls = len(server.calls)
    first, second = sorted((tmp_path / "cache").glob("results_*.json"), key=lambda path: path.stat().st_mtime)
    paid, again = (ResultsFile.model_validate_json(path.read_text()).summary for path in (first, second))
    assert sum(used.calls for used in paid.usage.values()) == calls == 12 * 6
    assert sum(used.from_cache for used in paid.usage.values()) == 0
    assert {role: used.from_cache for role, used in again.usage.items()} == {"planner": 36, "reasoner": 36}
    assert again.cost_usd == 0
    tokens = [used.prompt_tokens * 2 + used.completion_tokens * 4 for used in paid.usage.values()]
    assert paid.cost_usd == pytest.approx(sum(tokens) / 1e6)
    assert re.search(rf"cost, paid before +. +\${paid.cost_usd:.4f}", done.stdout)
    before = [used.cost_from_cache_usd or 0 for used in again.usage.values()]
    assert paid.cost_usd == pytest.approx(sum(before))


def test_a_dry_run_bounds_what_a_run_takes_and_asks_nothing(tmp_path: Path) -> None:
    """Thoughts as long as allowed, a thought type of its own every time, examples with each."""

    def dear(call: Call) -> Answer:
        if call.choices is not None:
            said = [text for role, text in call.messages if role == "assistant"]
            fresh = [choice for choice in call.choices if choice not in said and choice != FINISH]
            return choice_text(call, (fresh or [call.choices[0]])[0])
        return " ".join(["abc"] * 60)

    settings = ("--num_icl_examples", "5", "--max_thought_tokens", "60", "--max_answer_tokens", "60")
    with ScriptedServer(dear, models=("scripted",)) as server:
        arguments = [part for part in command(tmp_path, server) if part not in ("--num_icl_examples", "0")]
        dry = subprocess.run([*arguments, *settings, "--dry_run"], capture_output=True, text=True, check=True)
        assert server.calls == []
        subprocess.run([*arguments, *settings], capture_output=True, text=True, check=True)
        characters = sum(len(text) for call in server.calls for _, text in call.messages)
        calls = len(server.calls)
    (row,) = [line for line in dry.stdout.splitlines() if "total" in line]
    bound, prompt, _ = (int(number.replace(",", "")) for number in re.findall(r"[\d,]+", row)[:3])
    assert bound == calls == 12 * (9 + 9 + 1)
    assert prompt >= characters // CHARACTERS_PER_TOKEN
    assert "price unknown" in row


def test_a_key_goes_to_no_server_but_its_own(tmp_path: Path) -> None:
    """The main model's key is for its server; a planner elsewhere has its own, or none."""
    environment = {name: value for name, value in os.environ.items() if not name.endswith("_API_KEY")}
    with (
        ScriptedServer(reply, models=("scripted",), key=KEY) as ours,
        ScriptedServer(reply, models=("planner",), key="none") as theirs,
    ):
        arguments = command(tmp_path, ours, "--api_key_env", "MY_KEY", "--planner_model_name", "planner")
        subprocess.run(
            [*arguments, "--planner_llm_framework", "openai", "--planner_base_url", theirs.base_url],
            env=environment | {"MY_KEY": KEY},
            check=True,
            capture_output=True,
        )
        assert ours.calls
        assert theirs.calls
        assert all(call.key_right for call in (*ours.calls, *theirs.calls))


async def test_a_planner_of_its_own_plans(tmp_path: Path) -> None:
    with ScriptedServer(reply, models=("a", "b")) as server:
        url = server.base_url
        one, other = (create_backend("openai", model_name=name, base_url=url) for name in ("a", "b"))
        async with Backends(one, other) as backends:
            config = config_for(tmp_path)
            finished = await run_with(config, backends=backends)
        models = {call.body["model"]: call.choices is None for call in server.calls}
    assert models == {"a": True, "b": False}
    assert finished.results.config["backends"]["planner"]["model"] == "b"


def test_a_killed_run_goes_on_and_pays_again_for_no_more_than_was_in_flight(tmp_path: Path) -> None:
    in_flight, asked = 4, Counter[str]()

    def counted(call: Call) -> Answer:
        asked[json.dumps(call.body, sort_keys=True)] += 1
        return reply(call)

    with ScriptedServer(counted, models=("scripted",), first_s=0.05) as server:
        arguments = command(tmp_path, server, "--max_concurrency", str(in_flight), "--resume")
        for kill_after in (9, 25, 41):
            process = subprocess.Popen(arguments, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
            while len(server.calls) < kill_after:
                assert process.poll() is None
                time.sleep(0.002)
            process.kill()
            process.wait()
        subprocess.run(arguments, check=True, capture_output=True)
    assert len(asked) == 12 * 6
    assert asked.total() - len(asked) <= 3 * in_flight
    (results,) = (tmp_path / "cache").glob("results_*.json")
    entries = ResultsFile.model_validate_json(results.read_text()).results
    assert [entry.outcome for entry in entries] == [Outcome.CORRECT, Outcome.WRONG] * 6
