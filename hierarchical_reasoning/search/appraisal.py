"""What nodes and answers are worth: estimates, local rewards, path rewards, and their backing up."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from hierarchical_reasoning.outcomes import Outcome
from hierarchical_reasoning.problems import Problem
from hierarchical_reasoning.rewards.backing_up import back_up
from hierarchical_reasoning.rewards.base import LocalReward
from hierarchical_reasoning.search.answer_judge import AnswerJudge
from hierarchical_reasoning.search.calls import Calls
from hierarchical_reasoning.search.grown import Answer, Grown, Thought
from hierarchical_reasoning.search.settings import SearchSettings
from hierarchical_reasoning.values.base import UNKNOWN, Place, ValueEstimator
from hierarchical_reasoning.values.disagreement import disagreement
from hierarchical_reasoning.verifiers import Grade, Verifier


@dataclass(frozen=True)
class Appraisers:
    """Who says what something is worth."""

    verifier: Verifier
    """Finds answers in texts. It sees problems without their ground truth."""
    local: LocalReward | Literal["prior", "likelihood", "value"]
    """The planner's probability of a thought's type, how likely its path is, the value that is expected of it, or what
    rates it."""
    values: ValueEstimator | None = None
    judge: AnswerJudge | None = None
    """Of answers."""
    oracle: Problem | None = None
    """The problem with its ground truth; None but for the path reward ``verifier``."""


class Appraisal:
    """Of one search."""

    def __init__(self, settings: SearchSettings, by: Appraisers, calls: Calls) -> None:
        self._settings = settings
        self._by = by
        self._calls = calls

    async def add(self, grown: Grown, thoughts: Sequence[Thought], answers: Sequence[Answer]) -> None:
        """Say what new nodes are worth, and what all others are worth now."""
        problem = grown.thoughts[grown.tree.root].trace.problem
        await self._read(problem, answers)
        await self._estimate(grown, thoughts)
        await self._rate_steps(grown, problem, thoughts, answers)
        await self._rate_answers(grown, problem, answers)
        if self._settings.path_reward == "agreement":
            set_agreement(grown.answers.values())
        back_up(grown.tree, grown.rewards(), grown.weights)
        for node in grown.tree.nodes:
            grown.tree.score(node, replace(grown.scores(node), visits=grown.visits(node)))

    async def _read(self, problem: Problem, answers: Sequence[Answer]) -> None:
        """Find what is answered; a format whose answers the problem alone proves right or wrong says that too."""
        verifier = self._by.verifier
        grades = await self._calls.all(
            [f"answer {answer.id} was not read" for answer in answers],
            [verifier.grade(problem, answer.text, truncated=answer.truncated) for answer in answers],
        )
        for answer, grade in zip(answers, grades, strict=True):
            if grade is None:
                continue
            answer.extracted = grade.extracted
            answer.ballot = None if grade.extracted is None else verifier.ballot(grade.extracted)
            if self._settings.path_reward == "check":
                _set_proof(answer, grade)

    async def _estimate(self, grown: Grown, thoughts: Sequence[Thought]) -> None:
        if self._settings.answers_sampled:
            for thought in thoughts:
                ballots = [each.ballot for each in grown.answers.values() if each.thought == thought.id]
                if ballots:
                    grown.estimates[thought.id] = disagreement(ballots)
        elif self._by.values is not None and self._by.values.is_trained and thoughts:
            places = [grown.place(thought.id) for thought in thoughts]
            (estimates,) = await self._calls.all(
                ["no values were estimated"], [self._by.values.estimate(places)]
            )
            grown.estimates.update(zip([thought.id for thought in thoughts], estimates or (), strict=False))
        for thought in thoughts:
            if (estimate := grown.estimates.get(thought.id)) is not None:
                scores = replace(
                    grown.scores(thought.id), value=estimate.value, uncertainty=estimate.uncertainty
                )
                grown.tree.score(thought.id, scores)

    async def _rate_steps(
        self, grown: Grown, problem: Problem, thoughts: Sequence[Thought], answers: Sequence[Answer]
    ) -> None:
        local = self._by.local
        if local == "likelihood":
            for node, likelihood in (
                *((thought.id, thought.likelihood) for thought in thoughts),
                *((answer.id, answer.likelihood) for answer in answers),
            ):
                grown.tree.score(node, replace(grown.scores(node), local=likelihood.per_draw))
            return
        if local == "prior" or local == "value":
            for thought in thoughts:
                known = grown.scores(thought.id)
                worth = known.prior or 0.0 if local == "prior" else grown.value(thought.id).value
                grown.tree.score(thought.id, replace(known, local=worth))
            for answer in answers:
                of_thought = grown.scores(answer.thought).local
                grown.tree.score(answer.id, replace(grown.scores(answer.id), local=of_thought))
            return
        ids = [*(thought.id for thought in thoughts), *(answer.id for answer in answers)]
        texts = [(grown.thoughts[_parent(grown, node)].text, grown.tree.node(node).text) for node in ids]
        rewards = await self._calls.all(
            [f"node {node} has a local reward of 0, as it was not rated" for node in ids],
            [local(problem, before, text) for before, text in texts],
        )
        for each, reward in zip(ids, rewards, strict=True):
            grown.tree.score(each, replace(grown.scores(each), local=reward or 0.0))

    async def _rate_answers(self, grown: Grown, problem: Problem, answers: Sequence[Answer]) -> None:
        kind, by = self._settings.path_reward, self._by
        paths = [(*grown.thoughts[answer.thought].thoughts, answer.text) for answer in answers]
        what = [f"answer {answer.id} has no path reward" for answer in answers]
        if kind == "judge" and by.judge is not None:
            ratings = await self._calls.all(what, [by.judge(problem, path) for path in paths])
            for answer, rating in zip(answers, ratings, strict=True):
                answer.reward = rating
        elif kind == "value" and by.values is not None and answers:
            places = [Place(problem, path) for path in paths]
            (estimates,) = await self._calls.all(what[:1], [by.values.estimate(places)])
            for answer, estimate in zip(answers, estimates or [UNKNOWN] * len(answers), strict=True):
                answer.reward = estimate.value
        elif kind == "verifier" and by.oracle is not None:
            truth = by.oracle
            grades = await self._calls.all(
                what, [by.verifier.grade(truth, each.text, truncated=each.truncated) for each in answers]
            )
            for answer, grade in zip(answers, grades, strict=True):
                if grade is not None:
                    _set_proof(answer, grade)


def set_agreement(answers: Iterable[Answer]) -> None:
    """Give each answer its share of all answers that were found; a text without an answer gets 0."""
    answers = list(answers)
    votes = Counter(answer.ballot for answer in answers if answer.ballot is not None)
    for answer in answers:
        answer.reward = 0.0 if answer.ballot is None else votes[answer.ballot] / votes.total()


def _set_proof(answer: Answer, grade: Grade) -> None:
    answer.is_proven = grade.outcome is Outcome.CORRECT
    answer.reward = None if grade.outcome is Outcome.UNGRADED else float(answer.is_proven)


def _parent(grown: Grown, node: int) -> int:
    parent = grown.tree.node(node).parent
    assert parent is not None, "no new node is the root"
    return parent
