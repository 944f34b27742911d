"""The report in Markdown, for the appendix of a paper: its tables, its sentences, how it was computed, its figures."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from hierarchical_reasoning.compare.report.charts import StackChart
from hierarchical_reasoning.compare.report.contents import Contents, HeadlineRow
from hierarchical_reasoning.compare.report.wording import (
    NOT_KNOWN,
    accuracy_text,
    difference_text,
    dollars,
    p_values,
    whole,
)
from hierarchical_reasoning.compare.statistics import ArmComparison
from taxonomy.terminal import one_line

METHODS = (
    "Accuracy counts errors as not solved; its 95 % interval is Wilson's, or where problems have several samples the "
    "bootstrap's over problems. Differences are paired, on the same problems, in percentage points. With one sample a "
    "problem the test is the exact McNemar test and the interval that of Bonett and Price; with several, a sign-flip "
    "test and the bootstrap, both over problems. p-values are two-sided and adjusted by Holm's method within a family "
    "of comparisons. That a difference is not shown does not show that there is none."
)


def summary_markdown(contents: Contents, figures: Sequence[str]) -> str:
    """The text.

    Args:
        contents: of the report.
        figures: paths of pictures, relative to the text.
    """
    return "\n".join(_lines(contents, figures)) + "\n"


def _lines(contents: Contents, figures: Sequence[str]) -> Iterator[str]:
    study = contents.study
    yield f"# {_plain(study.title)}"
    yield ""
    for noun, verdict in contents.verdicts:
        yield f"- **{_plain(noun)}.** {_plain(verdict)}"
    for note in study.notes:
        yield f"- {_plain(note)}"
    yield ""
    yield "## Results"
    yield ""
    yield from _headline(contents)
    yield ""
    yield "## Comparisons"
    yield ""
    for line in contents.sentences:
        yield f"- {_plain(line)}"
    yield ""
    if contents.outcomes is not None:
        yield "## How problems ended"
        yield ""
        yield from _outcomes(contents.outcomes)
        yield ""
    yield "## Methods"
    yield ""
    yield METHODS
    yield f"Seed of all that is drawn: {study.statistics.seed}."
    if study.settings:
        yield ""
        yield from _table(("setting", "value"), study.settings.items())
    if figures:
        yield ""
        yield "## Figures"
        for chart, path in zip(contents.charts, figures, strict=False):
            yield ""
            yield f"![{_plain(chart.title)}]({path})"
            yield ""
            yield f"*{_plain(chart.title)}.* {_plain(chart.meaning)}"


def _outcomes(chart: StackChart) -> Iterator[str]:
    rows = []
    for bar in chart.panels[0][1]:
        counts = {segment.name: segment.count for segment in bar.segments}
        rows.append((bar.label, *(f"{counts.get(name, 0):,}" for name in chart.colours)))
    yield from _table(("arm", *chart.colours), rows)


def _headline(contents: Contents) -> Iterator[str]:
    heads = ["arm", "accuracy", f"against {contents.baseline or 'a baseline'}"]
    heads += ["against its compute-matched twin"] if contents.has_twins else []
    heads += ["tokens a problem", "dollars a problem", "errors", "owed"]
    yield from _table(heads, (_row(row, contents.has_twins) for row in contents.rows))


def _row(row: HeadlineRow, has_twins: bool) -> list[str]:
    arm = row.arm
    cells = [arm.label, f"{accuracy_text(arm.accuracy)}, {arm.accuracy.correct:,} of {arm.accuracy.n:,}"]
    cells.append(_compared(row.baseline))
    if has_twins:
        cells.append(_compared(row.twin))
    cost = None if arm.cost_usd is None else arm.cost_usd.value
    return [*cells, whole(arm.tokens), dollars(cost), f"{arm.errors:,}", f"{arm.missing:,}"]


def _compared(comparison: ArmComparison | None) -> str:
    if comparison is None:
        return NOT_KNOWN
    return f"{difference_text(comparison.counting_errors.difference)}; {p_values(comparison)}"


def _table(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> Iterator[str]:
    yield _cells(heads)
    yield _cells(["---"] * len(heads))
    for row in rows:
        yield _cells([_plain(cell) for cell in row])


def _cells(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _plain(text: str) -> str:
    """One line in which nothing is markup."""
    return "".join(f"\\{letter}" if letter in "\\`*_[]<>#|" else letter for letter in one_line(text))
