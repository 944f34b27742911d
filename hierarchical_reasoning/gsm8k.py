"""GSM8K as TreeRPO measures it: greedy, and the majority of eight drawn answers (Maj@8).

Each of the two is a run like any other, of the vanilla solver: one call, chain of thought. What is not in `\\boxed{}`
is no answer, so that such a text counts as wrong and casts no vote. A vote that is tied is drawn among the tied
answers, by the seed. Neither top-k, min-p nor a repetition penalty is used.

Deviation from the published code (omrisapir1/treerpo): answers are compared as exact numbers.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Any

from hierarchical_reasoning.config import RunConfig
from hierarchical_reasoning.errors import ConfigError
from hierarchical_reasoning.outcomes import Outcome
from hierarchical_reasoning.results.intervals import Accuracy
from hierarchical_reasoning.results.records import Summary
from hierarchical_reasoning.verifiers.boxed_number import BoxedNumberVerifier

SAMPLES = 8
TEMPERATURE = 0.7
TOP_P = 0.8
MAX_NEW_TOKENS = 1024


class Measure(str, Enum):
    """What is measured."""

    GREEDY = "greedy"
    """The likeliest words, once a problem."""
    MAJORITY = "majority"
    """The answer that most of several drawn samples give."""

    def __str__(self) -> str:
        return self.value


_OF_THE_VOTE = ("samples", "temperature", "top_p")
"""Settings that the greedy measure has no use for."""


@dataclass(frozen=True)
class Score:
    """What a measure found."""

    accuracy: Accuracy
    """Over all problems with a ground truth; one without a box, or that ended in an error, is not solved."""
    without_box: int
    """Texts that had no `\\boxed{}`, or none that was closed before the limit on tokens."""
    n_texts: int
    """Problems, times samples."""


def measurements(settings: Mapping[str, Any], only: Measure | None = None) -> dict[Measure, RunConfig]:
    """The runs to be made.

    Args:
        settings: of `RunConfig`, where they are not to be the usual ones; `samples`, `temperature` and `top_p` are
            those of the vote. Without `n_rows`, all problems are taken.
        only: the one to make; None: both.

    Raises:
        ConfigError: settings that do not go together.
        pydantic.ValidationError: a value that a setting cannot have.
    """
    given = {name: settings[name] for name in _OF_THE_VOTE if name in settings}
    if only is Measure.GREEDY and given:
        raise ConfigError(f"{' and '.join(f'--{name}' for name in given)}: --only greedy takes no vote")
    shared = {"n_rows": None, "max_answer_tokens": MAX_NEW_TOKENS} | {
        name: value for name, value in settings.items() if name not in _OF_THE_VOTE
    }
    shared |= {"vanilla_baseline": True, "ground_truth_format": BoxedNumberVerifier.format}
    vote = {"samples": SAMPLES, "temperature": TEMPERATURE, "top_p": TOP_P} | given
    if vote["samples"] == 1:
        raise ConfigError("--samples 1 leaves nothing to vote on; give 2 or more, or --only greedy")
    runs = {
        Measure.GREEDY: RunConfig(**shared, temperature=0.0),
        Measure.MAJORITY: RunConfig(**shared, **vote),
    }
    return runs if only is None else {only: runs[only]}


def score(summary: Summary) -> Score:
    """What a run of `measurements` found."""
    return Score(
        accuracy=summary.accuracy if summary.sampling is None else summary.sampling.majority,
        without_box=summary.outcomes[Outcome.NO_ANSWER] + summary.outcomes[Outcome.TRUNCATED],
        n_texts=summary.n,
    )
