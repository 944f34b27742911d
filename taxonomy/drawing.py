"""A picture of a taxonomy: root at the left, one column per level. Needs matplotlib (the `plot` extra).

Long labels are wrapped to at most six lines, after which "..." stands; rows grow with the lines, columns with
the widest label, so no two boxes overlap. The same taxonomy gives the same bytes from one version of
matplotlib. In an SVG, text is text: it can be searched, and a viewer with more fonts shows more scripts.
"""

import io
import textwrap
import warnings
from collections.abc import Mapping
from typing import TYPE_CHECKING

from taxonomy.model import Taxonomy, TaxonomyNode
from taxonomy.terminal import one_line

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from matplotlib.text import Text

_COLUMN_INCHES = 2.4
_ROW_INCHES = 0.42
_LINE_INCHES = 0.125
_AROUND_LINES_INCHES = 0.11
"""A box's padding, and the least gap between two boxes."""
_LABEL_CHARACTERS = 26
_LABEL_LINES = 6
_GAP_SHARE = 0.12
"""Of a column, between its boxes and the next column, for the lines that join them."""
_DPI = 120
_MAX_PIXELS = 2**15
"""Of one side of a PNG; a larger tree is drawn at fewer dots per inch."""
_COLOURS = ("#2f4b7c", "#665191", "#a05195", "#d45087", "#f95d6a", "#ff7c43", "#c98b00")


def draw_tree(
    taxonomy: Taxonomy, *, image_format: str = "png", sizes: Mapping[str, int] | None = None
) -> bytes | None:
    """The tree as PNG or SVG; None where matplotlib is not installed.

    Args:
        taxonomy: what is drawn.
        image_format: "png" or "svg".
        sizes: the number in brackets behind each label, by node id; None for the sizes that the nodes carry.
    """
    try:
        import matplotlib  # noqa: F401
    except ImportError:
        return None
    if sizes is None:
        sizes = {node.node_id: node.size for node in taxonomy.nodes if node.size is not None}
    with warnings.catch_warnings():
        # A letter that the font lacks is drawn as a box; that is no reason to fail or to alarm.
        warnings.simplefilter("ignore", UserWarning)
        return image_bytes(tree_figure(taxonomy, sizes), image_format)


def image_bytes(figure: "Figure", image_format: str, *, tight: bool = False) -> bytes:
    """The figure as PNG or SVG, the same bytes each time.

    Args:
        figure: what is drawn.
        image_format: "png" or "svg".
        tight: whether the picture ends where what is drawn ends, rather than where the figure does.
    """
    import matplotlib

    dpi = min(_DPI, _MAX_PIXELS / max(figure.get_size_inches()))
    metadata = {"Software": None} if image_format == "png" else {"Date": None, "Creator": None}
    bounds = "tight" if tight else None
    buffer = io.BytesIO()
    with matplotlib.rc_context({"svg.fonttype": "none", "svg.hashsalt": "thought types"}):
        figure.savefig(buffer, format=image_format, dpi=dpi, metadata=metadata, bbox_inches=bounds)
    return buffer.getvalue()


def tree_figure(taxonomy: Taxonomy, sizes: Mapping[str, int]) -> "Figure":
    """The tree as a matplotlib figure; sizes by node id, for the nodes that have one."""
    from matplotlib.figure import Figure

    texts = {node.node_id: _box_text(node, sizes) for node in taxonomy.walk()}
    lines = {node_id: text.count("\n") + 1 for node_id, text in texts.items()}
    heights, rows = _heights(taxonomy, lines)
    columns = len(taxonomy.levels)
    figure = Figure(figsize=(_COLUMN_INCHES * columns + 0.4, _ROW_INCHES * rows + 0.8))
    axes = figure.add_axes((0.0, 0.0, 1.0, 1.0))
    axes.set_axis_off()
    axes.set_xlim(-0.08, columns + 0.08)
    axes.set_ylim(-rows + 0.3, 1.2)
    for level in taxonomy.levels:
        axes.text(level + 0.03, 0.8, f"level {level}", fontsize=9, fontweight="bold", color="#555555")
    boxes = [_draw_node(axes, taxonomy, node, texts[node.node_id], heights) for node in taxonomy.walk()]
    _widen(figure, boxes, columns)
    return figure


def wrapped(text: str, characters: int, lines: int) -> str:
    """The text on at most so many lines, shortened with "...", control characters written out."""
    return textwrap.fill(one_line(text), characters, max_lines=lines, placeholder="...")


def _box_text(node: TaxonomyNode, sizes: Mapping[str, int]) -> str:
    size = f" ({sizes[node.node_id]})" if node.node_id in sizes else ""
    return wrapped(node.label, _LABEL_CHARACTERS, _LABEL_LINES) + size


def _draw_node(
    axes: "Axes", taxonomy: Taxonomy, node: TaxonomyNode, text: str, heights: Mapping[str, float]
) -> "Text":
    depth, height = taxonomy.depth(node.node_id), -heights[node.node_id]
    if node.parent_id is not None:
        start = -heights[node.parent_id]
        axes.plot(
            [depth - 0.12, depth - 0.06, depth - 0.06, depth],
            [start, start, height, height],
            color="#bbbbbb",
            lw=1,
        )
    if taxonomy.children(node.node_id):
        axes.plot([depth, depth + 0.88], [height, height], color="#bbbbbb", lw=1, zorder=0)
    return axes.text(
        depth,
        height,
        text,
        fontsize=7.5,
        va="center",
        parse_math=False,
        bbox={"boxstyle": "round,pad=0.25", "fc": "white", "ec": _COLOURS[depth % len(_COLOURS)]},
    )


def _widen(figure: "Figure", boxes: list["Text"], columns: int) -> None:
    """Make columns as wide as the widest box needs."""
    from matplotlib.backends.backend_agg import RendererAgg

    # Widths do not depend on the canvas; without this small one, each box would be measured on one of its own,
    # as large as the picture.
    renderer = RendererAgg(1, 1, figure.dpi)
    widest = max(box.get_window_extent(renderer).width for box in boxes) / figure.dpi
    needed = widest / (1 - _GAP_SHARE)
    if needed > _COLUMN_INCHES:
        figure.set_size_inches(needed * columns + 0.4, figure.get_size_inches()[1])


def _heights(taxonomy: Taxonomy, lines: Mapping[str, int]) -> tuple[dict[str, float], float]:
    """(each node's row, rows in all): leaves below one another, every other node in the middle of its
    children. A row holds two lines; a leaf has as many rows as its lines, or those of the nodes above, need."""
    in_order = taxonomy.walk()
    own = {
        node_id: max(1.0, (count * _LINE_INCHES + _AROUND_LINES_INCHES) / _ROW_INCHES)
        for node_id, count in lines.items()
    }
    extents: dict[str, float] = {}
    for node in reversed(in_order):
        below = sum(extents[child.node_id] for child in taxonomy.children(node.node_id))
        extents[node.node_id] = max(own[node.node_id], below)
    starts = {taxonomy.root.node_id: 0.0}
    for node in in_order:
        children = taxonomy.children(node.node_id)
        spare = extents[node.node_id] - sum(extents[child.node_id] for child in children)
        start = starts[node.node_id]
        for child in children:
            extents[child.node_id] += spare / len(children)
            starts[child.node_id] = start
            start += extents[child.node_id]
    heights: dict[str, float] = {}
    for node in reversed(in_order):
        node_id = node.node_id
        first, last = starts[node_id], starts[node_id] + extents[node_id]
        children = taxonomy.children(node_id)
        if children:
            middle = (heights[children[0].node_id] + heights[children[-1].node_id]) / 2
            margin = own[node_id] / 2
            heights[node_id] = min(max(middle, first + margin - 0.5), last - margin - 0.5)
        else:
            heights[node_id] = (first + last) / 2 - 0.5
    return heights, extents[taxonomy.root.node_id]
