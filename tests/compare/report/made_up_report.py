"""Studies made up entry by entry, for reports."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from dataclasses import replace

from hierarchical_reasoning.compare.report import ReportedArm, ReportedProblem, ReportedStudy
from hierarchical_reasoning.compare.statistics import (
    ArmOutcomes,
    ProblemFacts,
    StudyOutcomes,
    default_families,
    study_statistics,
)
from hierarchical_reasoning.outcomes import Outcome
from hierarchical_reasoning.results.records import ErrorRecord, ResultEntry, RoleUsage, StepRecord
from hierarchical_reasoning.trace import FINISH
from taxonomy.model import Taxonomy, TaxonomyNode

OUTCOMES = {
    "+": Outcome.CORRECT,
    "-": Outcome.WRONG,
    "n": Outcome.NO_ANSWER,
    "t": Outcome.TRUNCATED,
    "e": Outcome.ERROR,
    "u": Outcome.UNGRADED,
}
TAXONOMY = Taxonomy(
    (
        TaxonomyNode("0", "Reasoning", "All of it."),
        TaxonomyNode("1", "Setting up", "Says what is given.", "0"),
        TaxonomyNode("2", "Working out", "Computes.", "0"),
        TaxonomyNode("3", "Restating", "Says it again.", "1"),
        TaxonomyNode("4", "Naming", "Gives names.", "1"),
        TaxonomyNode("5", "Adding", "Adds.", "2"),
    )
)


def entry(
    problem_id: str,
    letter: str,
    *,
    steps: Sequence[str] = (),
    node_of: Mapping[str, str] | None = None,
    text: str = "So the answer is 4.",
    problem: str = "What is 2 + 2?",
    answer: str | None = "4",
    sample: int = 0,
    category: str | None = "sums",
    thought: str = "Think.",
    tokens: int = 100,
) -> ResultEntry:
    """One entry; it has a level where it has steps, the last of which is "Finish thinking"."""
    outcome = OUTCOMES[letter]
    names = (*steps, FINISH) if steps else ()
    return ResultEntry(
        problem_id=problem_id,
        problem=problem,
        use_hierarchical=bool(steps),
        label_level=1,
        thought_types=names,
        thoughts=tuple(thought for _ in steps),
        final_response=text,
        extracted_answer=answer,
        is_correct=outcome.is_correct,
        ground_truth=None if outcome is Outcome.UNGRADED else "4",
        outcome=outcome,
        reason="as made up",
        category=category,
        sample=sample,
        steps=tuple(
            StepRecord(
                thought_type=name,
                node_id=(node_of or {}).get(name),
                thought="" if name == FINISH else thought,
                planner_probabilities={name: 0.75, "another": 0.25},
                planner_usage=None,
                reasoner_usage=None,
            )
            for name in names
        ),
        usage={"reasoner": RoleUsage(prompt_tokens=tokens, cost_usd=tokens / 1e6, cost_from_cache_usd=0.0)},
        seconds=1.5,
        error=ErrorRecord(type="TimeoutError", message="no reply") if outcome is Outcome.ERROR else None,
    )


def reported(
    entries: Mapping[str, Sequence[ResultEntry]],
    *,
    title: str = "A study",
    levels: Mapping[str, int] | None = None,
    twins: Mapping[str, str] | None = None,
    labels: Mapping[str, str] | None = None,
    taxonomy: Taxonomy | None = TAXONOMY,
    problems: Sequence[ReportedProblem] | None = None,
    baseline: str = "vanilla",
) -> ReportedStudy:
    """The study of these entries by arm, with its statistics."""
    labels = labels or {}
    if problems is None:
        categories = {each.problem_id: each.category for of_arm in entries.values() for each in of_arm}
        problems = [ReportedProblem(problem_id, category) for problem_id, category in categories.items()]
    outcomes = StudyOutcomes(
        {problem.id: ProblemFacts(problem.category, problem.difficulty) for problem in problems},
        tuple(
            ArmOutcomes.of(
                name,
                of_arm,
                samples=1 + max((each.sample for each in of_arm), default=0),
                label=labels.get(name, name),
                twin=(twins or {}).get(name),
            )
            for name, of_arm in entries.items()
        ),
    )
    families = default_families(outcomes, baseline=baseline) if len(entries) > 1 else ()
    return ReportedStudy(
        title=title,
        problems=tuple(problems),
        arms=tuple(
            ReportedArm(name, lambda of_arm=of_arm: of_arm, labels.get(name, name), (levels or {}).get(name))
            for name, of_arm in entries.items()
        ),
        statistics=study_statistics(outcomes, families),
        taxonomy=taxonomy,
        settings={"model_name": "made-up", "seed": "0"},
    )


NODES = {"Restating": "3", "Naming": "4", "Adding": "5"}


def small_study() -> ReportedStudy:
    """Vanilla, its vote, and a level over twelve problems of two categories, with every outcome."""
    of_vanilla, of_vote, of_level = "+-+-nt+e-+-+", "++++--++-+-+", "++++--+++e+n"
    steps = [["Restating", "Adding"], ["Naming", "Adding", "Adding"], ["Adding"]]

    def category(number: int) -> str:
        return "sums" if number % 2 else "words"

    def problem(number: int) -> str:
        return f"Problem number {number}: what is 2 + 2?"

    entries = {
        "vanilla": [
            entry(f"p{n}", letter, category=category(n), problem=problem(n), text=f"vanilla says {n}")
            for n, letter in enumerate(of_vanilla)
        ],
        "maj@8": [
            entry(f"p{n}", letter, category=category(n), problem=problem(n), tokens=790)
            for n, letter in enumerate(of_vote)
        ],
        "1": [
            entry(
                f"p{n}",
                letter,
                steps=steps[n % 3],
                node_of=NODES,
                category=category(n),
                problem=problem(n),
                tokens=800,
                thought=f"a thought on {n}",
            )
            for n, letter in enumerate(of_level)
        ],
    }
    return reported(
        entries, levels={"1": 1}, twins={"1": "maj@8"}, labels={"1": "level 1", "maj@8": "majority of 8"}
    )


def large_study(problems: int, arms: int, *, seed: int = 0) -> ReportedStudy:
    """Vanilla and levels, each with a trace of about two thousand characters on each problem."""
    rng = random.Random(seed)
    words = [f"word{number}" for number in range(400)]

    def some_text(length: int) -> str:
        return " ".join(rng.choices(words, k=length))

    entries: dict[str, list[ResultEntry]] = {}
    for arm in range(arms):
        name = "vanilla" if not arm else f"{arm - 1}"
        entries[name] = [
            entry(
                f"p{n:05}",
                rng.choice("+-"),
                steps=rng.choices(list(NODES), k=rng.randint(1, 6)) if arm else (),
                node_of=NODES,
                category=f"category {n % 7}",
                problem=f"Problem {n} of many",
                thought=some_text(70),
                text=some_text(30 if arm else 250),
            )
            for n in range(problems)
        ]
    levels = {name: int(name) for name in entries if name != "vanilla"}
    return reported(entries, title="Many traces", levels=levels)


def retitled(study: ReportedStudy, title: str) -> ReportedStudy:
    return replace(study, title=title)
