"""Figures as they are printed."""

from __future__ import annotations

from hierarchical_reasoning.intervals import Accuracy, Estimate
from hierarchical_reasoning.wording import counted


def accuracy_text(accuracy: Accuracy) -> str:
    """In percent, with its interval and the counts."""
    if accuracy.value is None:
        return "nothing was graded"
    return (
        f"{100 * accuracy.value:.1f} % [{100 * accuracy.low:.1f}, {100 * accuracy.high:.1f}] "
        f"({accuracy.correct} of {accuracy.n})"
    )


def estimate_text(estimate: Estimate) -> str:
    """In percent, with its interval and the number of problems."""
    if estimate.value is None:
        return "nothing was graded"
    return (
        f"{100 * estimate.value:.1f} % [{100 * estimate.low:.1f}, {100 * estimate.high:.1f}] "
        f"(of {counted(estimate.n, 'problem')})"
    )


def cost_text(cost_usd: float | None) -> str:
    """In dollars; None: the price is not known."""
    return "price unknown (--prices)" if cost_usd is None else f"${cost_usd:,.4f}"
