"""Thought trees: how they branch, what is given in them, and how paths end. Whether a path is what inference has is
asked of the solver itself."""

from __future__ import annotations

import asyncio
import json
import random
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scripted_streams import Drawn, ScriptedSampler, TablePlanner, chat_format, evenly
from tiny_planners import FORGETS

from hierarchical_reasoning.errors import ConfigError, PlannerError
from hierarchical_reasoning.outcomes import Outcome
from hierarchical_reasoning.planners.without_model import FixedPlanner
from hierarchical_reasoning.problems import Problem
from hierarchical_reasoning.prompts import Prompts
from hierarchical_reasoning.reasoner import Reasoner
from hierarchical_reasoning.solvers import HierarchicalSolver, Solution
from hierarchical_reasoning.trace import FINISH, Trace
from hierarchical_reasoning.training.explorers import Grown, Origin
from hierarchical_reasoning.training.explorers.conversation import Conversation
from hierarchical_reasoning.training.explorers.thought_settings import ThoughtTreeSettings
from hierarchical_reasoning.training.explorers.thought_solutions import STEPS_FLAG
from hierarchical_reasoning.training.explorers.thought_tree import ThoughtTreeExplorer
from hierarchical_reasoning.training.explorers.thought_writing import ThoughtWriter
from hierarchical_reasoning.trees import Leaf, ReasoningTree
from hierarchical_reasoning.trees.records import as_record, tree_from
from llm_backends import (
    Completion,
    ContextLengthError,
    FinishReason,
    Sampling,
    ScriptedBackend,
    ServerError,
)
from llm_backends.local.chat import ChatFormat
from llm_backends.token_streams import StreamSettings
from taxonomy.model import ThoughtType

OPTIONS = tuple(
    ThoughtType(str(number), name, "Add the numbers.", 1, name)
    for number, name in enumerate(("Check", "Check the king", "Addition", "Sum/step"))
)
EXAMPLES = {"Check": ("the sum", "the king"), "Addition": ("two numbers",)}
PROBLEM = Problem("p0", "The sum of 10 and 0?", "10", "sum", {})
ORIGIN = Origin(3, 5, PROBLEM.id)
CHATS = {name: chat_format(name) for name in ("byte_bpe", "metaspace", "wordpiece", "characters")}
CHAT = CHATS["byte_bpe"]
USUAL = ThoughtTreeSettings(max_steps=4, max_thought_tokens=200, max_answer_tokens=300)


def conversation(chat: ChatFormat = CHAT, **options: Any) -> Conversation:
    return Conversation(chat, Prompts("chat", "a number"), OPTIONS, seed=0, **options)


def explorer(
    sampler: ScriptedSampler,
    tree_settings: ThoughtTreeSettings = USUAL,
    planner: TablePlanner | None = None,
    *,
    max_streams: int = 8,
    **options: Any,
) -> ThoughtTreeExplorer:
    writer = ThoughtWriter(
        sampler,
        conversation(sampler.chat, **options),
        StreamSettings(),
        max_thought_tokens=tree_settings.max_thought_tokens,
        max_answer_tokens=tree_settings.max_answer_tokens,
        max_streams=max_streams,
    )
    return ThoughtTreeExplorer(writer, planner or TablePlanner(evenly), tree_settings)


def grown(explores: ThoughtTreeExplorer, origin: Origin = ORIGIN) -> Grown:
    return asyncio.run(explores.grow_problem(origin, PROBLEM))


def types_taken(tree: ReasoningTree, parent: int) -> list[str | None]:
    return [tree.node(child).thought_type for child in tree.children(parent)]


async def solved(
    chat: ChatFormat, tree: ReasoningTree, expected: Solution, limits: ThoughtTreeSettings, **options: Any
) -> tuple[Solution, list[list[int]]]:
    """What the solver makes of a path's types and texts, and the tokens of what it asks the reasoner."""
    thoughts = [step for step in expected.steps if step.thought_type != FINISH]
    replies = [(step.thought, step.truncated) for step in thoughts]
    replies.append((expected.final_response, expected.truncated))
    backend = ScriptedBackend(
        [Completion(text, FinishReason.LENGTH if cut else FinishReason.STOP) for text, cut in replies],
        max_choice_attempts=1,
    )
    reasoner = Reasoner(
        backend,
        Prompts("chat", "a number"),
        Sampling(),
        limits.max_thought_tokens,
        limits.max_answer_tokens,
        **options,
    )
    solver = HierarchicalSolver(
        FixedPlanner([step.thought_type for step in thoughts]),
        reasoner,
        OPTIONS,
        max_reasoning_steps=limits.max_steps,
        seed=0,
        steps_flag=STEPS_FLAG,
    )
    solution = Solution()
    await solver.solve(PROBLEM, solution)
    return solution, [chat.prompt_ids(request.messages) for request in backend.requests]


def what_is_known(solution: Solution) -> Any:
    """Of a solution, what a tree tells as well."""
    steps = [(step.thought_type, step.node_id, step.thought, step.truncated) for step in solution.steps]
    return steps, solution.final_response, solution.truncated, solution.notes


@settings(max_examples=40)
@given(
    st.sampled_from(sorted(CHATS)),
    st.builds(
        ThoughtTreeSettings,
        branching_factor=st.integers(1, 5),
        branching_depth=st.integers(0, 3),
        max_steps=st.integers(2, 5),
        max_leaves=st.integers(1, 12),
        max_thought_tokens=st.sampled_from([3, 200]),
        max_answer_tokens=st.sampled_from([3, 300]),
        planner_temperature=st.sampled_from([0.0, 1.0]),
    ),
    st.integers(0, 2**32),
    st.booleans(),
    st.booleans(),
)
def test_every_path_is_the_conversation_that_the_solver_has(
    tokenizer: str, limits: ThoughtTreeSettings, seed: int, other_end: bool, with_examples: bool
) -> None:
    chat = CHATS[tokenizer]
    end_id = next(iter(chat.eos_ids - {chat.end_of_turn_id})) if other_end else None
    options = {"examples": EXAMPLES} if with_examples else {}
    explores = explorer(ScriptedSampler(chat, end_id=end_id), limits, **options)
    tree = grown(explores, replace(ORIGIN, seed=seed)).tree
    assert 1 <= len(tree.leaves()) <= limits.max_leaves
    for node in tree.nodes:
        branches = limits.branching_factor if tree.depth(node) < limits.branching_depth else 1
        assert len(tree.children(node)) <= branches
        assert len(set(types_taken(tree, node))) == len(tree.children(node))
    for leaf in tree.leaves():
        assert tree.depth(leaf) <= limits.max_steps
        found = explores.solution_of(tree, leaf)
        by_solver, asked = asyncio.run(solved(chat, tree, found, limits, **options))
        assert what_is_known(found) == what_is_known(by_solver)
        path = [tree.node(node) for node in tree.path(leaf)]
        if any("other tokens" in note for step in found.steps for note in step.notes):
            continue  # a thought that was cut off within a word
        for node, prompt in zip(path[1:], asked, strict=True):
            assert node.parent is not None
            assert [*tree.path_tokens(node.parent), *node.tokens[: node.given]] == prompt


def test_what_the_model_drew_is_counted_and_the_rest_is_given() -> None:
    sampler = ScriptedSampler(CHAT)
    grew = grown(explorer(sampler))
    drawn = [node for node in grew.tree.nodes.values() if node.parent is not None]
    assert len(sampler.calls) == grew.growth.streams == len(drawn)
    assert grew.growth.generated_tokens == sum(node.drawn for node in drawn)
    assert grew.growth.dropped_tokens == 0
    assert all(node.tokens[-1] == CHAT.end_of_turn_id and node.ended for node in drawn)
    assert all(len(node.log_probs) == node.drawn > 0 for node in drawn)
    assert all(node.kind == "thought" and node.text == CHAT.text(node.tokens) for node in drawn)
    prefixes = {call.prefix for call in sampler.calls}
    assert prefixes == {
        (*grew.tree.path_tokens(node.parent or 0), *node.tokens[: node.given]) for node in drawn
    }
    assert tree_from(json.loads(json.dumps(as_record(grew.tree)))) == grew.tree


def test_an_end_that_the_template_does_not_write_is_dropped_behind_thoughts() -> None:
    other = next(iter(CHAT.eos_ids - {CHAT.end_of_turn_id}))
    grew = grown(explorer(ScriptedSampler(CHAT, end_id=other)))
    inner = [node for node in grew.tree.nodes if node and not grew.tree.is_leaf(node)]
    assert grew.growth.dropped_tokens == len(inner) > 0
    assert all(grew.tree.node(leaf).tokens[-1] == other for leaf in grew.tree.leaves())
    assert all(other not in grew.tree.node(node).tokens for node in inner)


def test_a_thought_that_inference_would_read_as_other_tokens_is_kept_and_noted() -> None:
    explores = explorer(ScriptedSampler(CHAT, lambda rng: "  Check the sum \n"))
    tree = grown(explores).tree
    solution = explores.solution_of(tree, tree.leaves()[-1])
    assert {step.thought for step in solution.steps if step.thought_type != FINISH} == {"Check the sum"}
    assert any("other tokens" in note for step in solution.steps for note in step.notes)
    assert CHAT.text(tree.path_tokens(tree.leaves()[-1])).count("  Check the sum \n") >= 1


def test_a_tree_depends_on_its_origin_alone() -> None:
    """Not on what else grows, on how many streams are drawn at once, or on when they end."""

    async def together(sampler: ScriptedSampler, updates: list[int], max_streams: int) -> list[ReasoningTree]:
        explores = explorer(sampler, max_streams=max_streams)
        work = [explores.grow_problem(replace(ORIGIN, update=update), PROBLEM) for update in updates]
        return [each.tree for each in await asyncio.gather(*work)]

    alone = asyncio.run(together(ScriptedSampler(CHAT), [1], 1))[0]
    sampler = ScriptedSampler(CHAT, shuffled_by=random.Random(0))
    many = asyncio.run(together(sampler, [2, 1, 3], 5))
    assert many[1] == alone
    assert sampler.most_at_once == 5
    assert len({tree.path_tokens(tree.leaves()[0]) for tree in many}) == 3
    assert grown(explorer(ScriptedSampler(CHAT)), replace(ORIGIN, seed=4)).tree != alone
    assert len({call.seed for call in sampler.calls}) == len(sampler.calls)


def test_more_branches_keep_the_ones_that_fewer_have() -> None:
    first = {
        factor: grown(explorer(ScriptedSampler(CHAT), replace(USUAL, branching_factor=factor))).tree
        for factor in (1, 2, 4)
    }
    assert types_taken(first[4], 0)[:2] == types_taken(first[2], 0)
    assert types_taken(first[2], 0)[:1] == types_taken(first[1], 0)
    few, many = (first[factor].path_tokens(first[factor].leaves()[0]) for factor in (1, 4))
    assert few == many


@pytest.mark.parametrize(("max_leaves", "leaves"), [(1, 1), (5, 5), (11, 11), (64, 16)])
def test_the_bound_on_leaves_is_shared_out(max_leaves: int, leaves: int) -> None:
    def going_on(trace: Trace) -> dict[str, float]:
        return {option.name: 0.25 for option in trace.options}

    limits = replace(USUAL, branching_factor=4, max_leaves=max_leaves)
    tree = grown(explorer(ScriptedSampler(CHAT), limits, TablePlanner(going_on))).tree
    assert len(tree.leaves()) == leaves
    below = [len(tree.descendant_leaves(child)) for child in tree.children(0)]
    assert max(below) - min(below) <= 1


def test_the_planner_and_the_sampler_are_told_what_can_be_reused() -> None:
    planner, sampler = TablePlanner(evenly), ScriptedSampler(CHAT)
    grown(explorer(sampler, planner=planner))
    by_name = {call.name: call for call in sampler.calls}
    for call in sampler.calls:
        before = by_name[call.after] if call.after else Drawn((), 0, 0, None, None)
        assert call.prefix[: len(before.prefix)] == before.prefix
    of_sample: dict[int, Trace] = {}
    for trace, sample in planner.asked:
        before_it = of_sample.get(sample)
        assert before_it is None or trace.steps[: len(before_it.steps)] == before_it.steps
        of_sample[sample] = trace


def test_unlikely_options_are_left_and_impossible_ones_never_taken() -> None:
    def first_alone(trace: Trace) -> dict[str, float]:
        return {"Check": 1.0, "Addition": 0.0, FINISH: 0.0}

    tree = grown(explorer(ScriptedSampler(CHAT), planner=TablePlanner(first_alone))).tree
    path = tree.path(tree.leaves()[0])
    assert len(tree.leaves()) == 1
    assert [tree.node(node).thought_type for node in path[1:]] == ["Check"] * 3 + [FINISH]


def test_a_path_without_room_ends_without_an_answer() -> None:
    unbounded = grown(explorer(ScriptedSampler(CHAT), replace(USUAL, branching_depth=0))).tree
    path = unbounded.path(unbounded.leaves()[0])
    last = unbounded.node(path[-1])
    assert last.parent is not None
    context = len(unbounded.path_tokens(last.parent)) + last.given
    for length, n_nodes in ((context, len(path) - 1), (context + 1, len(path))):
        sampler = ScriptedSampler(CHAT, context_length=length)
        explores = explorer(sampler, replace(USUAL, branching_depth=0))
        tree = grown(explores).tree
        leaf = tree.leaves()[0]
        assert len(tree.path(leaf)) == n_nodes
        solution = explores.solution_of(tree, leaf)
        assert solution.truncated
        if n_nodes < len(path):
            assert (solution.final_response, len(solution.notes)) == ("", 1)
            assert "no final answer" in solution.notes[0]
        tree.grade(leaf, Leaf(Outcome.TRUNCATED, 0.0))


def test_a_path_that_does_not_fit_the_planner_ends_and_a_problem_that_does_not_is_an_error() -> None:
    def full_after(n: int) -> Callable[[Trace], dict[str, float]]:
        def probabilities(trace: Trace) -> dict[str, float]:
            if len(trace.steps) >= n:
                raise ContextLengthError("too long")
            return {"Check": 0.5, "Addition": 0.5}

        return probabilities

    tree = grown(explorer(ScriptedSampler(CHAT), planner=TablePlanner(full_after(1)))).tree
    assert sorted(map(str, types_taken(tree, 0))) == ["Addition", "Check"]
    assert all(tree.is_leaf(child) for child in tree.children(0))
    with pytest.raises(ContextLengthError):
        grown(explorer(ScriptedSampler(CHAT), planner=TablePlanner(full_after(0))))
    with pytest.raises(ConfigError, match=r"'p0' takes \d+ tokens .* holds 40.*--model_id"):
        grown(explorer(ScriptedSampler(CHAT, context_length=40)))


def test_examples_that_do_not_fit_are_left_out_and_said_to_be() -> None:
    def check(trace: Trace) -> dict[str, float]:
        return {"Check": 1.0}

    plain = explorer(ScriptedSampler(CHAT, context_length=4000), planner=TablePlanner(check))
    texts = {"Check": ("the king " * 200, "the king " * 2000)}
    fitted = explorer(ScriptedSampler(CHAT, context_length=4000), planner=TablePlanner(check), examples=texts)
    assert len(grown(fitted).tree.node(1).tokens) > len(grown(plain).tree.node(1).tokens)
    assert fitted.notes == ["1 of 2 examples of 'Check' did not fit the context of 4000 tokens"]
    assert plain.notes == []


def test_a_failure_ends_the_tree() -> None:
    def failing(trace: Trace) -> dict[str, float]:
        if len(trace.steps) == 2:
            raise ServerError("down")
        return evenly(trace)

    with pytest.raises(ServerError):
        grown(explorer(ScriptedSampler(CHAT), planner=TablePlanner(failing)))


def test_what_cannot_grow_as_a_tree_is_refused() -> None:
    with pytest.raises(ConfigError, match="--prompt_style single"):
        Conversation(CHAT, Prompts("single"), OPTIONS, seed=0)
    with pytest.raises(ConfigError, match=r"does not only grow.*--model_id"):
        grown(explorer(ScriptedSampler(chat_format("byte_bpe", FORGETS))))
    with pytest.raises(PlannerError, match="TablePlanner gives no probabilities"):
        grown(explorer(ScriptedSampler(CHAT), planner=TablePlanner(lambda trace: None)))


@pytest.mark.parametrize(
    ("reply", "found"),
    [
        ("{{ message['content'] | upper }}<|im_end|>", "to the letter"),
        (" {{ message['content'] }} <|im_end|>", "to the letter"),
        ("{{ message['content'] }}\n", "an end token behind it"),
        ("{{ message['content'] if loop.last }}<|im_end|>", "to the letter"),
    ],
)
def test_a_template_that_repeats_what_was_said_otherwise_is_refused(reply: str, found: str) -> None:
    template = (
        "{% for message in messages %}<|im_start|>"
        "{% if message['role'] == 'assistant' and loop.index > 2 %}" + reply + "{% else %}"
        "{{ message['content'] }}<|im_end|>{% endif %}{% endfor %}<|im_start|>"
    )
    with pytest.raises(ConfigError, match=f"{found}.*--model_id.*--explorer"):
        grown(explorer(ScriptedSampler(chat_format("byte_bpe", template))))


@pytest.mark.parametrize(
    ("name", "value", "flag"),
    [
        ("branching_factor", 0, "--branching_factor"),
        ("branching_depth", -1, "--branching_depth"),
        ("max_steps", 1, "--max_steps_per_episode"),
        ("max_leaves", 0, "--max_leaves"),
        ("max_thought_tokens", 0, "--max_thought_tokens"),
        ("max_answer_tokens", 0, "--max_answer_tokens"),
        ("planner_temperature", -0.1, "--planner_temperature"),
        ("planner_temperature", float("nan"), "--planner_temperature"),
    ],
)
def test_settings_out_of_range_name_their_flag(name: str, value: float, flag: str) -> None:
    with pytest.raises(ConfigError, match=rf"{name} is {value}.*\({flag}\)"):
        ThoughtTreeSettings(**{name: value})  # type: ignore[arg-type]
