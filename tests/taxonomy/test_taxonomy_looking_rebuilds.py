"""Stability of every kind of directory that a build writes, and what it takes to rebuild one."""

import asyncio
import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from click.testing import CliRunner

from llm_backends import Request
from llm_backends.scripted import ScriptedBackend
from taxonomy import Chunk, Rollout, load_taxonomy, write_rollouts
from taxonomy.building.parameters import PipelineParameters
from taxonomy.building.pipeline import build_directory, stages_beside
from taxonomy.cli import main
from taxonomy.looking.source_rollouts import KeptStages, read_source_files
from taxonomy.looking.stability import Variation, measure_stability
from taxonomy.looking.stats import taxonomy_stats
from taxonomy.looking.traces import read_traces

FEW = ("Multiplication", "Addition", "Result Check", "Answer Statement")
BASES: dict[str, dict[str, object]] = {
    "given": {"levels": 4},
    "around": {"levels": 4},
    "texts": {"labeler": "none", "levels": 4, "max_clusters": 8},
    "described": {"labeler": "llm", "levels": 3, "max_clusters": 5},
}
MakeRollouts = Callable[..., list[Rollout]]


def label(request: Request) -> str:
    """By a word of the step; proposals for nodes are never asked for here."""
    steps = request.messages[0].content.split("<step number=")[1:]
    kinds = ("plus", "Adding", "times", "check", "answer")
    found = [next((kind for kind in kinds if kind in step), "other") for step in steps]
    return json.dumps({"labels": [{"label": f"Kind {k}", "description": f"Do {k}."} for k in found]})


def built(directory: Path, basis: str, rollouts: list[Rollout], **more: object) -> Path:
    if basis == "described":
        rollouts = [replace(r, chunks=tuple(Chunk(c.idx, c.text) for c in r.chunks)) for r in rollouts]
    write_rollouts(rollouts, directory / "r.jsonl")
    wanted = PipelineParameters(**{**BASES[basis], **more})  # type: ignore[arg-type]
    backend = ScriptedBackend(label) if basis == "described" else None
    result = asyncio.run(
        build_directory([directory / "r.jsonl"], directory / "tree", wanted, backend=backend)
    )
    assert result.basis == basis
    return directory / "tree"


@pytest.fixture(params=BASES)
def tree(request: pytest.FixtureRequest, tmp_path: Path, rollouts_with: MakeRollouts) -> Path:
    basis = str(request.param)
    rollouts = rollouts_with(40) if basis == "given" else rollouts_with(60, labels=FEW)
    return built(tmp_path, basis, rollouts)


def test_what_the_build_kept_rebuilds_the_very_tree(tree: Path) -> None:
    seen: list[tuple[int, int]] = []
    stability = measure_stability(
        tree, seeds=1, bootstraps=2, on_rebuild=lambda number, total: seen.append((number, total))
    )
    assert stability.reason is None
    assert stability.notes == (f"rebuilt from the rollouts that its build kept in {stages_beside(tree)}",)
    assert seen == [(1, 4), (2, 4), (3, 4), (4, 4)]
    levels = load_taxonomy(tree).levels
    assert len(levels) >= 3
    for level in levels:
        assert len(stability.values(Variation.SEED, level)) == 1
        assert len(stability.values(Variation.BOOTSTRAP, level)) == 2
    assert set(stability.values(Variation.SEED, 0)) == {1.0}
    assert stability == measure_stability(tree, seeds=1, bootstraps=2)


def test_without_what_the_build_kept(tree: Path, tmp_path: Path) -> None:
    """Files of rollouts do as well, and so do the directory's own tables where they say enough."""
    shutil.move(stages_beside(tree), tmp_path / "moved")
    basis = json.loads((tree / "manifest.json").read_text())["basis"]
    alone = measure_stability(tree, seeds=1, bootstraps=0)
    rollouts, _ = read_source_files(tree, [tmp_path / "r.jsonl"], flag="--rollouts_file")
    with_file = measure_stability(tree, seeds=1, bootstraps=0, rollouts=rollouts)
    if basis == "described":
        assert alone.reason is not None
        assert "a model labeled its chunks" in alone.reason
        assert with_file.reason == alone.reason
    else:
        assert alone.notes[0] == "rebuilt from its tables, which do not hold the problems"
        assert len(alone.frame) == len(load_taxonomy(tree).levels)
        assert with_file.notes == ("rebuilt from the rollouts of --rollouts_file",)
    kept = measure_stability(tree, seeds=1, bootstraps=0, stages_dir=tmp_path / "moved")
    assert kept.notes == (f"rebuilt from the rollouts that its build kept in {tmp_path / 'moved'}",)
    if basis != "described":
        assert kept.frame == with_file.frame


def test_a_stage_that_is_not_the_builds_is_not_used(tmp_path: Path, rollouts: list[Rollout]) -> None:
    tree = built(tmp_path, "given", rollouts)
    assert KeptStages(tree).given_rollouts() is not None
    (stages_beside(tree) / "read.jsonl.gz").write_bytes(b"something else")
    assert KeptStages(tree).given_rollouts() is None


def test_a_directory_without_a_manifest_says_why_not(tmp_path: Path, rollouts: list[Rollout]) -> None:
    tree = built(tmp_path, "given", rollouts)
    manifest = json.loads((tree / "manifest.json").read_text())
    (tree / "manifest.json").write_text(json.dumps({**manifest, "asked_for": {"vibes": 7}}))
    reason = "its manifest.json records what this version does not know: vibes"
    assert measure_stability(tree).reason == reason
    (tree / "manifest.json").unlink()
    assert measure_stability(tree).reason == "no manifest.json records how it was built"


def test_which_chunks_had_a_label_must_be_known(tmp_path: Path, rollouts_with: MakeRollouts) -> None:
    rollouts = rollouts_with(60, labels=FEW)
    bare = [replace(r, chunks=tuple(Chunk(c.idx, c.text) for c in r.chunks)) for r in rollouts[:10]]
    tree = built(tmp_path, "around", [*bare, *rollouts[10:]], unlabeled="nearest", embedder="tfidf")
    stability = measure_stability(tree, seeds=1, bootstraps=1)
    assert len(stability.notes) == 1
    assert {row.chunks for row in stability.frame if row.variation is Variation.SEED} == {240}
    shutil.rmtree(stages_beside(tree))
    reason = measure_stability(tree).reason
    assert reason is not None
    assert "which chunks came with a label; --rollouts_file names the rollouts" in reason


def test_vectors_of_a_served_embedder_are_not_asked_for_again(
    tmp_path: Path, rollouts_with: MakeRollouts, monkeypatch: pytest.MonkeyPatch
) -> None:
    import taxonomy.embedding as embedding

    asked: list[int] = []

    def served(steps: list[object], model: str) -> object:
        asked.append(len(steps))
        return embedding._discourse(steps, None, 0)  # type: ignore[arg-type]

    monkeypatch.setattr(embedding, "PREFIXES", {"openai": served})
    rollouts = rollouts_with(40, labels=FEW)
    tree = built(tmp_path, "texts", rollouts, embedder="openai:any")
    assert asked == [160]
    stability = measure_stability(tree, seeds=1, bootstraps=2)
    assert asked == [160]
    assert len(stability.notes) == 1
    (stages_beside(tree) / "embed.npy").unlink()
    assert measure_stability(tree, seeds=1, bootstraps=2) == stability
    assert asked == [160, 160]


def test_texts_that_were_clustered_are_compared_with_the_labels_they_had(
    tmp_path: Path, rollouts_with: MakeRollouts
) -> None:
    tree = built(tmp_path, "texts", rollouts_with(60, labels=FEW))
    kept = taxonomy_stats(tree, seeds=0, bootstraps=0)
    assert kept.given_labels == "the rollouts' labels"
    last = kept.levels.rows[-1]
    assert last.labeled_chunks == 240
    assert last.purity is not None
    assert last.purity > 0.8
    shutil.rmtree(stages_beside(tree))
    assert taxonomy_stats(tree, seeds=0, bootstraps=0).levels.rows[-1].purity is None
    named = CliRunner().invoke(
        main,
        [
            "stats",
            str(tree),
            "--rollouts_file",
            str(tmp_path / "r.jsonl"),
            "--seeds",
            "1",
            "--bootstraps",
            "0",
        ],
    )
    assert named.exit_code == 0, named.output
    assert "agreement with the rollouts' labels" in named.stdout
    assert f"{last.purity:.3f}" in named.stdout
    assert "rebuild 2 of 2" in named.stderr


def test_outcomes_are_those_of_the_rollouts_that_the_build_kept(
    tmp_path: Path, rollouts_with: MakeRollouts
) -> None:
    rollouts = rollouts_with(40, labels=FEW)
    traces = read_traces(built(tmp_path, "texts", rollouts), 2)
    assert {group: len(found) for group, found in traces.groups().items()} == {
        "all": 40,
        "correct": 26,
        "wrong": 14,
    }
    assert traces.notes == ()
    (tmp_path / "ungraded").mkdir()
    bare = [replace(rollout, is_correct=None) for rollout in rollouts]
    ungraded = read_traces(built(tmp_path / "ungraded", "texts", bare), 2)
    assert not ungraded.graded
    assert ungraded.notes == (
        "correct and wrong rollouts are not told apart: none of the rollouts has an 'is_correct'",
    )
