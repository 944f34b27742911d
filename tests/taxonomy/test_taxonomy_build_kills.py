"""Builds of the command line, killed at any moment."""

import json
import random
import re
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

from forked_builds import Build, Kill, Plan, run_builds

from llm_backends.scripted_server import Call, Reply, ScriptedServer
from taxonomy import Chunk, Rollout, write_rollouts
from taxonomy.building.pipeline import stages_beside

KILLS = 16
MakeRollouts = Callable[..., list[Rollout]]


def contents(directory: Path) -> dict[str, bytes]:
    return {entry.name: entry.read_bytes() for entry in directory.iterdir()}


def stages_of(log: str, which: str) -> set[str]:
    """`run` or `kept from before`, in the line that a build says of its stages."""
    said = re.search(rf"(?:stages: |; )([^;\n]*) {which}", log)
    return set(said.group(1).split(", ")) - {"none"} if said else set()


def check_killed(killed: Build, rerun: Build, whole: Build) -> None:
    """Nothing half-written, nothing done twice."""
    assert killed.files in (None, whole.files)
    assert rerun.status == 0, rerun.log
    assert rerun.files == whole.files
    if killed.files is not None:
        assert "holds this very taxonomy already" in rerun.log
    else:
        assert stages_of(rerun.log, "kept from before") == set(killed.finished)
        assert stages_of(rerun.log, "run") == set(whole.finished) - set(killed.finished)


def killed_and_run_again(
    directory: Path, arguments: Sequence[object], kills: Sequence[Kill]
) -> list[tuple[Build, Build]]:
    """Pairs of builds that were killed and what came after."""
    plan: list[Plan] = []
    for number, kill in enumerate(kills):
        plan += [(f"tree{number}", arguments, kill), (f"tree{number}", arguments, None)]
    builds = run_builds(directory, plan)
    return list(zip(builds[::2], builds[1::2], strict=True))


def test_killed_at_any_moment_a_build_goes_on_where_it_was(
    tmp_path: Path, rollouts_with: MakeRollouts
) -> None:
    write_rollouts(
        rollouts_with(60, labels=("Multiplication", "Addition", "Result Check")), tmp_path / "r.jsonl"
    )
    arguments = ["build", tmp_path / "r.jsonl", "--levels", 4]
    whole, timed = run_builds(tmp_path, [("whole", arguments, None), ("timed", arguments, None)])
    source = random.Random(5)
    kills = [Kill(cpu_s=source.uniform(0, timed.cpu_s)) for _ in range(KILLS)]
    pairs = killed_and_run_again(tmp_path, arguments, kills)
    assert stages_of(whole.log, "run") == set(whole.finished) == {"read", "embed", "grow", "name"}
    assert sum(killed.status != 0 for killed, _ in pairs) >= KILLS - 3  # the latest moments may come too late
    assert len({len(killed.finished) for killed, _ in pairs}) >= 3
    for killed, rerun in pairs:
        check_killed(killed, rerun, whole)
        assert contents(tmp_path / rerun.output) == contents(tmp_path / "whole")
        assert not [
            entry for entry in stages_beside(tmp_path / rerun.output).iterdir() if entry.name[0] == "."
        ]


def reply(call: Call) -> Reply:
    """Labels by the step's first word, names by the labels."""
    content = call.messages[-1][1]
    steps = re.findall(r"<step number=\d+>\n(.*?)\n</step>", content, re.DOTALL)
    if "candidates" in content:
        words = sorted(set(re.findall(r"[A-Z]\w+", content.split("Propose")[0])))
        proposals = [{"label": f"{word} {len(content)}", "description": f"Do {word}."} for word in words[:4]]
        return Reply(json.dumps({"candidates": proposals}))
    labels = [{"label": f"{step.split()[0]} step", "description": "Do it."} for step in steps]
    return Reply(json.dumps({"labels": labels}))


def test_no_reply_that_was_received_is_asked_for_again(tmp_path: Path, rollouts: list[Rollout]) -> None:
    bare = [replace(r, chunks=tuple(Chunk(c.idx, c.text) for c in r.chunks)) for r in rollouts]
    write_rollouts(bare, tmp_path / "r.jsonl")
    with ScriptedServer(reply, first_s=0.05) as server:
        arguments = ["build", tmp_path / "r.jsonl", "--levels", 3, "--max_clusters", 6, "--labeler", "llm"]
        arguments += ["--namer", "llm", "--llm_framework", "openai", "--model_name", "scripted"]
        arguments += ["--base_url", server.base_url, "--max_concurrency", 4]
        (whole,) = run_builds(tmp_path, [("whole", arguments, None)])
        kills = [Kill(replies=share * whole.replies) for share in (0.1, 0.5, 0.9, 0.95)]
        pairs = killed_and_run_again(tmp_path, arguments, kills)
        began = sorted(call.started for call in server.calls)
    for killed, rerun in pairs:
        check_killed(killed, rerun, whole)
        assert contents(tmp_path / rerun.output) == contents(tmp_path / "whole")
        assert 0 < killed.replies < whole.replies
        asked_again = sum(rerun.began <= start <= rerun.ended for start in began)
        assert asked_again == whole.replies - killed.replies
        assert rerun.replies == whole.replies
