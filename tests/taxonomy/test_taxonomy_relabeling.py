import asyncio
import json
import re
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from llm_backends import ReplyCache, Request
from llm_backends.errors import ServerError, UnparsedChoiceError
from llm_backends.scripted import ScriptedBackend
from taxonomy import Chunk, Rollout, Taxonomy, load_taxonomy, write_rollouts
from taxonomy.building.parameters import PipelineParameters
from taxonomy.building.pipeline import PipelineResult, build_directory
from taxonomy.building.relabeling_by_model import CHARACTERS
from taxonomy.directory import read_labeled_chunks
from taxonomy.looking.html import tree_page

MakeRollouts = Callable[..., list[Rollout]]
FEW = ("Multiplication", "Addition", "Result Check", "Answer Statement")


def build(
    rollouts: list[Rollout],
    output: Path,
    backend: ScriptedBackend | None = None,
    said: list[str] | None = None,
    **parameters: object,
) -> PipelineResult:
    source = output.parent / "rollouts.jsonl"
    write_rollouts(rollouts, source)
    wanted = PipelineParameters(**parameters)  # type: ignore[arg-type]
    say = None if said is None else said.append
    return asyncio.run(build_directory([source], output, wanted, backend=backend, overwrite=True, say=say))


def without_labels(rollouts: list[Rollout]) -> list[Rollout]:
    return [replace(r, chunks=tuple(Chunk(c.idx, c.text) for c in r.chunks)) for r in rollouts]


def step_in(request: Request) -> str:
    return request.messages[0].content.split("<step>\n")[1].split("\n</step>")[0]


def by_length(request: Request) -> str:
    """A choice that has nothing to do with the clusters."""
    assert request.choices is not None
    return sorted(request.choices)[len(step_in(request)) % len(request.choices)]


def check_agreement(output: Path, result: PipelineResult) -> Taxonomy:
    """All files tell the same: chunks nested over the levels, sizes, clusters, examples."""
    taxonomy = load_taxonomy(output)
    assert result.built is not None
    assert result.built.taxonomy.walk() == taxonomy.walk()
    above: dict[tuple[str, int], str] = {}
    for level in taxonomy.levels:
        node_of = {kind.name: kind.node_id for kind in taxonomy.at_level(level)}
        rows = read_labeled_chunks(output, level)
        nodes = {(row.rollout_id, row.chunk_idx): node_of[row.label] for row in rows}
        sizes = Counter(nodes.values())
        assert {node: taxonomy.node(node).size for node in node_of.values()} == {
            node: sizes[node] for node in node_of.values()
        }
        if above:
            assert {place: taxonomy.node(node).parent_id for place, node in nodes.items()} == above
        above = nodes
        by_sample = Counter(chunk.sample for chunk in result.built.chunks)
        assert [by_sample[number] for number in range(len(result.built.samples))] == [
            sample.size for sample in result.built.samples
        ]
        for chunk in result.built.chunks:
            assert result.built.node_id(chunk.sample, level) == nodes[chunk.rollout_id, chunk.idx]
        for example in result.built.examples:
            if taxonomy.depth(example.node_id) == level:
                assert nodes[example.chunk.rollout_id, example.chunk.idx] == example.node_id
    return taxonomy


def test_every_chunk_gets_what_the_model_says_and_all_files_agree(
    tmp_path: Path, rollouts: list[Rollout]
) -> None:
    bare = without_labels(rollouts)
    parameters = {"levels": 4, "max_clusters": 8, "n_centroids": 60}
    said: list[str] = []
    backend = ScriptedBackend(by_length)
    result = build(bare, tmp_path / "tree", backend, said, relabeler="llm", **parameters)
    taxonomy = check_agreement(tmp_path / "tree", result)
    deepest = taxonomy.levels[-1]
    names = sorted(kind.name for kind in taxonomy.at_level(deepest))
    for row in read_labeled_chunks(tmp_path / "tree", deepest):
        assert row.label == names[len(row.text) % len(names)]
    texts = {chunk.text for rollout in bare for chunk in rollout.chunks}
    assert backend.calls == len(texts)
    assert said[0].startswith(
        f"relabeling 400 chunks: {len(texts)} calls of scripted, one for each different"
    )
    assert {request.role for request in backend.requests} == {"relabeler"}
    plain = build(bare, tmp_path / "plain", **parameters)
    assert result.built is not None
    assert plain.built is not None
    moved = [
        sum(
            result.built.node_id(new.sample, level) != plain.built.node_id(old.sample, level)
            for new, old in zip(result.built.chunks, plain.built.chunks, strict=True)
        )
        for level in taxonomy.levels
    ]
    assert moved[0] == 0 < moved[-1]
    counts = ", ".join(f"{moved[level]} at level {level}" for level in taxonomy.levels[1:])
    assert f"of 400 chunks scripted gave another thought type to {counts}" in result.notes
    manifest = json.loads((tmp_path / "tree" / "manifest.json").read_text())
    assert "relabel" in manifest["stages"]
    assert set(manifest["warnings"]) == set(result.notes)


def test_a_failure_and_a_second_build_cost_nothing_twice(tmp_path: Path, rollouts: list[Rollout]) -> None:
    bare = without_labels(rollouts)
    wanted = {"relabeler": "llm", "levels": 3, "max_clusters": 5}
    cache = ReplyCache(tmp_path / "replies.sqlite")
    failing = ScriptedBackend(by_length, fail_at={30: ServerError("down")}, max_retries=0, cache=cache)
    with pytest.raises(ServerError):
        build(bare, tmp_path / "tree", failing, **wanted)
    backend = ScriptedBackend(by_length, cache=cache)
    build(bare, tmp_path / "tree", backend, **wanted)
    fresh = ScriptedBackend(by_length)
    build(bare, tmp_path / "fresh", fresh, **wanted)
    assert failing.calls - 1 + backend.calls == fresh.calls
    assert build(bare, tmp_path / "tree", backend, **wanted).built is None
    again = build(bare, tmp_path / "tree", ScriptedBackend([]), description_weight=0.4, **wanted)
    cache.close()
    assert {stage.name for stage in again.stages if stage.kept} >= {"relabel"}


def test_a_reply_that_is_no_thought_type_is_an_error_that_names_the_chunk(
    tmp_path: Path, rollouts: list[Rollout]
) -> None:
    odd = replace(rollouts[3], chunks=(Chunk(70, "A step like no other."), *rollouts[3].chunks[1:]))
    bare = without_labels([*rollouts[:3], odd, *rollouts[4:]])

    def reply(request: Request) -> str:
        return "I cannot say" if "like no other" in step_in(request) else by_length(request)

    backend = ScriptedBackend(reply)
    with pytest.raises(
        UnparsedChoiceError, match=r"^chunk 70 of rollout 'r003' got no thought type: .*'I cannot say'"
    ):
        build(bare, tmp_path / "tree", backend, relabeler="llm", levels=3, max_clusters=5)
    asked = [request for request in backend.requests if "like no other" in step_in(request)]
    assert len(asked) == backend.max_choice_attempts
    assert not (tmp_path / "tree").exists()


def test_thought_types_that_no_chunk_is_given_are_said_and_stay(
    tmp_path: Path, rollouts: list[Rollout]
) -> None:
    def always_the_first(request: Request) -> str:
        assert request.choices is not None
        return min(request.choices)

    result = build(
        without_labels(rollouts),
        tmp_path / "tree",
        ScriptedBackend(always_the_first),
        relabeler="llm",
        levels=3,
        max_clusters=5,
    )
    taxonomy = load_taxonomy(tmp_path / "tree")
    deepest = taxonomy.at_level(taxonomy.levels[-1])
    sizes = {kind.name: taxonomy.node(kind.node_id).size for kind in deepest}
    assert sizes == dict.fromkeys(sizes, 0) | {min(sizes): 400}
    assert any(note.startswith("thought types that scripted gave to no chunk: ") for note in result.notes)
    assert "400" in tree_page(tmp_path / "tree").decode()


@pytest.mark.parametrize("few", [True, False])
def test_given_labels_are_chosen_among_too(tmp_path: Path, rollouts_with: MakeRollouts, few: bool) -> None:
    rollouts = rollouts_with(20, labels=FEW) if few else rollouts_with(20)
    parameters = {"levels": 4, "unlabeled": "nearest", "relabeler": "llm"}
    mixed = [*without_labels(rollouts[:4]), *rollouts[4:]]
    result = build(mixed, tmp_path / "tree", ScriptedBackend(by_length), **parameters)
    assert result.basis == ("around" if few else "given")
    taxonomy = check_agreement(tmp_path / "tree", result)
    assert taxonomy.root.size == sum(len(rollout.chunks) for rollout in rollouts)
    given = {(r.id, c.idx): c.label for r in mixed for c in r.chunks}
    assert result.built is not None
    assert {(c.rollout_id, c.idx): c.given_label for c in result.built.chunks} == given


def test_blank_chunks_stay_and_long_ones_are_cut_where_that_is_said(
    tmp_path: Path, rollouts: list[Rollout]
) -> None:
    chunks = (Chunk(0, "  "), Chunk(1, "long " * CHARACTERS), Chunk(2, "So it is."))
    backend = ScriptedBackend(by_length)
    result = build(
        [*without_labels(rollouts), Rollout("z", "p", chunks)],
        tmp_path / "tree",
        backend,
        relabeler="llm",
        levels=3,
        embedder="tfidf",
    )
    check_agreement(tmp_path / "tree", result)
    shown = [step_in(request) for request in backend.requests]
    assert all(step.strip() for step in shown)
    assert [len(step) for step in shown if re.search(r" \[\.\.\.]$", step)] == [CHARACTERS + 6]
    assert f"of 1 chunks scripted was shown the first {CHARACTERS} characters" in result.notes


def test_a_tree_of_one_node_asks_nothing(tmp_path: Path) -> None:
    backend = ScriptedBackend([])
    result = build([Rollout("a", "p", (Chunk(0, "So it is."),))], tmp_path / "tree", backend, relabeler="llm")
    assert backend.calls == 0
    check_agreement(tmp_path / "tree", result)
