import gzip
import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from taxonomy import Chunk, Rollout, RolloutFileError, read_rollouts, write_rollouts
from taxonomy.reading import json_files

ROW = {"id": "a", "problem": "2+2", "chunks": [{"idx": 4, "label": "x", "text": "four"}]}

texts = st.text(max_size=20)
optional_texts = st.none() | texts
chunks = st.builds(
    Chunk,
    idx=st.integers(0, 99),
    text=texts,
    label=st.none() | texts.filter(str.strip),
    description=optional_texts,
)
rollouts_of_any_kind = st.builds(
    Rollout,
    id=st.text(min_size=1, max_size=9),
    problem=texts,
    chunks=st.lists(chunks, min_size=1, max_size=3).map(tuple),
    is_correct=st.sampled_from([None, True, False]),
    final_answer=optional_texts,
    gold_answer=optional_texts,
    category=optional_texts,
    model=optional_texts,
)


def write_lines(path: Path, *rows: object) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


@given(st.lists(rollouts_of_any_kind, min_size=1, max_size=3, unique_by=lambda rollout: rollout.id))
def test_what_is_written_is_read_back(
    tmp_path_factory: pytest.TempPathFactory, written: list[Rollout]
) -> None:
    path = tmp_path_factory.mktemp("rollouts") / "r.jsonl.gz"
    write_rollouts(written, path)
    assert read_rollouts(path) == tuple(written)


def test_gzip_bytes_depend_on_the_rollouts_alone(tmp_path: Path, rollouts: list[Rollout]) -> None:
    write_rollouts(rollouts, tmp_path / "one.jsonl.gz")
    write_rollouts(rollouts, tmp_path / "other.jsonl.gz")
    assert (tmp_path / "one.jsonl.gz").read_bytes() == (tmp_path / "other.jsonl.gz").read_bytes()
    assert sorted(entry.name for entry in tmp_path.iterdir()) == ["one.jsonl.gz", "other.jsonl.gz"]


def test_absent_fields_stay_none_and_numbers_as_ids_become_text(tmp_path: Path) -> None:
    row = {"id": 7, "problem": "p", "chunks": [{"text": "t"}, {"text": "u"}], "extra": 1}
    (rollout,) = read_rollouts(write_lines(tmp_path / "r.jsonl", row))
    assert rollout == Rollout("7", "p", (Chunk(0, "t"), Chunk(1, "u")))
    assert rollout.is_correct is None
    assert rollout.chunks[0].label is None


def test_a_json_list_is_read(tmp_path: Path) -> None:
    path = tmp_path / "r.json"
    path.write_text(json.dumps([ROW, {**ROW, "id": "b"}]))
    assert [rollout.id for rollout in read_rollouts(path)] == ["a", "b"]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"id": True}, "'id' is a boolean"),
        ({"problem": None}, "'problem' is missing"),
        ({"problem": 5}, "'problem' is a number"),
        ({"is_correct": "yes"}, "'is_correct' is 'yes'"),
        ({"chunks": []}, "has neither 'chunks' nor a text of the trace"),
        ({"chunks": None}, "has neither 'chunks' nor a text of the trace"),
        ({"chunks": "t"}, "'chunks' is a text"),
        ({"chunks": [{"label": "x"}]}, "chunk 0: 'text' is missing"),
        ({"chunks": [{"text": "t", "label": " "}]}, "'label' is empty"),
        ({"chunks": [{"text": "t", "idx": "1"}]}, "'idx' is '1'"),
        ({"chunks": [5]}, "chunk 0: holds a number"),
        ({"problem": "\ud800"}, "not valid Unicode"),
        ({"id": "a"}, "was used at line 1"),
    ],
)
def test_an_unusable_row_names_file_line_and_lack(
    tmp_path: Path, change: dict[str, object], message: str
) -> None:
    path = write_lines(tmp_path / "r.jsonl", ROW, {**ROW, "id": "b", **change})
    with pytest.raises(RolloutFileError, match=r"r\.jsonl, line 2") as caught:
        read_rollouts(path)
    assert message in str(caught.value)


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("r.jsonl", b"", "holds no rollouts"),
        ("r.json", b" ", "is empty"),
        ("r.jsonl", b"{", "line 1: not valid JSON"),
        ("r.jsonl", b"\xff\n", "line 1: not valid JSON"),
        ("r.jsonl", b"[" * 100_000, "line 1: not valid JSON"),
        ("r.json", b'{"id": "a"}', "holds an object, expected a list"),
        ("r.txt", b"id", "read from .json"),
        ("r.jsonl.gz", b"not gzip", "cannot be read"),
        ("r.jsonl.gz", gzip.compress(b'{"id": 1}' * 50, mtime=0)[:-9], "cannot be read"),
    ],
)
def test_broken_files(tmp_path: Path, name: str, content: bytes, message: str) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(RolloutFileError) as caught:
        read_rollouts(tmp_path / name)
    assert message in str(caught.value)
    assert name in str(caught.value)


def test_a_missing_file_and_an_overlong_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(RolloutFileError, match="no such file"):
        read_rollouts(tmp_path / "absent.jsonl")
    monkeypatch.setattr(json_files, "MAX_LINE_BYTES", 50)
    with pytest.raises(RolloutFileError, match="line 1: longer than"):
        read_rollouts(write_lines(tmp_path / "r.jsonl", ROW))


@pytest.mark.shared_data
@pytest.mark.parametrize(
    ("name", "count", "labels"),
    [("reasoningflow_aime2024_llm", 112, 8), ("thought_anchors_labeled_rollouts", 40, 8)],
)
def test_real_rollouts(shared_data: Path, name: str, count: int, labels: int) -> None:
    rollouts = read_rollouts(shared_data / "rollouts" / f"{name}.jsonl.gz")
    assert len(rollouts) == count
    assert len({chunk.label for rollout in rollouts for chunk in rollout.chunks if chunk.label}) == labels


@pytest.mark.shared_data
def test_real_rollouts_that_are_not_divided_yet(shared_data: Path) -> None:
    rollouts = read_rollouts(shared_data / "rollouts" / "gpt4_game24_unlabeled.jsonl.gz")
    assert len(rollouts) == 700
    assert all(rollout.text and not rollout.chunks for rollout in rollouts)
