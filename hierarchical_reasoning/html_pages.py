"""Pages that stand alone: templates beside the code that fills them, what comes from outside escaped."""

from __future__ import annotations

from collections.abc import Callable
from html import escape
from pathlib import Path
from typing import Any

import jinja2

from taxonomy.terminal import one_line, visible


def page_environment(folder: Path, filters: dict[str, Callable[..., Any]]) -> jinja2.Environment:
    """Of the templates of a folder: values are escaped, and a value that is missing is an error.

    Args:
        filters: besides `visible` and `one_line`, for text from outside.
    """
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(folder),
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        autoescape=True,
    )
    environment.filters.update({"visible": visible, "one_line": one_line, **filters})
    return environment


def escaped(text: str) -> str:
    """Text from outside, in one line, as markup that shows it."""
    return escape(one_line(text))


def page_bytes(page: str) -> bytes:
    """UTF-8; a lone surrogate, which UTF-8 cannot hold, becomes a reference, which browsers show as the sign for what
    is no character."""
    return page.encode("utf-8", "xmlcharrefreplace")
