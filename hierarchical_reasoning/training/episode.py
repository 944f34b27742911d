"""One attempt at one problem, as training has it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

from hierarchical_reasoning.outcomes import Outcome
from hierarchical_reasoning.results.records import ResultEntry
from hierarchical_reasoning.training.planner.policy import Decision
from llm_backends import ContentFilterError, ContextLengthError

_ADVICE = {
    ContextLengthError.__name__: "lower --max_steps_per_episode, --max_thought_tokens or --num_icl_examples, or take a "
    "model with a longer context",
    ContentFilterError.__name__: "take other problems, or another --reasoning_model_name",
}
"""By the error that most episodes ended in."""


@dataclass(frozen=True)
class ChoiceRecord:
    """One choice of the planner."""

    decision: Decision
    chosen: int
    """Index among the decision's choices."""
    old_log_probs: tuple[float, ...]
    """Of each of them when it was made, at temperature 1."""

    @property
    def name(self) -> str:
        return self.decision.choices[self.chosen]


@dataclass(frozen=True)
class Episode:
    """One attempt at one problem."""

    problem_id: str
    sample: int
    choices: tuple[ChoiceRecord, ...]
    """Those the planner made; an end forced by the limit on steps is none."""
    outcome: Outcome
    characters: int
    """Written by the reasoner."""
    reward: float | None
    """None where a call failed: such an episode is counted, and teaches nothing."""
    brevity: float = 0.0
    """The part of a reward that shorter text earns."""
    error: str | None = None
    entry: ResultEntry | None = field(default=None, compare=False)
    """The whole trace, as results have it; None where there is none to keep."""


def failures(episodes: Sequence[Episode]) -> str:
    """What went wrong with those episodes that failed, of which there are some, and what to do."""
    failed = [episode for episode in episodes if episode.error is not None]
    causes = Counter((episode.error or "").partition(":")[0] for episode in failed).most_common()
    counted = ", ".join(f"{cause} ({count})" for cause, count in causes)
    return (
        f"{len(failed)} of {len(episodes)} episodes failed: {counted}; the first is on problem "
        f"{failed[0].problem_id!r}: {failed[0].error}; {_ADVICE.get(causes[0][0], 'mend what the error names')}"
    )
