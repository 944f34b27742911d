"""A world to search in: thoughts, answers and probabilities that depend on what is asked alone."""

from __future__ import annotations

import asyncio
import hashlib
import random
from collections.abc import Callable
from typing import Any

from hierarchical_reasoning.planners.base import Planner
from hierarchical_reasoning.planners.model import ModelPlanner
from hierarchical_reasoning.planners.untyped import UNTYPED
from hierarchical_reasoning.problems import Problem
from hierarchical_reasoning.prompts import Prompts
from hierarchical_reasoning.reasoner import Reasoner
from hierarchical_reasoning.search.settings import SearchSettings
from hierarchical_reasoning.solvers.base import Solution
from hierarchical_reasoning.solvers.search import SearchParts, SearchSolver
from hierarchical_reasoning.trace import FINISH
from hierarchical_reasoning.verifiers.number import NumberVerifier
from llm_backends import Backend, Completion, FinishReason, Request, Sampling, ScriptedBackend, Usage
from taxonomy.model import ThoughtType

TYPES = tuple(
    ThoughtType(str(i), name, "", 1, name) for i, name in enumerate(("Add", "Check", "Guess", "Recall"))
)
PROBLEM = Problem("p0", "What is 10 + 3?", "13", "sum", {"prompt": "What is 10 + 3?", "answer": 13}, "answer")
MAX_THOUGHT, MAX_ANSWER = 12, 16


def number(*of: object, below: int = 2**32) -> int:
    """One that depends on these alone."""
    digest = hashlib.sha256(repr(of).encode()).digest()
    return int.from_bytes(digest[:8], "big") % below


class World(ScriptedBackend):
    """Tokens are words. Answers are one of a few numbers; every call takes a time of its own."""

    def __init__(
        self, *, seed: int = 0, timing: int | None = None, n_answers: int = 3, **options: Any
    ) -> None:
        """
        Args:
            timing: draws how long each call takes; None: no time.
        """
        super().__init__(self._world, **options)
        self._seed = seed
        self._n_answers = n_answers
        self._timing = None if timing is None else random.Random(timing)
        self.in_flight = 0
        self.most_in_flight = 0

    async def _complete(self, request: Request) -> Completion:
        self.in_flight += 1
        self.most_in_flight = max(self.most_in_flight, self.in_flight)
        try:
            if self._timing is not None:
                for _ in range(self._timing.randrange(6)):
                    await asyncio.sleep(0)
            return await super()._complete(request)
        finally:
            self.in_flight -= 1

    def _world(self, request: Request) -> Completion:
        said = [message.content for message in request.messages if message.role == "assistant"]
        here = (self._seed, said, request.messages[-1].content, request.sample_index)
        prompt = self.count_tokens(request.messages)
        if request.choices is not None:
            weights = {name: 1 + number(here, name, below=99) for name in request.choices}
            if FINISH in weights:
                weights[FINISH] //= 3
            total = sum(weights.values())
            best = max(weights, key=lambda name: (weights[name], name))
            probabilities = {name: weight / total for name, weight in weights.items()}
            usage = Usage(prompt, 0, len(best.split()))
            return Completion(best, FinishReason.CHOICE, usage, choice_probabilities=probabilities)
        answers = bool(said) and said[-1] == FINISH
        limit = MAX_ANSWER if answers else MAX_THOUGHT
        words = 3 + number(here, "length", below=limit - 2)
        filler = ["word"] * (words - 2)
        text = (
            f"\\boxed{{{10 + number(here, below=self._n_answers)}}} end"
            if answers
            else f"thought {number(here)}"
        )
        return Completion(" ".join([*filler, text]), FinishReason.STOP, Usage(prompt, 0, words))

    @property
    def tokens(self) -> int:
        """Of all replies."""
        total = self.meter.total
        usage = total.usage + total.cached_usage
        return usage.prompt_tokens + usage.completion_tokens


def settings(**given: Any) -> SearchSettings:
    return SearchSettings(**{"search": "beam", "uncertainty": "none", "branching_factor": 3, **given})


def solver(world: Backend, given: SearchSettings, *, typed: bool = True, **parts: Any) -> SearchSolver:
    sampling = Sampling(temperature=0.7)
    prompts = Prompts()

    def planner(paid: Callable[[Backend], Backend]) -> Planner:
        return ModelPlanner(paid(world), prompts, Sampling(temperature=0.7, max_tokens=4))

    reasoner = Reasoner(
        world, prompts, sampling, max_thought_tokens=MAX_THOUGHT, max_answer_tokens=MAX_ANSWER
    )
    fields = {
        "reasoner": reasoner,
        "planner": planner if typed else None,
        "options": TYPES if typed else (UNTYPED,),
        "verifier": NumberVerifier(),
        **parts,
    }
    return SearchSolver(given, SearchParts(**fields))


async def searched(
    world: Backend,
    *,
    typed: bool = True,
    sample: int = 0,
    problem: Problem = PROBLEM,
    judge: Backend | None = None,
    **given: Any,
) -> Solution:
    """What a search comes to."""
    solution = Solution()
    await solver(world, settings(**given), typed=typed, judge=judge).solve(problem, solution, sample=sample)
    return solution
