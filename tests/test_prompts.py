"""Prompts: conversations that only grow, nothing left out, no domain that was not given."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path
from typing import get_args

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scripted_run import config_for

from hierarchical_reasoning import prompts as prompts_package
from hierarchical_reasoning.assembly import assemble
from hierarchical_reasoning.errors import PromptError
from hierarchical_reasoning.planners.without_model import FixedPlanner
from hierarchical_reasoning.problems import Problem
from hierarchical_reasoning.prompts import PROMPT_STYLES, TEMPLATES, Prompts, PromptStyle
from hierarchical_reasoning.reasoner import Reasoner
from hierarchical_reasoning.solvers import HierarchicalSolver, Solution
from hierarchical_reasoning.trace import FINISH, Step, Trace
from llm_backends import Message, Sampling, ScriptedBackend
from taxonomy.model import ThoughtType

OPTIONS = tuple(
    ThoughtType(str(i), name, f"Do {name.lower()}.", 1, name)
    for i, name in enumerate(("Add", "Check", "Look"))
)
PROBLEM = Problem("p", "What is 1 + 1?", "2", None, {})
STYLES: tuple[PromptStyle, ...] = get_args(PromptStyle)

texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=30)


@st.composite
def traces(draw: st.DrawFn) -> Trace:
    """Steps with distinct thoughts and, now and then, examples."""
    problem = Problem("p", "Problem: " + draw(texts), "2", draw(st.none() | st.just("chess_puzzle")), {})
    steps = [
        Step(option, f"thought {i}: {thought}", tuple(examples))
        for i, (option, thought, examples) in enumerate(
            draw(
                st.lists(
                    st.tuples(st.sampled_from(OPTIONS), texts, st.lists(texts, max_size=2)),
                    min_size=1,
                    max_size=6,
                )
            )
        )
    ]
    return Trace(problem, OPTIONS, tuple(steps))


def prefixes(trace: Trace) -> list[Trace]:
    return [Trace(trace.problem, trace.options, trace.steps[:n]) for n in range(len(trace.steps) + 1)]


def is_prefix(short: tuple[Message, ...], long: tuple[Message, ...]) -> bool:
    return len(short) < len(long) and long[: len(short)] == short


def text_of(messages: tuple[Message, ...]) -> str:
    return "\n".join(message.content for message in messages)


@settings(deadline=None)
@given(traces())
def test_a_chat_only_grows(trace: Trace) -> None:
    prompts = Prompts("chat", "a number")
    for before, after, step in zip(prefixes(trace), prefixes(trace)[1:], trace.steps, strict=False):
        choose, think = prompts.choose(before), prompts.think(before, step.thought_type, step.examples)
        assert is_prefix(choose, think)
        assert think[len(choose)] == Message("assistant", step.thought_type.name)
        assert is_prefix((*think, Message("assistant", step.thought)), prompts.choose(after))
        answer = prompts.answer(before)
        assert is_prefix((*choose, Message("assistant", FINISH)), answer)


@settings(deadline=None)
@given(traces())
def test_roles_take_turns_and_the_user_has_the_last_word(trace: Trace) -> None:
    prompts = Prompts("chat")
    replies = ["a reply"] * len(trace.steps)
    for messages in (
        prompts.choose(trace),
        prompts.think(trace, OPTIONS[0]),
        prompts.answer(trace),
        prompts.joint(trace, replies),
        prompts.joint_answer(trace, [*replies, "the last one"]),
    ):
        assert [message.role for message in messages[::2]] == ["user"] * len(messages[::2])
        assert [message.role for message in messages[1::2]] == ["assistant"] * len(messages[1::2])
        assert len(messages) % 2 == 1


@settings(deadline=None)
@given(traces(), st.sampled_from(STYLES))
def test_every_thought_is_in_every_later_prompt_the_final_one_too(trace: Trace, style: PromptStyle) -> None:
    prompts = Prompts(style)
    replies = [step.thought for step in trace.steps]
    for messages in (
        prompts.choose(trace),
        prompts.think(trace, OPTIONS[1]),
        prompts.answer(trace),
        prompts.joint(trace, replies),
        prompts.joint_answer(trace, [*replies, FINISH]),
    ):
        text = text_of(messages)
        assert all(step.thought in text for step in trace.steps)
        assert trace.problem.text.strip() in text


@settings(deadline=None)
@given(st.sampled_from(STYLES), st.text("{}%# 7*", max_size=12))
def test_what_others_wrote_is_text_never_template(style: PromptStyle, hostile: str) -> None:
    hostile = "x{{ 7 * 7 }}{% raw %}" + hostile + "x"
    option = ThoughtType("9", hostile, hostile, 1, hostile)
    trace = Trace(Problem("p", hostile, None, None, {}), (option,), (Step(option, hostile, (hostile,)),))
    prompts = Prompts(style)
    for messages in (
        prompts.choose(trace),
        prompts.think(trace, option, (hostile,)),
        prompts.answer(trace),
        prompts.joint(trace, [hostile], [(hostile, hostile)]),
    ):
        assert text_of(messages).count(hostile) >= 2
        assert "49" not in text_of(messages)


@pytest.mark.parametrize("style", STYLES)
def test_single_is_one_message_that_stands_alone(style: PromptStyle) -> None:
    trace = Trace(PROBLEM, OPTIONS, (Step(OPTIONS[0], "one"), Step(OPTIONS[1], "two")))
    prompts = Prompts(style)
    lengths = [len(prompts.choose(trace)), len(prompts.think(trace, OPTIONS[0])), len(prompts.answer(trace))]
    assert lengths == ([1, 1, 1] if style == "single" else [9, 11, 11])
    joint = [len(prompts.joint(trace, ["1", "2"])), len(prompts.joint_answer(trace, ["1", "2", "3"]))]
    assert joint == ([1, 1] if style == "single" else [5, 7])


@pytest.mark.parametrize("style", STYLES)
def test_the_planner_is_told_every_option_and_what_finishing_is_called(style: PromptStyle) -> None:
    trace = Trace(PROBLEM, OPTIONS)
    for text in map(text_of, (Prompts(style).choose(trace), Prompts(style).joint(trace, ()))):
        for option in OPTIONS:
            assert f'"{option.name}": {option.description}' in text
        assert f'"{FINISH}"' in text


def all_messages(style: PromptStyle, problem: Problem) -> str:
    prompts = Prompts(style)
    trace = Trace(problem, OPTIONS, (Step(OPTIONS[0], "one"),))
    calls = (
        prompts.vanilla(problem),
        prompts.choose(trace),
        prompts.think(trace, OPTIONS[0]),
        prompts.answer(trace),
        prompts.joint(trace, ["one"], [("Add", "an example")]),
    )
    return "\n".join(map(text_of, calls))


@pytest.mark.parametrize("style", STYLES)
def test_a_domain_is_named_only_where_the_problem_has_a_category(style: PromptStyle) -> None:
    without = all_messages(style, PROBLEM)
    assert "(" not in without
    named = all_messages(style, Problem("p", PROBLEM.text, "2", "chess_puzzle", {}))
    assert "(chess puzzle)" in named
    assert named.replace(" (chess puzzle)", "") == without


def test_no_template_presumes_a_domain() -> None:
    folder = Path(prompts_package.__file__).parent
    for style in STYLES:
        for name in TEMPLATES[style]:
            text = (folder / style / f"{name}.j2").read_text().lower()
            assert not [word for word in ("chess", "math", "expert", "algebra") if word in text], name


@pytest.mark.parametrize("style", STYLES)
def test_the_form_of_the_answer_is_told_where_it_is_known(style: PromptStyle) -> None:
    trace = Trace(PROBLEM, OPTIONS)
    assert "final answer, a number, in \\boxed{}" in text_of(Prompts(style, "a number").answer(trace))
    assert "final answer, in \\boxed{}" in text_of(Prompts(style).answer(trace))
    assert "final answer, a number, in \\boxed{}" in text_of(Prompts(style, "a number").vanilla(PROBLEM))


@pytest.mark.parametrize(("style", "times"), [("chat", 1), ("single", 3)])
async def test_examples_are_shown_once_per_thought_type_and_trace_in_chat(
    style: PromptStyle, times: int
) -> None:
    backend = ScriptedBackend(lambda _: "a thought")
    examples = {"Add": ["an example of adding"], "Check": ["an example of checking"]}
    reasoner = Reasoner(backend, Prompts(style), Sampling(), 9, 9, examples)
    planner = FixedPlanner(["Add", "Check", "Add", "Add"])
    solver = HierarchicalSolver(planner, reasoner, OPTIONS, max_reasoning_steps=9, seed=0)
    await solver.solve(PROBLEM, Solution())
    thinking = [text_of(request.messages) for request in backend.requests[:-1]]
    assert len(thinking) == 4
    shown = [text.count("an example of adding") for text in thinking]
    assert shown == ([1, 1, 1, 1] if style == "chat" else [1, 0, 1, 1])
    assert sum(shown) == times if style == "single" else shown[-1] == times
    assert thinking[1].count("an example of checking") == 1
    calls = [request.messages for request in backend.requests]
    grows = [is_prefix(before, after) for before, after in pairwise(calls)]
    assert grows == [style == "chat"] * 4


@pytest.mark.parametrize("style", STYLES)
def test_a_folder_overrides_templates_by_name_and_lacks_the_rest(tmp_path: Path, style: PromptStyle) -> None:
    (tmp_path / "think.j2").write_text("Now {{ option.name }}, for {{ problem }}: {{ examples | join(';') }}")
    trace = Trace(PROBLEM, OPTIONS)
    mine, shipped = Prompts(style, directory=tmp_path), Prompts(style)
    assert mine.think(trace, OPTIONS[0], ["a", "b"])[-1].content == "Now Add, for What is 1 + 1?: a;b"
    assert mine.choose(trace) == shipped.choose(trace)
    assert mine.answer(trace) == shipped.answer(trace)
    seen = {shipped.sha256, mine.sha256}
    (tmp_path / "think.j2").write_text("Think.")
    seen.add(Prompts(style, directory=tmp_path).sha256)
    assert len(seen) == 3


def test_a_folder_that_cannot_be_used_is_refused(tmp_path: Path) -> None:
    def said(folder: Path) -> str:
        with pytest.raises(PromptError) as of_rendering:
            Prompts(directory=folder).vanilla(PROBLEM)
        with pytest.raises(PromptError) as of_hashing:
            _ = Prompts(directory=folder).sha256
        assert str(of_hashing.value) == str(of_rendering.value)
        return str(of_rendering.value)

    known = "answer.j2, choose.j2, joint.j2, joint_problem.j2, problem.j2, think.j2, vanilla.j2"
    assert said(tmp_path / "none") == f"no folder of prompts at {tmp_path}/none (--prompts_dir)"
    assert said(tmp_path) == (
        f"{tmp_path} (--prompts_dir) holds no template (*.j2); those of the chat style are {known}"
    )
    (tmp_path / "thinking.j2").write_text("Think.")
    (tmp_path / "think.j2").write_text("Think.")
    assert said(tmp_path) == (
        f"{tmp_path} (--prompts_dir) holds thinking.j2, no template of the chat style; those of the chat style are "
        f"{known}"
    )


def test_a_template_of_the_other_style_is_refused(tmp_path: Path) -> None:
    (tmp_path / "problem.j2").write_text("{{ problem }}")
    Prompts("chat", directory=tmp_path).vanilla(PROBLEM)
    with pytest.raises(PromptError, match=r"problem\.j2, no template of the single style"):
        Prompts("single", directory=tmp_path).vanilla(PROBLEM)


BROKEN = {
    "unclosed": b"{% if examples %}Follow it.",
    "unknown variable": b"Solve {{ puzzle }}.",
    "unknown attribute": b"{{ option.title }}",
    "not allowed": b"{{ problem + 1 }}",
    "division": b"{{ 1 / (steps | length * 0) }}",
    "no text": b"R\xe9fl\xe9chis.",
    "missing include": b"{% include 'other.j2' %}",
}


@pytest.mark.parametrize("style", STYLES)
@pytest.mark.parametrize("content", BROKEN.values(), ids=BROKEN.keys())
@pytest.mark.parametrize("name", ["think", "answer", "joint"])
def test_a_broken_template_is_found_before_a_model_is_asked(
    tmp_path: Path, style: PromptStyle, content: bytes, name: str
) -> None:
    folder = tmp_path / "prompts"
    folder.mkdir()
    (folder / f"{name}.j2").write_bytes(content)
    config = config_for(tmp_path, prompt_style=style, prompts_dir=folder)
    with pytest.raises(PromptError, match=r"\(--prompts_dir\)"):
        assemble(config)


def test_a_template_that_breaks_only_after_a_step_is_found_too(tmp_path: Path) -> None:
    folder = tmp_path / "prompts"
    folder.mkdir()
    (folder / "choose.j2").write_text("{% for step in steps %}{{ step.text }}{% endfor %}Next?")
    with pytest.raises(
        PromptError, match=r"choose.j2 in .*prompts \(--prompts_dir\) cannot be used: .*'text'.*it may use"
    ):
        assemble(config_for(tmp_path, prompt_style="single", prompts_dir=folder))


def test_the_styles_are_those_of_the_setting() -> None:
    assert PROMPT_STYLES == STYLES == ("chat", "single")
