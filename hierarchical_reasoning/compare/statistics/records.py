"""What the statistics found, as frozen records that are written as JSON.

A p-value is a `PValue`, which cannot be made without the name of its test and the number of problems; an adjusted one
carries the raw one, the method and all that it was adjusted over.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from hierarchical_reasoning.results.intervals import Accuracy, Estimate

Probability = Annotated[float, Field(ge=0, le=1)]
NameOfTest = Literal[
    "exact McNemar", "exact sign-flip", "Monte-Carlo sign-flip", "Monte-Carlo permutation of strata"
]
IntervalMethod = Literal["Bonett-Price", "bootstrap over problems"]


class _Record(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class PValue(_Record):
    """A two-sided p-value."""

    test: NameOfTest
    n: Annotated[int, Field(ge=1)]
    """Problems."""
    p: Probability
    draws: int | None = None
    """Of a Monte-Carlo test, which has no p below 1 / (draws + 1); None: exact."""


class Adjusted(_Record):
    """A p-value of one comparison of a family, and what is left of it beside the others."""

    raw: PValue
    method: Literal["Holm"] = "Holm"
    family: str
    """What its members are, such as "levels"."""
    family_size: Annotated[int, Field(ge=1)]
    """Comparisons declared, those without a problem in common too."""
    p: Probability


class Difference(_Record):
    """Accuracy of an arm minus that of its baseline, over `n` problems, with its 95 % interval."""

    n: int
    value: float | None
    """Mean over problems of the difference of the shares of right samples; None when n is 0."""
    low: float
    high: float
    method: IntervalMethod


class PairedResult(_Record):
    """An arm beside its baseline on the same problems."""

    arm_accuracy: float | None
    """Mean share of right samples on these problems; None where there is none."""
    baseline_accuracy: float | None
    difference: Difference
    better: int
    """Problems of which the arm has the larger share right."""
    worse: int
    uneven: int
    """Problems with other numbers of samples in the arm than in the baseline, which make the test approximate."""
    significance: Adjusted | None
    """None without a problem."""


class ErrorBounds(_Record):
    """Where the difference must lie, however the samples that ended in an error would have ended."""

    low: float
    """Every error of the arm would have been wrong, every one of the baseline right."""
    high: float


class Stratum(_Record):
    """The problems of one category or difficulty."""

    name: str | None
    """None: the problems that have none."""
    difference: Difference


class Stratification(_Record):
    """The difference by category or difficulty. Exploratory: adjusted for nothing, and often of few problems."""

    by: Literal["category", "difficulty"]
    exploratory: Literal[True] = True
    strata: tuple[Stratum, ...]
    heterogeneity: PValue
    """Of the hypothesis that the differences are distributed alike in all strata."""


class Detectable(_Record):
    """The smallest true difference that a study like this one finds with probability `power`."""

    difference: float | None
    """None where no difference is large enough for so few problems."""
    power: float
    alpha: float
    """What p must not exceed."""
    n: int
    spread: float
    """As observed: with one sample a problem the share of problems on which the arms disagree, otherwise the standard
    deviation of the differences between problems."""
    method: Literal["exact", "normal approximation"]


class ArmComparison(_Record):
    """One arm beside another."""

    arm: str
    baseline: str
    arm_label: str
    baseline_label: str
    samples: int
    """A problem, at most."""
    counting_errors: PairedResult
    """A sample that ended in an error counts as wrong. This is the result that was declared."""
    completed: PairedResult
    """On the problems that both completed, samples with an error left out."""
    errors: int
    """Samples of the arm that ended in an error."""
    baseline_errors: int
    error_bounds: ErrorBounds | None
    """None without a problem."""
    left_out: int
    """Problems of the study that one of the two still owes."""
    token_ratio: Estimate | None
    """Tokens of the arm for each of the baseline, on the problems that both completed; None where that is none, or the
    baseline took no tokens on one."""
    strata: tuple[Stratification, ...]
    """By category and by difficulty, where there are two or more."""
    detectable: tuple[Detectable, ...]
    """For this comparison by itself, and for the first that Holm rejects; empty without a problem."""


class ArmRecord(_Record):
    """One arm by itself."""

    name: str
    label: str
    twin: str | None
    problems: int
    samples: int
    """A problem, at most."""
    accuracy: Accuracy
    """A sample that ended in an error counts as not solved."""
    accuracy_completed: Accuracy
    """Samples that ended in an error left out."""
    errors: int
    missing: int
    """Samples owed."""
    ungraded: int
    """Entries without a ground truth, left out."""
    tokens: Estimate | None
    """A problem, all its samples together, as far as there are any; None without a problem."""
    cost_usd: Estimate | None
    """A problem, replies from the cache at what they had cost; None without a problem or a price."""


class StudyStatistics(_Record):
    """All of it."""

    problems: int
    alpha: float
    """What the adjusted p-values of a family are held against."""
    power: float
    seed: int
    """Of all that is drawn."""
    arms: tuple[ArmRecord, ...]
    comparisons: tuple[ArmComparison, ...]
