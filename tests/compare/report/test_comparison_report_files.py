"""What a report writes besides what a browser does with it."""

from __future__ import annotations

import base64
import csv
import gzip
import html.parser
import json
import re
import subprocess
import sys
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow.parquet
import pytest
from hypothesis import given
from hypothesis import strategies as st
from made_up_report import NODES, TAXONOMY, entry, reported, retitled, small_study

from hierarchical_reasoning.compare.report import ReportedArm, ReportedProblem, write_reported
from hierarchical_reasoning.compare.report.boards import board_of, move_on
from hierarchical_reasoning.compare.report.colours import thought_type_colours
from hierarchical_reasoning.compare.report.contents import contents_of
from hierarchical_reasoning.compare.report.page import report_page
from hierarchical_reasoning.compare.report.scatter_labels import label_places
from hierarchical_reasoning.compare.report.traces import BLOCK_CHARACTERS, TracePacker
from hierarchical_reasoning.compare.statistics import sentence
from hierarchical_reasoning.errors import ConfigError, OutputError, ResultsFileError

FEN = "r1bqkbnr/pppp1ppp/2n5/4p2Q/2B1P3/8/PPPP1PPP/RNB1K1NR w KQkq - 4 4"


class Outline(html.parser.HTMLParser):
    """Elements of a page, and what could load or run."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: Counter[str] = Counter()
        self.attributes: Counter[str] = Counter()
        self.feed(page)

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        self.tags[tag] += 1
        self.attributes.update(name for name, _ in attributes)


def unpacked(text: str) -> Any:
    return json.loads(gzip.decompress(base64.b64decode(text)))


def rows_of(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def test_all_files_are_there(tmp_path: Path) -> None:
    study = small_study()
    report = write_reported(study, tmp_path)
    assert report.notes == ()
    assert report.html == tmp_path / "index.html"
    names = {path.name for path in report.pictures}
    assert {"accuracy.png", "accuracy.svg", "outcomes.png", "accuracy_tokens.svg", "taxonomy.png"} <= names
    assert {"usage_1_1.png", "trajectories_1_1.svg", "transitions_1_1.png"} <= names
    for path in report.pictures:
        data = path.read_bytes()
        assert data.startswith(b"\x89PNG") if path.suffix == ".png" else b"<svg" in data
    assert len({path.stem for path in report.tables}) == 7
    for path in report.tables:
        if path.suffix == ".parquet":
            again = pyarrow.parquet.read_table(path)
            assert again.num_rows == len(rows_of(path.with_suffix(".csv")))
    text = report.summary.read_text(encoding="utf-8")
    for linked in re.findall(r"\]\((.*?)\)", text):
        assert (tmp_path / linked).exists()


def test_the_tables_add_up(tmp_path: Path) -> None:
    write_reported(small_study(), tmp_path, pictures=False)
    outcomes = rows_of(tmp_path / "tables" / "outcomes.csv")
    assert {row["arm"] for row in outcomes} == {"vanilla", "maj@8", "1"}
    of_level = {row["outcome"]: int(row["count"]) for row in outcomes if row["arm"] == "1"}
    assert of_level == {"correct": 8, "wrong": 2, "no_answer": 1, "truncated": 0, "error": 1, "ungraded": 0}
    assert sum(int(row["count"]) for row in outcomes) == 36
    used = rows_of(tmp_path / "tables" / "thought_types.csv")
    assert {row["arm"] for row in used} == {"1"}
    correct = {row["thought_type"]: row for row in used if row["traces_were"] == "correct"}
    # Problems 0, 1, 2, 3, 6, 7, 8 and 10 are right; by their number modulo 3: three of 0 and 1, two of 2.
    assert int(correct["Adding"]["thoughts"]) == 3 * 1 + 3 * 2 + 2 * 1
    assert correct["Adding"]["traces_with_it"] == correct["Adding"]["traces"] == "8"
    assert [correct[name]["traces_with_it"] for name in ("Restating", "Naming")] == ["3", "3"]
    moves = rows_of(tmp_path / "tables" / "transitions.csv")
    visits = {(row["traces_were"], row["after"]): int(row["visits"]) for row in moves}
    assert visits["correct", "Start"] == 8
    for where, total in visits.items():
        assert total == sum(int(row["count"]) for row in moves if (row["traces_were"], row["after"]) == where)
    places = rows_of(tmp_path / "tables" / "trajectories.csv")
    first = [row for row in places if row["step"] == "1" and row["traces_were"] == "correct"]
    assert sum(int(row["count"]) for row in first) == 8
    arms = {row["arm"]: row for row in rows_of(tmp_path / "tables" / "arms.csv")}
    assert arms["1"]["twin"] == "maj@8"
    assert float(arms["1"]["accuracy"]) == pytest.approx(8 / 12)
    assert float(arms["1"]["accuracy_completed"]) == pytest.approx(8 / 11)


def test_page_and_summary_say_what_the_statistics_say(tmp_path: Path) -> None:
    study = small_study()
    report = write_reported(study, tmp_path, pictures=False)
    page, text = report.html.read_text(encoding="utf-8"), report.summary.read_text(encoding="utf-8")
    assert len(study.statistics.comparisons) == 3
    for comparison in study.statistics.comparisons:
        said = sentence(comparison, study.statistics.alpha)
        assert said.replace("<", "&lt;") in page
        assert said.replace("<", r"\<") in text
    for part in ("66.7 % [39.1, 86.2]", "level 1", "majority of 8", "exact McNemar, n = 12"):
        assert part in page
    assert "8.0×" in page
    assert "| level 1 | 8 | 2 | 1 | 0 | 1 |" in text


def test_the_page_loads_nothing_and_styles_no_element(tmp_path: Path) -> None:
    page = report_page(contents_of(small_study())).decode()
    outline = Outline(page)
    assert not {"link", "img", "iframe", "object", "embed", "base"} & set(outline.tags)
    assert not {"src", "style", "onclick", "srcdoc"} & set(outline.attributes)
    assert outline.attributes["href"] == page.count('href="#')
    policy = re.search(r'Content-Security-Policy" content="(.*?)"', page)
    assert policy
    assert "unsafe" not in policy[1]
    assert policy[1].startswith("default-src 'none'; style-src 'sha256-")
    assert page == report_page(contents_of(small_study())).decode()


def test_every_trace_is_where_the_index_says(tmp_path: Path) -> None:
    packer = TracePacker(
        [ReportedProblem(f"p{n}") for n in range(30)],
        [ReportedArm("a", list), ReportedArm("b", list)],
    )
    long_text = "x" * (BLOCK_CHARACTERS // 4)
    for number in reversed(range(30)):
        packer.add(0, entry(f"p{number}", "+", text=f"{number} {long_text}"))
    for sample in (1, 0):
        packer.add(1, entry("p7", "-", steps=["Adding"], sample=sample, text=f"b {sample}"))
    packed = packer.packed(left=0, right=1, classes={"Adding": "k1"})
    index = unpacked(packed.blocks["index"])
    arms = index["arms"]
    assert len(arms[0]["starts"]) > 5
    assert arms[0]["outcomes"] == ["c" * 30]
    assert [letters[6:9] for letters in arms[1]["outcomes"]] == [".w.", ".w."]
    for arm in range(2):
        traces = []
        for block, start in enumerate(arms[arm]["starts"]):
            assert start == len(traces)
            traces += unpacked(packed.blocks[f"traces-{arm}-{block}"])
        for sample, places in enumerate(arms[arm]["places"]):
            for problem, place in enumerate(places):
                if place >= 0:
                    assert traces[place]["text"].startswith(f"b {sample}" if arm else f"{problem} x")
    assert index["types"] == [["Adding", "k1"], ["Finish thinking", ""]]
    assert not packed.has_boards


@given(st.text(), st.text(max_size=20))
def test_any_text_comes_back_as_it_was(text: str, problem: str) -> None:
    packer = TracePacker([ReportedProblem("p")], [ReportedArm("a", list)])
    packer.add(0, entry("p", "+", text=text, problem=problem))
    packed = packer.packed(left=0, right=0, classes={})
    assert all(re.fullmatch(r"[A-Za-z0-9+/=]*", block) for block in packed.blocks.values())
    (trace,) = unpacked(packed.blocks["traces-0-0"])
    shown = [letter for letter in text if letter.isprintable()]
    assert [letter for letter in trace["text"] if letter in shown] or not shown
    if text.isprintable():
        assert trace["text"] == text


def test_a_chess_problem_has_a_board_with_its_moves() -> None:
    board = board_of(f"Position {FEN}. What is best?", ["Qxf7#"])
    assert board is not None
    assert board.solutions == ("h5f7",)
    assert [move_on(board, answer) for answer in ("Qxf7#", "h5e5", "Ke7", None)] == [
        "h5f7",
        "h5e5",
        None,
        None,
    ]
    without = board_of(f"Position {FEN}.", ["Kd8"])  # cannot be played: the position is drawn all the same
    assert without is not None
    assert without.solutions == ()
    assert board_of("What is 2 + 2?", ["4"]) is None


def test_colours_do_not_change_with_what_else_is_there() -> None:
    alone = thought_type_colours(["Adding"], NODES, TAXONOMY)
    together = thought_type_colours(["Adding", "Naming", "Restating"], NODES, TAXONOMY)
    assert together["Adding"] == alone["Adding"]
    assert len(set(together.values())) == 3
    assert thought_type_colours(["Adding"], {}, None)["Adding"] != alone["Adding"]
    assert all(re.fullmatch("#[0-9a-f]{6}", colour.light + "") for colour in together.values())


@given(st.lists(st.tuples(st.floats(0, 1), st.floats(0, 1), st.text(min_size=1, max_size=12)), max_size=8))
def test_every_point_has_a_label(labelled: list[tuple[float, float, str]]) -> None:
    assert len(label_places(labelled)) == len(labelled)


def test_labels_of_close_points_stand_apart() -> None:
    first, second = label_places([(0.5, 0.5, "level 3"), (0.5, 0.51, "level 4")])
    assert first != second


@pytest.mark.parametrize("empty", ["one arm", "nothing finished", "no thought types", "no problem"])
def test_little_to_tell_is_told(tmp_path: Path, empty: str) -> None:
    studies = {
        "one arm": reported({"vanilla": [entry("p0", "+")]}),
        "nothing finished": reported(
            {"vanilla": [], "1": []}, levels={"1": 1}, problems=[ReportedProblem("p0"), ReportedProblem("p1")]
        ),
        "no thought types": reported(
            {"vanilla": [entry("p0", "+")], "other": [entry("p0", "u")]}, taxonomy=None
        ),
        "no problem": reported({"vanilla": [], "1": []}, problems=[]),
    }
    report = write_reported(studies[empty], tmp_path)
    page = report.html.read_text(encoding="utf-8")
    visible = re.sub(r"<(script|style)\b.*?</\1>|<[^>]*>", " ", page, flags=re.DOTALL)
    assert not re.search(r"\b(nan|inf|None|undefined)\b", visible)
    assert not re.search(r"\b(nan|inf|None)\b", report.summary.read_text(encoding="utf-8"))


def test_what_is_no_part_of_the_study_is_refused(tmp_path: Path) -> None:
    study = small_study()
    stranger = replace(study.arms[0], entries=lambda: [entry("not there", "+")])
    with pytest.raises(ResultsFileError, match="arm vanilla: problem 'not there' is none of the study's"):
        write_reported(replace(study, arms=(stranger, *study.arms[1:])), tmp_path)
    assert not (tmp_path / "index.html").exists()
    with pytest.raises(ConfigError, match="every arm needs a name of its own and statistics"):
        replace(study, arms=(*study.arms, ReportedArm("another", list)))


def test_a_directory_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(OutputError, match=r"the report cannot be written to .*file"):
        write_reported(small_study(), tmp_path / "file", pictures=False)


def test_markup_in_a_title_is_none_in_the_summary(tmp_path: Path) -> None:
    report = write_reported(retitled(small_study(), "<b>*a* | [b](c)"), tmp_path, pictures=False)
    assert report.summary.read_text(encoding="utf-8").startswith(r"# \<b\>\*a\* \| \[b\](c)")


def test_reports_are_imported_without_what_is_heavy() -> None:
    code = (
        "import sys, hierarchical_reasoning.compare.report, hierarchical_reasoning.cli.compare_report;"
        "sys.exit(bool({'torch', 'transformers', 'sklearn', 'networkx', 'matplotlib', 'scipy'} & set(sys.modules)))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
