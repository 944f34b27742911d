"""Search as a solver: a tree of thoughts on one problem, and the answer that it comes to."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Literal, TypeAlias

from hierarchical_reasoning.planners.base import Planner
from hierarchical_reasoning.problems import Problem
from hierarchical_reasoning.reasoner import Reasoner
from hierarchical_reasoning.rewards.base import LocalReward
from hierarchical_reasoning.rewards.judge import JudgeLocalReward
from hierarchical_reasoning.rewards.local import HeuristicLocalReward
from hierarchical_reasoning.search.answer_judge import AnswerJudge
from hierarchical_reasoning.search.appraisal import Appraisal, Appraisers
from hierarchical_reasoning.search.budget import Budget
from hierarchical_reasoning.search.calls import Calls
from hierarchical_reasoning.search.expander import Drawing, Expander
from hierarchical_reasoning.search.grown import Grown
from hierarchical_reasoning.search.paid_backend import PaidBackend
from hierarchical_reasoning.search.paid_values import PaidValues
from hierarchical_reasoning.search.recording import record_of, with_rewards
from hierarchical_reasoning.search.search import Search
from hierarchical_reasoning.search.selection import selected
from hierarchical_reasoning.search.settings import LocalRewardName, SearchSettings
from hierarchical_reasoning.search.values import Values, pairs_in
from hierarchical_reasoning.solvers.base import Solution, Solver
from hierarchical_reasoning.solvers.hierarchical import shuffled
from hierarchical_reasoning.trace import Trace
from hierarchical_reasoning.trees import ReasoningTree
from hierarchical_reasoning.verifiers import Verifier
from llm_backends import Backend
from taxonomy.model import ThoughtType

MakePlanner: TypeAlias = "Callable[[Callable[[Backend], Backend]], Planner]"
"""Makes the planner of one search from what turns a backend into one that this search pays for."""


@dataclass(frozen=True)
class SearchParts:
    """What searches of one run share."""

    reasoner: Reasoner
    planner: MakePlanner | None
    """None: thoughts have no type."""
    options: Sequence[ThoughtType]
    """The thought types of the level; each problem sees them in an order of its own."""
    verifier: Verifier
    values: Values | None = None
    judge: Backend | None = None
    """The high-level model, where it rates thoughts or answers."""
    planner_temperature: float = 1.0
    """Options are drawn in proportion to p^(1/temperature); 0: the likeliest."""
    seed: int = 0


class SearchSolver(Solver):
    """Searches."""

    def __init__(self, settings: SearchSettings, parts: SearchParts) -> None:
        self._settings = settings
        self._parts = parts

    async def begin(
        self,
        attempts: Sequence[tuple[Problem, int]],
        owed: Collection[tuple[str, int]],
        finished: Iterable[ReasoningTree],
    ) -> None:
        """Learn values from what is finished already; arguments as of `Solver.begin`."""
        if self._parts.values is not None:
            await self._parts.values.begin(attempts, owed, finished)

    async def solve(self, problem: Problem, solution: Solution, *, sample: int = 0) -> None:
        """Fill `solution`: with the path of the answer that was chosen, and the whole tree.

        Raises:
            ConfigError: the budget has no room for an answer.
            BackendError: no answer came.
        """
        values = self._parts.values
        if values is None:
            await self._solve(problem, solution, sample)
            return
        async with values.turn(problem, sample) as learned:
            paid = await self._solve(problem, solution, sample)
            assert solution.tree is not None, "a search leaves its tree"
            if paid is not None and values.learns_from(problem, sample):
                await values.see(paid, problem, sample, pairs_in(solution.tree, problem.without_truth()))
            learned(solution.tree)

    async def _solve(self, problem: Problem, solution: Solution, sample: int) -> PaidValues | None:
        """Search; returns what estimated values, where the search paid for that."""
        started = time.perf_counter()
        settings, parts = self._settings, self._parts
        budget = Budget(tokens=settings.max_search_tokens, calls=settings.max_search_calls)

        def paid(backend: Backend) -> PaidBackend:
            return PaidBackend(backend, budget, solution)

        calls = Calls(solution.notes)
        backend = paid(parts.reasoner.backend)
        rates_steps = self._rates_steps()
        reasoner = replace(parts.reasoner, backend=backend, asks_log_probs=rates_steps == "likelihood")
        planner = None if parts.planner is None else parts.planner(paid)
        drawing = Drawing(sample, parts.planner_temperature, parts.seed)
        expander = Expander(planner, reasoner, settings, drawing, calls)
        values = None if parts.values is None else parts.values.paid_by(budget, solution)
        appraisal = Appraisal(settings, self._appraisers(problem, rates_steps, paid, values), calls)
        asked = problem.without_truth()
        trace = Trace(asked, shuffled(parts.options, asked, parts.seed))
        grown = Grown(trace, settings.weights, sample=sample)
        solution.tree = grown.tree
        search = Search(grown, settings, expander, appraisal, budget, calls)
        try:
            await search.run(backend.most(reasoner.answer_request(trace, sample=sample)))
        finally:
            solution.notes.extend(expander.notes)
        answer = selected(grown, settings.select, seed=f"{parts.seed}/{problem.id}/{sample}")
        assert answer is not None, "a search that ends well has an answer"
        grown.tree.choose(answer.id)
        solution.tree = with_rewards(grown)
        path = grown.tree.path(answer.thought)[1:]
        steps = [grown.thoughts[node].step for node in path]
        solution.steps = [*(step for step in steps if step is not None), answer.step]
        solution.final_response, solution.truncated = answer.text, answer.truncated
        seconds = time.perf_counter() - started
        solution.search = record_of(grown, answer, budget.spent, ended=search.ended, seconds=seconds)
        return values

    def _rates_steps(self) -> LocalRewardName:
        return self._settings.local_reward or ("heuristic" if self._parts.planner is None else "prior")

    def _appraisers(
        self,
        problem: Problem,
        rates_steps: LocalRewardName,
        paid: Callable[[Backend], PaidBackend],
        values: PaidValues | None,
    ) -> Appraisers:
        settings, parts = self._settings, self._parts
        shared = None if parts.values is None else parts.values.estimator
        judge = None if parts.judge is None else paid(parts.judge).complete
        local: LocalReward | Literal["prior", "likelihood", "value"]
        if rates_steps == "judge":
            assert judge is not None, "what rates thoughts was named"
            local = JudgeLocalReward(judge)
        else:
            local = HeuristicLocalReward() if rates_steps == "heuristic" else rates_steps
        return Appraisers(
            verifier=parts.verifier,
            local=local,
            values=values or shared,
            judge=None if judge is None else AnswerJudge(judge),
            oracle=problem if settings.path_reward == "verifier" else None,
        )
