"""A taxonomy as a picture (PNG, SVG) or as a page to click through (HTML)."""

from pathlib import Path

from taxonomy.directory import load_taxonomy
from taxonomy.drawing import draw_tree
from taxonomy.looking.assignments import node_sizes
from taxonomy.looking.errors import LookingError, MissingPackageError
from taxonomy.looking.frames import Frame
from taxonomy.looking.html import tree_page
from taxonomy.looking.nodes import NodeRow, node_frame

PICTURE_FORMATS = (".png", ".svg")
PLOT_FORMATS = (*PICTURE_FORMATS, ".html")
_MATPLOTLIB_MISSING = (
    "PNG and SVG pictures need matplotlib, which is not installed: pip install 'hierarchical-reasoning[plot]'"
)


def plot_taxonomy(tree_path: Path | str, image_format: str, *, examples: int = 5) -> bytes:
    """The taxonomy drawn, as the content of a file.

    Args:
        tree_path: what `load_taxonomy` takes.
        image_format: one of PLOT_FORMATS.
        examples: how many a node of an HTML page shows at most.

    Raises:
        MissingPackageError: a picture is asked for, and matplotlib is not installed.
        LookingError: the format is none of these, or `examples` is below 0.
        TaxonomyError: as `load_taxonomy` raises it.
    """
    if image_format not in PLOT_FORMATS:
        raise LookingError(f"format is {image_format!r}, allowed are {', '.join(PLOT_FORMATS)} (--output)")
    if examples < 0:
        raise LookingError(f"examples is {examples}, 0 or more is allowed (--examples)")
    if image_format == ".html":
        return tree_page(tree_path, examples=examples)
    taxonomy = load_taxonomy(tree_path, flag="TREE_PATH")
    picture = draw_tree(taxonomy, image_format=image_format[1:], sizes=node_sizes(taxonomy, tree_path))
    if picture is None:
        raise MissingPackageError(f"{_MATPLOTLIB_MISSING}; --output FILE.html needs nothing")
    return picture


def require_matplotlib() -> None:
    """Raises MissingPackageError, which says what to install, where matplotlib is absent."""
    try:
        import matplotlib  # noqa: F401
    except ImportError as error:
        raise MissingPackageError(f"{_MATPLOTLIB_MISSING}; --output FILE.csv needs nothing") from error


def plotted_nodes(tree_path: Path | str) -> Frame[NodeRow]:
    """What a picture shows, as a table: one row per node, in the order of the page."""
    return node_frame(tree_path)
