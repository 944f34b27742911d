from __future__ import annotations

import json
import os
import resource
import signal
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hierarchical_reasoning.errors import JournalError, JournalLockedError, OutputError, ResumeError
from hierarchical_reasoning.journal.file import Journal, differences, fingerprint, read_header, read_journal
from hierarchical_reasoning.journal.lines import line_of

SETTINGS = {"model": {"name": "m", "temperature": 0.1}, "level": 3, "seed": 0}


def start(path: Path, settings: dict[str, Any] = SETTINGS) -> Journal:
    return Journal.create(path, settings=settings, config={"verbose": True}, versions={"python": "3"})


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "run.jsonl"
    with start(path) as journal:
        for index in range(3):
            journal.append(f"p{index}", {"text": f"é\n{index}", "value": 0.1})
    return path


def test_what_is_written_is_read(path: Path) -> None:
    contents = read_journal(path)
    assert contents.header.fingerprint == fingerprint(SETTINGS)
    assert (contents.header.settings, contents.header.config) == (SETTINGS, {"verbose": True})
    assert [record.key for record in contents.records] == [("p0", 0), ("p1", 0), ("p2", 0)]
    assert contents.records[1].entry == {"text": "é\n1", "value": 0.1}
    assert contents.latest["p1", 0] == contents.places[1]
    assert contents.torn is None


def test_every_line_is_one_object(path: Path) -> None:
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    assert [line["kind"] for line in lines] == ["header", "problem", "problem", "problem"]


def test_resuming_adds_and_the_later_record_counts(path: Path) -> None:
    with Journal.resume(path, settings=SETTINGS) as journal:
        assert len(journal.contents.places) == 3
        added = [
            journal.append("p0", {"again": True}),
            journal.append("p0", {"other": "sample"}, sample=1),
        ]
        assert [journal.read(place).entry for place in added] == [{"again": True}, {"other": "sample"}]
        assert journal.read(journal.contents.places[2]).entry == {"text": "é\n2", "value": 0.1}
    contents = read_journal(path)
    assert contents.places[3:] == tuple(added)
    assert contents.latest == {
        ("p0", 0): added[0],
        ("p0", 1): added[1],
        ("p1", 0): contents.places[1],
        ("p2", 0): contents.places[2],
    }


def test_a_new_journal_never_takes_the_place_of_another(path: Path) -> None:
    before = path.read_bytes()
    with pytest.raises(FileExistsError):
        start(path)
    assert path.read_bytes() == before


@given(cut=st.integers(min_value=1, max_value=90))
@settings(deadline=None)  # it waits for the disk
def test_a_torn_last_line_is_owed_and_said(tmp_path_factory: pytest.TempPathFactory, cut: int) -> None:
    path = tmp_path_factory.mktemp("torn") / "run.jsonl"
    with start(path) as journal:
        journal.append("p0", {})
        journal.append("p1", {"text": "x" * 100})
    path.write_bytes(path.read_bytes()[:-cut])
    contents = read_journal(path)
    assert [record.problem_id for record in contents.records] == ["p0"]
    assert contents.torn is not None
    assert "line 3" in contents.torn
    assert "problem 'p1' (sample 0) is owed" in contents.torn
    with Journal.resume(path, settings=SETTINGS) as journal:
        assert journal.contents.torn == contents.torn
        journal.append("p1", {})
    assert read_journal(path).torn is None
    assert [record.problem_id for record in read_journal(path).records] == ["p0", "p1"]


def test_a_last_line_of_zeros_is_torn_too(path: Path) -> None:
    path.write_bytes(path.read_bytes() + b"\0" * 100)
    assert "one problem is owed" in (read_journal(path).torn or "")


@given(position=st.integers(min_value=0, max_value=10**6), bit=st.integers(0, 7))
@settings(deadline=None)  # it waits for the disk
def test_one_flipped_bit_never_passes(
    tmp_path_factory: pytest.TempPathFactory, position: int, bit: int
) -> None:
    path = tmp_path_factory.mktemp("bit") / "run.jsonl"
    with start(path) as journal:
        for index in range(3):
            journal.append(f"p{index}", {"value": index})
    whole = read_journal(path).records
    raw = bytearray(path.read_bytes())
    raw[position % len(raw)] ^= 1 << bit
    path.write_bytes(bytes(raw))
    try:
        found = read_journal(path)
    except JournalError:
        return
    assert found.torn is not None
    assert found.records == whole[: len(found.records)]


def test_a_damaged_middle_line_says_what_is_lost_and_how_to_go_on(path: Path) -> None:
    lines = path.read_bytes().split(b"\n")
    lines[2] = lines[2].replace(b"value", b"valve")
    path.write_bytes(b"\n".join(lines))
    with pytest.raises(JournalError, match=r"line 3 is damaged: problem 'p1' .*2 other.*sed -i 3d.*--resume"):
        read_journal(path)
    path.write_bytes(b"\n".join(lines[:2] + lines[3:]))
    assert [record.problem_id for record in read_journal(path).records] == ["p0", "p2"]


def test_a_header_is_read_whatever_follows_it(path: Path) -> None:
    whole = read_journal(path).header
    first, *_ = path.read_bytes().split(b"\n")
    path.write_bytes(first + b"\ndamaged\n\xff\n")
    assert read_header(path) == whole
    path.write_bytes(first)  # torn: the end of the line is not there
    with pytest.raises(JournalError, match="line 1"):
        read_header(path)


@pytest.mark.parametrize("content", [b"", b"{}", b"{}\n", b"[1]\n", b"\xff\n", b'{"crc": NaN}\n', b"\n\n"])
def test_a_file_without_header_is_no_journal(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "run.jsonl"
    path.write_bytes(content)
    with pytest.raises(JournalError, match="line 1"):
        read_journal(path)
    with pytest.raises(JournalError, match="line 1"):
        read_header(path)
    with pytest.raises(JournalError, match="line 1"):
        Journal.resume(path, settings=SETTINGS)


def test_a_missing_journal_is_clear(tmp_path: Path) -> None:
    with pytest.raises(JournalError, match="cannot be read"):
        read_journal(tmp_path / "none.jsonl")
    with pytest.raises(JournalError, match="cannot be read"):
        read_header(tmp_path / "none.jsonl")
    with pytest.raises(JournalError, match="cannot be opened"):
        Journal.resume(tmp_path / "none.jsonl", settings=SETTINGS)


def test_other_settings_are_refused_with_the_difference(path: Path) -> None:
    changed = {"model": {"name": "m", "temperature": 0.7}, "level": 3, "top_p": 1}
    with pytest.raises(ResumeError) as caught:
        Journal.resume(path, settings=changed)
    for part in ("model.temperature: 0.1 before, 0.7 now", "seed: 0 before, (absent) now", "top_p: (absent)"):
        assert part in str(caught.value)


def test_the_fingerprint_knows_content_not_order() -> None:
    assert fingerprint({"a": 1, "b": (1, 2)}) == fingerprint({"b": [1, 2], "a": 1})
    assert fingerprint({"a": 1}) != fingerprint({"a": 2})
    with pytest.raises(ValueError):
        fingerprint({"a": float("nan")})
    with pytest.raises(TypeError):
        fingerprint({"a": object()})
    assert differences({"a": (1,)}, {"a": [1]}) == []


def test_one_run_has_one_writer(path: Path) -> None:
    with (
        Journal.resume(path, settings=SETTINGS),
        pytest.raises(JournalLockedError, match="another process is writing"),
    ):
        Journal.resume(path, settings=SETTINGS)
    Journal.resume(path, settings=SETTINGS).close()


def test_a_killed_writer_keeps_what_it_finished_and_no_lock(tmp_path: Path) -> None:
    path = tmp_path / "run.jsonl"
    script = textwrap.dedent(
        """
        import sys
        from hierarchical_reasoning.journal.file import Journal
        journal = Journal.create(sys.argv[1], settings={}, config={}, versions={})
        for index in range(10**6):
            journal.append(f"p{index}", {})
            print(index, flush=True)
        """
    )
    with subprocess.Popen(
        [sys.executable, "-c", script, str(path)], stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        while process.stdout.readline().strip() != "20":
            pass
        with pytest.raises(JournalLockedError):
            Journal.resume(path, settings={})
        process.send_signal(signal.SIGKILL)
        reported = 20 + len(process.stdout.read().split())
    with Journal.resume(path, settings={}) as journal:
        ids = [record.problem_id for record in journal.contents.records]
    assert ids == [f"p{index}" for index in range(len(ids))]
    assert reported + 1 <= len(ids) <= reported + 2


def test_a_forked_worker_that_lives_on_keeps_no_lock(path: Path) -> None:
    journal = Journal.resume(path, settings=SETTINGS)
    ready, done = os.pipe(), os.pipe()
    child = os.fork()
    if child == 0:
        os.write(ready[1], b"x")
        os.read(done[0], 1)
        os._exit(0)
    try:
        os.read(ready[0], 1)
        journal.append("p9", {})  # the child took nothing from this process
        journal.close()
        Journal.resume(path, settings=SETTINGS).close()
    finally:
        os.write(done[1], b"x")
        os.waitpid(child, 0)
        for descriptor in (*ready, *done):
            os.close(descriptor)


def test_sessions_add_up(path: Path) -> None:
    for _ in range(2):
        with Journal.resume(path, settings=SETTINGS) as journal:
            journal.append("p0", {})
            journal.end_session({"reasoner": {"calls": 1}})
            journal.close()
            journal.end_session({})  # closed: nothing is written
    contents = read_journal(path)
    assert [*contents.sessions] == [1, 2, 3]
    assert contents.unfinished == ({"reasoner": {"calls": 1}},) * 2
    with Journal.resume(path, settings=SETTINGS) as journal:
        assert journal.session == 4
        assert journal.seconds > sum(contents.sessions.values())


def test_a_damaged_end_of_a_session_costs_no_problem(path: Path) -> None:
    with Journal.resume(path, settings=SETTINGS) as journal:
        journal.end_session({})
    whole = path.read_bytes()
    path.write_bytes(whole[:-9])
    assert "no problem is lost" in (read_journal(path).torn or "")
    with Journal.resume(path, settings=SETTINGS) as journal:
        journal.append("p3", {})
    assert len(read_journal(path).places) == 4
    path.write_bytes(whole.replace(b"elapsed_s", b"elapsed_z") + line_of({"kind": "problem"}))
    with pytest.raises(JournalError, match="line 2 is damaged: problem 'p0'"):
        read_journal(path)


def test_whole_lines_that_are_none_of_ours_are_damage(path: Path) -> None:
    path.write_bytes(
        path.read_bytes() + line_of({"kind": "problem", "problem_id": 3}) + line_of({"kind": "new"})
    )
    with pytest.raises(JournalError, match="line 5 is damaged: one problem is lost, the 3 other"):
        read_journal(path)


def test_a_journal_of_the_first_version_goes_on(path: Path) -> None:
    header, *problems = map(json.loads, path.read_text().splitlines())
    del header["order"], header["crc"]
    for problem in problems:
        del problem["session"], problem["elapsed_s"], problem["crc"]
    path.write_bytes(b"".join(map(line_of, [header | {"schema_version": 1}, *problems])))
    with Journal.resume(path, settings=SETTINGS) as journal:
        assert (journal.session, journal.contents.sessions) == (1, {})
        journal.append("p3", {})
    assert [record.problem_id for record in read_journal(path).records] == ["p0", "p1", "p2", "p3"]
    path.write_bytes(line_of(header | {"schema_version": 3}))
    with pytest.raises(JournalError, match="schema 3, this version reads 2"):
        read_header(path)


@pytest.fixture
def room_for() -> Iterator[Any]:
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    yield lambda size: resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_a_full_disk_loses_one_problem_and_says_so(path: Path, room_for: Any) -> None:
    with Journal.resume(path, settings=SETTINGS) as journal:
        room_for(path.stat().st_size + 40)
        with pytest.raises(OutputError, match=r"problem 'big' is lost.*--resume"):
            journal.append("big", {"text": "x" * 1000})
        with pytest.raises(OutputError, match="is closed"):
            journal.append("next", {})
    room_for(resource.RLIM_INFINITY)
    with Journal.resume(path, settings=SETTINGS) as journal:
        assert "'big'" in (journal.contents.torn or "") or "one problem" in (journal.contents.torn or "")
        journal.append("big", {})
    assert list(read_journal(path).latest)[-1] == ("big", 0)


def test_a_deleted_journal_stops_the_run(path: Path) -> None:
    with Journal.resume(path, settings=SETTINGS) as journal:
        path.unlink()
        with pytest.raises(OutputError, match="deleted during the run"):
            journal.append("p9", {})


def test_where_nothing_can_be_written_it_is_said(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError, match="--cache_dir"):
        start(tmp_path / "file" / "run.jsonl")
    with pytest.raises(ValueError):
        start(tmp_path / "run.jsonl", {"a": float("inf")})
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def test_an_entry_that_is_no_json_is_refused_and_leaves_no_trace(path: Path) -> None:
    before = path.read_bytes()
    with Journal.resume(path, settings=SETTINGS) as journal, pytest.raises(ValueError):
        journal.append("p9", {"value": float("nan")})
    assert path.read_bytes() == before
