"""The report as a page and as files: whatever the log holds, in a real browser, without matplotlib."""

from __future__ import annotations

import random
import re
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest
from chromium_page import CHROMIUM, chromium_page
from click.testing import CliRunner
from hypothesis import given, settings
from hypothesis import strategies as st
from parsed_report import ParsedReport
from training_logs import evaluation, made_up_run, update_record, write_log

from hierarchical_reasoning.cli.main import main
from hierarchical_reasoning.errors import OutputError
from hierarchical_reasoning.trace import FINISH
from hierarchical_reasoning.training.log import Record, UpdateRecord
from hierarchical_reasoning.training.report import write_report

ATTACK = (
    "</title></script><script>document.title='owned'</script><img src=x onerror=\"window.ran=1\"> & 'q' $x_$"
)
needs_chromium = pytest.mark.skipif(CHROMIUM is None, reason="no chromium on this machine")
ONE = update_record(1, 0.5, random.Random(3))
BEFORE = evaluation(0, "greedy", 3, 10, [["A", FINISH]] * 10)
RUNS: dict[str, Sequence[Record]] = {
    "one update": [ONE],
    "one evaluation": [BEFORE],
    "before any update": [BEFORE, evaluation(0, "sampled", 4, 10)],
    "no evaluation": [record for record in made_up_run(5) if isinstance(record, UpdateRecord)],
    "nothing chosen": [replace(ONE, thought_types={}), BEFORE],
    "greedy alone": [BEFORE, ONE, evaluation(1, "greedy", 10, 10, [["A", "B", FINISH]] * 10)],
    "all zero": [
        replace(
            ONE,
            reward=0.0,
            accuracy=0.0,
            groups=0,
            groups_without_spread=0,
            update_seconds=0.0,
            rollout_seconds=0.0,
        )
    ],
}


def attacked() -> list[Record]:
    """A run in which everything that may be any text is an attack."""
    names = [ATTACK, f"{ATTACK} 2", "\x1b[31m\u202ered", "Ünïcode 思考"]
    return made_up_run(6, evaluate_every=3, names=names)


@pytest.mark.parametrize("name", RUNS)
def test_every_kind_of_run_has_a_report(tmp_path: Path, name: str) -> None:
    report = write_report(write_log(tmp_path / name, RUNS[name]))
    page = ParsedReport(report.html)
    assert name in page.text
    assert report.notes == ()
    assert len(page.pictures) == len([png for png in report.pngs if "transitions" not in png.name])
    assert not re.search(r"\b(nan|inf|None|undefined)\b", page.text + " ".join(page.pictures))
    for png in report.pngs:
        assert png.read_bytes().startswith(b"\x89PNG")


def test_a_run_that_goes_on_says_that_its_last_line_is_torn(tmp_path: Path) -> None:
    folder = write_log(tmp_path, made_up_run(3))
    with (folder / "log.jsonl").open("a") as log:
        log.write('{"update": 4, "epo')
    report = write_report(folder, pngs=False)
    assert report.notes[0].startswith("The last line of log.jsonl does not end")
    assert report.notes[0] in ParsedReport(report.html).text


def test_nothing_from_outside_becomes_markup(tmp_path: Path) -> None:
    folder = write_log(tmp_path / "<b>run&", attacked())
    (folder / "settings.json").write_text('{"<i>": "</table><script>1</script>\\ud800"}')
    report = write_report(folder)
    page = ParsedReport(report.html)
    assert not {"script", "img", "b>run", "i", "link", "iframe"} & set(page.tags)
    assert {value[0] for name, value in page.attributes if name == "href"} == {"#"}
    assert not [name for name, _ in page.attributes if name == "src" or name.startswith("on")]
    assert ATTACK in page.text
    assert "\x1b" not in page.text
    assert "</table><script>1</script>" in page.text
    assert len(report.pngs) == 17


def test_the_same_log_gives_the_same_bytes(tmp_path: Path) -> None:
    folder = write_log(tmp_path / "run", made_up_run(3))
    first, second = (write_report(folder, target=tmp_path / name, pngs=False) for name in "ab")
    assert first.html.read_bytes() == second.html.read_bytes()
    assert first.pngs == ()


def test_tables_have_headers_and_pictures_words(tmp_path: Path) -> None:
    page = ParsedReport(write_report(write_log(tmp_path, made_up_run(20)), pngs=False).html)
    assert page.tags.count("svg") == len(page.pictures) == 15
    assert all(len(words) > 30 for words in page.pictures)
    for rows in page.tables.values():
        assert rows[0]
    assert page.tags.count("th") == sum(name == "scope" for name, _ in page.attributes)
    scrolled = [value for name, value in page.attributes if name == "tabindex"]
    assert scrolled == ["0"] * len(page.tables)
    identifiers = [value for name, value in page.attributes if name == "id"]
    assert len(identifiers) == len(set(identifiers))
    targets = {value.removeprefix("#") for name, value in page.attributes if name == "href"}
    assert targets <= set(identifiers)


measures = st.floats(-1e100, 1e100)
counts = st.integers(0, 10**12)


@st.composite
def records(draw: st.DrawFn) -> list[Record]:
    names = st.text(max_size=6)
    updates = [
        replace(
            ONE,
            update=number,
            reward=draw(measures),
            loss=draw(measures),
            kl=draw(measures),
            entropy=draw(measures),
            trained_tokens=draw(counts),
            update_seconds=draw(st.floats(0, 1e100)),
            groups=draw(counts),
            groups_without_spread=draw(counts),
            thought_types=draw(st.dictionaries(names, counts, max_size=4)),
        )
        for number in sorted(draw(st.sets(counts, min_size=1, max_size=3)))
    ]
    evaluated = [
        replace(
            BEFORE,
            update=number,
            transitions=draw(st.dictionaries(names, st.dictionaries(names, counts, max_size=3), max_size=3)),
        )
        for number in sorted(draw(st.sets(counts, max_size=2)))
    ]
    return [*updates, *evaluated]


@given(found=records())
@settings(max_examples=60)
def test_no_picture_has_a_place_that_is_no_number(
    tmp_path_factory: pytest.TempPathFactory, found: list[Record]
) -> None:
    page = ParsedReport(write_report(write_log(tmp_path_factory.mktemp("any"), found), pngs=False).html)
    places = " ".join(
        value
        for name, value in page.attributes
        if name in ("d", "x", "y", "cx", "cy", "width", "height", "style")
    )
    assert "M" in places
    assert not re.search("nan|inf", places)
    assert not re.search(r"\b(nan|inf)\b", " ".join(page.pictures))


def test_without_matplotlib_the_page_is_written_and_the_rest_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    folder = write_log(tmp_path, made_up_run(3))
    report = write_report(folder)
    assert report.html.exists()
    assert report.pngs == ()
    assert report.notes == (
        "The PNG files need matplotlib, which is not installed: pip install 'hierarchical-reasoning[plot]'",
    )
    assert write_report(folder, pngs=False).notes == ()


def test_a_target_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    folder = write_log(tmp_path, made_up_run(2))
    (tmp_path / "taken").write_text("")
    with pytest.raises(OutputError, match=r"taken/index\.html: cannot be written: .*--output"):
        write_report(folder, target=tmp_path / "taken")


def test_the_command_writes_beside_the_log_or_where_it_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = write_log(tmp_path / "run", [BEFORE, ONE])
    done = CliRunner().invoke(main, ["train", "report", str(folder)])
    assert done.exit_code == 0
    assert f"the report is in {folder / 'report' / 'index.html'}, and 16 PNG files beside it" in done.output
    assert len(list((folder / "report").glob("*.png"))) == 16
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    done = CliRunner().invoke(main, ["train", "report", str(folder), "--output", str(tmp_path / "there")])
    assert done.exit_code == 0
    assert "note: The PNG files need matplotlib" in done.output
    assert f"the report is in {tmp_path / 'there' / 'index.html'}\n" in done.output
    assert [path.name for path in (tmp_path / "there").iterdir()] == ["index.html"]


@pytest.mark.parametrize("content", [None, "", "[]\n", '{"kind": "update"}\n'])
def test_the_command_ends_with_2_where_there_is_no_log(tmp_path: Path, content: str | None) -> None:
    if content is not None:
        (tmp_path / "log.jsonl").write_text(content)
    done = CliRunner().invoke(main, ["train", "report", str(tmp_path)])
    assert done.exit_code == 2
    assert "log.jsonl" in done.output
    assert "Traceback" not in done.output
    assert not (tmp_path / "report").exists()


@needs_chromium
@pytest.mark.parametrize("dark", [False, True])
def test_chromium_shows_every_figure_and_complains_of_nothing(tmp_path: Path, dark: bool) -> None:
    page_file = write_report(write_log(tmp_path / "run", attacked()), pngs=False).html
    with chromium_page(page_file, tmp_path / "profile") as page:
        scheme = "dark" if dark else "light"
        page.send("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": scheme}])
        assert page.value("document.title") == "run: training report"
        assert page.value("window.ran") is None
        shown = page.value(
            "[...document.querySelectorAll('svg')].map(svg => "
            "[svg.getBoundingClientRect().width, svg.getBoundingClientRect().height])"
        )
        assert len(shown) == 15
        assert all(width > 250 and height > 120 for width, height in shown)
        # Curves have the colours of the style sheet, which the policy lets through, and differ from the page's.
        paper = page.value("getComputedStyle(document.body).backgroundColor")
        assert (paper == "rgb(255, 255, 255)") is not dark
        assert page.value("getComputedStyle(document.querySelector('.line')).stroke") not in (paper, "none")
        cell = page.value("getComputedStyle(document.querySelector('.heat td.share')).backgroundColor")
        assert cell not in (paper, "rgba(0, 0, 0, 0)")
        assert page.value("document.documentElement.scrollWidth <= window.innerWidth")
        page.value("document.querySelectorAll('details').forEach(each => each.open = true)")
        assert page.value("document.querySelectorAll('#updates tbody tr').length") == 6
        addresses = {
            event["params"]["request"]["url"]
            for event in page.events
            if event["method"] == "Network.requestWillBeSent"
        }
        assert addresses == {page_file.as_uri()}
        assert not [e for e in page.events if e["method"] in ("Runtime.exceptionThrown", "Log.entryAdded")]
