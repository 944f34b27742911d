"""What a report takes for a training log, and what it says of one that is none."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from training_logs import made_up_run, write_log

from hierarchical_reasoning.errors import ResultsFileError
from hierarchical_reasoning.training.log import as_json
from hierarchical_reasoning.training.report.reading import read_log, read_settings

RUN = made_up_run(4, evaluate_every=2)
LINES = [json.dumps(as_json(record)) for record in RUN]
Fields = dict[str, Any]


def log_with(folder: Path, content: str | bytes) -> Path:
    folder.mkdir(exist_ok=True)
    (folder / "log.jsonl").write_bytes(content.encode() if isinstance(content, str) else content)
    return folder


def test_every_record_is_read(tmp_path: Path) -> None:
    log = read_log(write_log(tmp_path, RUN))
    assert log.records == tuple(RUN)
    assert len(log.updates) == 4
    assert len(log.evaluations) == 6
    assert log.notes == ()


@given(cut=st.integers(0, sum(len(line) + 1 for line in LINES)))
@settings(max_examples=60)
def test_a_log_torn_anywhere_gives_what_was_whole(tmp_path_factory: pytest.TempPathFactory, cut: int) -> None:
    torn = "".join(f"{line}\n" for line in LINES)[:cut]
    folder = log_with(tmp_path_factory.mktemp("torn"), torn)
    whole = sum(line in torn for line in LINES)
    if not whole:
        with pytest.raises(ResultsFileError, match="holds no record yet"):
            read_log(folder)
        return
    log = read_log(folder)
    assert log.records == tuple(RUN[:whole])
    left = torn.rpartition("\n")[2]
    assert bool(log.notes) == (left not in ("", *LINES))
    assert all("The last line of log.jsonl does not end" in note for note in log.notes)


def changed(**fields: object) -> Callable[[Fields], object]:
    return lambda record: record | fields


def lacking(name: str) -> Callable[[Fields], object]:
    return lambda record: {key: value for key, value in record.items() if key != name}


@pytest.mark.parametrize(
    ("number", "change", "message"),
    [
        (2, changed(kind="step"), "`kind` is 'step', allowed are 'update', 'evaluation'"),
        (2, changed(kind=["update"]), "`kind` is \\['update'\\]"),
        (2, lacking("entropy"), "`entropy`: Field required"),
        (2, changed(surprise=1), "`surprise` is 1: Extra inputs"),
        (2, changed(reward="high"), "`reward` is 'high': Input should be a valid number"),
        (2, changed(update=True), "`update` is True: Input should be a valid integer"),
        (2, changed(entropy=float("nan")), "`entropy` is nan: Input should be a finite number"),
        (2, changed(loss=1e200), "`loss` is 1e\\+200, at most 1e\\+100 is allowed"),
        (2, changed(episodes=-1), "`episodes` is -1, 0 or more"),
        (2, changed(thought_types={"Addition": -3}), "`thought_types.Addition` is -3, 0 or more"),
        (2, changed(thought_types={"Addition": 0.5}), "`thought_types.Addition` is 0.5"),
        (0, changed(correct=101), "101 of 100 problems are correct"),
        (0, changed(correct=0, n=0), "0 of 0 problems"),
        (0, changed(mode="argmax"), "`mode` is 'argmax': Input should be 'greedy' or 'sampled'"),
        (0, changed(transitions={"(start)": 3}), "`transitions.\\(start\\)` is 3"),
        (0, lambda _: [1, 2], "is a list, expected an object"),
    ],
)
def test_a_line_that_is_no_record_is_named(
    tmp_path: Path, number: int, change: Callable[[Fields], object], message: str
) -> None:
    lines = [*LINES]
    lines[number] = json.dumps(change(json.loads(lines[number])))
    with pytest.raises(ResultsFileError, match=f"log.jsonl, line {number + 1}: .*{message}"):
        read_log(log_with(tmp_path, "\n".join(lines) + "\n"))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "holds no record yet"),
        (b'{"kind": "upda', "holds no record yet"),
        (b"not JSON\n", "line 1: is not JSON"),
        (b"\n", "line 1: is not JSON"),
        (b"\xff\xfe\n", "line 1: is not JSON"),
        (b"[" * 100_000 + b"\n", "line 1: is not JSON"),
        (b'{"update": ' + b"9" * 5000 + b"}\n", "line 1: is not JSON"),
    ],
)
def test_what_is_no_log_is_refused(tmp_path: Path, content: bytes, message: str) -> None:
    with pytest.raises(ResultsFileError, match=message):
        read_log(log_with(tmp_path, content))


def test_no_log_at_all(tmp_path: Path) -> None:
    with pytest.raises(ResultsFileError, match=r"holds no log\.jsonl; OUTPUT_DIR is the directory"):
        read_log(tmp_path)
    (tmp_path / "log.jsonl").mkdir()
    with pytest.raises(ResultsFileError, match="cannot be read: Is a directory"):
        read_log(tmp_path)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)


@given(
    number=st.sampled_from([0, 2]), name=st.sampled_from(sorted({*json.loads(LINES[2])})), value=json_values
)
@settings(max_examples=150)
def test_any_value_in_a_field_is_a_record_or_a_clear_error(
    tmp_path_factory: pytest.TempPathFactory, number: int, name: str, value: object
) -> None:
    record = json.loads(LINES[number]) | {name: value}
    folder = log_with(tmp_path_factory.mktemp("odd"), json.dumps(record) + "\n")
    try:
        found: object = as_json(read_log(folder).records[0])
    except ResultsFileError as error:
        found = str(error)
    assert found == record or "line 1: " in str(found)


def test_what_a_later_line_repeats_counts_once_and_is_said(tmp_path: Path) -> None:
    again = json.dumps(json.loads(LINES[2]) | {"reward": 0.125})
    log = read_log(log_with(tmp_path, "\n".join([*LINES, again]) + "\n"))
    assert len(log.updates) == 4
    assert log.updates[0].reward == 0.125
    assert log.notes == ("Lines of log.jsonl that a later one has again: 1. The later ones count.",)


def test_settings_are_shown_as_they_are(tmp_path: Path) -> None:
    assert read_settings(tmp_path) is None
    (tmp_path / "settings.json").write_text('{"learning_rate": 1e-05, "data_file": "a b", "list": [1, null]}')
    assert read_settings(tmp_path) == {"learning_rate": "1e-05", "data_file": "a b", "list": "[1, null]"}


@pytest.mark.parametrize(
    ("content", "message"), [("{", "is not JSON"), ("[1]", "is a list, expected an object of settings")]
)
def test_settings_that_are_none_are_refused(tmp_path: Path, content: str, message: str) -> None:
    (tmp_path / "settings.json").write_text(content)
    with pytest.raises(ResultsFileError, match=f"settings.json: {message}"):
        read_settings(tmp_path)
