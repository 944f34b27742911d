import html.parser
import json
import re
from pathlib import Path

import pytest
from chromium_page import CHROMIUM, chromium_page

from taxonomy import Rollout, Taxonomy, TaxonomyNode, load_taxonomy
from taxonomy.building.directory_writer import write_taxonomy_directory
from taxonomy.building.given_labels import build_taxonomy
from taxonomy.gml import gml_bytes, taxonomy_graph
from taxonomy.looking.errors import LookingError
from taxonomy.looking.html import tree_page
from taxonomy.looking.plot import plot_taxonomy

BUNDLED = Path(__file__).resolve().parents[2] / "hierarchical_reasoning" / "assets" / "taxonomy"
ATTACK = "</script><img src=x onerror=\"document.title='owned'\"><!-- & 'q' \"d\" \x1b[31m \u2028"
needs_chromium = pytest.mark.skipif(CHROMIUM is None, reason="no chromium on this machine")


class Outline(html.parser.HTMLParser):
    """The elements of a page, and all that points outward."""

    def __init__(self, page: bytes) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.items: dict[str, dict[str, str | None]] = {}
        self.links: list[str] = []
        self.feed(page.decode())

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        found = dict(attributes)
        if found.get("role") == "treeitem":
            self.items[str(found["id"])] = found
        self.links += [name for name in found if name in ("src", "href", "onclick", "onerror")]


def data_of(page: bytes) -> list[dict[str, object]]:
    found = re.search(r'<script type="application/json" id="data">(.*?)</script>', page.decode(), re.DOTALL)
    assert found
    assert not set("<>&") & set(found.group(1))
    parsed: list[dict[str, object]] = json.loads(found.group(1))
    return parsed


def write_gml(path: Path, *nodes: TaxonomyNode) -> Path:
    path.write_bytes(gml_bytes(taxonomy_graph(Taxonomy(nodes))))
    return path


def test_every_node_of_the_bundled_taxonomy_is_on_the_page() -> None:
    taxonomy = load_taxonomy(BUNDLED)
    page = tree_page(BUNDLED, examples=2)
    nodes = data_of(page)
    outline = Outline(page)
    assert len(outline.items) == len(nodes) == len(taxonomy.nodes)
    assert [node["label"] for node in nodes] == [node.label for node in taxonomy.walk()]
    assert [node["size"] for node in nodes] == [node.size for node in taxonomy.walk()]
    assert nodes[0]["share"] == 1.0
    assert all(1 <= len(node["examples"]) <= 2 for node in nodes)  # type: ignore[arg-type]
    assert outline.links == []
    assert outline.items["n1"]["aria-level"] == "2"
    assert outline.items["n1"]["aria-setsize"] == "2"
    assert page == tree_page(BUNDLED, examples=2)


def test_boxes_fill_the_grid_without_overlap() -> None:
    taken: set[tuple[int, int]] = set()
    for item in Outline(tree_page(BUNDLED, examples=0)).items.values():
        found = re.match(r"grid-column:(\d+);grid-row:(\d+)/span (\d+);", str(item["style"]))
        assert found
        column, row, span = map(int, found.groups())
        cells = {(column, each) for each in range(row, row + span)}
        assert not cells & taken
        taken |= cells
    assert taken == {(column, row) for column in range(1, 8) for row in range(1, 16)}


def test_text_that_attacks_stays_text(tmp_path: Path) -> None:
    path = write_gml(
        tmp_path / "a&b<i>.gml",
        TaxonomyNode("0", ATTACK, ATTACK, given_labels=(ATTACK,), examples=(ATTACK,)),
    )
    page = tree_page(path)
    outline = Outline(page)
    assert outline.tags.count("script") == 2
    assert not {"img", "i"} & set(outline.tags)
    assert b"\x1b" not in page
    (node,) = data_of(page)
    assert str(node["label"]).startswith("</script><img src=x onerror=")
    assert r"\x1b[31m" in str(node["label"])
    assert "a&amp;b&lt;i&gt;.gml" in page.decode()


def test_number_of_examples_is_checked() -> None:
    with pytest.raises(LookingError, match="examples is -1"):
        plot_taxonomy(BUNDLED, ".html", examples=-1)


@needs_chromium
def test_clicks_and_keys_in_chromium(tmp_path: Path) -> None:
    page_file = tmp_path / "page.html"
    page_file.write_bytes(tree_page(BUNDLED))
    nodes = data_of(page_file.read_bytes())
    with chromium_page(page_file, tmp_path / "profile") as page:

        def heading() -> object:
            return page.value("document.querySelector('#details h2').textContent")

        assert heading() == "Reasoning Step"
        page.click("#n9")
        assert heading() == nodes[9]["label"]
        assert nodes[9]["description"] in page.value("document.getElementById('details').textContent")
        assert (
            page.value("document.getElementById('size').textContent")
            == "182 chunks, 7.8 % of all, 25.3 % of its parent"
        )
        assert page.value("document.querySelectorAll('blockquote').length") == 5
        assert page.value("document.querySelectorAll('[aria-selected=true]').length") == 1
        page.press("ArrowLeft")
        assert heading() == nodes[nodes[9]["parent"]]["label"]  # type: ignore[call-overload]
        page.press("ArrowRight")
        page.press("ArrowDown")
        assert nodes[9]["level"] == 3
        here = page.value("Number(document.activeElement.id.slice(1))")
        assert here > 9
        assert nodes[here]["level"] == 3
        page.press("Home")
        assert heading() == "Reasoning Step"
        page.press("Enter")
        assert page.value("document.activeElement.id") == "details"
        page.click("#search")
        page.type("bracket mult")
        matches = page.value("Number.parseInt(document.getElementById('found').textContent)")
        assert matches == sum(
            "bracket mult" in f"{node['label']}\n{node['description']}".lower() for node in nodes
        )
        page.press("Enter")
        assert "racket" in page.value("document.getElementById('details').textContent")
        addresses = {
            event["params"]["request"]["url"]
            for event in page.events
            if event["method"] == "Network.requestWillBeSent"
        }
        assert addresses == {page_file.as_uri()}
        assert not [e for e in page.events if e["method"] in ("Runtime.exceptionThrown", "Log.entryAdded")]


@needs_chromium
def test_an_attack_does_not_run_in_chromium(tmp_path: Path) -> None:
    gml = write_gml(
        tmp_path / "t.gml",
        TaxonomyNode("0", ATTACK, ATTACK, examples=(ATTACK,)),
        TaxonomyNode("1", f"{ATTACK} child", parent_id="0"),
    )
    page_file = tmp_path / "page.html"
    page_file.write_bytes(tree_page(gml))
    with chromium_page(page_file, tmp_path / "profile") as page:
        page.click("#n1")
        page.click("#n0")
        assert page.value("document.title") == "t.gml: thought types"
        assert page.value("document.querySelectorAll('img').length") == 0
        assert page.value("document.querySelector('#details h2').textContent").startswith("</script><img")
        # Even markup that got in could not run: the policy allows this page's own script only.
        page.value("document.body.insertAdjacentHTML('beforeend', '<img src=x onerror=\"window.ran=1\">')")
        assert page.value("window.ran") is None
        assert [event for event in page.events if event["method"] == "Log.entryAdded"]


@pytest.mark.shared_data
@pytest.mark.parametrize(
    "name", ["chess_qwq_thought_tree_reconstructed.gml", "reasoningflow_node_taxonomy.gml"]
)
def test_foreign_trees_have_pages(shared_data: Path, name: str) -> None:
    path = shared_data / "taxonomies" / name
    nodes = data_of(tree_page(path))
    assert [node["label"] for node in nodes] == [
        " ".join(node.label.split()) for node in load_taxonomy(path).walk()
    ]
    assert all(node["size"] is None for node in nodes)


def test_a_page_of_a_directory_just_built(tmp_path: Path, rollouts: list[Rollout]) -> None:
    write_taxonomy_directory(build_taxonomy(rollouts, levels=3), tmp_path / "tree")
    nodes = data_of(tree_page(tmp_path / "tree", examples=1))
    assert nodes[0]["size"] == 400
    assert sum(int(str(node["size"])) for node in nodes if node["level"] == 2) == 400
