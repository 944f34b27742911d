"""Writing the files of a report."""

from __future__ import annotations

import importlib.util
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from hierarchical_reasoning.compare.report.contents import Contents, contents_of
from hierarchical_reasoning.compare.report.data import ReportedStudy
from hierarchical_reasoning.compare.report.page import report_page
from hierarchical_reasoning.compare.report.pictures import FORMATS, chart_pictures
from hierarchical_reasoning.compare.report.summary import summary_markdown
from hierarchical_reasoning.compare.report.tables import Table, tables_of
from hierarchical_reasoning.compare.report.wording import encodable
from hierarchical_reasoning.errors import OutputError
from hierarchical_reasoning.results.reader.tables import WRITERS
from taxonomy.atomic import write_atomically, written_atomically
from taxonomy.drawing import draw_tree

_NO_PICTURES = "No figures as files: matplotlib is not installed (pip install 'hierarchical-reasoning[plot]')"
_NO_PARQUET = "No tables as .parquet: pyarrow is not installed (pip install 'hierarchical-reasoning[tables]')"


@dataclass(frozen=True)
class Report:
    """What was written."""

    html: Path
    summary: Path
    pictures: tuple[Path, ...]
    tables: tuple[Path, ...]
    notes: tuple[str, ...]
    """What was left out, and why."""


def write_reported(study: ReportedStudy, target: Path, *, pictures: bool = True) -> Report:
    """Write index.html, summary.md, figures/ and tables/ into the directory `target`; each file is the old one or the
    new one, never something between.

    Args:
        study: what is told.
        target: made where it is not there.
        pictures: whether to write the figures as PNG and SVG too, which takes seconds where the page takes a moment.

    Raises:
        ResultsFileError: an entry cannot be read, or is of a problem that the study has not.
        OutputError: a file cannot be written.
    """
    contents = contents_of(study)
    notes = []
    try:
        drawn: tuple[Path, ...] = ()
        if pictures and importlib.util.find_spec("matplotlib") is None:
            notes.append(_NO_PICTURES)
        elif pictures:
            drawn = tuple(_draw(contents, target / "figures"))
        suffixes = [".csv"]
        if importlib.util.find_spec("pyarrow") is None:
            notes.append(_NO_PARQUET)
        else:
            suffixes.append(".parquet")
        tables = tuple(
            _write_table(target / "tables" / f"{table.name}{suffix}", table)
            for table in tables_of(contents)
            for suffix in suffixes
        )
        shown = [path.relative_to(target).as_posix() for path in drawn if path.suffix == ".png"]
        summary = target / "summary.md"
        write_atomically(summary, encodable(summary_markdown(contents, shown)).encode())
        html = target / "index.html"
        write_atomically(html, report_page(contents))
    except OSError as error:
        raise OutputError(
            f"the report cannot be written to {target} ({error.strerror or error}); make room, or choose another "
            "--output"
        ) from error
    return Report(html, summary, drawn, tables, tuple(notes))


def _draw(contents: Contents, folder: Path) -> Iterator[Path]:
    for chart in contents.charts:
        for kind, picture in chart_pictures(chart).items():
            path = folder / f"{chart.key}.{kind}"
            write_atomically(path, picture)
            yield path
    if contents.study.taxonomy is not None:
        for kind in FORMATS:
            tree = draw_tree(contents.study.taxonomy, image_format=kind)
            if tree is not None:
                path = folder / f"taxonomy.{kind}"
                write_atomically(path, tree)
                yield path


def _write_table(path: Path, table: Table) -> Path:
    rows = (
        {name: encodable(value) if isinstance(value, str) else value for name, value in row.items()}
        for row in table.rows
    )
    with written_atomically(path) as file:
        WRITERS[path.suffix](file, rows, table.columns)
    return path
