import asyncio
import json
import os
import random
import re
import signal
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from llm_backends import ReplyCache, Request
from llm_backends.errors import ServerError
from llm_backends.scripted import ScriptedBackend
from taxonomy import BuildError, Chunk, OutputDirectoryError, Rollout, load_taxonomy, write_rollouts
from taxonomy.building.directory_writer import write_taxonomy_directory
from taxonomy.building.given_labels import build_taxonomy
from taxonomy.building.parameters import PipelineParameters
from taxonomy.building.pipeline import PipelineResult, build_directory, stages_beside
from taxonomy.directory import read_labeled_chunks

FEW = ("Multiplication", "Addition", "Result Check", "Answer Statement")
MakeRollouts = Callable[..., list[Rollout]]


def build(
    rollouts: list[Rollout],
    output: Path,
    backend: ScriptedBackend | None = None,
    *,
    overwrite: bool = False,
    **parameters: object,
) -> PipelineResult:
    source = output.parent / "rollouts.jsonl"
    write_rollouts(rollouts, source)
    wanted = PipelineParameters(**parameters)  # type: ignore[arg-type]
    return asyncio.run(build_directory([source], output, wanted, backend=backend, overwrite=overwrite))


def contents(directory: Path) -> dict[str, bytes]:
    return {entry.name: entry.read_bytes() for entry in directory.iterdir()}


def stage_names(result: PipelineResult, *, kept: bool) -> list[str]:
    return [stage.name for stage in result.stages if stage.kept is kept]


def without_labels(rollouts: list[Rollout]) -> list[Rollout]:
    return [replace(r, chunks=tuple(Chunk(c.idx, c.text) for c in r.chunks)) for r in rollouts]


def sizes_of(output: Path) -> list[int]:
    taxonomy = load_taxonomy(output)
    return [len(taxonomy.at_level(level)) for level in taxonomy.levels]


def check_tree(output: Path, rollouts: list[Rollout]) -> None:
    """What holds for every taxonomy: nested, named apart, described, every chunk at every level."""
    taxonomy = load_taxonomy(output)
    places = [(rollout.id, chunk.idx) for rollout in rollouts for chunk in rollout.chunks]
    manifest = json.loads((output / "manifest.json").read_text())
    assert set(manifest["files"]) | {"manifest.json"} == set(contents(output))
    before: list[str] | None = None
    for level in taxonomy.levels:
        kinds = taxonomy.at_level(level)
        assert len({kind.label.casefold() for kind in kinds}) == len(kinds)
        assert all(kind.description for kind in kinds)
        assert sum(taxonomy.node(kind.node_id).size or 0 for kind in kinds) == len(places)
        rows = read_labeled_chunks(output, level)
        assert [(row.rollout_id, row.chunk_idx) for row in rows] == places
        assert {row.label for row in rows} == {kind.name for kind in kinds}
        nodes = [next(kind.node_id for kind in kinds if kind.name == row.label) for row in rows]
        if before is not None:
            assert all(
                taxonomy.node(node).parent_id == above for node, above in zip(nodes, before, strict=True)
            )
        before = nodes


def test_given_labels_give_what_they_always_gave(tmp_path: Path, rollouts: list[Rollout]) -> None:
    result = build(rollouts, tmp_path / "tree", levels=4)
    assert result.basis == "given"
    write_taxonomy_directory(
        build_taxonomy(rollouts, levels=4), tmp_path / "plain", inputs=[tmp_path / "rollouts.jsonl"]
    )
    built, plain = contents(tmp_path / "tree"), contents(tmp_path / "plain")
    manifest = json.loads(built.pop("manifest.json"))
    del built["examples.csv"], manifest["files"]["examples.csv"]
    expected = json.loads(plain.pop("manifest.json"))
    assert expected.pop("parameters").items() <= (manifest["parameters"] | {"dimensions": 100}).items()
    assert expected.items() <= manifest.items()
    assert built == plain
    check_tree(tmp_path / "tree", rollouts)


def test_few_labels_stay_pure_between_coarser_and_finer_levels(
    tmp_path: Path, rollouts_with: MakeRollouts
) -> None:
    rollouts = rollouts_with(60, labels=FEW)
    result = build(rollouts, tmp_path / "tree", levels=5)
    assert result.basis == "around"
    check_tree(tmp_path / "tree", rollouts)
    sizes = sizes_of(tmp_path / "tree")
    assert len(sizes) >= 4
    assert 4 in sizes
    assert sizes[-1] > 4
    taxonomy = load_taxonomy(tmp_path / "tree")
    whole = sizes.index(4)
    assert {kind.label for kind in taxonomy.at_level(whole)} == set(FEW)
    deepest = taxonomy.at_level(len(sizes) - 1)
    assert all(len(taxonomy.node(kind.node_id).given_labels) == 1 for kind in deepest)
    label_of = {(r.id, c.idx): c.label for r in rollouts for c in r.chunks}
    given_of = {kind.name: taxonomy.node(kind.node_id).given_labels for kind in deepest}
    for row in read_labeled_chunks(tmp_path / "tree", len(sizes) - 1):
        assert given_of[row.label] == (label_of[row.rollout_id, row.chunk_idx],)
    # "Multiplying ..." and "... times ..." are two ways to say one thing.
    assert any(kind.label.startswith("Multiplication: ") for kind in deepest)


def test_sizes_around_the_labels_can_be_set(tmp_path: Path, rollouts_with: MakeRollouts) -> None:
    rollouts = rollouts_with(60, labels=FEW)
    build(rollouts, tmp_path / "tree", level_sizes=(1, 2, 4, 6))
    assert sizes_of(tmp_path / "tree") == [1, 2, 4, 6]
    with pytest.raises(BuildError, match=r"the given labels, which are 4, must be one of the levels"):
        build(rollouts, tmp_path / "other", level_sizes=(1, 2, 5, 8))
    with pytest.raises(BuildError, match=r"\(1, 4, 6, 200\), but the texts within the 4 given labels carry"):
        build(rollouts, tmp_path / "much", level_sizes=(1, 4, 6, 200))
    plain = build(rollouts, tmp_path / "plain", max_clusters=4, levels=3)
    assert (plain.basis, sizes_of(tmp_path / "plain")[-1]) == ("given", 4)


def test_texts_without_labels_are_clustered(tmp_path: Path, rollouts: list[Rollout]) -> None:
    result = build(without_labels(rollouts), tmp_path / "tree", levels=4, max_clusters=8, n_centroids=60)
    assert result.basis == "texts"
    assert result.notes == ("none of the 400 chunks has a label: they were clustered by their texts",)
    check_tree(tmp_path / "tree", rollouts)
    assert len(sizes_of(tmp_path / "tree")) >= 4
    assert load_taxonomy(tmp_path / "tree").given_labels == ()
    ignored = build(rollouts, tmp_path / "ignored", levels=4, max_clusters=8, n_centroids=60, labeler="none")
    assert (ignored.basis, ignored.notes) == ("texts", ())
    assert load_taxonomy(tmp_path / "ignored").walk() == load_taxonomy(tmp_path / "tree").walk()


@pytest.mark.parametrize("labels", [True, False])
def test_the_order_of_the_rollouts_does_not_matter(
    tmp_path: Path, rollouts_with: MakeRollouts, labels: bool
) -> None:
    rollouts = rollouts_with(30, labels=FEW)
    rollouts = rollouts if labels else without_labels(rollouts)
    trees = set()
    for seed in range(5):
        shuffled = random.Random(seed).sample(rollouts, len(rollouts))
        build(shuffled, tmp_path / f"tree{seed}", levels=4)
        files = contents(tmp_path / f"tree{seed}")
        del files["manifest.json"]
        trees.add(tuple(sorted(files.items())))
    assert len(trees) == 1


def test_undivided_traces_are_divided_and_clustered(tmp_path: Path, rollouts: list[Rollout]) -> None:
    whole = [Rollout(r.id, r.problem, (), text=" ".join(chunk.text for chunk in r.chunks)) for r in rollouts]
    result = build(whole, tmp_path / "tree", levels=3)
    assert result.notes[0] == "40 of 40 rollouts came undivided and were divided by sentences"
    rows = read_labeled_chunks(tmp_path / "tree", 1)
    assert "".join(row.text for row in rows if row.rollout_id == "r000") == whole[0].text


def test_remaining_chunks_go_to_the_nearest_thought_type(tmp_path: Path, rollouts_with: MakeRollouts) -> None:
    rollouts = rollouts_with(60, labels=FEW)
    bare = without_labels(rollouts[:10])
    build([*bare, *rollouts[10:]], tmp_path / "tree", levels=4, unlabeled="nearest", embedder="tfidf")
    check_tree(tmp_path / "tree", rollouts)
    taxonomy = load_taxonomy(tmp_path / "tree")
    level = sizes_of(tmp_path / "tree").index(4)
    given = {(r.id, c.idx): c.label for r in rollouts[:10] for c in r.chunks}
    placed = [
        (row.label, given[row.rollout_id, row.chunk_idx])
        for row in read_labeled_chunks(tmp_path / "tree", level)
        if (row.rollout_id, row.chunk_idx) in given
    ]
    assert len(placed) == 40
    assert sum(a == b for a, b in placed) >= 36
    assert taxonomy.root.size == 240
    left_out = build([*bare, *rollouts[10:]], tmp_path / "less", levels=4)
    assert "40 of 240 chunks have no label and were left out" in left_out.notes
    assert load_taxonomy(tmp_path / "less").root.size == 200


def test_only_what_changed_is_run_again(tmp_path: Path, rollouts_with: MakeRollouts) -> None:
    rollouts = rollouts_with(30, labels=FEW)
    output = tmp_path / "tree"
    assert stage_names(build(rollouts, output), kept=False) == ["read", "embed", "grow", "name"]
    before = contents(output)
    again = build(rollouts, output)
    assert (again.built, again.stages) == (None, ())
    assert contents(output) == before
    with pytest.raises(OutputDirectoryError, match="--overwrite"):
        build(rollouts, output, levels=4)
    levels = build(rollouts, output, levels=4, overwrite=True)
    assert stage_names(levels, kept=True) == ["read", "embed"]
    dimensions = build(rollouts, output, levels=4, dimensions=7, overwrite=True)
    assert stage_names(dimensions, kept=True) == ["read"]
    back = build(rollouts[:-1], output, levels=4, dimensions=7, overwrite=True)
    assert stage_names(back, kept=True) == []


def test_a_result_that_was_tampered_with_is_made_again(tmp_path: Path, rollouts_with: MakeRollouts) -> None:
    rollouts = rollouts_with(30, labels=FEW)
    build(rollouts, tmp_path / "tree")
    kept = stages_beside(tmp_path / "tree")
    (kept / "grow.json").write_text("{}")
    (kept / "name.json.made_from.json").write_text("torn")
    result = build(rollouts, tmp_path / "tree2")
    assert stage_names(result, kept=True) == []
    source = tmp_path / "rollouts.jsonl"
    mended = asyncio.run(build_directory([source], tmp_path / "tree3", PipelineParameters(), stages_dir=kept))
    assert stage_names(mended, kept=False) == ["grow", "name"]
    assert contents(tmp_path / "tree3") == contents(tmp_path / "tree2")


KILLED = """
import asyncio, os, signal, sys
from pathlib import Path
from taxonomy.building.pipeline import build_directory
from taxonomy.building.parameters import PipelineParameters

def kill_after(stage):
    if stage.name == sys.argv[3]:
        os.kill(os.getpid(), signal.SIGKILL)

asyncio.run(build_directory([Path(sys.argv[1])], Path(sys.argv[2]), PipelineParameters(levels=4), on_stage=kill_after))
"""


@pytest.mark.parametrize(("last", "owed"), [("embed", ["grow", "name"]), ("name", [])])
def test_a_kill_between_stages_loses_nothing(
    tmp_path: Path, rollouts_with: MakeRollouts, last: str, owed: list[str]
) -> None:
    rollouts = rollouts_with(30, labels=FEW)
    source, output = tmp_path / "rollouts.jsonl", tmp_path / "tree"
    write_rollouts(rollouts, source)
    root = Path(__file__).resolve().parents[2]
    killed = subprocess.run(
        [sys.executable, "-c", KILLED, str(source), str(output), last],
        cwd=root,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        check=False,
    )
    assert killed.returncode == -signal.SIGKILL
    assert not output.exists()
    result = build(rollouts, output, levels=4)
    assert stage_names(result, kept=False) == owed
    build(rollouts, tmp_path / "whole", levels=4)
    assert contents(output) == contents(tmp_path / "whole")


def test_a_failed_write_leaves_the_old_taxonomy(tmp_path: Path, rollouts_with: MakeRollouts) -> None:
    rollouts = rollouts_with(30, labels=FEW)
    build(rollouts, tmp_path / "tree")
    (tmp_path / "tree" / "thesis.tex").write_text("years of work")
    before = contents(tmp_path / "tree")
    with pytest.raises(OutputDirectoryError, match=r"thesis\.tex"):
        build(rollouts, tmp_path / "tree", levels=3, overwrite=True)
    assert contents(tmp_path / "tree") == before
    (tmp_path / "blocked").write_text("")
    with pytest.raises(OutputDirectoryError, match="--stages_dir"):
        asyncio.run(
            build_directory(
                [tmp_path / "rollouts.jsonl"],
                tmp_path / "new",
                PipelineParameters(),
                stages_dir=tmp_path / "blocked",
            )
        )


def names_for(request: Request) -> str:
    """Proposals for a node: one that fits its steps, and one that fits any."""
    content = request.messages[0].content
    says = {"times": "Multiplying", "plus": "Adding", "check": "Checking", "answer": "Answering"}
    number = len(re.findall("<step", content))
    fitting = [name for word, name in says.items() if word in content.casefold()] or ["Else"]
    candidates = [{"label": "Unrelated words", "description": "Zebra quagga."}] + [
        {"label": f"{name} {number}", "description": f"Say that {name} it plus times check answer."}
        for name in fitting
    ]
    return json.dumps({"candidates": candidates})


def test_a_model_names_the_nodes(tmp_path: Path, rollouts: list[Rollout]) -> None:
    backend = ScriptedBackend(names_for)
    bare = without_labels(rollouts)
    result = build(bare, tmp_path / "tree", backend, namer="llm", levels=3, max_clusters=5, n_centroids=40)
    check_tree(tmp_path / "tree", rollouts)
    labels = [node.label for node in load_taxonomy(tmp_path / "tree").walk()]
    assert any(label.startswith(("Adding", "Answering")) for label in labels)
    assert {request.role for request in backend.requests} == {"namer"}
    manifest = json.loads((tmp_path / "tree" / "manifest.json").read_text())
    assert manifest["model"] == {"framework": "scripted", "model": "scripted"}
    calls = backend.calls
    again = build(bare, tmp_path / "tree", backend, namer="llm", levels=3, max_clusters=5, n_centroids=40)
    assert (again.built, backend.calls) == (None, calls)
    assert "name" in stage_names(result, kept=False)


def test_names_that_are_taken_are_asked_about_again_then_done_without(
    tmp_path: Path, rollouts: list[Rollout]
) -> None:
    same = json.dumps({"candidates": [{"label": "Thinking", "description": "Think."}]})
    backend = ScriptedBackend(lambda request: same)
    bare = without_labels(rollouts)
    result = build(bare, tmp_path / "tree", backend, namer="llm", levels=3, max_clusters=5, n_centroids=40)
    check_tree(tmp_path / "tree", rollouts)
    assert any("taken by other kinds: " in request.messages[0].content for request in backend.requests)
    assert any(
        note.startswith("scripted found no name of its own for a node of level") for note in result.notes
    )


def test_given_labels_keep_their_names_and_get_descriptions(
    tmp_path: Path, rollouts_with: MakeRollouts
) -> None:
    rollouts = [
        replace(r, chunks=tuple(replace(c, description=None) for c in r.chunks))
        for r in rollouts_with(30, labels=FEW)
    ]
    backend = ScriptedBackend(names_for)
    build(rollouts, tmp_path / "tree", backend, namer="llm", levels=4)
    check_tree(tmp_path / "tree", rollouts)
    level = sizes_of(tmp_path / "tree").index(4)
    kinds = load_taxonomy(tmp_path / "tree").at_level(level)
    assert {kind.label for kind in kinds} == set(FEW)
    assert not any(kind.description.startswith("Steps such as") for kind in kinds)


def everything(request: Request) -> str:
    if request.role == "namer":
        return names_for(request)
    content = request.messages[0].content
    if request.role == "chunker":
        passage = content[content.index("<passage>\n") + 10 : content.index("\n</passage>")]
        return json.dumps({"chunks": re.findall(r"[^.]+\.\s*", passage)})
    steps = re.findall(r"<step number=\d+>\n(.*?)\n</step>", content, re.DOTALL)
    kinds = ("plus", "Adding", "times", "check", "answer", "need", "Dividing", "sides")
    found = [next((kind for kind in kinds if kind in step), "other") for step in steps]
    return json.dumps({"labels": [{"label": f"Kind {k}", "description": f"Do {k}."} for k in found]})


def test_a_model_does_it_all_and_a_failure_costs_nothing_twice(
    tmp_path: Path, rollouts: list[Rollout]
) -> None:
    whole = [Rollout(r.id, r.problem, (), text=" ".join(chunk.text for chunk in r.chunks)) for r in rollouts]
    wanted = {"chunker": "llm", "labeler": "llm", "namer": "llm", "levels": 3, "max_clusters": 6}
    cache = ReplyCache(tmp_path / "replies.sqlite")
    failing = ScriptedBackend(everything, fail_at={60: ServerError("down")}, max_retries=0, cache=cache)
    with pytest.raises(ServerError):
        build(whole, tmp_path / "tree", failing, **wanted)
    assert not (tmp_path / "tree").exists()
    paid = failing.calls - 1
    backend = ScriptedBackend(everything, cache=cache)
    result = build(whole, tmp_path / "tree", backend, **wanted)
    cache.close()
    assert result.basis == "described"
    assert stage_names(result, kept=True) == ["read", "chunk"]
    fresh = ScriptedBackend(everything)
    build(whole, tmp_path / "fresh", fresh, **wanted)
    assert paid + backend.calls == fresh.calls
    assert contents(tmp_path / "tree") == contents(tmp_path / "fresh")
    rows = read_labeled_chunks(tmp_path / "tree", 1)
    assert "".join(row.text for row in rows if row.rollout_id == "r003") == whole[3].text


@pytest.mark.parametrize(("stage", "things"), [("label", "passages to label"), ("name", "nodes to name")])
def test_a_model_that_is_never_usable_builds_nothing_and_nothing_is_kept(
    tmp_path: Path, rollouts: list[Rollout], stage: str, things: str
) -> None:
    backend = ScriptedBackend(lambda request: "I would rather not.")
    asked_for = {"label": "labeler", "name": "namer"}[stage]
    with pytest.raises(
        BuildError, match=rf"of \d+ {things} none .*asked 3 times.*rather not.*\(--{asked_for} "
    ):
        build(without_labels(rollouts), tmp_path / "tree", backend, levels=3, **{asked_for: "llm"})
    assert not (tmp_path / "tree").exists()
    assert not list(stages_beside(tmp_path / "tree").glob(f"{stage}.*"))


def test_what_a_model_failed_at_is_asked_again_as_the_note_says(
    tmp_path: Path, rollouts: list[Rollout]
) -> None:
    refused = rollouts[0].chunks[0].text

    def picky(request: Request) -> str:
        return "no" if refused in request.messages[0].content else everything(request)

    wanted = {"labeler": "llm", "levels": 3, "max_clusters": 6}
    cache = ReplyCache(tmp_path / "replies.sqlite")
    bare = without_labels(rollouts)
    result = build(bare, tmp_path / "tree", ScriptedBackend(picky, cache=cache), **wanted)
    assert any("no usable labels for 1 of 40 passages" in note for note in result.notes)
    kept = stages_beside(tmp_path / "tree")
    assert any("delete label.jsonl.gz" in note for note in result.notes)
    (kept / "label.jsonl.gz").unlink()
    source, willing = tmp_path / "rollouts.jsonl", ScriptedBackend(everything, cache=cache)
    parameters = PipelineParameters(**wanted)  # type: ignore[arg-type]
    again = asyncio.run(
        build_directory([source], tmp_path / "again", parameters, backend=willing, stages_dir=kept)
    )
    cache.close()
    assert willing.calls == 1
    assert again.notes == ()


def test_without_a_model_what_needs_one_is_refused(tmp_path: Path, rollouts: list[Rollout]) -> None:
    with pytest.raises(BuildError, match=r"--chunker llm and --namer llm need a language model"):
        build(rollouts, tmp_path / "tree", chunker="llm", namer="llm")


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"chunker": "words"}, "allowed are sentences, paragraphs, llm (--chunker)"),
        ({"labeler": "x"}, "--labeler"),
        ({"levels": 0}, "at least 1 is allowed (--levels)"),
        ({"n_centroids": 1}, "--n_centroids"),
        ({"linkage": "single", "labeler": "none"}, "--linkage"),
        ({"embedder": "word2vec", "labeler": "none"}, "--embedder"),
        ({"min_clusters": 9, "max_clusters": 5, "labeler": "none"}, "--max_clusters"),
        ({"levels": 12, "max_depth": 8}, "--max_depth"),
    ],
)
def test_parameters_out_of_range(
    tmp_path: Path, rollouts: list[Rollout], parameters: dict[str, object], message: str
) -> None:
    with pytest.raises(BuildError) as caught:
        build(rollouts, tmp_path / "tree", **parameters)
    assert message in str(caught.value)
    assert not (tmp_path / "tree").exists()


def test_one_rollout_with_one_chunk(tmp_path: Path) -> None:
    result = build([Rollout("a", "p", (Chunk(0, "So it is."),))], tmp_path / "tree")
    assert sizes_of(tmp_path / "tree") == [1]
    assert "the chunks have one and the same text, so there is one thought type" in result.notes


def test_all_labels_alike_are_divided_by_their_texts(tmp_path: Path, rollouts: list[Rollout]) -> None:
    alike = [
        replace(r, chunks=tuple(replace(c, label="step", description=None) for c in r.chunks))
        for r in rollouts
    ]
    result = build(alike, tmp_path / "tree", levels=3)
    assert result.basis == "around"
    check_tree(tmp_path / "tree", rollouts)
    assert load_taxonomy(tmp_path / "tree").root.label == "Step"
    assert len(sizes_of(tmp_path / "tree")) == 3


def test_texts_all_alike_carry_no_finer_levels_and_that_is_said(
    tmp_path: Path, rollouts_with: MakeRollouts
) -> None:
    rollouts = [
        replace(r, chunks=tuple(replace(c, text="So it is.") for c in r.chunks))
        for r in rollouts_with(10, labels=FEW)
    ]
    result = build(rollouts, tmp_path / "tree", embedder="tfidf")
    assert sizes_of(tmp_path / "tree")[-1] == 4
    assert any("7 levels were asked for, but 4 given labels" in note for note in result.notes)
    bare = build(without_labels(rollouts), tmp_path / "bare", embedder="tfidf")
    assert sizes_of(tmp_path / "bare") == [1]
    assert "the chunks have one and the same text, so there is one thought type" in bare.notes


def test_fewer_chunks_than_clusters_give_a_smaller_tree_that_is_said(
    tmp_path: Path, rollouts: list[Rollout]
) -> None:
    result = build(without_labels(rollouts[:1]), tmp_path / "tree", max_clusters=50, min_cluster_size=1)
    assert sizes_of(tmp_path / "tree")[-1] <= 10
    assert result.built is not None
    check_tree(tmp_path / "tree", rollouts[:1])


def test_embeddings_that_are_not_numbers_are_refused(
    tmp_path: Path, rollouts: list[Rollout], monkeypatch: pytest.MonkeyPatch
) -> None:
    import taxonomy.building.tree_of_rollouts as tree

    def broken(steps: list[object], **options: object) -> np.ndarray:
        vectors = np.ones((len(steps), 3), dtype=np.float32)
        vectors[4, 1] = np.nan
        return vectors

    monkeypatch.setattr(tree, "embed", broken)
    with pytest.raises(BuildError, match=r"chunk 4 of rollout 'r000' is not finite.*\(--embedder\)"):
        build(without_labels(rollouts), tmp_path / "tree")


def test_places_that_repeat_or_are_negative_are_numbered_anew_and_that_is_said(
    tmp_path: Path, rollouts: list[Rollout]
) -> None:
    first = replace(rollouts[0], chunks=tuple(replace(c, idx=5) for c in rollouts[0].chunks))
    second = replace(rollouts[1], chunks=tuple(replace(c, idx=c.idx - 3) for c in rollouts[1].chunks))
    result = build([first, second, *rollouts[2:]], tmp_path / "tree", levels=3)
    assert "2 rollouts use a chunk's 'idx' twice or below 0; their chunks were numbered anew" in result.notes
    check_tree(tmp_path / "tree", rollouts)


def test_more_labels_than_can_stay_pure_are_clustered_by_what_they_say(tmp_path: Path) -> None:
    words = ("add", "check", "plan", "state", "recall")
    chunks = tuple(
        Chunk(i, f"text {i}", f"{words[i % 5]} part {i}", f"{words[i % 5]} something") for i in range(600)
    )
    result = build([Rollout("a", "p", chunks)], tmp_path / "tree", levels=3, max_clusters=5)
    assert result.basis == "described"
    assert any("600 different labels, of which 512 at most stay pure" in note for note in result.notes)
    assert len(sizes_of(tmp_path / "tree")) >= 3


def test_what_a_kill_left_of_a_directory_is_removed(tmp_path: Path, rollouts: list[Rollout]) -> None:
    left = tmp_path / ".tree.staging-abc"
    left.mkdir()
    (left / "manifest.json").write_text("{}")
    other = tmp_path / ".trees.staging-abc"
    other.mkdir()
    build(rollouts, tmp_path / "tree", levels=3)
    assert not left.exists()
    assert other.exists()
