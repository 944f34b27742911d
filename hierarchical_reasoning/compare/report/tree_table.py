"""The taxonomy as a table: a column a level, a node as high as the leaves under it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping

from markupsafe import Markup

from hierarchical_reasoning.compare.report.colours import node_colour, node_places
from hierarchical_reasoning.compare.report.gathering import ArmCounts
from hierarchical_reasoning.compare.report.palette import Palette
from hierarchical_reasoning.html_pages import escaped
from taxonomy.model import Taxonomy, TaxonomyNode


def tree_table(taxonomy: Taxonomy, counts: Iterable[ArmCounts], palette: Palette) -> Markup:
    """With how many thoughts each node had as a thought type, over all arms."""
    thoughts = _thoughts_by_node(counts)
    places = node_places(taxonomy)
    leaves: dict[str, int] = {}
    for node in reversed(taxonomy.walk()):
        leaves[node.node_id] = sum(leaves[child.node_id] for child in taxonomy.children(node.node_id)) or 1
    heads = "".join(f'<th scope="col">level {level}</th>' for level in taxonomy.levels)
    rows, row = [], ""
    for node in taxonomy.walk():
        kind = palette.class_of(node_colour(places[node.node_id]))
        is_leaf = not taxonomy.children(node.node_id)
        columns = len(taxonomy.levels) - taxonomy.depth(node.node_id) if is_leaf else 1
        row += (
            f'<td rowspan="{leaves[node.node_id]}" colspan="{columns}">'
            f"{_cell(node, kind, thoughts.get(node.node_id, 0))}</td>"
        )
        if is_leaf:
            rows.append(f"<tr>{row}</tr>")
            row = ""
    return Markup(  # noqa: S704 - what comes from outside is escaped
        f'<table class="tree"><thead><tr>{heads}</tr></thead><tbody>{"".join(rows)}</tbody></table>'
    )


def _cell(node: TaxonomyNode, kind: str, thoughts: int) -> str:
    count = f" <small>{thoughts:,}</small>" if thoughts else ""
    description = f"<p>{escaped(node.description)}</p>" if node.description else ""
    return f'<details class="{kind}"><summary><bdi>{escaped(node.label)}</bdi>{count}</summary>{description}</details>'


def _thoughts_by_node(counts: Iterable[ArmCounts]) -> Mapping[str, int]:
    found: Counter[str] = Counter()
    for of_arm in counts:
        for name, node_id in of_arm.node_of.items():
            found[node_id] += of_arm.correct.thoughts[name] + of_arm.incorrect.thoughts[name]
    return found
