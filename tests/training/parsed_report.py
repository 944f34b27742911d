"""A report's page taken apart: its tables, its pictures, and what could reach outside."""

from __future__ import annotations

import html.parser
from pathlib import Path

_VOID = {"meta", "col", "br", "img", "input", "link"}


class ParsedReport(html.parser.HTMLParser):
    """Fails on elements that are not closed in order."""

    def __init__(self, page: Path) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str]] = []
        self.tables: dict[str, list[list[str]]] = {}
        """By id; cells as text, row by row."""
        self.pictures: list[str] = []
        """What each picture is described as."""
        self.text = ""
        self._open: list[str] = []
        self._rows: list[list[str]] = []
        self.feed(page.read_text(encoding="utf-8"))
        assert not self._open

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += [(name, value or "") for name, value in attrs]
        found = dict(attrs)
        if tag not in _VOID and tag not in ("path", "circle"):
            self._open.append(tag)
        if tag == "table":
            self._rows = self.tables[str(found["id"])] = []
        elif tag == "tr":
            self._rows.append([])
        elif tag in ("td", "th") and found.get("class") != "gap":
            self._rows[-1].append("")
        elif tag == "svg":
            self.pictures.append(str(found["aria-label"]))

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += [(name, value or "") for name, value in attrs]

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop() == tag

    def handle_data(self, data: str) -> None:
        if "style" in self._open:
            return
        self.text += data
        if {"td", "th"} & set(self._open) and self._rows and self._rows[-1]:
            self._rows[-1][-1] += data
