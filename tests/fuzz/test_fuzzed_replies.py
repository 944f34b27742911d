"""Replies made wrong, as servers send them and as models word them (HR_FUZZ_N: of the 20,000 inputs, 2,000 are these).

A backend completes or raises an error of its own tree; a verifier grades whatever a model wrote.
"""

from __future__ import annotations

import asyncio
import json
import os
import random
from collections import Counter
from dataclasses import replace
from typing import Any

import pytest
from mutators import changed_value, mutated
from pydantic import BaseModel

from hierarchical_reasoning.problems import Problem
from hierarchical_reasoning.verifiers import verifier_for
from llm_backends import Backend, BackendError, Message, Request, Sampling, create_backend
from llm_backends.scripted_server import (
    Answer,
    Call,
    Dialect,
    Raw,
    Reply,
    Reset,
    ScriptedServer,
    Status,
    Truncated,
)
from llm_backends.scripted_server.dialects import reply_body

SHARE = int(os.environ.get("HR_FUZZ_N", "20000")) / 20_000
SECONDS = 60.0
"""For one request or grade, on a machine that may be busy."""
DIALECTS: tuple[Dialect, ...] = ("openai", "vllm", "together", "anthropic")


class Step(BaseModel):
    title: str
    number: int


def plausible(call: Call) -> bytes:
    """The body of a good reply."""
    text = json.dumps({"title": "Check", "number": 3}) if call.schema else "Check"
    if call.choices is not None:
        text = json.dumps({"choice": "Check"}) if call.schema else "Check"
    dialect: Dialect = "anthropic" if call.path.endswith("/messages") else "openai"
    return json.dumps(reply_body(dialect, call, Reply(text), 10, 2)).encode()


class Garbage:
    """Answers a call in one of many wrong ways."""

    def __init__(self, draw: random.Random) -> None:
        self._draw = draw

    def __call__(self, call: Call) -> Answer:
        draw, good = self._draw, plausible(call)
        kind = draw.randrange(10)
        if kind < 4:
            return Raw(mutated(good, draw))
        if kind < 7:
            return Raw(json.dumps(changed_value(json.loads(good), draw)).encode())
        if kind == 7:
            return Reply(
                self._text(), finish_reason=draw.choice(("stop", "length", "content_filter", "odd", None))
            )
        if kind == 8:
            return Status(draw.choice((400, 402, 404, 418, 429, 500, 529)), message=self._text())
        return draw.choice((Reset(), Truncated(), Raw(good, content_type="text/html")))

    def _text(self) -> str:
        return mutated(b'{"title": "Check", "number": 3}', self._draw).decode(errors="replace")


def requests(backend: Backend) -> list[Request]:
    """One of every kind that the backend takes."""
    ask = Request((Message("user", "Check or Compute?"),), Sampling(max_tokens=50))
    kinds = [ask, replace(ask, choices=("Check", "Compute")), replace(ask, schema=Step)]
    return [*kinds, replace(ask, logprobs=2)] if backend.supports_logprobs else kinds


@pytest.mark.parametrize("dialect", DIALECTS)
async def test_a_server_may_reply_anything(dialect: Dialect, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(f"{dialect.upper()}_API_KEY", "sk-fuzz-0123456789")
    draw = random.Random(dialect)
    ends: Counter[str] = Counter()
    messages: set[str] = set()
    with ScriptedServer(Garbage(draw), dialect=dialect) as server:
        async with create_backend(
            dialect, model_name="scripted", base_url=server.base_url, max_retries=0
        ) as backend:
            kinds = requests(backend)
            for number in range(round(250 * SHARE)):
                try:
                    completion = await asyncio.wait_for(backend.complete(kinds[number % len(kinds)]), SECONDS)
                except BackendError as error:
                    ends[type(error).__name__] += 1
                    messages.add(str(error).strip())
                else:
                    ends["completed"] += 1
                    completion.text.encode()  # it can be written to a file
    assert ends["completed"] > 0
    assert len(ends) >= 4, ends
    assert "" not in messages


TRUTHS: dict[str, tuple[str, str, dict[str, Any]]] = {
    "number": ("1,234.5", "So the answer is \\boxed{1{,}234.5} apples, or 2/3 of 50 %.", {}),
    "chess": (
        "Qg5",
        "I play <answer>Qg5+</answer>, that is move 23. ... Qg5 or d8g5 or 0-0-0 or e8=Q#.",
        {"fen": "rnbqkbnr/pppp1ppp/8/4p3/4P3/8/PPPP1PPP/RNBQKBNR b KQkq - 0 2"},
    ),
    "choice": ("B", "The answer is (B), that is: >> FINAL ANSWER: B) green", {"choices": ["red", "green"]}),
    "countdown": ("24", "<answer>(8 - 2) × 4 ÷ 1 = 24</answer>", {"numbers": [8, 2, 4, 1], "target": 24}),
    "text": ("Paris", "The answer is **Paris**, \\boxed{\\text{Paris}}.", {}),
}


@pytest.mark.parametrize("name", TRUTHS)
async def test_a_model_may_write_anything(name: str) -> None:
    answer, good, fields = TRUTHS[name]
    problem = Problem("p", "What is it? A) red B) green", answer, None, {"answer": answer, **fields})
    verifier, _ = verifier_for(name, [problem])
    draw = random.Random(name)
    outcomes: Counter[str] = Counter()
    async with verifier:
        for _ in range(round(200 * SHARE)):
            text = mutated(good.encode(), draw).decode(errors="replace")
            grade = await asyncio.wait_for(
                verifier.grade(problem, text, truncated=draw.random() < 0.1), SECONDS
            )
            outcomes[grade.outcome.value] += 1
            assert grade.reason.strip()
    assert len(outcomes) >= 2, outcomes
