"""The report as one HTML file that needs no network and runs no script.

What comes from outside is escaped, by the template or where a picture or table is put together; a content security
policy keeps the page from running or loading anything all the same. The same log gives the same bytes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import jinja2
from markupsafe import Markup

from hierarchical_reasoning.html_pages import page_bytes, page_environment
from hierarchical_reasoning.training.report.contents import Contents
from hierarchical_reasoning.training.report.figures import CurveFigure
from hierarchical_reasoning.training.report.headline import accuracy_of, points_text, when
from hierarchical_reasoning.training.report.reliability import Reliability
from hierarchical_reasoning.training.report.scales import (
    dollars_text,
    duration_text,
    number_text,
    percent_text,
    value_text,
)
from hierarchical_reasoning.training.report.svg import draw_curves, draw_reliability, draw_usage
from hierarchical_reasoning.training.report.tables import heat_table, updates_table
from hierarchical_reasoning.training.report.transitions import LEAST_VISITS, SHOWN_CHANGES
from hierarchical_reasoning.training.report.words import PLANNER

_FOLDER = Path(__file__).parent
_NARROW = (430, 220)
_SQUARE = (430, 380)
_WIDE = (560, 290)
_USAGE = (1060, 310)


@dataclass(frozen=True)
class _Shown:
    """A figure as it stands in the page."""

    title: str
    meaning: str
    picture: Markup
    curves: tuple[tuple[str, str], ...]
    """Name, and its value at first and at last."""


def report_page(contents: Contents, *, title: str, settings: Mapping[str, str] | None) -> bytes:
    """The page, UTF-8.

    Args:
        contents: what the log holds.
        title: of the run.
        settings: of the run; None where they are not known.
    """
    usage = contents.usage
    page = (
        _environment()
        .get_template("page.html.j2")
        .render(
            title=title,
            settings=settings,
            contents=contents,
            style=Markup((_FOLDER / "style.css").read_text(encoding="utf-8")),  # noqa: S704 - our own
            accuracy=[_shown(contents, figure, _WIDE) for figure in contents.accuracy],
            rollouts=[_shown(contents, figure, _NARROW) for figure in contents.rollouts],
            optimisation=[_shown(contents, figure, _NARROW) for figure in contents.optimisation],
            speed=[_shown(contents, figure, _NARROW) for figure in contents.speed],
            reliability=_reliability(contents.reliabilities),
            usage_picture=None
            if usage is None
            else draw_usage(usage, contents.colour_of, contents.span, size=_USAGE),
            heat_tables=[(tables, heat_table(tables, contents.number_of)) for tables in contents.transitions],
            updates_table=updates_table(contents.log.updates, contents.log.words),
            words=contents.log.words,
            choosing=contents.log.words is PLANNER,
            least_visits=LEAST_VISITS,
            shown_changes=SHOWN_CHANGES,
            accuracy_of=accuracy_of,
            when=when,
        )
    )
    return page_bytes(page)


@cache
def _environment() -> jinja2.Environment:
    return page_environment(
        _FOLDER,
        {
            "percent": percent_text,
            "number": number_text,
            "dollars": dollars_text,
            "duration": duration_text,
            "points": points_text,
        },
    )


def _shown(contents: Contents, figure: CurveFigure, size: tuple[int, int]) -> _Shown:
    ends = []
    for curve in figure.curves:
        values = [value_text(point.value, figure.unit) for point in curve.points if point.value is not None]
        text = (
            "never measured"
            if not values
            else values[0]
            if len(values) == 1
            else f"{values[0]} → {values[-1]}"
        )
        ends.append((curve.name, text))
    return _Shown(figure.title, figure.meaning, draw_curves(figure, contents.span, size=size), tuple(ends))


def _reliability(parts: Sequence[Reliability]) -> _Shown | None:
    if not parts:
        return None
    keys = tuple((part.name, f"ECE {part.ece:.3f} (n = {part.n:,})") for part in parts)
    meaning = (
        "What the value head expected of thoughts, in ten bins, and the mean of the rewards that came of them; on the "
        "diagonal it was right on average."
    )
    return _Shown("Reliability of the value head", meaning, draw_reliability(parts, size=_SQUARE), keys)
