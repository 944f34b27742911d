"""Colours as classes of the page's style sheet, since its security policy lets no element have a style of its own."""

from __future__ import annotations

from hierarchical_reasoning.compare.report.colours import Colour


class Palette:
    """Gives each colour a class, which sets `--k`."""

    def __init__(self) -> None:
        self._classes: dict[Colour, str] = {}

    def class_of(self, colour: Colour) -> str:
        return self._classes.setdefault(colour, f"k{len(self._classes)}")

    def rules(self) -> str:
        """For the style sheet: on a light page, on a dark one, and on paper."""
        light = "".join(f".{name}{{--k:{colour.light}}}" for colour, name in self._classes.items())
        dark = "".join(f".{name}{{--k:{colour.dark}}}" for colour, name in self._classes.items())
        return f"{light}\n@media screen and (prefers-color-scheme:dark){{{dark}}}\n"
