"""The commands that look at a taxonomy: stats, plot, trajectories, diff. `taxonomy.cli` registers `COMMANDS`.

Like the other commands they print through `visible`, leave errors to the group, and load what is heavy only
when they run. A file that exists is replaced only with --overwrite.
"""

import json
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from taxonomy.terminal import one_line, visible

if TYPE_CHECKING:
    from taxonomy.looking.diff import NodeChange, TaxonomyDiff
    from taxonomy.looking.stats import Stats
    from taxonomy.rollouts import Rollout

_SHOWN_CHANGES = 40
"""Of one kind, on the terminal; a file has all of them."""
_WIDE = {"help_option_names": ["-h", "--help"], "max_content_width": 110}

Command = TypeVar("Command", bound=Callable[..., Any])


def _overwrite_option(command: Command) -> Command:
    return click.option("--overwrite", is_flag=True, help="Replace the file if it exists.")(command)


def _source_options(use: str) -> Callable[[Command], Command]:
    rollouts_files = click.option(
        "--rollouts_file",
        "rollouts_files",
        multiple=True,
        type=click.Path(path_type=Path),
        help=f"The rollouts that the taxonomy was built from: {use}. May be given more than once. "
        "[default: those that the build kept]",
    )
    stages_dir = click.option(
        "--stages_dir",
        type=click.Path(path_type=Path),
        help="Where the build kept them. [default: .NAME.stages beside TREE_PATH]",
    )
    return lambda command: rollouts_files(stages_dir(command))


@click.command(context_settings=_WIDE)
@click.argument("tree_path", type=click.Path(path_type=Path))
@_source_options("their labels are compared with the levels, and the tree is rebuilt from them")
@click.option("--seeds", default=5, show_default=True, help="Rebuilds with other seeds; 0 for none.")
@click.option(
    "--bootstraps", default=5, show_default=True, help="Rebuilds from resampled rollouts; 0 for none."
)
@click.option(
    "--output",
    type=click.Path(path_type=Path),
    help="Write the figures: .csv (a row per level) or .json (each rebuild too).",
)
@_overwrite_option
def stats(
    tree_path: Path,
    rollouts_files: tuple[Path, ...],
    stages_dir: Path | None,
    seeds: int,
    bootstraps: int,
    output: Path | None,
    overwrite: bool,
) -> None:
    """Figures of the taxonomy at TREE_PATH, level by level: sizes, silhouette, how stable it is when rebuilt
    (adjusted Rand index, ARI), and how far it agrees with the given labels (NMI, V-measure, purity).
    """
    from taxonomy.looking.output import check_output_file, write_output_file
    from taxonomy.looking.stats import taxonomy_stats

    suffix = None if output is None else check_output_file(output, (".csv", ".json"), overwrite=overwrite)
    found = taxonomy_stats(
        tree_path,
        rollouts=_read_rollouts(tree_path, rollouts_files),
        stages_dir=stages_dir,
        seeds=seeds,
        bootstraps=bootstraps,
        on_rebuild=lambda number, total: _say(f"rebuild {number} of {total}", err=True),
    )
    _show_stats(found)
    if output is not None:
        content = {
            "levels": found.levels.records(),
            "rebuilds": found.stability.records(),
            "given_labels": found.given_labels,
            "notes": found.notes,
        }
        write_output_file(output, found.levels.csv_bytes() if suffix == ".csv" else _json_bytes(content))
        _say(f"written to {output}")


@click.command(context_settings=_WIDE)
@click.argument("tree_path", type=click.Path(path_type=Path))
@click.option(
    "--output",
    "outputs",
    required=True,
    multiple=True,
    type=click.Path(path_type=Path),
    help="File to write: .png, .svg, .html (a page to click through, in one file), or .csv (the nodes). "
    "May be given more than once.",
)
@click.option("--examples", default=5, show_default=True, help="Of a thought type, on the page.")
@_overwrite_option
def plot(tree_path: Path, outputs: Sequence[Path], examples: int, overwrite: bool) -> None:
    """Draw the taxonomy at TREE_PATH, a directory or a .gml file."""
    from taxonomy.looking.output import check_output_file, write_output_file
    from taxonomy.looking.plot import PLOT_FORMATS, plot_taxonomy, plotted_nodes

    formats = [check_output_file(path, (*PLOT_FORMATS, ".csv"), overwrite=overwrite) for path in outputs]
    for path, image_format in zip(outputs, formats, strict=True):
        if image_format == ".csv":
            data = plotted_nodes(tree_path).csv_bytes()
        else:
            data = plot_taxonomy(tree_path, image_format, examples=examples)
        write_output_file(path, data)
        _say(f"written to {path}")


@click.command(context_settings=_WIDE)
@click.argument("tree_path", type=click.Path(path_type=Path))
@click.option("--level", type=int, required=True, help="Whose thought types are shown.")
@click.option(
    "--output",
    required=True,
    type=click.Path(path_type=Path),
    help="File to write: .png, .svg, or .csv (the numbers).",
)
@_source_options("they tell correct from wrong ones, and how long each is")
@click.option(
    "--show",
    type=click.Choice(["positions", "transitions"]),
    default="positions",
    show_default=True,
    help="Where in a trace each thought type occurs, or what follows what.",
)
@click.option("--bins", default=20, show_default=True, help="Columns of the positions.")
@click.option(
    "--share_of",
    type=click.Choice(["type", "position"]),
    default="type",
    show_default=True,
    help="What a cell of the positions is a share of: its thought type's chunks, or the chunks at its position.",
)
@click.option("--min_share", default=0.1, show_default=True, help="Rarer transitions are not drawn, 0 to 1.")
@_overwrite_option
def trajectories(
    tree_path: Path,
    level: int,
    output: Path,
    rollouts_files: tuple[Path, ...],
    stages_dir: Path | None,
    show: str,
    overwrite: bool,
    **settings: Any,
) -> None:
    """Where in a trace the thought types of a level occur, and what follows what, from the labeled chunks of the
    directory TREE_PATH; correct and wrong rollouts side by side where the rollouts tell them apart.
    """
    from taxonomy.looking.output import check_output_file, write_output_file
    from taxonomy.looking.traces import read_traces
    from taxonomy.looking.trajectories import position_frame, transition_frame

    suffix = check_output_file(output, (".png", ".svg", ".csv"), overwrite=overwrite)
    traces = read_traces(
        tree_path, level, rollouts=_read_rollouts(tree_path, rollouts_files), stages_dir=stages_dir
    )
    _say_notes(traces.notes)
    if suffix == ".csv" and show == "positions":
        data = position_frame(traces, bins=settings["bins"]).csv_bytes()
    elif suffix == ".csv":
        data = transition_frame(traces).csv_bytes()
    else:
        from taxonomy.looking.trajectory_pictures import draw_positions, draw_transitions

        if show == "positions":
            data = draw_positions(traces, suffix[1:], bins=settings["bins"], share_of=settings["share_of"])
        else:
            data = draw_transitions(traces, suffix[1:], min_share=settings["min_share"])
    write_output_file(output, data)
    counted = ", ".join(f"{group} {len(members)}" for group, members in traces.groups().items())
    _say(f"rollouts: {counted}")
    _say(f"written to {output}")


@click.command(context_settings=_WIDE)
@click.argument("a", type=click.Path(path_type=Path))
@click.argument("b", type=click.Path(path_type=Path))
@click.option(
    "--output",
    type=click.Path(path_type=Path),
    help="Write all of it: .json, or .csv (a row per node).",
)
@_overwrite_option
def diff(a: Path, b: Path, output: Path | None, overwrite: bool) -> None:
    """What differs between the taxonomies A and B: nodes added, removed and moved, and how far they agree on the
    chunks they share. A node is known by its label; it moved where its level or its parent's label differs.
    """
    from taxonomy.looking.diff import diff_taxonomies
    from taxonomy.looking.output import check_output_file, write_output_file

    suffix = None if output is None else check_output_file(output, (".csv", ".json"), overwrite=overwrite)
    found = diff_taxonomies(a, b)
    _show_diff(found)
    if output is not None:
        content = {
            "a": str(a),
            "b": str(b),
            "nodes": found.nodes.records(),
            "labels_added": found.labels_added,
            "labels_removed": found.labels_removed,
            "labels_moved": found.labels_moved,
            "levels": found.levels.records(),
            "notes": found.notes,
        }
        write_output_file(output, found.nodes.csv_bytes() if suffix == ".csv" else _json_bytes(content))
        _say(f"written to {output}")


COMMANDS: tuple[click.Command, ...] = (stats, plot, trajectories, diff)


def _read_rollouts(tree_path: Path, paths: Sequence[Path]) -> "tuple[Rollout, ...] | None":
    from taxonomy.looking.source_rollouts import read_source_files

    if not paths:
        return None
    rollouts, notes = read_source_files(tree_path, paths, flag="--rollouts_file")
    _say_notes(notes)
    return rollouts


def _show_stats(found: "Stats") -> None:
    _say_notes(found.notes)
    rows = list(found.levels)
    _say_table(
        ("level", "types", "chunks", "smallest", "median", "largest", "silhouette"),
        [
            (
                *(row.level, row.thought_types, row.chunks, row.smallest),
                *(None if row.median is None else round(row.median), row.largest, row.silhouette),
            )
            for row in rows
        ],
    )
    if len(found.stability):
        _say("\nstability: ARI between the directory and its rebuilds")
        _say_table(
            ("level", "seeds, mean", "least", "bootstraps, mean", "least"),
            [
                (row.level, row.seed_ari, row.seed_ari_min, row.bootstrap_ari, row.bootstrap_ari_min)
                for row in rows
            ],
        )
    if any(row.labeled_chunks for row in rows):
        _say(f"\nagreement with {found.given_labels}")
        _say_table(
            ("level", "chunks", "NMI", "V-measure", "homogeneity", "completeness", "purity", "ARI"),
            [
                (
                    *(row.level, row.labeled_chunks, row.nmi, row.v_measure),
                    *(row.homogeneity, row.completeness, row.purity, row.ari),
                )
                for row in rows
            ],
        )


def _show_diff(found: "TaxonomyDiff") -> None:
    from taxonomy.looking.diff import Change

    _say_notes(found.notes)
    counts = ", ".join(f"{found.count(change)} {change.value}" for change in Change)
    _say(f"nodes: {counts}")
    _say(
        f"labels: {len(found.labels_added)} added, {len(found.labels_removed)} removed, "
        f"{len(found.labels_moved)} moved"
    )
    for change, sign in ((Change.REMOVED, "-"), (Change.ADDED, "+"), (Change.MOVED, ">")):
        rows = [row for row in found.nodes if row.change is change]
        for row in rows[:_SHOWN_CHANGES]:
            _say(f"{sign} {one_line(row.label)}: {_places(row)}")
        if len(rows) > _SHOWN_CHANGES:
            _say(f"{sign} and {len(rows) - _SHOWN_CHANGES} more {change.value} (--output)")
    if any(row.shared_chunks for row in found.levels):
        _say("\nagreement on shared chunks")
        _say_table(
            ("level", "types A", "types B", "shared", "only A", "only B", "ARI", "NMI", "same label"),
            [tuple(record.values()) for record in found.levels.records()],
        )


def _places(row: "NodeChange") -> str:
    places = []
    for level, parent in ((row.level_a, row.parent_a), (row.level_b, row.parent_b)):
        if level is not None:
            under = "the root" if parent is None else f"under {one_line(parent)!r}"
            places.append(f"level {level}, {under}")
    return " -> ".join(places)


def _say_table(header: Sequence[str], rows: Iterable[Sequence[float | None]]) -> None:
    """Columns aligned to the right; what is not known is a dash."""
    cells = [tuple(header), *(tuple(map(_cell, row)) for row in rows)]
    widths = [max(len(row[column]) for row in cells) for column in range(len(header))]
    for row in cells:
        _say("  ".join(cell.rjust(width) for cell, width in zip(row, widths, strict=True)))


def _cell(value: float | None) -> str:
    if value is None:
        return "-"
    return str(value) if isinstance(value, int) else f"{value:.3f}"


def _json_bytes(content: object) -> bytes:
    text = json.dumps(content, indent=2, ensure_ascii=False) + "\n"
    return text.encode("utf-8", "backslashreplace")


def _say_notes(notes: Iterable[str]) -> None:
    for note in notes:
        _say(f"note: {note}", err=True)


def _say(text: str, *, err: bool = False) -> None:
    click.echo(visible(text), err=err)
