import asyncio
import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tiny_sentence_model import save_tiny_model

from llm_backends import ReplyCache, Request
from llm_backends.errors import ServerError
from llm_backends.scripted import ScriptedBackend
from taxonomy import BuildError, Chunk, Rollout, write_rollouts
from taxonomy.building.parameters import PipelineParameters
from taxonomy.building.pipeline import PipelineResult, build_directory, stages_beside
from taxonomy.embedding import StepText, steps_of
from taxonomy.refining.judged import lesson_of_judgements
from taxonomy.refining.labels import lesson_of_labels
from taxonomy.refining.training import refine
from taxonomy.refining.triplets import Lesson, Triplets, triplets_of

MakeRollouts = Callable[..., list[Rollout]]
FEW = ("Multiplication", "Addition", "Result Check", "Answer Statement")


@pytest.fixture
def tiny(tmp_path: Path, rollouts: list[Rollout]) -> str:
    texts = [chunk.text for rollout in rollouts for chunk in rollout.chunks]
    return f"sentence-transformers:{save_tiny_model(tmp_path / 'tiny', texts)}"


def build(
    rollouts: list[Rollout],
    output: Path,
    backend: ScriptedBackend | None = None,
    said: list[str] | None = None,
    **parameters: object,
) -> PipelineResult:
    source = output.parent / "rollouts.jsonl"
    write_rollouts(rollouts, source)
    wanted = PipelineParameters(**{"levels": 3, "max_clusters": 5, **parameters})  # type: ignore[arg-type]
    say = None if said is None else said.append
    return asyncio.run(build_directory([source], output, wanted, backend=backend, overwrite=True, say=say))


def made(result: PipelineResult) -> list[str]:
    return [stage.name for stage in result.stages if not stage.kept]


def label_of(text: str) -> str:
    words = text.casefold()
    kinds = ("times", "multiplying", "plus", "adding", "dividing", "check", "answer", "both sides", "merge")
    return next((kind for kind in kinds if kind in words), "else")


@given(
    st.lists(
        st.tuples(st.sampled_from("abcdef"), st.integers(0, 9), st.integers(0, 3)), min_size=1, max_size=80
    ),
    st.integers(0, 3),
)
def test_triplets_of_labels_say_what_the_labels_say(drawn: list[tuple[str, int, int]], seed: int) -> None:
    steps = [
        StepText(f"{label} {trace} {n}", label, trace_id=str(trace), problem=str(problem))
        for n, (label, trace, problem) in enumerate(drawn)
    ]
    step_of = {step.text: step for step in steps}
    try:
        lesson = lesson_of_labels(steps, seed=seed)
    except BuildError:
        return
    for triplets in (*lesson.batches, lesson.held_out):
        assert len(triplets) or triplets is lesson.held_out
        for places in triplets.anchor_positive_negative:
            anchor, positive, negative = (step_of[triplets.texts[place]] for place in places)
            assert anchor.label == positive.label != negative.label
            assert anchor.trace_id != positive.trace_id
    learned = {text for batch in lesson.batches for text in batch.texts}
    assert not learned & set(lesson.held_out.texts)
    by_problem = len({step.problem for step in steps}) > 3
    groups_of = (lambda step: step.problem) if by_problem else (lambda step: step.trace_id)
    assert not {groups_of(step_of[text]) for text in learned} & {
        groups_of(step_of[text]) for text in lesson.held_out.texts
    }
    again = lesson_of_labels(steps, seed=seed)
    assert [batch.texts for batch in again.batches] == [batch.texts for batch in lesson.batches]


def test_labels_teach_the_embedder_that_the_tree_then_grows_from(
    tmp_path: Path, rollouts: list[Rollout], tiny: str
) -> None:
    said: list[str] = []
    output = tmp_path / "tree"
    result = build(rollouts, output, said=said, embedder=tiny, refine="labels", labeler="none")
    assert result.basis == "texts"
    assert made(result) == ["read", "refine", "embed", "grow", "name"]
    refinement = json.loads((output / "manifest.json").read_text())["refinement"]
    assert refinement["held_out"] == 2000
    assert refinement["accuracy_after"] > max(0.8, refinement["accuracy_before"])
    assert any(note.startswith("the refined embedder gets more triplets right: ") for note in result.notes)
    assert said[-1].startswith(f"refining the embedder: batch {refinement['batches']} of ")
    assert {"sentence-transformers", "torch"} <= set(refinement["versions"])
    model = stages_beside(output) / "refined_model"
    assert [path.name for path in model.rglob("*.safetensors")] == ["model.safetensors"]
    plain = build(rollouts, tmp_path / "plain", embedder=tiny, labeler="none")
    hashes = [{s.name: s.sha256 for s in each.stages}["embed"] for each in (result, plain)]
    assert hashes[0] != hashes[1]


def test_a_model_is_tuned_again_only_if_something_changed(
    tmp_path: Path, rollouts: list[Rollout], tiny: str
) -> None:
    wanted = {"embedder": tiny, "refine": "labels", "labeler": "none"}
    output = tmp_path / "tree"
    build(rollouts, output, **wanted)
    assert build(rollouts, output, **wanted).built is None
    assert made(build(rollouts, output, **wanted, linkage="average")) == ["grow", "name"]
    weights = stages_beside(output) / "refined_model" / "model.safetensors"
    before = weights.read_bytes()
    weights.write_bytes(before[:-1])
    mended = build(rollouts, output, **wanted)
    # The very same model comes out again, so that nothing after it has to be done again but what the linkage changes.
    assert made(mended) == ["refine", "grow", "name"]
    assert weights.read_bytes() == before
    assert "refine" in made(build(rollouts, output, **wanted, seed=1))
    assert "refine" in made(build(rollouts[:-1], output, **wanted))


KILLED = """
import asyncio, os, signal, sys
from pathlib import Path
from taxonomy.building.pipeline import build_directory
from taxonomy.building.parameters import PipelineParameters

def kill(text):
    os.kill(os.getpid(), signal.SIGKILL)

wanted = PipelineParameters(levels=3, max_clusters=12, embedder=sys.argv[3], refine="labels", labeler="none")
asyncio.run(build_directory([Path(sys.argv[1])], Path(sys.argv[2]), wanted, say=kill))
"""


def test_a_kill_while_the_model_is_tuned(tmp_path: Path, rollouts: list[Rollout], tiny: str) -> None:
    source, output = tmp_path / "rollouts.jsonl", tmp_path / "tree"
    write_rollouts(rollouts, source)
    killed = subprocess.run(
        [sys.executable, "-c", KILLED, str(source), str(output), tiny],
        cwd=Path(__file__).resolve().parents[2],
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        check=False,
    )
    assert killed.returncode == -signal.SIGKILL
    assert not (stages_beside(output) / "refined_model").exists()
    result = build(rollouts, output, embedder=tiny, refine="labels", labeler="none")
    assert made(result) == ["refine", "embed", "grow", "name"]


def test_a_refinement_that_does_not_help_is_said(tmp_path: Path, tiny: str) -> None:
    texts = [f"adding {n}" for n in range(8)] + [f"dividing {n}" for n in range(8)]
    taught = triplets_of(texts, [(n, n + 8, (n + 1) % 8) for n in range(8)])
    asked = triplets_of(texts, [(n, (n + 1) % 8, n + 8) for n in range(8)])
    refinement = refine(
        "tiny", tiny.partition(":")[2], Lesson((taught,) * 30, asked), tmp_path / "m", lambda _: None
    )
    assert refinement.accuracy_before is not None
    assert refinement.accuracy_after is not None
    assert refinement.accuracy_after <= refinement.accuracy_before
    assert refinement.notes[-1].startswith("refining the embedder did not help")
    assert "it is used all the same (--refine)" in refinement.notes[-1]


def judge(request: Request) -> str:
    content = request.messages[0].content
    parts = [content.split(f"\n\n{name}:\n")[1].split("\n\n")[0] for name in "ABC"]
    anchor, first, second = map(label_of, parts)
    if (anchor == first) == (anchor == second):
        return "neither"
    return "B" if anchor == first else "C"


def test_a_model_judges_triplets_and_a_failure_costs_nothing_twice(
    tmp_path: Path, rollouts: list[Rollout], tiny: str
) -> None:
    wanted = {"embedder": tiny, "refine": "llm", "judged_triplets": 200, "labeler": "none"}
    said: list[str] = []
    cache = ReplyCache(tmp_path / "replies.sqlite")
    failing = ScriptedBackend(judge, fail_at={50: ServerError("down")}, max_retries=0, cache=cache)
    with pytest.raises(ServerError):
        build(rollouts, tmp_path / "tree", failing, **wanted)
    backend = ScriptedBackend(judge, cache=cache)
    result = build(rollouts, tmp_path / "tree", backend, said, **wanted)
    cache.close()
    calls = failing.calls - 1 + backend.calls
    assert said[0].startswith(f"judging triplets of steps: {calls} calls of scripted")
    assert {request.role for request in backend.requests} == {"refiner"}
    assert "refine" in made(result)
    assert any("triplets taught nothing: scripted found neither step alike" in note for note in result.notes)
    refinement = json.loads((tmp_path / "tree" / "manifest.json").read_text())["refinement"]
    assert refinement["accuracy_after"] >= refinement["accuracy_before"]
    fresh = ScriptedBackend(judge)
    build(rollouts, tmp_path / "fresh", fresh, **wanted)
    assert fresh.calls == calls
    trees = [tmp_path / name / "hierarchical_tree.gml" for name in ("tree", "fresh")]
    assert trees[0].read_bytes() == trees[1].read_bytes()


async def test_held_out_triplets_are_of_steps_never_trained_on(rollouts: list[Rollout]) -> None:
    steps = list(steps_of(rollouts, with_labels=False))
    lesson = await lesson_of_judgements(
        steps,
        lambda texts: np.eye(len(texts)),
        ScriptedBackend(judge),
        count=300,
        seed=0,
        say=lambda _: None,
    )
    learned = {text for batch in lesson.batches for text in batch.texts}
    assert len(lesson.held_out) > 0
    assert not learned & set(lesson.held_out.texts)
    for triplets in (*lesson.batches, lesson.held_out):
        for places in triplets.anchor_positive_negative:
            anchor, positive, negative = (label_of(triplets.texts[place]) for place in places)
            assert anchor == positive != negative


async def test_a_model_that_finds_nothing_alike_teaches_nothing(rollouts: list[Rollout]) -> None:
    steps = list(steps_of(rollouts, with_labels=False))
    with pytest.raises(BuildError, match=r"found steps alike in 0 of .* triplets.*--judged_triplets"):
        await lesson_of_judgements(
            steps,
            lambda texts: np.eye(len(texts)),
            ScriptedBackend(lambda request: "neither"),
            count=50,
            seed=0,
            say=lambda _: None,
        )


def test_labels_by_a_model_are_judged_by_a_model(tmp_path: Path, rollouts: list[Rollout], tiny: str) -> None:
    def reply(request: Request) -> str:
        if request.role == "refiner":
            assert "Do things like it." in request.messages[0].content
            return judge(request)
        steps = request.messages[0].content.split("<step number=")[1:]
        labels = [f"{label_of(step)} {re.findall('[0-9]+', step)[1]}" for step in steps]
        return json.dumps(
            {"labels": [{"label": name, "description": "Do things like it."} for name in labels]}
        )

    bare = [replace(r, chunks=tuple(Chunk(c.idx, c.text) for c in r.chunks)) for r in rollouts]
    wanted = {"embedder": tiny, "labeler": "llm"}
    result = build(
        bare, tmp_path / "tree", ScriptedBackend(reply), refine="llm", judged_triplets=60, **wanted
    )
    assert (result.basis, "refine" in made(result)) == ("described", True)
    with pytest.raises(BuildError, match=r"labels cannot teach an embedder.*--refine llm"):
        build(bare, tmp_path / "tree", ScriptedBackend(reply), refine="labels", **wanted)


def test_few_labels_stay_pure_whatever_the_embedder_learned(
    tmp_path: Path, rollouts_with: MakeRollouts, tiny: str
) -> None:
    result = build(
        rollouts_with(30, labels=FEW), tmp_path / "tree", embedder=tiny, refine="labels", max_clusters=8
    )
    assert result.basis == "around"
    assert result.built is not None
    assert {sample.given_label for sample in result.built.samples} == set(FEW)


@pytest.mark.parametrize("embedder", [None, "discourse", "tfidf", "openai:any"])
def test_only_sentence_transformers_can_be_tuned(embedder: str | None) -> None:
    with pytest.raises(
        BuildError, match=r"--refine labels tunes .* allowed are minilm, sentence-transf.*\(--embedder\)"
    ):
        PipelineParameters(refine="labels", embedder=embedder)


def test_what_cannot_be_refined(tmp_path: Path, rollouts: list[Rollout], tiny: str) -> None:
    bare = [replace(r, chunks=tuple(Chunk(c.idx, c.text) for c in r.chunks)) for r in rollouts]
    with pytest.raises(BuildError, match=r"0 labels have steps in more than one rollout"):
        build(bare, tmp_path / "tree", embedder=tiny, refine="labels")
    with pytest.raises(BuildError, match=r"--refine llm need"):
        build(bare, tmp_path / "tree", embedder=tiny, refine="llm")
    with pytest.raises(BuildError, match=r"too few to learn from .*--judged_triplets"):
        build(
            bare[:1],
            tmp_path / "tree",
            ScriptedBackend(judge),
            embedder=tiny,
            refine="llm",
            judged_triplets=3,
        )
    with pytest.raises(BuildError, match=r"judged_triplets is 0, at least 1 is allowed"):
        PipelineParameters(judged_triplets=0)
    with pytest.raises(BuildError, match=r"cannot be loaded.*--embedder"):
        build(
            rollouts,
            tmp_path / "tree",
            embedder=f"sentence-transformers:{tmp_path / 'none'}",
            refine="labels",
            max_clusters=12,
        )


def test_with_too_few_rollouts_none_is_held_out_and_that_is_said() -> None:
    steps = [StepText(f"{label} {trace}", label, trace_id=trace) for label in "ab" for trace in "xyz"]
    lesson = lesson_of_labels(steps, seed=0)
    assert len(lesson.held_out) == 0
    assert lesson.notes == (
        "the refined embedder was not measured: labeled steps of 3 rollouts are too few to hold some out",
    )
    assert all(isinstance(batch, Triplets) for batch in lesson.batches)
