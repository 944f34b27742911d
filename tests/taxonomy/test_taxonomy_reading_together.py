"""Several files read as one, and labels spelled in several ways."""

import json
from collections.abc import Sequence
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from taxonomy import Chunk, Rollout, RolloutFileError
from taxonomy.reading import read_inputs
from taxonomy.reading.labels import with_one_spelling


def file_with(path: Path, *ids: str | None, labels: Sequence[str] = ("x",)) -> Path:
    chunks = [{"label": label, "text": "four"} for label in labels]
    rows = [{**({} if name is None else {"id": name}), "problem": "2+2", "chunks": chunks} for name in ids]
    path.parent.mkdir(exist_ok=True)
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def test_an_id_of_several_files_is_called_after_its_file(tmp_path: Path) -> None:
    one, two = file_with(tmp_path / "one.jsonl", "a", "b"), file_with(tmp_path / "two.v2.jsonl", "b", "c")
    reading = read_inputs([one, two])
    assert [rollout.id for rollout in reading.rollouts] == ["a", "one/b", "two.v2/b", "c"]
    assert reading.notes == (
        "2 of 4 rollouts have an id that occurs in several files, and are called after their file too, such as 'one/b'",
    )


def test_files_of_one_name_are_numbered(tmp_path: Path) -> None:
    paths = [file_with(tmp_path / arm / "results.jsonl", None) for arm in ("a", "b")]
    assert [r.id for r in read_inputs(paths).rollouts] == ["results-1/line 1", "results-2/line 1"]


def test_two_arms_on_the_same_problems_combine(tmp_path: Path) -> None:
    for arm in ("results_a.json", "results_b.json"):
        entry = {
            "problem_id": "test-0000",
            "problem": "2+2",
            "thought_types": [],
            "thoughts": [],
            "final_response": "4",
        }
        (tmp_path / arm).write_text(json.dumps({"results": [entry]}))
    reading = read_inputs([tmp_path / "results_a.json", tmp_path / "results_b.json"])
    assert [rollout.id for rollout in reading.rollouts] == ["results_a/test-0000", "results_b/test-0000"]


def test_what_stays_alike_is_refused_and_the_files_are_named(tmp_path: Path) -> None:
    one, two = file_with(tmp_path / "one.jsonl", "b", "two/b"), file_with(tmp_path / "two.jsonl", "b")
    with pytest.raises(RolloutFileError, match=r"two\.jsonl: the id 'two/b' is used in .*one\.jsonl too"):
        read_inputs([one, two])
    with pytest.raises(RolloutFileError, match=r"one\.jsonl: is given twice"):
        read_inputs([one, tmp_path / "." / "one.jsonl"])


def test_the_most_frequent_spelling_of_a_label_wins(tmp_path: Path) -> None:
    path = file_with(
        tmp_path / "r.jsonl", "a", labels=("Plan", "plan", "PLAN", "plan ", "Check", "check", " Say  it")
    )
    reading = read_inputs([path])
    assert [chunk.label for chunk in reading.rollouts[0].chunks] == ["plan"] * 4 + ["Check"] * 2 + [
        " Say  it"
    ]
    assert reading.notes == (
        "labels that differ in case or white space alone were read as one, for 2 labels: 'PLAN', 'Plan', 'plan ' as "
        "'plan'; 'check' as 'Check'",
    )


spellings = (
    st.sampled_from(["Plan", "plan", " plan", "Straße", "STRASSE", "Check", "a  b", "a b"]) | st.none()
)


@given(st.lists(st.lists(spellings, max_size=4), max_size=4))
def test_labels_alike_become_one_and_distinct_ones_stay(labels: list[list[str | None]]) -> None:
    rollouts = tuple(
        Rollout(str(n), "p", tuple(Chunk(i, "t", label) for i, label in enumerate(row)))
        for n, row in enumerate(labels)
    )
    found, notes = with_one_spelling(rollouts)
    key = {label: " ".join(label.split()).casefold() for row in labels for label in row if label is not None}
    after = [[chunk.label for chunk in rollout.chunks] for rollout in found]
    assert len({label for row in after for label in row if label is not None}) == len(set(key.values()))
    assert [[label is None for label in row] for row in after] == [
        [label is None for label in row] for row in labels
    ]
    assert bool(notes) == (len(set(key)) > len(set(key.values())))
    if not notes:
        assert found == rollouts
    assert with_one_spelling(found) == (found, ())
