"""What the command line makes of input that nobody would wish for: one clear line, or a smaller result that is said."""

import gzip
import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import networkx as nx
import pytest
from click.testing import CliRunner, Result
from hypothesis import given, settings
from hypothesis import strategies as st

from taxonomy import load_taxonomy
from taxonomy.cli import main

ROOT = Path(__file__).resolve().parents[2]
LONG_LINE_BYTES = 200 * 2**20


def write(path: Path, *rollouts: list[dict[str, object]] | str) -> Path:
    """A rollout for each list of chunks, or text."""
    rows = [
        {"id": f"r{number}", "problem": "p", ("text" if isinstance(each, str) else "chunks"): each}
        for number, each in enumerate(rollouts)
    ]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def chunks(*texts: str, label: str | None = None) -> list[dict[str, object]]:
    return [{"text": text} if label is None else {"text": text, "label": label} for text in texts]


def build(*arguments: object) -> Result:
    return CliRunner().invoke(main, ["build", *map(str, arguments)])


def refused(result: Result, message: str) -> None:
    """One line that says why, after those of the stages that were done."""
    assert result.exit_code == 2
    *stages, reason = result.stderr.splitlines()
    assert message in reason
    assert reason.startswith("Error: ")
    assert not any("Error" in line for line in stages)
    assert "Traceback" not in result.output


def smaller(result: Result, sizes: str, said: str) -> None:
    assert result.exit_code == 0, result.output
    assert f"level sizes: {sizes}\n" in result.stdout
    assert said in result.stderr


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("r.jsonl", "holds no rollouts"),
        ("r.json", "is empty"),
        ("r.csv", "is empty"),
        ("r.jsonl.gz", "holds no rollouts"),
        ("r.json.gz", "is empty"),
        ("r.csv.gz", "is empty"),
    ],
)
def test_an_empty_file(tmp_path: Path, name: str, message: str) -> None:
    (tmp_path / name).write_bytes(gzip.compress(b"") if name.endswith("gz") else b"")
    refused(build(tmp_path / name, "--output", tmp_path / "tree"), f"{name}: {message}")
    assert not (tmp_path / "tree").exists()


def test_one_rollout_and_one_chunk(tmp_path: Path) -> None:
    one = write(tmp_path / "one.jsonl", chunks("First we add.", "Then we check.", "So it is 4."))
    smaller(build(one, "--output", tmp_path / "a"), "1", "7 levels were asked for")
    smaller(
        build(one, "--min_cluster_size", 1, "--output", tmp_path / "b"), "1, 2, 3", "7 levels were asked for"
    )
    alone = write(tmp_path / "alone.jsonl", chunks("First we add."))
    smaller(
        build(alone, "--output", tmp_path / "c"), "1", "one and the same text, so there is one thought type"
    )
    labeled = write(tmp_path / "labeled.jsonl", chunks("First we add.", label="Addition"))
    smaller(build(labeled, "--output", tmp_path / "d"), "1", "1 given labels")


def test_all_labels_alike(tmp_path: Path) -> None:
    rollouts = [chunks(f"Add {n}.", f"Wait, {n}?", label="same") for n in range(30)]
    result = build(write(tmp_path / "r.jsonl", *rollouts), "--output", tmp_path / "tree")
    smaller(result, "1, 2", "1 given labels and the texts within them, of 2 nodes at most, carry 2")


def test_fewer_chunks_than_clusters(tmp_path: Path) -> None:
    file = write(tmp_path / "r.jsonl", *[chunks(f"Add {n}.", "Wait?") for n in range(9)])
    smaller(build(file, "--max_clusters", 500, "--output", tmp_path / "a"), "1, 2", "allow 2 at most")
    exact = build(file, "--level_sizes", "1,2,500", "--output", tmp_path / "b")
    refused(exact, "level sizes are (1, 2, 500), but the embeddings carry 2 clusters at most")


@pytest.mark.parametrize("embedder", ["discourse", "tfidf"])
@pytest.mark.parametrize("label", [None, "A"])
def test_texts_without_a_word(tmp_path: Path, embedder: str, label: str | None) -> None:
    rollouts = [chunks("   ", "\n\t", "...", " ?! ", label=label)] * 5
    result = build(
        write(tmp_path / "r.jsonl", *rollouts), "--embedder", embedder, "--output", tmp_path / "tree"
    )
    refused(result, "none of the 20 chunks holds a word")
    assert not (tmp_path / "tree").exists()


def test_traces_without_a_word(tmp_path: Path) -> None:
    blank = build(write(tmp_path / "b.jsonl", "So.", " \n "), "--output", tmp_path / "a")
    refused(blank, "b.jsonl, line 2 (id 'r1'): the text of the trace is nothing but white space")
    dots = build(write(tmp_path / "d.jsonl", *["... !!! "] * 3), "--output", tmp_path / "b")
    refused(dots, "none of the 3 chunks holds a word")


def test_ids_used_twice(tmp_path: Path) -> None:
    row = json.dumps({"id": "a", "problem": "p", "chunks": chunks("So.")}) + "\n"
    (tmp_path / "twice.jsonl").write_text(row * 2)
    (tmp_path / "once.jsonl").write_text(row)
    within = build(tmp_path / "twice.jsonl", "--output", tmp_path / "tree")
    refused(within, "twice.jsonl, line 2: id 'a' was used at line 1; ids must differ")
    other = write(tmp_path / "other.jsonl", chunks("Wait."))
    other.write_text(other.read_text().replace('"r0"', '"a"'))
    over = build(tmp_path / "once.jsonl", other, "--output", tmp_path / "both")
    smaller(over, "1", "2 of 2 rollouts have an id that occurs in several files")
    same = build(tmp_path / "once.jsonl", tmp_path / "once.jsonl", "--output", tmp_path / "tree")
    refused(same, "once.jsonl: is given twice")


@pytest.mark.parametrize(
    ("cut", "message"), [(-8, "end-of-stream marker"), (30, "r.jsonl.gz"), (None, "Not a gzipped file")]
)
def test_broken_gzip(tmp_path: Path, cut: int | None, message: str) -> None:
    rows = (json.dumps({"id": n, "problem": "p", "chunks": chunks(f"So {n}.")}) + "\n" for n in range(500))
    data = "".join(rows).encode()
    (tmp_path / "r.jsonl.gz").write_bytes(data if cut is None else gzip.compress(data)[:cut])
    refused(build(tmp_path / "r.jsonl.gz", "--output", tmp_path / "tree"), message)


def test_an_output_that_cannot_be_written(tmp_path: Path) -> None:
    file = write(tmp_path / "r.jsonl", chunks("So."))
    refused(build(file, "--output", file), "is a file, expected a directory (--output)")
    refused(build(file, "--output", file / "tree"), "--output")
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "thesis.tex").write_text("years of work")
    refused(build(file, "--output", tmp_path / "full", "--overwrite"), "thesis.tex")


MEASURED = """
import re, sys
from taxonomy.cli import main
try:
    main(sys.argv[1:])
except SystemExit as error:
    print(error.code, re.search(r"VmHWM:\\s+(\\d+) kB", open("/proc/self/status").read()).group(1))
"""
"""Prints the exit status and the peak of its memory in KiB: `ru_maxrss` would be that of whoever started it."""


@pytest.mark.parametrize("name", ["r.jsonl", "r.jsonl.gz", "r.csv"])
def test_a_line_of_200_megabytes_is_refused_before_it_is_in_memory(tmp_path: Path, name: str) -> None:
    with gzip.open(tmp_path / name, "wb", 1) if name.endswith("gz") else (tmp_path / name).open("wb") as file:
        file.write(b"id,text\na," if name == "r.csv" else b'{"id": "a", "problem": "p", "text": "')
        for _ in range(LONG_LINE_BYTES // 2**20):
            file.write(b"x" * 2**20)
    found = subprocess.run(
        [sys.executable, "-c", MEASURED, "build", str(tmp_path / name), "--output", str(tmp_path / "tree")],
        cwd=ROOT,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert found.stdout, found.stderr
    status, peak_kib = map(int, found.stdout.split())
    assert status == 2
    assert f"{name}" in found.stderr
    assert found.stderr.count("Error") == 1
    assert "Traceback" not in found.stderr
    assert peak_kib < 400 * 1024


class NotNumbers(BaseHTTPRequestHandler):
    """Embeddings of which one is not a number."""

    def do_POST(self) -> None:
        asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        vectors = [[float("nan") if n == 4 else 1.0, float(n)] for n in range(len(asked["input"]))]
        data = [{"object": "embedding", "index": n, "embedding": v} for n, v in enumerate(vectors)]
        body = {"object": "list", "model": asked["model"], "data": data}
        content = json.dumps({**body, "usage": {"prompt_tokens": 1, "total_tokens": 1}}).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def embeddings_server() -> Iterator[str]:
    with ThreadingHTTPServer(("127.0.0.1", 0), NotNumbers) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}/v1"
        server.shutdown()
        thread.join()


def test_embeddings_that_are_no_numbers(
    tmp_path: Path, embeddings_server: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_BASE_URL", embeddings_server)
    monkeypatch.setenv("OPENAI_API_KEY", "x")
    file = write(tmp_path / "r.jsonl", *[chunks(f"Add {n}.", f"Wait {n}?") for n in range(9)])
    result = build(file, "--embedder", "openai:any", "--output", tmp_path / "tree")
    refused(result, "not finite; another can be chosen (--embedder)")
    assert not (tmp_path / "tree").exists()


awkward = st.sampled_from(
    ['"', "'", "&", "&quot;", "&#10;", "\n", "\r", "\x00", "\x1b", "]", "\\", "é", "棋", "𝔸"]
)
labels = st.lists(awkward | st.text("ab ", max_size=3), min_size=1, max_size=5).map("".join).filter(str.strip)


@settings(max_examples=20)
@given(st.lists(labels, min_size=2, max_size=4, unique_by=lambda text: " ".join(text.split()).casefold()))
def test_whatever_a_label_is_the_tree_has_it(
    tmp_path_factory: pytest.TempPathFactory, given_labels: list[str]
) -> None:
    here = tmp_path_factory.mktemp("labels")
    rollouts = [[{"text": f"Step {n}.", "label": label} for n, label in enumerate(given_labels)]] * 3
    result = build(write(here / "r.jsonl", *rollouts), "--output", here / "tree")
    assert result.exit_code == 0, result.output
    assert set(load_taxonomy(here / "tree").given_labels) == set(given_labels)
    graph = nx.read_gml(here / "tree" / "labeled_hierarchical_tree.gml")
    read = {data["given_label"] for _, data in graph.nodes(data=True) if data.get("given_label")}
    assert read == set(given_labels)
