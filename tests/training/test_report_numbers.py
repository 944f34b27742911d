"""The numbers of a report are those of the log."""

from __future__ import annotations

import json
import random
import re
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from parsed_report import ParsedReport
from training_logs import (
    THOUGHT_TYPES,
    evaluation,
    made_up_run,
    update_record,
    with_trees,
    without_spread,
    write_log,
)

from hierarchical_reasoning.errors import ResultsFileError
from hierarchical_reasoning.results.intervals import Accuracy, wilson_interval
from hierarchical_reasoning.trace import FINISH
from hierarchical_reasoning.training.log import START, EvaluationRecord, Record, UpdateRecord, as_json
from hierarchical_reasoning.training.report import write_report
from hierarchical_reasoning.training.report.headline import headline, interval_of_change
from hierarchical_reasoning.training.report.reading import TrainingLog, read_log
from hierarchical_reasoning.training.report.reliability import reliabilities
from hierarchical_reasoning.training.report.scales import (
    duration_text,
    number_text,
    update_scale,
    value_scale,
)
from hierarchical_reasoning.training.report.series import MOST_POINTS, stretches, update_curve
from hierarchical_reasoning.training.report.thought_types import colours, thought_types

RUN = made_up_run(20, evaluate_every=5)
UPDATES = [record for record in RUN if isinstance(record, UpdateRecord)]
EVALUATIONS = [record for record in RUN if isinstance(record, EvaluationRecord)]


def log_of(records: Sequence[Record]) -> TrainingLog:
    return TrainingLog(
        tuple(record for record in records if isinstance(record, UpdateRecord)),
        tuple(record for record in records if isinstance(record, EvaluationRecord)),
        (),
    )


def parsed(folder: Path, records: Sequence[Record]) -> ParsedReport:
    return ParsedReport(write_report(write_log(folder, records), pngs=False).html)


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> ParsedReport:
    return parsed(tmp_path_factory.mktemp("run"), RUN)


def number(text: str) -> float:
    """A cell's first number, a share where it is in percent."""
    found = re.match(r"[−+]?[\d.,]+(?:e-?\d+)?", text)
    assert found, text
    value = float(found[0].replace("−", "-").replace(",", ""))
    return value / 100 if text[found.end() :].startswith(" %") else value


def test_every_update_is_in_the_table(page: ParsedReport) -> None:
    heads, *rows = page.tables["updates"]
    assert len(rows) == len(UPDATES)
    for row, update in zip(rows, UPDATES, strict=True):
        assert row[heads.index("cost")] == f"${update.cost_usd:.4f}"
        cells = {head: number(cell) for head, cell in zip(heads, row, strict=True) if head != "cost"}
        for head, value in (
            ("update", update.update),
            ("epoch", update.epoch),
            ("rewardmean", update.reward),
            ("choicesan episode", update.steps),
            ("entropynats", update.entropy),
            ("KL", update.kl),
            ("loss", update.loss),
            ("grad normbefore it is scaled down", update.grad_norm),
            ("acting gap", update.acting_gap),
            ("learning rate", update.learning_rate),
            ("groups", update.groups),
            ("without spreadgroups that teach nothing", update.groups_without_spread),
            ("episodes", update.episodes),
            ("errorsepisodes in which a call failed", update.errors),
            ("callsin rollouts", update.calls),
            ("tokenstrained on", update.trained_tokens),
            ("tokens/s", update.trained_tokens / update.update_seconds),
            ("rollout sseconds", update.rollout_seconds),
        ):
            assert cells[head] == pytest.approx(value, rel=6e-4), head
        assert cells["accuracyon the problems trained on"] == pytest.approx(update.accuracy, abs=6e-4)
        assert cells["clippedshare of choices"] == pytest.approx(update.clip_share, abs=6e-4)


def test_every_evaluation_is_in_the_table_with_its_wilson_interval(page: ParsedReport) -> None:
    rows = page.tables["evaluations"][1:]
    assert [(int(row[0]), row[1], int(row[4]), int(row[5])) for row in rows] == [
        (record.update, record.mode, record.correct, record.n) for record in EVALUATIONS
    ]
    for row, record in zip(rows, EVALUATIONS, strict=True):
        low, high = wilson_interval(record.correct, record.n)
        assert row[3] == f"[{100 * low:.1f}, {100 * high:.1f}]"


def test_the_headline_compares_the_first_evaluation_with_the_last(page: ParsedReport) -> None:
    rows = page.tables["held-out"][1:]
    assert [row[0] for row in rows] == ["greedy", "sampled"]
    for row in rows:
        records = [record for record in EVALUATIONS if record.mode == row[0]]
        first, last = records[0], records[-1]
        best = max(records, key=lambda record: record.correct)
        for cell, record in ((row[1], first), (row[2], last), (row[4], best)):
            assert number(cell.strip()) == pytest.approx(record.accuracy, abs=5e-4)
            assert f"{record.correct} of {record.n}" in cell
        assert "before training" in row[1]
        assert "after update 20" in row[2]
        assert number(row[3].strip()) == pytest.approx(100 * (last.accuracy - first.accuracy), abs=0.05)
        assert (
            f"Held-out accuracy, {row[0]}: {100 * first.accuracy:.1f} % before training → "
            f"{100 * last.accuracy:.1f} % after update 20"
        ) in page.text


def test_totals_are_sums(page: ParsedReport) -> None:
    text = "".join(page.text.split())
    cost = sum(update.cost_usd or 0 for update in UPDATES)
    assert f"groupswithoutspread{sum(update.groups_without_spread for update in UPDATES)}of320" in text
    assert f"trainedtokens{sum(update.trained_tokens for update in UPDATES):,}" in text
    assert f"callsinrollouts{sum(update.calls for update in UPDATES):,}${cost:.4f}" in text


def test_a_cost_that_is_not_known_throughout_is_no_sum(tmp_path: Path) -> None:
    found = parsed(tmp_path, [replace(UPDATES[0], cost_usd=None), UPDATES[1]])
    assert "price not known" in found.text


def test_the_interval_of_a_change_is_newcombes() -> None:
    # Newcombe (1998), table II, method 10, contrast (a): 56/70 - 48/80.
    low, high = interval_of_change(Accuracy.of(48, 80), Accuracy.of(56, 70))
    assert low == pytest.approx(0.0524, abs=5e-5)
    assert high == pytest.approx(0.3339, abs=5e-5)


def test_shares_of_thought_types_are_those_of_the_counts(page: ParsedReport) -> None:
    rows = {row[0]: row[1:] for row in page.tables["usage"][1:]}
    assert set(rows) == {*THOUGHT_TYPES, FINISH}
    for name, cells in rows.items():
        for cell, part in ((cells[0], UPDATES[:2]), (cells[1], UPDATES[-2:])):
            share = sum(update.thought_types[name] for update in part) / sum(
                sum(update.thought_types.values()) for update in part
            )
            assert number(cell) == pytest.approx(share, abs=5e-4)
        assert number(cells[3]) == sum(update.thought_types[name] for update in UPDATES)


def test_transitions_are_those_of_the_first_and_the_last_evaluation(page: ParsedReport) -> None:
    first, last = ([record for record in EVALUATIONS if record.mode == "sampled"][place] for place in (0, -1))
    heads, _, *rows = page.tables["heat-sampled"]
    assert heads[1:] == ["before training", "after update 20", "change, in points"]
    targets = [*sorted(THOUGHT_TYPES), FINISH]
    assert [row[0].lstrip("12345678 ") for row in rows] == [START, *targets[:-1]]
    for row, origin in zip(rows, [START, *targets], strict=False):
        shares = [
            [100 * counts.get(target, 0) / sum(counts.values()) for target in targets]
            for counts in (first.transitions[origin], last.transitions[origin])
        ]
        changes = [after - before for before, after in zip(*shares, strict=True)]
        for cell, value in zip(row[1:], [*shares[0], *shares[1], *changes], strict=True):
            assert (number(cell) if cell else 0.0) == pytest.approx(value, abs=0.51)


def test_the_largest_changes_come_first_with_their_counts(page: ParsedReport) -> None:
    first, last = (
        [record for record in EVALUATIONS if record.mode == "greedy"][place].transitions for place in (0, -1)
    )
    rows = page.tables["changes-greedy"][1:]
    assert len(rows) == 10
    sizes = [abs(number(row[4])) for row in rows]
    assert sizes == sorted(sizes, reverse=True)
    for origin, target, before, after, _ in rows:
        for cell, counts in ((before, first[origin]), (after, last[origin])):
            assert cell.endswith(f"% {counts.get(target, 0)} of {sum(counts.values())}")


def test_changes_of_options_that_were_hardly_visited_are_left_out(tmp_path: Path) -> None:
    before = evaluation(0, "sampled", 1, 4, [["A", FINISH]] * 4)
    after = evaluation(1, "sampled", 2, 4, [["B", FINISH]] * 4)
    found = parsed(tmp_path, [before, after])
    assert "changes-sampled" not in found.tables
    assert "No transition from an option with at least 5 visits before and after changed." in found.text
    assert [row[1:] for row in found.tables["heat-sampled"][3:]] == [
        ["", "", "100", "not visited", "not visited in both"],
        ["not visited", "", "", "100", "not visited in both"],
    ]


@pytest.mark.parametrize(
    ("accuracy", "why"),
    [
        (0.0, "No rollout was right"),
        (1.0, "Every rollout was right"),
        (0.5, "Some problems were always solved and the others never"),
    ],
)
def test_a_run_that_learned_nothing_says_so_and_why(tmp_path: Path, accuracy: float, why: str) -> None:
    updates = [without_spread(update, accuracy=accuracy) for update in UPDATES[:3]]
    found = parsed(tmp_path, [*EVALUATIONS[:2], *updates])
    assert "Nothing was learned: in all 3 updates, all rollouts of a problem had equal rewards." in found.text
    assert "All 48 groups lacked spread" in found.text
    assert why in found.text
    assert "KL over updates. KL: never measured." in found.pictures
    assert "better" not in found.text


def test_no_change_is_not_called_one_and_the_reason_is_told() -> None:
    flat = [evaluation(0, "greedy", 50, 100), UPDATES[0], evaluation(1, "greedy", 53, 100)]
    told = headline(log_of(flat))
    assert told.sentences[0][0] == "same"
    assert "no change that 100 problems can show" in told.sentences[0][1]
    assert any("--eval_rows" in reason for reason in told.reasons)
    worse = headline(log_of([*flat[:2], evaluation(1, "greedy", 20, 100)]))
    assert worse.sentences[0][0] == "worse"
    assert worse.reasons == ()
    collapsed = [flat[0], replace(UPDATES[0], entropy=0.001), flat[2]]
    assert any("entropy of a choice is 0.001" in reason for reason in headline(log_of(collapsed)).reasons)


def test_thinned_curves_keep_their_extremes_and_say_so(tmp_path: Path) -> None:
    source = random.Random(1)
    updates = [update_record(place, place / 1000, source) for place in range(1, 1001)]
    updates[500] = replace(updates[500], grad_norm=77.0)
    curve = update_curve("norm", stretches(updates), lambda update: update.grad_norm)
    assert len(curve.points) <= MOST_POINTS
    assert max(point.high or 0 for point in curve.points) == 77.0
    assert [point.first for point in curve.points] == list(range(1, 1001, 4))
    found = parsed(tmp_path, updates)
    assert "each of its points is the mean of 4 updates in a row" in found.text
    assert len(found.tables["updates"]) == 1001


def test_colours_do_not_change_as_a_log_grows() -> None:
    names = [f"Type {letter}" for letter in "QWERTZUIOPASDFGHJKLYXCVBNM"]
    records = made_up_run(12, names=names[:5])
    later = replace(UPDATES[0], update=13, thought_types=dict.fromkeys(names, 1))
    before = colours(thought_types(log_of(records)))
    after = colours(thought_types(log_of([*records, later])))
    assert before.items() <= after.items()
    assert len(set(after.values())) == len(names) + 1


finite = st.floats(-1e100, 1e100)


@given(values=st.lists(finite, max_size=5), floor=st.sampled_from([None, 0.0]))
def test_an_axis_holds_its_values_and_has_a_few_ticks(values: list[float], floor: float | None) -> None:
    scale = value_scale(values, floor=floor, ceiling=None)
    assert scale.low < scale.high
    assert all(-1e-6 <= scale.share(value) <= 1 + 1e-6 for value in values)
    assert 2 <= len(scale.ticks) <= 8
    assert all(-1e-6 <= scale.share(tick) <= 1 + 1e-6 for tick in scale.ticks)


@given(first=st.integers(0, 10**6), length=st.integers(0, 10**6))
def test_updates_are_numbered_by_whole_numbers(first: int, length: int) -> None:
    scale = update_scale(first, first + length)
    assert all(tick == int(tick) for tick in scale.ticks)
    assert 1 <= len(scale.ticks) <= 8


@given(value=finite)
@settings(max_examples=300)
def test_a_number_as_written_is_the_number(value: float) -> None:
    read = float(number_text(value).replace(",", "").replace("−", "-"))
    assert read == pytest.approx(value, rel=6e-4)


def test_durations() -> None:
    assert [duration_text(seconds) for seconds in (4.25, 59.94, 765.7, 3600, 90_061)] == [
        "4.2 s",
        "59.9 s",
        "12 min 46 s",
        "1 h 0 min",
        "25 h 1 min",
    ]


def test_trees_and_what_a_value_head_expected_of_them_are_drawn(tmp_path: Path) -> None:
    grown = [with_trees(update, ece=0.1 if update.update < 4 else 0.25) for update in UPDATES[:6]]
    page = parsed(tmp_path, grown)
    for title in (
        *("pass@k", "pass@k, more answers", "Depth of right answers", "Branching", "Diversity and novelty"),
        *(
            "Calibration of the value head",
            "Reliability of the value head",
            "Peak memory, MiB",
            "Seconds a problem",
        ),
    ):
        assert title in page.text
    assert "ECE 0.1 → 0.25" in " ".join(page.text.split())
    first, last = reliabilities(read_log(tmp_path))  # of updates 2 and 3, and of 4 to 6
    assert ((first.first, first.last), (last.first, last.last)) == ((2, 3), (4, 6))
    assert (first.n, last.n) == (40, 60)
    assert (first.ece, last.ece) == (pytest.approx(0.1), pytest.approx(0.25))
    assert [bin_.predicted for bin_ in last.bins] == [pytest.approx(0.15), pytest.approx(0.65)]


def test_the_reliability_is_a_picture_too(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    report = write_report(write_log(tmp_path, [with_trees(each, ece=0.1) for each in UPDATES[:3]]))
    names = {path.name for path in report.pngs}
    assert {"reliability.png", "calibration.png", "right_depth.png", "memory.png"} <= names
    assert all(path.read_bytes().startswith(b"\x89PNG") for path in report.pngs)


@pytest.mark.parametrize("wrong", [{"n": 0}, {"predicted": 1.5}, {"observed": "half"}, {"width": 1}], ids=str)
def test_a_bin_that_is_none_is_told(tmp_path: Path, wrong: dict[str, Any]) -> None:
    record = as_json(with_trees(UPDATES[1], ece=0.1))
    record["calibration"][0] |= wrong
    (tmp_path / "log.jsonl").write_text(json.dumps(record) + "\n")
    with pytest.raises(ResultsFileError, match=r"log\.jsonl, line 1: `calibration\.0\."):
        read_log(tmp_path)
