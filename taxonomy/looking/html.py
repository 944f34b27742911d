"""A taxonomy as one HTML file that needs no network: a click on a thought type shows what it is.

The tree is written here, as text that is escaped; what a click shows lies beside it as JSON, which the page's
script puts in as text, never as HTML. A content security policy keeps the page from running any other script
and from loading anything. Examples are the most typical chunks, where the directory has a table of them, else those
that prompts show (`taxonomy.examples`).
"""

import base64
import hashlib
import json
from collections.abc import Mapping, Sequence
from html import escape
from pathlib import Path

from taxonomy.directory import load_taxonomy, read_examples, read_labeled_chunks
from taxonomy.looking.assignments import node_sizes
from taxonomy.looking.nodes import NodeRow, node_rows
from taxonomy.looking.page_parts import SCRIPT, STYLE
from taxonomy.model import Taxonomy
from taxonomy.terminal import one_line, visible


def tree_page(tree_path: Path | str, *, examples: int = 5) -> bytes:
    """The page, UTF-8.

    Args:
        tree_path: what `load_taxonomy` takes.
        examples: how many a thought type shows at most.

    Raises:
        TaxonomyError: as `load_taxonomy` raises it.
    """
    taxonomy = load_taxonomy(tree_path, flag="TREE_PATH")
    rows = node_rows(taxonomy, node_sizes(taxonomy, tree_path))
    title = visible(Path(tree_path).resolve().name)
    page = _PAGE.format(
        policy=f"default-src 'none'; style-src 'unsafe-inline'; script-src 'sha256-{_script_hash()}'; "
        "base-uri 'none'; form-action 'none'",
        title=escape(title),
        summary=escape(_summary(taxonomy, rows)),
        style=STYLE,
        columns=len(taxonomy.levels),
        headings="".join(f"<div>level {level}</div>" for level in taxonomy.levels),
        nodes="\n".join(_tree_items(taxonomy, rows)),
        data=_embedded(_details(taxonomy, rows, _examples(taxonomy, tree_path, examples))),
        script=SCRIPT,
    )
    # A lone surrogate, which no UTF-8 can hold, becomes a reference.
    return page.encode("utf-8", "xmlcharrefreplace")


def _summary(taxonomy: Taxonomy, rows: Sequence[NodeRow]) -> str:
    sizes = ", ".join(str(len(taxonomy.at_level(level))) for level in taxonomy.levels)
    chunks = "" if rows[0].size is None else f", {rows[0].size:,} chunks"
    return f"{len(rows)} nodes, levels of {sizes} thought types{chunks}"


def _tree_items(taxonomy: Taxonomy, rows: Sequence[NodeRow]) -> list[str]:
    """The tree as a grid: a column per level, a row per leaf, a node as high as the leaves under it."""
    leaves = _leaf_counts(taxonomy)
    first_row = {taxonomy.root.node_id: 1}
    number = {row.node_id: position for position, row in enumerate(rows)}
    places = {taxonomy.root.node_id: (1, 1)}
    items = []
    for row in rows:
        start = first_row[row.node_id]
        place, siblings = places[row.node_id]
        expanded = ' aria-expanded="true"' if row.children else ""
        items.append(
            f'<div role="treeitem" id="n{number[row.node_id]}" tabindex="-1" aria-selected="false" '
            f'aria-level="{row.level + 1}" aria-posinset="{place}" aria-setsize="{siblings}"'
            f"{expanded} "
            f'style="grid-column:{row.level + 1};grid-row:{start}/span {leaves[row.node_id]};'
            f'--share:{0 if row.share is None else row.share:.4f}">'
            f"<span><bdi>{escape(one_line(row.label))}</bdi>"
            f"{'' if row.size is None else f' <small>{row.size:,}</small>'}</span></div>"
        )
        children = taxonomy.children(row.node_id)
        for position, child in enumerate(children, start=1):
            places[child.node_id] = (position, len(children))
            first_row[child.node_id] = start
            start += leaves[child.node_id]
    return items


def _leaf_counts(taxonomy: Taxonomy) -> dict[str, int]:
    counts: dict[str, int] = {}
    for node in reversed(taxonomy.walk()):
        children = taxonomy.children(node.node_id)
        counts[node.node_id] = sum(counts[child.node_id] for child in children) or 1
    return counts


def _examples(taxonomy: Taxonomy, tree_path: Path | str, count: int) -> dict[str, tuple[str, ...]]:
    """By node id; examples of a node are those of its own level."""
    if count == 0:
        return {}
    if typical := read_examples(tree_path):
        return {node_id: texts[:count] for node_id, texts in typical.items()}
    from taxonomy.examples import ExampleParameters, choose_examples

    found = {}
    for level in taxonomy.levels:
        rows = read_labeled_chunks(tree_path, level)
        shown = choose_examples(taxonomy, level, rows, ExampleParameters()).shown(count)
        found.update(
            {kind.node_id: shown[kind.name] for kind in taxonomy.at_level(level) if kind.depth == level}
        )
    return found


def _details(
    taxonomy: Taxonomy, rows: Sequence[NodeRow], examples: Mapping[str, tuple[str, ...]]
) -> list[dict[str, object]]:
    number = {row.node_id: position for position, row in enumerate(rows)}
    return [
        {
            "label": one_line(row.label),
            "description": visible(row.description),
            "level": row.level,
            "parent": None if row.parent_id is None else number[row.parent_id],
            "children": [number[child.node_id] for child in taxonomy.children(row.node_id)],
            "size": row.size,
            "share": row.share,
            "shareOfParent": row.share_of_parent,
            "givenLabels": [one_line(label) for label in taxonomy.node(row.node_id).given_labels],
            "examples": [visible(text) for text in examples.get(row.node_id, ())],
        }
        for row in rows
    ]


def _embedded(details: object) -> str:
    """JSON that cannot end the element it stands in: no `<`, `>` or `&`, and nothing but ASCII."""
    text = json.dumps(details, separators=(",", ":"))
    return text.replace("&", "\\u0026").replace("<", "\\u003c").replace(">", "\\u003e")


def _script_hash() -> str:
    return base64.b64encode(hashlib.sha256(SCRIPT.encode()).digest()).decode()


_PAGE = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="{policy}">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title}: thought types</title>
<style>{style}</style>
</head>
<body>
<header>
<h1><bdi>{title}</bdi></h1>
<p>{summary}</p>
<label>Search <input type="search" id="search" autocomplete="off"></label>
<output id="found" for="search"></output>
</header>
<main style="--columns:{columns}">
<section id="tree" aria-label="Tree">
<div class="levels" aria-hidden="true">{headings}</div>
<div class="grid" role="tree" aria-label="Thought types">
{nodes}
</div>
</section>
<aside id="details" aria-live="polite" aria-label="The chosen thought type">
<noscript>What a click shows needs JavaScript, which is off.</noscript>
</aside>
</main>
<script type="application/json" id="data">{data}</script>
<script>{script}</script>
</body>
</html>
"""
