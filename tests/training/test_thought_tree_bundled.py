"""Thought trees of the bundled model: it writes the thoughts, plans, and is graded by the bundled verifier."""

from __future__ import annotations

import asyncio

import pytest

from hierarchical_reasoning.assets import MODEL, TAXONOMY, TRAIN_PROBLEMS
from hierarchical_reasoning.outcomes import Outcome
from hierarchical_reasoning.planners.model import ModelPlanner
from hierarchical_reasoning.problems import Problem, read_problems
from hierarchical_reasoning.prompts import Prompts
from hierarchical_reasoning.reasoner import Reasoner
from hierarchical_reasoning.solvers import HierarchicalSolver, Solution
from hierarchical_reasoning.training.explorers import Origin
from hierarchical_reasoning.training.explorers.conversation import Conversation
from hierarchical_reasoning.training.explorers.thought_settings import ThoughtTreeSettings
from hierarchical_reasoning.training.explorers.thought_tree import ThoughtTreeExplorer
from hierarchical_reasoning.training.explorers.thought_writing import ThoughtWriter
from hierarchical_reasoning.trees import ReasoningTree
from hierarchical_reasoning.verifiers import verifier_for
from llm_backends import Sampling
from llm_backends.local import LocalBackend, LocalTokenSampler
from llm_backends.local.loading import load_model
from llm_backends.token_streams import StreamSettings
from taxonomy import load_taxonomy

pytestmark = pytest.mark.model

LEVEL = 2
OPTIONS = load_taxonomy(TAXONOMY).at_level(LEVEL)
PROBLEMS = read_problems(TRAIN_PROBLEMS).problems[:3]
VERIFIER, _ = verifier_for(None, PROBLEMS)
PROMPTS = Prompts("chat", VERIFIER.answer_form)
GREEDY = Sampling(temperature=0)


def explorer(backend: LocalBackend, temperature: float, settings: ThoughtTreeSettings) -> ThoughtTreeExplorer:
    chat = load_model(str(MODEL), dtype="float32").chat
    writer = ThoughtWriter(
        LocalTokenSampler(backend),
        Conversation(chat, PROMPTS, OPTIONS, seed=0),
        StreamSettings(temperature=temperature),
        max_thought_tokens=settings.max_thought_tokens,
        max_answer_tokens=settings.max_answer_tokens,
    )
    return ThoughtTreeExplorer(writer, ModelPlanner(backend, PROMPTS, GREEDY), settings)


def as_drawn(tree: ReasoningTree) -> list[tuple[object, ...]]:
    """All but the log probabilities, which are rounded."""
    return [(node.parent, node.thought_type, node.given, node.tokens) for node in tree.nodes.values()]


async def test_without_branches_the_likeliest_path_is_what_the_solver_does() -> None:
    settings = ThoughtTreeSettings(branching_factor=1, planner_temperature=0, max_answer_tokens=256)
    async with LocalBackend(MODEL, dtype="float32") as backend:
        explores = explorer(backend, 0, settings)
        reasoner = Reasoner(backend, PROMPTS, GREEDY, settings.max_thought_tokens, settings.max_answer_tokens)
        solver = HierarchicalSolver(
            ModelPlanner(backend, PROMPTS, GREEDY),
            reasoner,
            OPTIONS,
            max_reasoning_steps=settings.max_steps,
            seed=0,
        )

        async def both(problem: Problem) -> tuple[Solution, Solution]:
            tree = (await explores.grow_problem(Origin(0, 1, problem.id), problem)).tree
            (leaf,) = tree.leaves()
            by_solver = Solution()
            await solver.solve(problem, by_solver)
            return explores.solution_of(tree, leaf), by_solver

        for found, by_solver in await asyncio.gather(*map(both, PROBLEMS)):
            assert [(step.thought_type, step.thought) for step in found.steps] == [
                (step.thought_type, step.thought) for step in by_solver.steps
            ]
            assert (found.final_response, found.truncated) == (by_solver.final_response, by_solver.truncated)


async def test_some_leaves_are_right_and_some_wrong_and_a_tree_grows_alone_as_with_others() -> None:
    outcomes: list[Outcome] = []
    async with LocalBackend(MODEL, dtype="float32") as backend:
        explores = explorer(backend, 1.0, ThoughtTreeSettings(max_answer_tokens=256))

        async def grown(problem: Problem) -> ReasoningTree:
            return (await explores.grow_problem(Origin(0, 1, problem.id), problem)).tree

        trees = await asyncio.gather(*map(grown, PROBLEMS))
        assert as_drawn(await grown(PROBLEMS[1])) == as_drawn(trees[1])
        for problem, tree in zip(PROBLEMS, trees, strict=True):
            for leaf in tree.leaves():
                found = explores.solution_of(tree, leaf)
                grade = await VERIFIER.grade(problem, found.final_response, truncated=found.truncated)
                outcomes.append(grade.outcome)
    assert len(outcomes) == 9 * len(PROBLEMS)
    assert Outcome.CORRECT in outcomes
    assert Outcome.WRONG in outcomes
