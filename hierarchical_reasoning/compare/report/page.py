"""The report as one HTML file that needs no network.

Its numbers and charts are there without a script; scripts unpack the traces and show them as text, never as markup. The
security policy lets the page's own style and scripts run, known by their hashes, and nothing else: no other script, no
element with a style or a handler of its own, nothing loaded. The same study gives the same bytes.
"""

from __future__ import annotations

import base64
import hashlib
from functools import partial
from pathlib import Path

import jinja2
from markupsafe import Markup

from hierarchical_reasoning.compare.report import wording
from hierarchical_reasoning.compare.report.boards import piece_symbols
from hierarchical_reasoning.compare.report.contents import Contents
from hierarchical_reasoning.compare.report.markup import chart_markup, heat_rules
from hierarchical_reasoning.compare.report.tree_table import tree_table
from hierarchical_reasoning.html_pages import page_bytes, page_environment

_FOLDER = Path(__file__).parent / "page"
_SCRIPTS = ("store.js", "elements.js", "detail.js", "browser.js")
"""In the order in which they run; each uses those before it."""


def report_page(contents: Contents) -> bytes:
    """The page, UTF-8."""
    palette, study = contents.palette, contents.study
    environment = _environment()
    environment.filters["drawn"] = partial(chart_markup, palette=palette)
    template = environment.get_template("page.html.j2")
    for chart in contents.charts:
        chart_markup(chart, palette)  # gives every colour its class, before the style sheet is put together
    tree = "" if study.taxonomy is None else tree_table(study.taxonomy, contents.counts.values(), palette)
    style = _read("style.css") + heat_rules() + palette.rules()
    scripts = [_read(name) for name in _SCRIPTS]
    page = template.render(
        study=study,
        contents=contents,
        not_known=wording.NOT_KNOWN,
        style=Markup(style),  # noqa: S704 - our own
        scripts=[Markup(script) for script in scripts],  # noqa: S704 - our own
        policy=_policy(style, scripts),
        tree=tree,
        pieces=piece_symbols() if contents.traces.has_boards else "",
    )
    return page_bytes(page)


def _environment() -> jinja2.Environment:
    return page_environment(
        _FOLDER,
        {
            "accuracy": wording.accuracy_text,
            "difference": wording.difference_text,
            "dollars": wording.dollars,
            "is_shown": wording.is_shown,
            "common_test": wording.common_test,
            "p_values": wording.short_p_values,
            "ratio": wording.ratio_text,
            "whole": wording.whole,
        },
    )


def _policy(style: str, scripts: list[str]) -> Markup:
    allowed = " ".join(_source(script) for script in scripts)
    return Markup(  # noqa: S704 - hashes
        f"default-src 'none'; style-src {_source(style)}; script-src {allowed}; base-uri 'none'; form-action 'none'"
    )


def _source(text: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"


def _read(name: str) -> str:
    return (_FOLDER / name).read_text(encoding="utf-8")
