"""What a build promises whatever the order of its input, and what a change of a parameter costs."""

import asyncio
import json
import random
import shutil
from collections.abc import Callable
from dataclasses import fields, replace
from pathlib import Path

import pytest
from forked_builds import Plan, run_builds

from llm_backends import Request
from llm_backends.scripted import ScriptedBackend
from taxonomy import Rollout, write_rollouts
from taxonomy.building.parameters import PipelineParameters
from taxonomy.building.pipeline import build_directory

FEW = ("Multiplication", "Addition", "Result Check", "Answer Statement")
SHUFFLES = 5
MakeRollouts = Callable[..., list[Rollout]]


def shuffled(value: object, source: random.Random) -> object:
    """The same JSON with the keys of every object in another order."""
    if isinstance(value, dict):
        keys = source.sample(list(value), len(value))
        return {key: shuffled(value[key], source) for key in keys}
    return [shuffled(part, source) for part in value] if isinstance(value, list) else value


def test_however_a_file_is_ordered_the_tree_is_the_same_to_the_byte(
    tmp_path: Path, rollouts_with: MakeRollouts
) -> None:
    write_rollouts(rollouts_with(60, labels=FEW), tmp_path / "r.jsonl")
    rows = [json.loads(line) for line in (tmp_path / "r.jsonl").read_text().splitlines()]
    plan: list[Plan] = []
    for number in range(SHUFFLES):
        source = random.Random(number)
        lines = [json.dumps(shuffled(row, source)) for row in source.sample(rows, len(rows))]
        file = tmp_path / f"shuffled{number}.jsonl"
        file.write_text("\n".join(lines))
        plan += [(f"around{number}", ["build", file], None)]
        plan += [(f"texts{number}", ["build", file, "--labeler", "none", "--max_clusters", 8], None)]
    for build in run_builds(tmp_path, plan):
        assert build.status == 0, build.log
    for basis in ("around", "texts"):
        found = set()
        for number in range(SHUFFLES):
            files = {entry.name: entry.read_bytes() for entry in (tmp_path / f"{basis}{number}").iterdir()}
            del files["manifest.json"]  # which names the input and its hash
            assert {Path(name).suffix for name in files} == {".gml", ".csv", ".png"}
            found.add(tuple(sorted(files.items())))
        assert len(found) == 1


FROM_EMBEDDING = ("embed", "grow", "name")
FROM_GROWING = ("grow", "name")
COSTS: dict[str, tuple[object, tuple[str, ...]]] = {
    "chunker": ("paragraphs", ("chunk", *FROM_EMBEDDING)),
    "labeler": ("none", ("embed", "grow")),  # which give the same tree, as there are no labels
    "unlabeled": ("nearest", ()),
    "embedder": ("tfidf", FROM_EMBEDDING),
    "judged_triplets": (9, ()),
    "namer": ("llm", ("name",)),
    "relabeler": ("llm", ("relabel",)),
    "levels": (3, FROM_GROWING),
    "level_sizes": ((1, 3, 9), FROM_GROWING),
    "min_clusters": (4, FROM_GROWING),
    "max_clusters": (5, FROM_GROWING),
    "min_cluster_size": (20, FROM_GROWING),
    "linkage": ("complete", FROM_GROWING),
    "max_depth": (7, ("grow",)),  # as above
    "n_centroids": (12, FROM_GROWING),
    "seed": (1, FROM_EMBEDDING),
    "dimensions": (4, FROM_EMBEDDING),
    "description_weight": (0.1, ("grow",)),
}
"""By parameter: another value, and the stages that are then run again."""


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory, rollouts_with: MakeRollouts) -> Path:
    """A directory with a file of undivided traces and the stages of a build of it."""
    here = tmp_path_factory.mktemp("built")
    rollouts = [
        Rollout(r.id, r.problem, (), text="\n\n".join(f"So. {chunk.text}" for chunk in r.chunks))
        for r in rollouts_with()
    ]
    write_rollouts(rollouts, here / "r.jsonl")
    asyncio.run(build_directory([here / "r.jsonl"], here / "tree", PipelineParameters(levels=4)))
    return here


def test_every_parameter_is_in_the_table() -> None:
    # `refine` takes another embedder besides, so its test is with those of refining.
    assert set(COSTS) == {field.name for field in fields(PipelineParameters)} - {"refine"}


@pytest.mark.parametrize("name", COSTS)
def test_a_changed_parameter_runs_again_only_what_depends_on_it(
    built: Path, tmp_path: Path, name: str
) -> None:
    value, expected = COSTS[name]
    shutil.copytree(built, tmp_path / "copy")
    names = iter(range(1000))

    def reply(request: Request) -> str:
        if request.choices:
            return request.choices[0]
        candidates = [{"label": f"Kind {next(names)}", "description": "Do."} for _ in range(3)]
        return json.dumps({"candidates": candidates})

    result = asyncio.run(
        build_directory(
            [tmp_path / "copy" / "r.jsonl"],
            tmp_path / "copy" / "tree",
            replace(PipelineParameters(levels=4), **{name: value}),  # type: ignore[arg-type]
            backend=ScriptedBackend(reply),
            overwrite=True,
        )
    )
    assert tuple(stage.name for stage in result.stages if not stage.kept) == expected


def test_another_input_runs_everything_again(built: Path, tmp_path: Path) -> None:
    shutil.copytree(built, tmp_path / "copy")
    file = tmp_path / "copy" / "r.jsonl"
    file.write_text("\n".join(file.read_text().splitlines()[:-1]))
    wanted = PipelineParameters(levels=4)
    result = asyncio.run(build_directory([file], tmp_path / "copy" / "tree", wanted, overwrite=True))
    assert all(not stage.kept for stage in result.stages)
