"""What fuzzing found, each kept as the input that did it."""

from __future__ import annotations

import json
import math
import time
from pathlib import Path
from typing import Any

import pytest

from hierarchical_reasoning.problems import Problem
from hierarchical_reasoning.verifiers import verifier_for
from llm_backends import MalformedReplyError, Message, Request, create_backend
from llm_backends.hosted.matching import match_choice
from llm_backends.hosted.reading import read_chat_completion
from llm_backends.scripted_server import Raw, ScriptedServer
from taxonomy.directory import read_labeled_chunks
from taxonomy.errors import ExamplesCacheError, RolloutFileError, TaxonomyFileError
from taxonomy.examples import read_examples_cache
from taxonomy.reading import read_inputs

LONG_NUMBER = "9" * 5000
"""Longer than Python turns into an integer."""


@pytest.mark.parametrize(
    "change",
    [
        {"message": {"content": "\ud800"}},
        {"message": {"content": "<think>\udfff</think>Yes"}},
        {"logprobs": {"content": [{"token": "a", "logprob": 10**400}]}},
        {"logprobs": {"content": [{"token": "a", "logprob": math.nan}]}},
        {"logprobs": {"content": [{"token": "a", "logprob": math.inf}]}},
    ],
)
def test_replies_that_no_file_could_hold_are_malformed(change: dict[str, Any]) -> None:
    choice = {"finish_reason": "stop", "message": {"content": "Yes"}}
    assert read_chat_completion({"choices": [choice]}).text == "Yes"
    with pytest.raises(MalformedReplyError):
        read_chat_completion({"choices": [choice | change]})


async def test_a_body_nested_beyond_reading_is_malformed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-fuzz-0123456789")
    with ScriptedServer(lambda call: Raw(b"[" * 100_000)) as server:
        async with create_backend(
            "openai", model_name="scripted", base_url=server.base_url, max_retries=0
        ) as backend:
            with pytest.raises(MalformedReplyError, match="not JSON"):
                await backend.complete(Request((Message("user", "Yes?"),)))


def test_a_reply_nested_beyond_reading_is_no_choice() -> None:
    assert match_choice("[" * 100_000, ("Check", "Compute")) is None


@pytest.mark.parametrize(
    "content", [{}, {"superset": "x", "notes": []}, {"superset": {"a": "text"}, "notes": []}]
)
def test_a_damaged_cache_of_examples_is_refused(tmp_path: Path, content: dict[str, Any]) -> None:
    path = tmp_path / "cache.json"
    path.write_text(json.dumps({"key": "k", **content}))
    with pytest.raises(ExamplesCacheError, match="is damaged"):
        read_examples_cache(path, 1, key="k")


def test_places_of_chunks_are_numbers_of_a_length(tmp_path: Path) -> None:
    (tmp_path / "chunks.csv").write_text(f"id,text,idx\na,x,{LONG_NUMBER}\n")
    with pytest.raises(RolloutFileError, match=r"line 2: the place is '9+\.\.\.'"):
        read_inputs([tmp_path / "chunks.csv"])
    (tmp_path / "labeled_chunks__level-1.csv").write_text(
        f"index,chunks,chunk_idx,labels\na,x,{LONG_NUMBER},b\n"
    )
    with pytest.raises(TaxonomyFileError, match=r"line 2: 'chunk_idx' is '9+\.\.\.'"):
        read_labeled_chunks(tmp_path, 1)


async def test_blanks_in_an_answer_are_passed_over_soon() -> None:
    problem = Problem("p", "Make 24.", "24", None, {"numbers": [8, 2, 4, 1], "target": 24})
    verifier, _ = verifier_for("countdown", [problem])
    started = time.process_time()
    await verifier.grade(problem, f"the answer is 8{' ' * 200_000}- 2")
    assert time.process_time() - started < 5.0
