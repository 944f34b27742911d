"""The tree of a search as it grows: thoughts that may be expanded, answers behind them, and what is expected of them.

The level of a thought is its depth, the number of thoughts on its path; the root is the problem. An answer is the final
response of the trace that ends where it hangs. What is pruned takes no part any more, but its answers keep their vote
in what answers are worth.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any

from hierarchical_reasoning.reasoner import Drawn
from hierarchical_reasoning.results.records import StepRecord
from hierarchical_reasoning.rewards.base import RewardWeights
from hierarchical_reasoning.search.likelihood import EMPTY_PATH, Likelihood
from hierarchical_reasoning.trace import FINISH, Trace
from hierarchical_reasoning.trees import ReasoningTree, Scores
from hierarchical_reasoning.values.base import UNKNOWN, Estimate, Place

if TYPE_CHECKING:
    from hierarchical_reasoning.search.branching import Branch

UNCERTAINTY_WEIGHT = 2.0
"""Of the uncertainty, in the exploration score (HATO, spec/000)."""


@dataclass(frozen=True)
class Thought:
    """A node that may be expanded: the root, or a thought."""

    id: int
    trace: Trace
    """With this thought as its last step; that of the root has none."""
    place: str
    """The thought types from the root to here, and which sample each is: what is drawn below depends on it, and on no
    number that another branch could change."""
    step: StepRecord | None = None
    """None for the root."""
    likelihood: Likelihood = EMPTY_PATH
    """Of the path, where log probabilities are asked for."""

    @property
    def depth(self) -> int:
        return len(self.trace.steps)

    @property
    def text(self) -> str:
        """Of this step; of the root, the problem's."""
        return self.trace.steps[-1].thought if self.trace.steps else self.trace.problem.text

    @property
    def thoughts(self) -> tuple[str, ...]:
        return tuple(step.thought for step in self.trace.steps)


@dataclass
class Answer:
    """A final response, and what it is worth."""

    id: int
    thought: int
    """The id of the node it hangs on."""
    text: str
    truncated: bool
    step: StepRecord
    """That it was finished here."""
    extracted: str | None = None
    ballot: str | None = None
    """The answer in the form that equal answers share; None where none was found."""
    reward: float | None = None
    """Path reward; None where nothing says what it is worth."""
    likelihood: Likelihood = EMPTY_PATH
    """As of a `Thought`."""
    is_proven: bool = False
    """The problem itself, or an oracle, says that it is right."""


class Grown:
    """One problem's search, as far as it went."""

    def __init__(
        self,
        trace: Trace,
        weights: RewardWeights,
        *,
        sample: int | None = None,
        update: int | None = None,
        prompt: Sequence[int] = (),
    ) -> None:
        """
        Args:
            trace: without a step, on a problem without its ground truth.
            weights: of the rewards.
            sample: which of several independent attempts of a run this is.
            update: of training, that it is grown for.
            prompt: the tokens of the problem, where nodes have tokens.
        """
        self.tree = ReasoningTree(trace.problem.id, prompt, trace.problem.text, sample=sample, update=update)
        self.weights = weights
        root = self.tree.root
        self.thoughts: dict[int, Thought] = {root: Thought(root, trace, "")}
        """Live ones."""
        self.answers: dict[int, Answer] = {}
        """All of them, pruned ones too."""
        self.open: dict[int, None] = {root: None}
        """Live thoughts that have not all of their children yet, in the order in which they came."""
        self.branches: dict[int, list[Branch]] = {}
        """Of open thoughts, the children that were chosen and not made yet, where they are not made all at once."""
        self.estimates: dict[int, Estimate] = {}
        """Of live thoughts, where something estimates."""
        self._answered: dict[int, int] = {}
        """Live nodes with an answer at or below them, and how many."""

    def add_thought(
        self,
        parent: Thought,
        trace: Trace,
        place: str,
        step: StepRecord,
        scores: Scores,
        drawn: Drawn | None = None,
        log_probs: Sequence[float] | None = None,
    ) -> Thought:
        """Add a thought, open, behind the children that its parent has."""
        node = self.tree.add(
            parent.id,
            text=step.thought,
            kind="thought",
            thought_type=step.thought_type,
            ended=not step.truncated,
            **_tokens(drawn),
        )
        self.tree.score(node, scores)
        likelihood = parent.likelihood.followed_by(scores.prior, log_probs or ())
        thought = Thought(node, trace, place, step, likelihood)
        self.thoughts[node] = thought
        self.open[node] = None
        return thought

    def add_answer(
        self,
        thought: Thought,
        text: str,
        step: StepRecord,
        scores: Scores,
        *,
        truncated: bool,
        drawn: Drawn | None = None,
        log_probs: Sequence[float] | None = None,
    ) -> Answer:
        """Add an answer behind a thought."""
        node = self.tree.add(
            thought.id, text=text, kind="answer", thought_type=FINISH, ended=not truncated, **_tokens(drawn)
        )
        self.tree.score(node, scores)
        answer = Answer(node, thought.id, text, truncated, step)
        answer.likelihood = thought.likelihood.followed_by(scores.prior, log_probs or ())
        self.answers[node] = answer
        for above in self.tree.path(node):
            self._answered[above] = self._answered.get(above, 0) + 1
        return answer

    @property
    def n_nodes(self) -> int:
        """Thoughts and answers, pruned ones included."""
        return self.tree.next_id - 1

    @property
    def live_answers(self) -> list[Answer]:
        return [answer for answer in self.answers.values() if answer.id in self.tree.nodes]

    @property
    def is_proven(self) -> bool:
        """An answer is known to be right."""
        return any(answer.is_proven for answer in self.live_answers)

    def scores(self, node: int) -> Scores:
        return self.tree.node(node).scores or Scores()

    def visits(self, node: int) -> int:
        """Live answers at or below a live node."""
        return self._answered.get(node, 0)

    def is_answered(self, thought: int) -> bool:
        """Whether an answer hangs on it, not further below."""
        return any(self.tree.node(child).kind == "answer" for child in self.tree.children(thought))

    def value(self, node: int) -> Estimate:
        """What is expected of a live node; `UNKNOWN` where nothing tells."""
        return self.estimates.get(node, UNKNOWN)

    def promise(self, node: int) -> float:
        """Its total; where no answer is below it, with the expected value in place of the path reward."""
        scores = self.scores(node)
        path = scores.path if self.visits(node) else self.value(node).value
        return self.weights.total(scores.local, path, scores.causal)

    def exploration(self, node: int) -> float:
        """promise + 2 uncertainty (HATO, spec/000): what is not known is worth a look."""
        return self.promise(node) + UNCERTAINTY_WEIGHT * self.value(node).uncertainty

    def place(self, thought: int) -> Place:
        """Of a live thought, for estimates."""
        found = self.thoughts[thought]
        return Place(found.trace.problem, found.thoughts)

    def rewards(self) -> dict[int, float]:
        """Path rewards of live answers that have one, by node."""
        return {answer.id: answer.reward for answer in self.live_answers if answer.reward is not None}

    def prune(self, node: int, why: str) -> None:
        """Drop a node and all below it."""
        lost = self.visits(node)
        for above in self.tree.path(node)[:-1] if lost else ():
            self._answered[above] -= lost
        dropped = list(self.tree.walk(node))
        for each in dropped:
            self.tree.score(each, replace(self.scores(each), visits=self.visits(each)))
        self.tree.prune(node, why)
        for each in dropped:
            self.thoughts.pop(each, None)
            self.open.pop(each, None)
            self.branches.pop(each, None)
            self.estimates.pop(each, None)
            self._answered.pop(each, None)


def _tokens(drawn: Drawn | None) -> dict[str, Any]:
    return {"tokens": ()} if drawn is None else asdict(drawn)
