"""The loop: the planner picks a thought type, the reasoner writes the thought, until "Finish thinking"."""

from __future__ import annotations

import random
from collections.abc import Sequence

from hierarchical_reasoning.planners.base import Choice, Planner
from hierarchical_reasoning.planners.untyped import UNTYPED
from hierarchical_reasoning.problems import Problem
from hierarchical_reasoning.reasoner import Reasoner
from hierarchical_reasoning.results.records import StepRecord
from hierarchical_reasoning.solvers.base import Solution, Solver
from hierarchical_reasoning.trace import FINISH, Trace
from taxonomy.model import ThoughtType

STEPS_FLAG = "--max_reasoning_steps"


class HierarchicalSolver(Solver):
    """Thinks in steps of the thought types of one level."""

    def __init__(
        self,
        planner: Planner,
        reasoner: Reasoner,
        options: Sequence[ThoughtType],
        *,
        max_reasoning_steps: int,
        seed: int,
        steps_flag: str = STEPS_FLAG,
    ) -> None:
        """
        Args:
            options: the thought types of the level; each problem sees them in an order of its own.
            max_reasoning_steps: choices at most, the last of which is "Finish thinking", chosen or not.
            seed: of the order of the options.
            steps_flag: the one that set `max_reasoning_steps`, for notes.
        """
        self._planner = planner
        self._reasoner = reasoner
        self._options = tuple(options)
        self._max_steps = max_reasoning_steps
        self._seed = seed
        self._steps_flag = steps_flag

    async def solve(self, problem: Problem, solution: Solution, *, sample: int = 0) -> None:
        trace = Trace(problem, shuffled(self._options, problem, self._seed))
        for steps_left in range(self._max_steps - 1, -1, -1):
            choice = await self._choose(trace, solution, sample) if steps_left else None
            if choice is None:
                record_stop(solution, self._max_steps, self._steps_flag)
                break
            if choice.name == FINISH:
                break
            option = trace.option(choice.name)
            step, reply, notes = await self._reasoner.think(
                trace, option, steps_left=steps_left - 1, sample=sample
            )
            trace = trace.extended(step)
            solution.steps[-1] = solution.steps[-1].model_copy(
                update={
                    "thought": step.thought,
                    "reasoner_usage": solution.spend("reasoner", reply.spent),
                    "truncated": reply.truncated,
                    "notes": notes,
                }
            )
        reply = await self._reasoner.answer(trace, sample=sample)
        solution.spend("reasoner", reply.spent)
        solution.final_response, solution.truncated = reply.text, reply.truncated

    async def _choose(self, trace: Trace, solution: Solution, sample: int) -> Choice:
        choice = await self._planner.choose(trace, sample=sample)
        self._reasoner.observer.chose(trace.problem, choice.name)
        option = None if choice.name == FINISH else trace.option(choice.name)
        solution.steps.append(
            StepRecord(
                thought_type=choice.name,
                node_id=None if option in (None, UNTYPED) else option.node_id,
                thought="",
                planner_probabilities=dict(choice.probabilities) if choice.probabilities else None,
                planner_usage=solution.spend("planner", choice.spent),
                reasoner_usage=None,
            )
        )
        return choice


def shuffled(options: Sequence[ThoughtType], problem: Problem, seed: int) -> tuple[ThoughtType, ...]:
    """The options in an order of this problem and seed, whatever order they come in."""
    in_order = sorted(options, key=lambda option: option.node_id)
    random.Random(f"{seed}/{problem.id}").shuffle(in_order)
    return tuple(in_order)


def record_stop(solution: Solution, max_steps: int, steps_flag: str = STEPS_FLAG) -> None:
    """Record "Finish thinking" where the planner did not choose it."""
    note = f"stopped at {max_steps} steps ({steps_flag}); the planner did not choose to"
    solution.steps.append(
        StepRecord(
            thought_type=FINISH,
            node_id=None,
            thought="",
            planner_probabilities=None,
            planner_usage=None,
            reasoner_usage=None,
            notes=(note,),
        )
    )
    solution.notes.append(note)
