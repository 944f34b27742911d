import csv
import gzip
import json
from pathlib import Path

import pytest

from taxonomy import Rollout, RolloutFileError, load_taxonomy, write_rollouts
from taxonomy.building.directory_writer import write_taxonomy_directory
from taxonomy.building.given_labels import build_taxonomy
from taxonomy.reading import read_inputs

ROW = {"id": "a", "problem": "2+2", "chunks": [{"label": "x", "text": "four"}]}


def lines(path: Path, *rows: object) -> Path:
    text = "".join(json.dumps(row) + "\n" for row in rows)
    path.write_bytes(gzip.compress(text.encode()) if path.suffix == ".gz" else text.encode())
    return path


@pytest.mark.parametrize("name", ["r.jsonl", "r.jsonl.gz", "r.json", "r.json.gz"])
def test_json_in_all_its_forms(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    rows = [ROW, {**ROW, "id": 7}]
    if ".jsonl" in name:
        lines(path, *rows)
    else:
        data = json.dumps(rows).encode()
        path.write_bytes(gzip.compress(data) if path.suffix == ".gz" else data)
    assert [rollout.id for rollout in read_inputs([path]).rollouts] == ["a", "7"]


@pytest.mark.parametrize(
    ("row", "text"),
    [
        ({"id": "a", "prompt": "p", "response": "So 4.", "answer": 4}, "So 4."),
        ({"id": "a", "question": "p", "output": "So 4.", "chunks": [], "answer": "4"}, "So 4."),
        ({"id": "a", "problem": "p", "turns": ["So", "4."], "gold_answer": "4"}, "So\n\n4."),
    ],
)
def test_whole_traces_under_their_usual_names(tmp_path: Path, row: dict[str, object], text: str) -> None:
    (rollout,) = read_inputs([lines(tmp_path / "r.jsonl", row)]).rollouts
    assert (rollout.text, rollout.chunks, rollout.problem, rollout.gold_answer) == (text, (), "p", "4")


def test_chunks_may_be_bare_texts_and_ids_may_be_absent(tmp_path: Path) -> None:
    path = lines(tmp_path / "r.jsonl", {"problem": "p", "chunks": ["one", "two"]})
    reading = read_inputs([path])
    assert reading.rollouts[0].id == "line 1"
    assert [chunk.text for chunk in reading.rollouts[0].chunks] == ["one", "two"]
    assert reading.notes == (
        "r.jsonl: 1 of 1 rollouts have no 'id' and are called after their place in the file",
    )


def test_labels_that_the_file_says_are_wrong_are_not_used(tmp_path: Path) -> None:
    reading = read_inputs([lines(tmp_path / "r.jsonl", ROW, {**ROW, "id": "b", "labels_ok": False})])
    assert [rollout.chunks[0].label for rollout in reading.rollouts] == ["x", None]
    assert "1 of 2 rollouts say 'labels_ok': false" in reading.notes[0]


def results(**entry: object) -> dict[str, object]:
    whole = {
        "problem_id": "p1",
        "problem": "2+2",
        "thought_types": ["Addition", "Answer Statement", "Finish thinking"],
        "thoughts": ["2 + 2 is 4.", "It is 4."],
        "final_response": "4",
        "extracted_answer": "4",
        "ground_truth": "4",
        "is_correct": True,
        "sample": 0,
    }
    return {"model_name": "m", "results": [{**whole, **entry}]}


def test_a_results_file_gives_labeled_rollouts(tmp_path: Path) -> None:
    path = tmp_path / "results_hierarchical_level3_m.json"
    path.write_text(json.dumps(results()))
    (rollout,) = read_inputs([path]).rollouts
    assert [(chunk.label, chunk.text) for chunk in rollout.chunks] == [
        ("Addition", "2 + 2 is 4."),
        ("Answer Statement", "It is 4."),
    ]
    assert (rollout.id, rollout.is_correct, rollout.model, rollout.gold_answer) == ("p1", True, "m", "4")


def test_thought_types_of_results_mean_what_their_taxonomy_says(
    tmp_path: Path, rollouts: list[Rollout]
) -> None:
    write_taxonomy_directory(build_taxonomy(rollouts, levels=3), tmp_path / "tree")
    kinds = load_taxonomy(tmp_path / "tree").at_level(2)
    path = tmp_path / "results.json"
    entry = results(thought_types=[kinds[0].name, kinds[1].name, "Gone"], thoughts=["One.", "Two.", "Three."])
    whole = {**entry, "label_level": 2, "config": {"tree_model_path": str(tmp_path / "tree")}}
    path.write_text(json.dumps(whole))
    reading = read_inputs([path])
    assert [chunk.description for chunk in reading.rollouts[0].chunks] == [
        kinds[0].description,
        kinds[1].description,
        None,
    ]
    assert reading.notes == (
        f"results.json: 1 of 3 thought types come without a description, since level 2 of {tmp_path / 'tree'} has none "
        "for them, such as 'Gone'",
    )
    (tmp_path / "tree").rename(tmp_path / "elsewhere")
    reading = read_inputs([path])
    assert {chunk.description for chunk in reading.rollouts[0].chunks} == {None}
    assert "results.json: its thought types come without descriptions, since" in reading.notes[0]
    assert "tree: does not exist" in reading.notes[0]


def test_results_without_thought_types_or_thoughts(tmp_path: Path) -> None:
    path = tmp_path / "results.json"
    untyped = results(thought_types=["Next thought", "Finish thinking"], thoughts=["So 4."], sample=2)
    vanilla = results(problem_id="p2", thought_types=[], thoughts=[], final_response="So 4. Done.")
    failed = results(problem_id="p3", thought_types=[], thoughts=[], final_response="")
    whole = {"results": [entry for part in (untyped, vanilla, failed) for entry in part["results"]]}  # type: ignore[attr-defined]
    path.write_text(json.dumps(whole))
    reading = read_inputs([path])
    assert [rollout.id for rollout in reading.rollouts] == ["p1#2", "p2"]
    assert reading.rollouts[0].chunks[0].label is None
    assert reading.rollouts[1].text == "So 4. Done."
    assert reading.notes == (
        "results.json: 1 of 3 results left out: they ended before a thought was written",
    )


@pytest.mark.parametrize("change", [{"thoughts": ["one"]}, {"thoughts": ["1"] * 4}, {"thought_types": None}])
def test_results_that_do_not_belong_together(tmp_path: Path, change: dict[str, object]) -> None:
    path = tmp_path / "results.json"
    path.write_text(json.dumps(results(**change)))
    with pytest.raises(RolloutFileError, match="result 1: "):
        read_inputs([path])


def test_a_table_of_a_taxonomy_directory_is_read(tmp_path: Path, rollouts: list[Rollout]) -> None:
    write_taxonomy_directory(build_taxonomy(rollouts, levels=3), tmp_path / "tree")
    reading = read_inputs([tmp_path / "tree" / "labeled_chunks__level-2.csv"])
    description_of = {kind.name: kind.description for kind in load_taxonomy(tmp_path / "tree").at_level(2)}
    assert [
        (r.id, [(c.idx, c.text, c.label, c.description) for c in r.chunks]) for r in reading.rollouts
    ] == [
        (r.id, [(c.idx, c.text, c.label, description_of[c.label or ""]) for c in r.chunks]) for r in rollouts
    ]
    assert reading.notes == (
        "labeled_chunks__level-2.csv: has no column 'problem'; --embedder discourse does without the problems' texts",
    )


def test_the_number_of_a_row_is_not_taken_for_the_rollout(tmp_path: Path) -> None:
    path = tmp_path / "chunks.csv"
    path.write_text("index,id,text,problem\n0,a,one,p\n1,a,two,p\n2,b,three,p\n")
    reading = read_inputs([path])
    assert [(r.id, [chunk.text for chunk in r.chunks]) for r in reading.rollouts] == [
        ("a", ["one", "two"]),
        ("b", ["three"]),
    ]
    assert reading.notes == ()


def test_a_text_that_the_chunks_do_not_make_up_is_missed(tmp_path: Path) -> None:
    chunks = ["one", "two"]
    rows = [
        {"id": "a", "problem": "p", "chunks": chunks, "text": " one\n\ntwo"},
        {"id": "b", "problem": "p", "chunks": chunks, "text": "one two three"},
        {"id": "c", "problem": "p", "chunks": chunks, "response": "one"},
        {"id": "d", "problem": "p", "chunks": chunks, "output": {"tokens": 2}},
    ]
    assert read_inputs([lines(tmp_path / "r.jsonl", *rows)]).notes == (
        "r.jsonl: 1 of 4 rollouts have chunks that do not make up their 'text', which was left aside",
        "r.jsonl: 1 of 4 rollouts have chunks that do not make up their 'response', which was left aside",
    )


def test_a_table_with_columns_of_its_own(tmp_path: Path) -> None:
    path = tmp_path / "chunks.csv.gz"
    rows = [
        ["b", "later", "1", "Check", "Look again.", "true", "2+2"],
        ["a", "alone", "0", "", "", "", "3+3"],
        ["b", "first\nof two", "0", "Plan", "", "true", "2+2"],
    ]
    with gzip.open(path, "wt", newline="", encoding="utf-8") as handle:
        names = ["rollout_id", "text", "idx", "label", "description", "is_correct", "problem"]
        csv.writer(handle).writerows([names, *rows])
    first, second = read_inputs([path]).rollouts
    assert [chunk.text for chunk in first.chunks] == ["first\nof two", "later"]
    assert first.is_correct is True
    assert (second.chunks[0].label, second.is_correct, second.problem) == (None, None, "3+3")


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("r.jsonl", b"", "holds no rollouts"),
        ("r.json", b"", "is empty"),
        ("r.json", b"[]", "holds no rollouts"),
        ("r.json", b'{"a": 1}', "holds an object, expected a list of rollouts, or the results of a run"),
        ("r.json", b'{"results": []}', "holds no rollouts"),
        ("r.csv", b"", "is empty"),
        ("r.csv", b"text\nx\n", "its columns are 'text'; needed are"),
        ("r.csv", b"id,text\na,x,y\n", "line 2: has more or fewer cells"),
        ("r.csv", b"id,text\n,x\n", "line 2: 'id' is empty"),
        ("r.csv", b"id,text,idx\na,x,0\na,y,0\n", "more than one chunk in place 0"),
        ("r.csv", b"id,text,idx\na,x,one\n", "the place is 'one'"),
        ("r.csv", b"id,text,is_correct\na,x,maybe\n", "'is_correct' is 'maybe'"),
        ("r.csv", b"id,text\na,\xff\n", "cannot be read"),
        ("r.txt", b"", r"read from .json, .jsonl or .csv"),
        ("r.jsonl", b'{"id": "a", "problem": "p"}\n', "neither 'chunks' nor a text of the trace"),
        ("r.jsonl", b'{"id": "a", "problem": "p", "text": " "}\n', "nothing but white space"),
        ("r.jsonl", b'{"id": "a", "problem": "p", "turns": [1]}\n', "'turns' is no list of texts"),
        ("r.jsonl", b'{"id": [], "problem": "p", "text": "t"}\n', "'id' is a list"),
        (
            "r.jsonl",
            b'{"id": NaN, "problem": "p", "text": "t"}\n',
            "'id' is nan, expected a text or a whole number",
        ),
        ("r.jsonl", b'{"id": 1.5, "problem": "p", "text": "t"}\n', "'id' is 1.5, expected"),
        ("r.jsonl", b'{"id": true, "problem": "p", "text": "t"}\n', "'id' is a boolean, expected"),
        (
            "r.jsonl",
            b'{"id": "a", "problem": "p", "chunks": [[]]}\n',
            "chunk 0: holds a list, expected an object",
        ),
        (
            "r.jsonl",
            b'{"kind": "header", "fingerprint": "f"}\n{}\n',
            "journal of a run; its results, results_*.json",
        ),
        ("r.jsonl.gz", b"no gzip", "cannot be read"),
    ],
)
def test_what_cannot_be_read_says_where_and_why(
    tmp_path: Path, name: str, content: bytes, message: str
) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(RolloutFileError) as caught:
        read_inputs([tmp_path / name])
    assert message in str(caught.value)
    assert name in str(caught.value)
    assert str(caught.value).endswith("(ROLLOUTS)")


def test_ids_must_differ_within_a_file(tmp_path: Path) -> None:
    with pytest.raises(RolloutFileError, match="line 2: id 'a' was used at line 1"):
        read_inputs([lines(tmp_path / "r.jsonl", ROW, ROW)])


def test_a_line_of_200_megabytes_is_refused_before_it_is_parsed(tmp_path: Path) -> None:
    path = tmp_path / "long.jsonl"
    with path.open("wb") as handle:
        handle.write(b'{"id": "a", "problem": "')
        handle.truncate(200 * 10**6)  # a sparse file: the line goes on, and takes no room on the disk
    with pytest.raises(RolloutFileError, match="line 1: longer than 64 MiB"):
        read_inputs([path])


def test_rollouts_with_a_text_survive_being_written(tmp_path: Path) -> None:
    rollout = Rollout("a", "p", (), text="One. Two.")
    write_rollouts([rollout], tmp_path / "r.jsonl")
    assert read_inputs([tmp_path / "r.jsonl"]).rollouts == (rollout,)


@pytest.mark.shared_data
@pytest.mark.parametrize(
    ("name", "count", "undivided"),
    [
        ("cvenhoff_labeled_rollouts", 1000, 143),
        ("gpt4_game24_unlabeled", 700, 700),
        ("reasoningflow_aime2024_llm", 112, 0),
        ("thought_anchors_labeled_rollouts", 40, 0),
    ],
)
def test_every_real_file_is_read(shared_data: Path, name: str, count: int, undivided: int) -> None:
    rollouts = read_inputs([shared_data / "rollouts" / f"{name}.jsonl.gz"]).rollouts
    assert len(rollouts) == count
    assert sum(rollout.text is not None for rollout in rollouts) == undivided
