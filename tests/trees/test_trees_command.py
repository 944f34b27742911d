"""`hierarchical-reasoning trees`: a table, a tree in the terminal, a page; whatever text the trees hold."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from chromium_page import CHROMIUM, chromium_page
from click.testing import CliRunner, Result
from hypothesis import given, settings
from made_up_trees import path_tree, searched_tree, trees
from parsed_report import ParsedReport
from rich.cells import cell_len
from rich.console import Console

from hierarchical_reasoning.cli.main import main
from hierarchical_reasoning.cli.tree_view import show_tree
from hierarchical_reasoning.outcomes import Outcome
from hierarchical_reasoning.trees import Leaf, ReasoningTree
from hierarchical_reasoning.trees.file import PlacedTree
from hierarchical_reasoning.trees.page import trees_page
from hierarchical_reasoning.trees.records import as_record
from hierarchical_reasoning.trees.statistics import tree_statistics

ATTACK = "</div></details><script>document.title='owned'</script><img src=x onerror=\"window.ran=1\"> & [red] {{ 1 }}"


def attacked(problem_id: str = "p1", update: int = 3) -> ReasoningTree:
    """A prompt, two branches, the first of which forks again; whatever may be any text is an attack."""
    tree = ReasoningTree(problem_id, [1, 2], ATTACK, update=update)
    first = tree.add(0, [3, 4], "\x1b[2J so\n far \u202e", thought_type="Check\n</bdi>[red] \ud800")
    tree.grade(tree.add(0, [5], "no", kind="coverage"), Leaf(Outcome.WRONG, 0.0, ATTACK))
    right = tree.add(first, [6, 7, 8], "four", kind="alternative", given=1, ended=True)
    tree.grade(right, Leaf(Outcome.CORRECT, 1.0, "4"))
    tree.grade(tree.add(first, [9], "\ud801"), Leaf(Outcome.ERROR, None))
    return tree


def comb(forks: int) -> ReasoningTree:
    """A path that forks at every node."""
    tree = ReasoningTree("comb", [1], "?")
    node = tree.root
    for _ in range(forks):
        tree.grade(tree.add(node, [1], "stop"), Leaf(Outcome.WRONG, 0.0))
        node = tree.add(node, [2], "on", kind="alternative")
    tree.grade(node, Leaf(Outcome.CORRECT, 1.0))
    return tree


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "trees.jsonl"
    found = [attacked(), attacked("p1", 4), attacked("p2", 4), path_tree(3)]
    path.write_text("".join(json.dumps(as_record(tree)) + "\n" for tree in found))
    return path


def invoke(*arguments: object) -> Result:
    return CliRunner().invoke(main, ["trees", *map(str, arguments)])


def shown(*arguments: object) -> str:
    done = invoke(*arguments)
    assert done.exit_code == 0, done.output
    return done.output


def refused(*arguments: object) -> str:
    done = invoke(*arguments)
    assert done.exit_code == 2, done.output
    assert "Traceback" not in done.output
    return done.output


def test_the_table_has_a_row_a_tree(file: Path) -> None:
    rows = [line.split("│")[1:-1] for line in shown(file).splitlines() if line.startswith("│")]
    cells = [[cell.strip() for cell in row] for row in rows]
    assert cells[0] == ["1", "p1", "3", "3", "1", "2", "60.0 %", "1 of 1"]
    assert cells[3] == ["4", "long", "-", "1", "1", "3", "100.0 %", "0 of 0"]
    assert [row[1] for row in cells] == ["p1", "p1", "p2", "long"]
    assert "4 trees; 10 leaves;" in shown(file)


def test_trees_are_chosen_by_problem_and_update(file: Path) -> None:
    assert shown(file, "--id", "p1").count("problem p1") == 2
    only = shown(file, "--id", "p1", "--update", 4)
    assert only.startswith("problem p1, update 4, line 2\n")
    assert only.count("problem") == 1
    limited = shown(file, "--limit", 1)
    assert "p2" not in limited
    assert "4 trees, 1 of them shown (--limit)" in limited
    assert "4 trees; 10 leaves" in limited
    assert "--id 'p22': no such problem; there is 'p2'" in refused(file, "--id", "p22")
    assert "no tree of problem 'p2' is of --update 3" in refused(file, "--id", "p2", "--update", 3)
    assert "no tree is of --update 9" in refused(file, "--update", 9)


def test_a_tree_is_shown_a_line_a_node_and_its_text_is_only_text(file: Path) -> None:
    output = shown(file, "--id", "p2")
    lines = output.splitlines()[2:7]
    assert [re.match(r"[│├└─ ]*[●○] #\d", line)[0] for line in lines] == [  # type: ignore[index]
        "● #0",
        "├─● #1",
        "│ ├─● #3",
        "│ └─○ #4",
        "└─○ #2",
    ]
    assert "#3 alternative 3 tokens, 1 given reward 1.00 ✓ correct 4  four" in lines[2]
    assert "#4 drawn 1 token – error  \\ud801" in lines[3]
    assert "\\x1b[2J so far \\u202e" in lines[1]
    assert "[Check </bdi>[red] \\ud800] 2 tokens" in lines[1]
    assert not {"\x1b", "\u202e", "\ud800"} & set(output)


def test_lines_end_at_the_width_and_deep_branches_tell_their_depth() -> None:
    for width in (40, 100):
        console = Console(width=width, record=True, highlight=False, emoji=False, markup=False)
        with console.capture() as captured:
            show_tree(console, PlacedTree(1, comb(300)))
        lines = captured.get().splitlines()
        assert all(cell_len(line) <= width for line in lines)
        nodes = [line for line in lines if re.search("[●○] #", line)]
        assert len(nodes) == 601
        assert width == 40 or "#600 alternative, depth 300 1 token" in nodes[-1]
        assert nodes[0].startswith("● #0 prompt")


@given(trees(12))
@settings(max_examples=40)
def test_whatever_a_tree_holds_it_can_be_shown(tree: ReasoningTree) -> None:
    console = Console(width=60, highlight=False, emoji=False, markup=False)
    with console.capture() as captured:
        show_tree(console, PlacedTree(1, tree))
    lines = captured.get().encode().decode()
    assert len(re.findall("[●○] #", lines)) == len(tree)
    assert len(re.findall("◌ #", lines)) == len(tree.pruned)
    page = trees_page([PlacedTree(1, tree)], title="t", statistics=tree_statistics(tree)).decode()
    assert page.count("<article ") == len(tree) + len(tree.pruned)
    assert page.count(" gone") == len(tree.pruned)
    assert "\x1b" not in page


def test_a_search_is_shown_with_its_scores_what_it_pruned_and_what_it_chose(tmp_path: Path) -> None:
    path = tmp_path / "searches.jsonl"
    path.write_text(json.dumps(as_record(searched_tree())) + "\n")
    lines = shown(path, "--line", 1).splitlines()
    assert lines[2:11] == [
        "● #0 ★ prompt reward 0.50  2 + 2?",
        "├─● #1 ★ thought [Check the sum] total 0.61±0.12 (local 0.50, path 0.80, causal 0.10), 4 visits "
        "reward 0.50  two and two",
        "│ ├─○ #3 answer reward 0.00 ✗ wrong 5  It is 5.",
        "│ └─● #5 ★ answer total 0.70 (local 0.00, path 1.00, causal 0.00), 0 visits reward 1.00 ✓ correct 4  "
        "It is 4.",
        "└─○ #2 thought [Guess] total 0.13 (local 0.20, path 0.10, causal 0.00), 1 visit  maybe five",
        "  ◌ #4 thought pruned: beam [Guess]  no more",
        "  ◌ #6 thought pruned: beam [Check the sum]  nor this",
        "★ path of the chosen answer, #5",
        "◌ pruned: 2 (beam: 2)",
    ]
    hidden = shown(path, "--line", 1, "--hide_pruned")
    assert "no more" not in hidden
    assert "hidden (--hide_pruned): 2 (beam: 2)" in hidden
    narrow = Console(width=60, highlight=False, emoji=False, markup=False)
    with narrow.capture() as captured:
        show_tree(narrow, PlacedTree(1, searched_tree()))
    assert "#1 ★ thought [Check the sum] total 0.61±0.12 reward" in captured.get()
    table = [cell.strip() for cell in shown(path).splitlines()[4].split("│")[1:-1]]
    assert table[-2:] == ["2", "#5 ✓ correct 4"]


def test_the_page_of_a_search_has_its_scores_and_folds_what_was_pruned(tmp_path: Path) -> None:
    path, page_file = tmp_path / "searches.jsonl", tmp_path / "page.html"
    path.write_text(json.dumps(as_record(searched_tree())) + "\n")
    shown(path, "--html", page_file)
    markup = page_file.read_text(encoding="utf-8")
    page = ParsedReport(page_file)
    said = " ".join(page.text.split())
    assert (
        "total 0.61 local 0.50 path 0.80 causal 0.10 value 0.70 uncertainty 0.12 prior 0.30 visits 4" in said
    )
    assert "★ Chosen: #5 ✓ correct 4" in said
    assert "2 nodes pruned (beam: 2)" in said
    assert "#3 answer branch 1 of 2 reward 0.00 ✗ wrong 5" in said
    assert re.findall(r'id="t1n(\d)" class="[^"]*chosen', markup) == ["0", "1", "5"]
    assert re.findall(r'id="t1n(\d)" class="[^"]*gone', markup) == ["4", "6"]
    fold = markup.index('<details class="fork pruned"><summary>1 pruned</summary>')
    assert markup.index('id="t1n2"') < fold < markup.index('id="t1n4"') < markup.index('id="t1n6"')
    shown(path, "--html", page_file, "--overwrite", "--hide_pruned")
    hidden = ParsedReport(page_file)
    assert hidden.tags.count("article") == 5
    assert "2 nodes pruned, not shown (beam: 2)" in hidden.text


def test_the_rest_of_a_long_text_is_folded_and_there(tmp_path: Path) -> None:
    text = "word " * 2000
    for long in (text, "x" * 10_000, "</script>" * 1500):
        tree = ReasoningTree("p", [1], long)
        page_file = tmp_path / "page.html"
        page_file.write_bytes(trees_page([PlacedTree(1, tree)], title="t", statistics=tree_statistics(tree)))
        page = ParsedReport(page_file)
        before, after = re.split(r"\n[\d,]+ more characters", page.text, maxsplit=1)
        assert len(before.split("prompt", 1)[1]) < 4200
        joined = re.sub(r"\n[\d,]+ more characters", "", page.text)
        assert long.strip() in joined.replace("\n", "")
        assert len(after.strip()) > 5000


def test_the_page_holds_every_node_and_nothing_from_outside_is_markup(file: Path, tmp_path: Path) -> None:
    page_file = tmp_path / "there" / "page.html"
    assert f"4 trees written to {page_file}" in shown(file, "--html", page_file)
    page = ParsedReport(page_file)
    assert not {"script", "img", "link", "iframe"} & set(page.tags)
    assert not [name for name, _ in page.attributes if name == "src" or name.startswith("on")]
    assert page.tags.count("article") == 5 * 3 + 4
    assert page.text.count(ATTACK) == 6  # prompts and answers
    identifiers = [value for name, value in page.attributes if name == "id"]
    assert len(identifiers) == len(set(identifiers))
    assert {value for name, value in page.attributes if name == "href"} <= {
        f"#{each}" for each in identifiers
    }
    lit = re.findall(r'id="t1n(\d)" class="lit', page_file.read_text(encoding="utf-8"))
    assert lit == ["0", "1", "3"]  # the path of the correct leaf
    assert not re.search(r"\b(None|nan|inf)\b", page.text)


def test_the_page_says_what_is_left_out_and_is_the_same_each_time(file: Path, tmp_path: Path) -> None:
    pages = [tmp_path / "a.html", tmp_path / "b.html"]
    for page in pages:
        shown(file, "--html", page, "--limit", 1)
    assert pages[0].read_bytes() == pages[1].read_bytes()
    assert "3 more trees are left out." in ParsedReport(pages[0]).text
    assert 'class="tree" id="t1" open' in pages[0].read_text()


def test_nothing_is_replaced_unasked(file: Path, tmp_path: Path) -> None:
    page = tmp_path / "page.html"
    page.write_text("mine")
    assert "exists; choose another name (--html), or give --overwrite" in refused(file, "--html", page)
    assert page.read_text() == "mine"
    shown(file, "--html", page, "--overwrite")
    assert "the name ends in '.txt', allowed are .html (--html)" in refused(
        file, "--html", tmp_path / "a.txt"
    )
    assert "--overwrite says how to write a page" in refused(file, "--overwrite")


def test_files_that_hold_no_trees_are_refused_and_torn_ones_told(file: Path, tmp_path: Path) -> None:
    assert "cannot be read: No such file" in refused(tmp_path / "none.jsonl")
    other = tmp_path / "other.jsonl"
    other.write_text('{"kind": "header"}\n')
    assert "other.jsonl, line 1: is no tree that this version reads: `format`: Field required" in refused(
        other
    )
    with file.open("a") as growing:
        growing.write('{"format": "reas')
    output = shown(file)
    assert "the last line" in output
    assert "4 trees;" in output


def test_help_needs_no_model_library() -> None:
    assert "--html" in shown("--help")


def test_deep_trees_are_nested_no_deeper_than_browsers_go(tmp_path: Path) -> None:
    for tree in (comb(3000), path_tree(3000)):
        text = trees_page([PlacedTree(1, tree)], title="deep", statistics=tree_statistics(tree)).decode()
        depth = deepest = 0
        for closing in re.findall(r"<(/?)(?:details|div)\b", text):
            depth += -1 if closing else 1
            deepest = max(deepest, depth)
        assert depth == 0
        assert deepest < 400
        assert text.count("<article ") == len(tree)


@pytest.mark.skipif(CHROMIUM is None, reason="no chromium on this machine")
@pytest.mark.parametrize("dark", [False, True])
def test_chromium_shows_a_large_tree_and_complains_of_nothing(tmp_path: Path, dark: bool) -> None:
    page_file = tmp_path / "page.html"
    found = [PlacedTree(1, attacked()), PlacedTree(2, comb(500)), PlacedTree(3, searched_tree())]
    page_file.write_bytes(trees_page(found, title=ATTACK, statistics=tree_statistics(found[1].tree)))
    with chromium_page(page_file, tmp_path / "profile") as page:
        scheme = "dark" if dark else "light"
        page.send("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": scheme}])
        assert page.value("window.ran") is None
        assert page.value("document.title").startswith("</div></details><script>")
        page.value("document.querySelectorAll('.tree').forEach(each => each.open = true)")
        assert page.value("document.querySelectorAll('article').length") == 5 + 1001 + 7
        paper = page.value("getComputedStyle(document.body).backgroundColor")
        assert (paper == "rgb(255, 255, 255)") is not dark
        colours = page.value(
            "['.lit', '.dark'].map(each => getComputedStyle(document.querySelector(each)).borderLeftColor)"
        )
        assert colours[0] != colours[1]
        # Every article is where it was written: inside its tree, none moved out of it by the parser.
        assert page.value("[...document.querySelectorAll('article')].every(each => each.closest('.tree'))")
        assert page.value("document.querySelector('#t2n1000').closest('.tree').id") == "t2"
        page.value("location.hash = '#t2n1000'")
        assert page.value("document.querySelector('#t2n1000').checkVisibility()")
        # A click on a fork folds what is below it.
        page.click("#t1 .fork > summary")
        assert not page.value("document.querySelector('#t1n3').checkVisibility()")
        # What was pruned is folded until its fold is opened, by the keyboard too.
        visible = "document.querySelector('#t3n4').checkVisibility()"
        assert not page.value(visible)
        page.value("document.querySelector('.pruned > summary').focus()")
        page.send(
            "Input.dispatchKeyEvent",
            type="keyDown",
            key="Enter",
            code="Enter",
            windowsVirtualKeyCode=13,
            text="\r",
        )
        assert page.value(visible)
        glow = page.value(
            "['5', '3'].map(each => getComputedStyle(document.querySelector('#t3n' + each)).backgroundColor)"
        )
        assert glow[0] != glow[1]
        logged = [
            event for event in page.events if event["method"] in ("Log.entryAdded", "Runtime.exceptionThrown")
        ]
        assert logged == []
        addresses = {
            e["params"]["request"]["url"] for e in page.events if e["method"] == "Network.requestWillBeSent"
        }
        assert addresses <= {page_file.as_uri()}
