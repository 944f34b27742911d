"""The vanilla baseline: one call, chain of thought."""

from __future__ import annotations

from hierarchical_reasoning.problems import Problem
from hierarchical_reasoning.reasoner import Reasoner
from hierarchical_reasoning.solvers.base import Solution, Solver


class VanillaSolver(Solver):
    """Asks the reasoner for the whole solution at once."""

    def __init__(self, reasoner: Reasoner) -> None:
        self._reasoner = reasoner

    async def solve(self, problem: Problem, solution: Solution, *, sample: int = 0) -> None:
        reply = await self._reasoner.solve(problem, sample=sample)
        solution.spend("reasoner", reply.spent)
        solution.final_response, solution.truncated = reply.text, reply.truncated
