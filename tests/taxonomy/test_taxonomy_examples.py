import json
import os
import pickle
from collections import OrderedDict
from dataclasses import replace
from pathlib import Path

import pytest

from taxonomy import Chunk, ExamplesCacheError, LevelError, Rollout
from taxonomy.building.directory_writer import write_taxonomy_directory
from taxonomy.building.given_labels import build_taxonomy
from taxonomy.examples import ExampleParameters, examples_cache_path, examples_for_level
from taxonomy.pickle_cache import import_pickle_cache


@pytest.fixture
def directory(tmp_path: Path, rollouts: list[Rollout]) -> Path:
    write_taxonomy_directory(build_taxonomy(rollouts, levels=4), tmp_path / "tree")
    return tmp_path / "tree"


def test_short_chunks_are_taken_where_there_are_no_others_and_that_is_said(directory: Path) -> None:
    examples = examples_for_level(directory, 3)
    shown = examples.shown()
    assert set(shown) == set(examples.superset)
    assert len(shown) == 10
    assert all(len(texts) == 5 for texts in shown.values())
    assert all(len(set(texts)) == len(texts) <= 15 for texts in examples.superset.values())
    assert all("gives" in text or "times" in text for text in shown["Multiplication"])
    assert any(
        "of 50 to 400 words" in note and "'Multiplication' (0, and 30 others)" in note
        for note in examples.notes
    )
    assert examples.shown(0) == dict.fromkeys(shown, ())


def test_chunks_of_the_right_length_come_first(tmp_path: Path, rollouts: list[Rollout]) -> None:
    long_text = " ".join(["considering"] * 60)
    changed = [
        replace(
            rollout,
            chunks=tuple(
                replace(chunk, text=f"{chunk.text} {long_text} {number}") if number < 20 else chunk
                for chunk in rollout.chunks
            ),
        )
        for number, rollout in enumerate(rollouts)
    ]
    write_taxonomy_directory(build_taxonomy(changed, levels=2), tmp_path / "tree")
    examples = examples_for_level(tmp_path / "tree", 1)
    assert examples.notes == ()
    assert all(len(text.split()) >= 50 for texts in examples.superset.values() for text in texts)


def test_best_is_typical_and_not_a_repetition(tmp_path: Path) -> None:
    typical = [f"let me verify the result number {word} again" for word in ("one", "two", "three", "four")]
    texts = [*typical, "an entirely different remark", "let me verify the result number one again now"]
    chunks = tuple(Chunk(idx, text, "check", "Check.") for idx, text in enumerate(texts))
    write_taxonomy_directory(build_taxonomy([Rollout("a", "p", chunks)]), tmp_path / "tree")
    (picked,) = examples_for_level(tmp_path / "tree", 0).superset.values()
    assert picked[0] in texts[:4] + texts[5:]
    assert set(picked) == set(texts)
    near_copies = {typical[0], texts[5]}
    assert set(picked[:2]) != near_copies


def test_the_choice_is_repeatable_and_follows_the_seed(directory: Path) -> None:
    assert examples_for_level(directory, 2) == examples_for_level(directory, 2)
    other = examples_for_level(directory, 2, parameters=ExampleParameters(seed=1))
    assert other.superset != examples_for_level(directory, 2).superset


def test_the_cache_is_used_until_what_it_came_from_changes(directory: Path, tmp_path: Path) -> None:
    cache_dir = tmp_path / "cache"
    fresh = examples_for_level(directory, 2, cache_dir=cache_dir)
    path = examples_cache_path(cache_dir, 2)
    assert path.name == "examples_cache_level_2.json"
    assert not fresh.from_cache
    cached = examples_for_level(directory, 2, cache_dir=cache_dir)
    assert cached.from_cache
    assert (cached.superset, cached.notes) == (fresh.superset, fresh.notes)
    fewer = examples_for_level(directory, 2, cache_dir=cache_dir, parameters=ExampleParameters(superset=2))
    assert not fewer.from_cache
    table = directory / "labeled_chunks__level-2.csv"
    table.write_text(table.read_text().replace("Adding", "Summing"))
    examples_for_level(directory, 2, cache_dir=cache_dir)
    assert "Summing" in path.read_text()
    assert "Adding" not in path.read_text()


def test_an_unreadable_cache_is_an_error_that_says_what_to_do(directory: Path, tmp_path: Path) -> None:
    examples_cache_path(tmp_path, 2).write_text("{")
    with pytest.raises(ExamplesCacheError, match="delete it"):
        examples_for_level(directory, 2, cache_dir=tmp_path)
    examples_cache_path(tmp_path, 2).write_text("[" * 100_000)
    with pytest.raises(ExamplesCacheError, match="nested too deeply; delete it"):
        examples_for_level(directory, 2, cache_dir=tmp_path)
    examples_cache_path(tmp_path, 2).write_text("[]")
    assert not examples_for_level(directory, 2, cache_dir=tmp_path).from_cache


def test_bad_requests(directory: Path) -> None:
    with pytest.raises(LevelError, match="level 9"):
        examples_for_level(directory, 9)
    with pytest.raises(ValueError, match="--num_icl_examples"):
        examples_for_level(directory, 1).shown(-1)
    with pytest.raises(ValueError, match="superset is 40"):
        ExampleParameters(superset=40)


def test_a_bare_gml_gives_what_its_nodes_carry(tmp_path: Path) -> None:
    path = tmp_path / "tree.gml"
    path.write_text(
        'graph [ directed 1\nnode [ id 0 label "Root" ]\n'
        'node [ id 1 label "A" examples "first one ||| second" ]\n'
        'node [ id 2 label "B" ]\nedge [ source 0 target 1 ]\nedge [ source 0 target 2 ]\n]\n'
    )
    level_1 = examples_for_level(path, 1)
    assert set(level_1.superset["A"]) == {"first one", "second"}
    assert level_1.superset["B"] == ()
    assert "'B' has no examples" in level_1.notes
    assert set(examples_for_level(path, 0).superset["Root"]) == {"first one", "second"}


def test_rows_of_no_known_type_are_counted(directory: Path) -> None:
    table = directory / "labeled_chunks__level-3.csv"
    table.write_text(table.read_text().replace('"Addition"', '"Summation"'))
    examples = examples_for_level(directory, 3)
    assert examples.superset["Addition"] == ()
    assert any("40 chunks labeled 'Summation' give no examples" in note for note in examples.notes)


class Malicious:
    def __reduce__(self) -> tuple[object, tuple[str]]:
        return os.mkdir, ("run-by-a-pickle",)


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_plain_pickles_are_imported(tmp_path: Path, protocol: int) -> None:
    path = tmp_path / "examples_cache_level_3.pkl"
    path.write_bytes(pickle.dumps({"Check": ["one", "öne"], "Plan": ("two",), "None": []}, protocol))
    assert import_pickle_cache(path) == {"Check": ("one", "öne"), "Plan": ("two",), "None": ()}


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
@pytest.mark.parametrize(
    ("content", "named"),
    [
        ({"a": Malicious()}, "mkdir"),
        (OrderedDict(a=["b"]), "collections.OrderedDict"),
        ({"a": Path("x")}, "athlib"),
        ({"a": [complex(1, 2)]}, "complex"),
    ],
)
def test_a_pickle_that_names_anything_is_refused_and_not_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, content: object, named: str, protocol: int
) -> None:
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "cache.pkl"
    path.write_bytes(pickle.dumps(content, protocol))
    with pytest.raises(ExamplesCacheError, match=r"cache\.pkl: refused: it asks for") as caught:
        import_pickle_cache(path)
    assert named in str(caught.value)
    assert [entry.name for entry in tmp_path.iterdir()] == ["cache.pkl"]


@pytest.mark.parametrize(
    "program",
    [
        b"cos\nsystem\n(S'true'\ntR.",
        b"(S'true'\nios\nsystem\n.",
        b"\x80\x02\x82\x01.",
        b"Pname\n.",
        b"\x80\x04\x8c\x02os\x94\x8c\x06system\x94\x93\x94\x8c\x04true\x85R.",
        b"]r\xff\xff\xff\xff.",
    ],
)
def test_hand_written_programs_are_refused(tmp_path: Path, program: bytes) -> None:
    path = tmp_path / "cache.pkl"
    path.write_bytes(program)
    with pytest.raises(ExamplesCacheError, match="refused"):
        import_pickle_cache(path)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "not a pickle"),
        (b"\x01 no pickle", "not a pickle"),
        (pickle.dumps({"a": ["b"]})[:-3], "not a pickle"),
        (b"}(]]u.", "not a pickle of plain data"),
        (pickle.dumps(["a"]), "holds a list"),
        (pickle.dumps({1: ["a"]}), "a key is a int"),
        (pickle.dumps({"a": "text"}), "under 'a' stands a str"),
        (pickle.dumps({"a": [None]}), "under 'a' stands a list"),
    ],
)
def test_other_content_is_refused(tmp_path: Path, data: bytes, message: str) -> None:
    path = tmp_path / "cache.pkl"
    path.write_bytes(data)
    with pytest.raises(ExamplesCacheError, match=message):
        import_pickle_cache(path)


def test_size_and_absence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ExamplesCacheError, match="no such file"):
        import_pickle_cache(tmp_path / "absent.pkl")
    path = tmp_path / "cache.pkl"
    path.write_bytes(pickle.dumps({"a": ["b" * 100]}))
    monkeypatch.setattr("taxonomy.pickle_cache.MAX_PICKLE_BYTES", 50)
    with pytest.raises(ExamplesCacheError, match="larger than"):
        import_pickle_cache(path)


def test_the_cache_file_is_json_with_a_key(directory: Path, tmp_path: Path) -> None:
    examples_for_level(directory, 1, cache_dir=tmp_path / "cache")
    content = json.loads(examples_cache_path(tmp_path / "cache", 1).read_text())
    assert sorted(content) == ["key", "level", "notes", "superset"]
