"""Who picks the thought types: uniform, Markov, fixed, the teacher, a model."""

from __future__ import annotations

import random
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scripted_run import config_for, run_with

from hierarchical_reasoning.assembly import assemble
from hierarchical_reasoning.assets import ROLLOUTS, TAXONOMY
from hierarchical_reasoning.config import RunConfig
from hierarchical_reasoning.errors import ConfigError, PlannerError
from hierarchical_reasoning.outcomes import Outcome
from hierarchical_reasoning.planners.base import Planner
from hierarchical_reasoning.planners.model import ModelPlanner
from hierarchical_reasoning.planners.teacher import TeacherPlanner
from hierarchical_reasoning.planners.without_model import FixedPlanner, MarkovPlanner, UniformPlanner
from hierarchical_reasoning.problems import Problem
from hierarchical_reasoning.prompts import Prompts
from hierarchical_reasoning.reasoner import Reasoner
from hierarchical_reasoning.sample_tasks import thought_types as types
from hierarchical_reasoning.sample_tasks.lines import Line
from hierarchical_reasoning.sample_tasks.moves import make_move
from hierarchical_reasoning.sample_tasks.problem_shapes import SampleProblem
from hierarchical_reasoning.sample_tasks.rollouts import draw_problems, to_problem
from hierarchical_reasoning.sample_tasks.solvers import TEACHER
from hierarchical_reasoning.solvers import HierarchicalSolver, Solution
from hierarchical_reasoning.trace import FINISH, Step, Trace
from llm_backends import (
    Completion,
    FinishReason,
    Request,
    Sampling,
    ScriptedBackend,
    Spent,
    UnparsedChoiceError,
    Usage,
)
from taxonomy import (
    Taxonomy,
    TaxonomyNode,
    label_transition_counts,
    load_taxonomy,
    read_rollouts,
    table_transition_counts,
)
from taxonomy.model import ThoughtType
from taxonomy.transitions import END, START, TransitionCounts

OPTIONS = tuple(
    ThoughtType(key, key.title(), f"Do {key}.", 1, key.title()) for key in ("add", "check", "split")
)
BUNDLED = load_taxonomy(TAXONOMY)


def trace_of(problem_id: str, *steps: str) -> Trace:
    problem = Problem(problem_id, "What is 1 + 1?", "2", None, {})
    by_id = {option.node_id: option for option in OPTIONS}
    return Trace(problem, OPTIONS, tuple(Step(by_id[key], "a thought") for key in steps))


async def names_of(planner: Planner, n: int, *steps: str, sample: int = 0) -> list[str]:
    return [(await planner.choose(trace_of(f"p{i}", *steps), sample=sample)).name for i in range(n)]


COUNTS = TransitionCounts(
    level=1,
    counts={START: {"add": 70, "check": 30}, "add": {"add": 10, "split": 50, END: 40}},
    rollouts=100,
    unlabeled_chunks=0,
)


@pytest.mark.parametrize("make", [UniformPlanner, lambda seed: MarkovPlanner(COUNTS, seed)])
async def test_the_same_seed_chooses_the_same_and_another_seed_or_sample_does_not(make: Any) -> None:
    first = await names_of(make(1), 40)
    assert await names_of(make(1), 40) == first
    assert await names_of(make(2), 40) != first
    assert await names_of(make(1), 40, sample=1) != first
    assert await names_of(make(1), 40, "add") != first


async def test_uniform_takes_every_option_alike() -> None:
    counts = Counter(await names_of(UniformPlanner(0), 4000))
    assert set(counts) == {"Add", "Check", "Split", FINISH}
    assert all(900 < count < 1100 for count in counts.values())
    choice = await UniformPlanner(0).choose(trace_of("p"))
    assert choice.probabilities == dict.fromkeys(("Add", "Check", "Split", FINISH), 0.25)
    assert choice.spent is None


@pytest.mark.parametrize(
    ("steps", "expected"),
    [
        ((), {"Add": 70, "Check": 30, "Split": 0, FINISH: 0}),
        (("check", "add"), {"Add": 10, "Check": 0, "Split": 50, FINISH: 40}),
        (("split",), {"Add": 0, "Check": 0, "Split": 0, FINISH: 0}),
    ],
)
async def test_markov_follows_the_counts_of_the_last_step(
    steps: tuple[str, ...], expected: dict[str, int]
) -> None:
    planner = MarkovPlanner(COUNTS, seed=3, smoothing=0.5)
    probabilities = (await planner.choose(trace_of("p", *steps))).probabilities
    total = sum(expected.values()) + 4 * 0.5
    assert probabilities == pytest.approx({name: (n + 0.5) / total for name, n in expected.items()})
    drawn = Counter(await names_of(planner, 3000, *steps))
    for name, probability in probabilities.items():
        assert drawn[name] / 3000 == pytest.approx(probability, abs=0.04)


@settings(deadline=None)
@given(st.dictionaries(st.sampled_from(["add", "check", "split", END, "gone"]), st.integers(0, 99)))
async def test_markov_probabilities_are_a_distribution_over_the_options(row: dict[str, int]) -> None:
    planner = MarkovPlanner(TransitionCounts(1, {START: row}, 1, 0), seed=0)
    probabilities = (await planner.choose(trace_of("p"))).probabilities
    assert probabilities is not None
    assert set(probabilities) == {"Add", "Check", "Split", FINISH}
    assert sum(probabilities.values()) == pytest.approx(1)
    assert min(probabilities.values()) > 0


async def test_markov_on_the_bundled_rollouts_begins_as_they_do() -> None:
    rollouts = read_rollouts(ROLLOUTS)
    counts = label_transition_counts(rollouts, BUNDLED, 3)
    trace = Trace(Problem("p", "1 + 1?", "2", None, {}), BUNDLED.at_level(3))
    probabilities = (await MarkovPlanner(counts, 0).choose(trace)).probabilities
    assert probabilities is not None
    first = Counter(BUNDLED.node_for_label(rollout.chunks[0].label or "", 3).name for rollout in rollouts)
    for name, probability in probabilities.items():
        assert probability == pytest.approx(first[name] / len(rollouts), abs=0.003)


async def test_fixed_follows_its_sequence_then_finishes() -> None:
    planner = FixedPlanner.parse(" addition ;Subtraction; ADDITION", BUNDLED, 6)
    option = BUNDLED.at_level(6)[0]
    trace = Trace(Problem("p", "1 + 1?", "2", None, {}), BUNDLED.at_level(6))
    names = []
    for _ in range(5):
        names.append((await planner.choose(trace)).name)
        trace = trace.extended(Step(option, "a thought"))
    assert names == ["Addition", "Subtraction", "Addition", FINISH, FINISH]


@pytest.mark.parametrize("sequence", [None, "", "Addition;Guessing", "Addition;"])
def test_a_fixed_sequence_names_thought_types_of_the_level(sequence: str | None) -> None:
    with pytest.raises(PlannerError, match=r'"Addition".*"Subtraction".*') as caught:
        FixedPlanner.parse(sequence, BUNDLED, 6)
    assert "--planner_sequence" in str(caught.value)


class MovePlayer:
    """A reasoner that does what the thought type says; where one stands for several labels, the one that is due."""

    def __init__(self, samples: dict[str, SampleProblem], taxonomy: Taxonomy, level: int) -> None:
        self._samples = samples
        self._labels = {
            option.name: [
                label
                for label in types.DESCRIPTIONS
                if taxonomy.node_for_label(label, level).node_id == option.node_id
            ]
            for option in taxonomy.at_level(level)
        }
        self._lines: dict[str, Line | None] = {key: sample.page for key, sample in samples.items()}

    def __call__(self, request: Request) -> str:
        problem_id = (request.trace_id or "").partition("/")[0]
        line = self._lines[problem_id]
        name = [message.content for message in request.messages if message.role == "assistant"][-1]
        if name == FINISH:
            return f"\\boxed{{{line.value if line else None}}}"
        due = TEACHER.next_type(line, ())
        label = due if due in self._labels[name] else self._labels[name][0]
        assert label is not None
        move = make_move(label, self._samples[problem_id], line, random.Random(problem_id))
        self._lines[problem_id] = move.line
        return move.text


@pytest.mark.parametrize("level", range(7))
async def test_with_the_teacher_a_reasoner_that_does_as_told_solves_every_family(level: int) -> None:
    samples = {f"p{i}": sample for i, sample in enumerate(draw_problems(24, "test", 31))}
    backend = ScriptedBackend(MovePlayer(samples, BUNDLED, level))
    solver = HierarchicalSolver(
        TeacherPlanner(BUNDLED, level),
        Reasoner(backend, Prompts(), Sampling(), 99, 99),
        BUNDLED.at_level(level),
        max_reasoning_steps=16,
        seed=0,
    )
    for key, sample in samples.items():
        solution = Solution()
        await solver.solve(to_problem(sample, key), solution)
        assert solution.final_response == f"\\boxed{{{sample.answer}}}", sample.text
        assert solution.notes == []
        assert len(solution.steps) >= 5


async def test_without_a_line_to_go_on_from_the_teacher_asks_for_one() -> None:
    story = next(sample for sample in draw_problems(3, "test", 1) if sample.family == "story")
    trace = Trace(to_problem(story, "p"), BUNDLED.at_level(6))
    teacher = TeacherPlanner(BUNDLED, 6)
    assert (await teacher.choose(trace)).name == types.SETUP
    babbled = trace.extended(Step(BUNDLED.at_level(6)[0], "I would rather talk of the weather."))
    assert (await teacher.choose(babbled)).name == types.SETUP


async def test_the_teacher_follows_what_the_reasoner_wrote_not_what_was_meant() -> None:
    problem = Problem("p", "Compute 12 * 11 - 40 + 15.", "107", "expression", {})
    trace = Trace(problem, BUNDLED.at_level(6))
    teacher = TeacherPlanner(BUNDLED, 6)
    assert (await teacher.choose(trace)).name == types.MULTIPLY
    wrong = trace.extended(Step(BUNDLED.at_level(6)[0], "Multiply: 12 * 11. That leaves 999 - 40 + 15."))
    assert (await teacher.choose(wrong)).name == types.SUBTRACT
    finished = wrong.extended(Step(BUNDLED.at_level(6)[0], "This gives 974."))
    assert (await teacher.choose(finished)).name == types.STATE_ANSWER
    stated = finished.extended(Step(BUNDLED.node_for_label(types.STATE_ANSWER, 6), "The answer is 974."))
    assert (await teacher.choose(stated)).name == FINISH


def test_the_teacher_refuses_what_it_does_not_know() -> None:
    foreign = Taxonomy((TaxonomyNode("0", "All"), TaxonomyNode("1", "Guess", parent_id="0")), "foreign.gml")
    with pytest.raises(PlannerError, match=r"foreign.gml has no thought type.*--tree_model_path"):
        TeacherPlanner(foreign, 1)
    chess = Problem("c1", "Mate in two?", "Qh7", "chess_puzzle", {})
    with pytest.raises(PlannerError, match="c1 is of category 'chess_puzzle'"):
        TeacherPlanner.check((chess,))
    TeacherPlanner.check(tuple(to_problem(sample, "p") for sample in draw_problems(3, "test", 1)))


async def test_a_model_chooses_among_the_options_and_finish() -> None:
    probabilities = {"Add": 0.5, "Check": 0.25, "Split": 0.125, FINISH: 0.125}
    completion = Completion("Check", FinishReason.CHOICE, Usage(7, 0, 1), choice_probabilities=probabilities)
    backend = ScriptedBackend([completion])
    planner = ModelPlanner(backend, Prompts(), Sampling(temperature=0.7, seed=5))
    choice = await planner.choose(trace_of("p9"), sample=2)
    assert (choice.name, choice.probabilities, choice.spent) == (
        "Check",
        probabilities,
        Spent(1, Usage(7, 0, 1)),
    )
    (request,) = backend.requests
    assert request.choices == ("Add", "Check", "Split", FINISH)
    assert (request.role, request.trace_id, request.sample_index) == ("planner", "p9/2", 2)
    assert (request.sampling.temperature, request.sampling.seed) == (0.7, 5)


async def test_a_model_that_names_no_option_is_an_error_never_the_first_option() -> None:
    planner = ModelPlanner(ScriptedBackend(lambda _: "add"), Prompts(), Sampling())
    with pytest.raises(UnparsedChoiceError):
        await planner.choose(trace_of("p"))


async def test_untyped_chooses_only_between_going_on_and_stopping(tmp_path: Path) -> None:
    backend = ScriptedBackend(
        lambda r: r.choices[len(r.messages) > 3] if r.choices else "so the answer is 10"  # type: ignore[index]
    )
    finished = await run_with(config_for(tmp_path, planner="untyped", n_rows=1), backend)
    (entry,) = finished.results.results
    assert entry.thought_types == ("Next thought", FINISH)
    assert [step.node_id for step in entry.steps] == [None, None]
    assert entry.outcome is Outcome.CORRECT


def test_the_chunks_of_a_directory_and_the_rollouts_it_was_built_from_tell_of_the_same_transitions() -> None:
    taxonomy = load_taxonomy(TAXONOMY)
    for level in taxonomy.levels:
        from_rollouts = label_transition_counts(read_rollouts(ROLLOUTS), taxonomy, level)
        assert table_transition_counts(taxonomy, TAXONOMY, level) == from_rollouts


@pytest.mark.parametrize("planner", ["uniform", "markov", "fixed"])
async def test_planners_without_a_model_ask_no_planner_call(tmp_path: Path, planner: str) -> None:
    sequence = {"planner_sequence": "Parenthesis Resolution"} if planner == "fixed" else {}
    backend = ScriptedBackend(lambda _: "the answer is 10")
    finished = await run_with(config_for(tmp_path, planner=planner, **sequence), backend)
    assert {request.role for request in backend.requests} == {"reasoner"}
    assert all("planner" not in entry.usage for entry in finished.results.results)


@pytest.mark.parametrize(
    ("settings", "flag"),
    [
        ({"planner": "model", "planner_sequence": "Addition"}, "--planner_sequence"),
        ({"planner": "untyped", "planner_sequence": "Addition"}, "--planner_sequence"),
        ({"vanilla_baseline": True, "planner": "fixed", "planner_sequence": "A"}, "--vanilla_baseline"),
        ({"planner": "uniform", "rollouts_file": ROLLOUTS}, "--rollouts_file"),
        ({"planner": "teacher"}, "category 'sum'"),
    ],
)
def test_settings_that_do_not_go_together_are_refused(
    tmp_path: Path, settings: dict[str, Any], flag: str
) -> None:
    with pytest.raises((ConfigError, PlannerError), match=flag):
        assemble(config_for(tmp_path, **settings))


def test_markov_on_a_taxonomy_without_chunks_needs_rollouts(tmp_path: Path) -> None:
    tree = tmp_path / "tree.gml"
    tree.write_text(
        'graph [ directed 1 node [ id 0 label "All" ] node [ id 1 label "Guess" ] edge [ source 0 target 1 ] ]'
    )
    with pytest.raises(ConfigError, match="--rollouts_file"):
        assemble(config_for(tmp_path, planner="markov", tree_model_path=tree, label_level=1))


def test_other_rollouts_make_another_run(tmp_path: Path) -> None:
    copied = tmp_path / "half.jsonl"
    from taxonomy import write_rollouts

    write_rollouts(read_rollouts(ROLLOUTS)[:200], copied)
    whole, half, same = (
        assemble(config_for(tmp_path, planner="markov", **given)).settings
        for given in ({}, {"rollouts_file": copied}, {"rollouts_file": ROLLOUTS})
    )
    assert whole == same
    assert whole != half


def test_every_planner_name_is_a_setting() -> None:
    for name in ("model", "teacher", "uniform", "markov", "fixed", "untyped"):
        assert RunConfig(planner=name).planner == name  # type: ignore[arg-type]
