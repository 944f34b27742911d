"""Figures as they are printed."""

from __future__ import annotations

from hierarchical_reasoning.results.intervals import Accuracy, Estimate
from hierarchical_reasoning.results.records import TreesSummary
from hierarchical_reasoning.results.sampling import SamplingSummary
from hierarchical_reasoning.trees.metrics import figures_in_words
from hierarchical_reasoning.wording import counted
from taxonomy.terminal import visible

_TURN_AROUND = (0x061C, 0x200E, 0x200F, *range(0x202A, 0x202F), *range(0x2066, 0x206A))
"""Characters that change the direction of the text after them."""
_WRITTEN_OUT = {code: f"\\u{code:04x}" for code in _TURN_AROUND}


def accuracy_text(accuracy: Accuracy) -> str:
    """In percent, with its interval and the counts."""
    if accuracy.value is None:
        return "nothing was graded"
    return (
        f"{100 * accuracy.value:.1f} % [{100 * accuracy.low:.1f}, {100 * accuracy.high:.1f}] "
        f"({accuracy.correct:,} of {accuracy.n:,})"
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


def memory_text(n_bytes: int) -> str:
    """In MiB or GiB."""
    mib = n_bytes / 2**20
    return f"{mib:,.0f} MiB" if mib < 1024 else f"{mib / 1024:,.1f} GiB"


def sampling_cells(sampling: SamplingSummary) -> list[tuple[str, str]]:
    """What several samples a problem come to: mean@k, pass@k for powers of 2 and all samples, and what a choice among
    them brings; a name and a value each."""
    cells = [(f"mean@{sampling.samples}", estimate_text(sampling.mean_at_k))]
    cells += [
        (f"pass@{k}", estimate_text(passed))
        for k, passed in sampling.pass_at_k.items()
        if k == sampling.samples or k & (k - 1) == 0
    ]
    cells.append((f"majority of {sampling.samples}", accuracy_text(sampling.majority)))
    if (valued := sampling.valued) is not None:
        cells.append((f"best of {sampling.samples} (--value_head)", accuracy_text(valued.best)))
        cells.append(("vote weighted by values", accuracy_text(valued.weighted)))
        if valued.not_valued:
            cells.append(("answers not valued", str(valued.not_valued)))
    if sampling.ties:
        cells.append(("votes tied, drawn by --seed", str(sampling.ties)))
    if sampling.no_answer:
        cells.append(("no answer to vote on", str(sampling.no_answer)))
    return cells


def trees_cells(trees: TreesSummary) -> list[tuple[str, str]]:
    """What the trees of searches come to: a name and a value each."""
    cells = [("trees", f"{trees.figures['trees']:,.0f}"), *figures_in_words(trees.figures)]
    if (calibration := trees.calibration) is not None:
        cells.append((f"value head: ECE (n = {calibration.n:,})", f"{calibration.ece:.3f}"))
        cells.append(("value head: Brier score", f"{calibration.brier:.3f}"))
    return cells


def visible_cell(text: str) -> str:
    """A name, or what stands in the cell of a table: as `visible`, and what turns the direction of the text around is
    written out too, since it would turn the rest of the line."""
    return visible(text).translate(_WRITTEN_OUT)
