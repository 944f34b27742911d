"""A training run on a tiny planner, whose reward depends on its first choice alone."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest
import torch
from fake_reasoner import parts, problems_file, reasoner, train
from safetensors.torch import load_file

from hierarchical_reasoning.errors import ConfigError, OutputError
from hierarchical_reasoning.training.errors import DivergedError, TrainingError
from hierarchical_reasoning.training.log import EvaluationRecord, Record, UpdateRecord
from hierarchical_reasoning.training.trainer import Trained
from llm_backends import Backend, EngineDiedError, Message, PermanentError, Request
from llm_backends.local import LocalBackend


def trained(
    tmp_path: Path, planner_model: Path, *, resume: bool = False, by: Backend | None = None, **settings: Any
) -> tuple[Trained, list[Record]]:
    return train(parts(tmp_path, planner_model, settings), by or reasoner(), resume=resume)


def weights(folder: Path) -> dict[str, torch.Tensor]:
    tensors: dict[str, torch.Tensor] = load_file(folder / "model.safetensors")
    return tensors


def same(left: Path, right: Path) -> bool:
    ours, theirs = weights(left), weights(right)
    return ours.keys() == theirs.keys() and all(torch.equal(ours[name], theirs[name]) for name in ours)


def updates(records: list[Record]) -> list[UpdateRecord]:
    return [record for record in records if isinstance(record, UpdateRecord)]


def evaluations(records: list[Record]) -> list[EvaluationRecord]:
    return [record for record in records if isinstance(record, EvaluationRecord)]


def lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def timeless(folder: Path) -> list[dict[str, Any]]:
    return [
        {name: value for name, value in record.items() if not name.endswith(("seconds", "bytes"))}
        for record in lines(folder / "log.jsonl")
    ]


def episodes(folder: Path, name: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads((folder / "rollouts" / name).read_text())["results"]
    return [{key: value for key, value in entry.items() if key != "seconds"} for entry in found]


def test_it_learns_what_is_rewarded(tmp_path: Path, planner_model: Path) -> None:
    result, records = trained(tmp_path, planner_model, epochs=6, eval_every=5)
    done = updates(records)
    assert len(done) == result.updates == 12
    assert done[0].accuracy < 0.8
    assert done[-1].accuracy > 0.95
    assert done[-1].entropy < done[0].entropy
    assert any(record.kl > 0 for record in done)
    assert [record.update for record in result.evaluations] == [0, 0, 5, 5, 10, 10, 12, 12]
    assert [(r.mode, r.correct, r.n) for r in result.evaluations[-2:]] == [
        ("greedy", 6, 6),
        ("sampled", 6, 6),
    ]
    assert not result.learned_nothing
    assert max(record.acting_gap for record in done) < 1e-5  # what acts is what is trained


def test_shuffled_rewards_teach_nothing(tmp_path: Path, planner_model: Path) -> None:
    settings = {"epochs": 6, "eval_rows": 0, "learning_rate": 1e-3}
    _, records = train(parts(tmp_path, planner_model, settings), reasoner(), rewards_shuffled=True)
    accuracy = [record.accuracy for record in updates(records)]
    assert max(accuracy[-3:]) < 0.9


def test_the_trained_planner_is_a_model_folder(tmp_path: Path, planner_model: Path) -> None:
    result, _ = trained(tmp_path, planner_model)
    assert result.last == tmp_path / "out" / "last"
    assert result.last.resolve().name == "update-2"
    assert (result.last / "chat_template.jinja").is_file()
    assert not same(result.last, planner_model)
    pickles = [
        path for path in (tmp_path / "out").rglob("*") if path.suffix in (".bin", ".pt", ".pth", ".pkl")
    ]
    assert not pickles

    async def asked() -> str:
        async with LocalBackend(result.last) as backend:
            reply = await backend.complete(Request((Message("user", "Which?"),), choices=("a", "b")))
            return reply.text

    assert asyncio.run(asked()) in ("a", "b")


def test_the_best_checkpoint_is_kept_beside_the_last(tmp_path: Path, planner_model: Path) -> None:
    result, records = trained(tmp_path, planner_model, epochs=3, eval_every=1, save_every=1)
    greedy = {r.update: r.correct for r in evaluations(records) if r.mode == "greedy" and r.update}
    first_best = min(update for update, correct in greedy.items() if correct == max(greedy.values()))
    assert result.best is not None
    assert result.best.resolve().name == f"update-{first_best}"
    kept = {path.name for path in (tmp_path / "out").glob("update-*")}
    assert kept == {f"update-{first_best}", "update-6"}


@pytest.mark.parametrize("lora_r", [0, 4])
def test_a_resumed_run_ends_with_the_same_weights_and_log(
    tmp_path: Path, planner_model: Path, lora_r: int
) -> None:
    at_once, stopped = tmp_path / "at-once", tmp_path / "stopped"
    settings = {"lora_r": lora_r, "warmup_steps": 4, "eval_every": 2}
    trained(tmp_path, planner_model, output_dir=at_once, epochs=3, **settings)
    trained(tmp_path, planner_model, output_dir=stopped, epochs=1, **settings)
    with (stopped / "log.jsonl").open("a") as log:
        log.write('{"update": 3, "torn')
    _, records = trained(tmp_path, planner_model, output_dir=stopped, epochs=3, resume=True, **settings)
    assert [record.update for record in updates(records)] == [3, 4, 5, 6]
    assert same(at_once / "last", stopped / "last")
    assert timeless(at_once) == timeless(stopped)
    assert episodes(at_once, "update-00006.json") == episodes(stopped, "update-00006.json")


def test_a_linear_schedule_is_taken_up_where_it_was(tmp_path: Path, planner_model: Path) -> None:
    at_once, stopped = tmp_path / "at-once", tmp_path / "stopped"
    settings: dict[str, Any] = {"epochs": 2, "lr_schedule": "linear", "warmup_steps": 2, "eval_rows": 0}
    _, whole = trained(tmp_path, planner_model, output_dir=at_once, **settings)
    made = parts(tmp_path, planner_model, settings | {"output_dir": stopped})
    result, first = train(made, reasoner(), stop_requested=lambda: True)
    assert result.stopped
    assert len(updates(first)) == 1
    _, rest = train(made, reasoner(), resume=True)
    rates = [record.learning_rate for record in updates(whole)]
    assert rates == [record.learning_rate for record in [*updates(first), *updates(rest)]]
    assert rates[0] > rates[-1] > 0
    assert same(at_once / "last", stopped / "last")


def test_a_run_stopped_before_its_first_checkpoint_begins_anew(tmp_path: Path, planner_model: Path) -> None:
    gone = reasoner(fail_at={40: EngineDiedError("gone")})
    with pytest.raises(TrainingError, match=r"There is no checkpoint yet\. EngineDiedError: gone"):
        trained(tmp_path, planner_model, by=gone)
    left = lines(tmp_path / "out" / "log.jsonl")
    assert [record["kind"] for record in left] == ["evaluation"] * 2
    trained(tmp_path, planner_model, resume=True)
    kinds = [record["kind"] for record in lines(tmp_path / "out" / "log.jsonl")]
    assert kinds == ["evaluation"] * 2 + ["update"] * 2 + ["evaluation"] * 2


def test_what_lies_in_the_output_directory_is_not_overwritten(tmp_path: Path, planner_model: Path) -> None:
    trained(tmp_path, planner_model)
    with pytest.raises(ConfigError, match="--resume"):
        trained(tmp_path, planner_model)
    with pytest.raises(ConfigError, match=r"learning_rate: 0\.003 before, 0\.1 now"):
        trained(tmp_path, planner_model, resume=True, learning_rate=0.1)


def test_an_output_directory_that_cannot_be_made_is_the_users_mistake(
    tmp_path: Path, planner_model: Path
) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError, match="--output_dir"):
        trained(tmp_path, planner_model, output_dir=tmp_path / "file" / "out")


def test_groups_without_spread_give_no_gradient_and_are_told(tmp_path: Path, planner_model: Path) -> None:
    result, records = trained(tmp_path, planner_model, data_file=_unsolvable(tmp_path), eval_rows=0)
    assert result.learned_nothing
    assert [(r.groups, r.groups_without_spread, r.grad_norm) for r in updates(records)] == [(4, 4, 0.0)] * 2
    assert same(result.last, planner_model)


def test_groups_without_spread_are_replaced_by_others(tmp_path: Path, planner_model: Path) -> None:
    # With two rollouts many groups have no spread.
    settings = {"n_rows": 24, "data_file": problems_file(tmp_path, 24), "num_rollouts_per_prompt": 2}
    _, records = trained(
        tmp_path, planner_model, eval_rows=0, filter_groups=True, max_num_gen_batches=3, **settings
    )
    first = updates(records)[0]
    assert first.groups_without_spread > 0
    assert first.generation_batches > 1
    assert first.groups > 4
    assert first.episodes == 2 * first.groups
    written = episodes(tmp_path / "out", "update-00001.json")
    assert len({episode["problem_id"] for episode in written}) == first.groups
    assert max(record.generation_batches for record in updates(records)) <= 3
    assert all(r.groups - r.groups_without_spread <= 4 for r in updates(records))


def test_a_length_reward_tells_apart_what_correctness_does_not(tmp_path: Path, planner_model: Path) -> None:
    result, records = trained(
        tmp_path, planner_model, data_file=_unsolvable(tmp_path), eval_rows=0, length_reward_weight=5.0
    )
    assert not result.learned_nothing
    assert all(0 < record.reward < 5 and record.accuracy == 0 for record in updates(records))


def test_the_kl_to_the_start_holds_the_planner_back(tmp_path: Path, planner_model: Path) -> None:
    def moved(name: str, **settings: Any) -> float:
        """KL of the planner at the start to the one in the last update that learned something."""
        _, records = trained(
            tmp_path, planner_model, output_dir=tmp_path / name, eval_rows=0, epochs=2, kl_reference="start",
            learning_rate=1e-3, **settings
        )  # fmt: skip
        return [record.kl for record in updates(records) if record.grad_norm][-1]

    free, held = moved("free", kl_coeff=0.0), moved("held", kl_coeff=10.0)
    assert 0 < held < free / 2
    free, held = moved("free-lora", kl_coeff=0.0, lora_r=8), moved("held-lora", kl_coeff=10.0, lora_r=8)
    assert 0 < held < free


def test_a_loss_that_is_no_number_stops_and_says_where(tmp_path: Path, planner_model: Path) -> None:
    settings = {"learning_rate": 1e30, "max_grad_norm": 1e30, "eval_rows": 0, "save_every": 1}
    with pytest.raises(DivergedError, match=r"in update 1; lower --learning_rate .*no checkpoint") as caught:
        trained(tmp_path, planner_model, **settings)
    assert not (tmp_path / "out" / "last").exists()
    assert "nan" in str(caught.value) or "inf" in str(caught.value)


def test_failed_episodes_are_counted_and_teach_nothing(tmp_path: Path, planner_model: Path) -> None:
    failing = reasoner(fail_at=dict.fromkeys(range(0, 24, 4), PermanentError("refused")), max_retries=0)
    _, records = trained(tmp_path, planner_model, by=failing, eval_rows=0)
    assert updates(records)[0].errors > 0
    for record in updates(records):
        written = episodes(tmp_path / "out", f"update-{record.update:05d}.json")
        errors = [episode for episode in written if episode["outcome"] == "error"]
        assert len(errors) == record.errors
        assert all(episode["episode"]["reward"] is None for episode in errors)


def test_an_update_in_which_everything_fails_stops(tmp_path: Path, planner_model: Path) -> None:
    failing = reasoner(fail_at=dict.fromkeys(range(1000), PermanentError("refused")), max_retries=0)
    with pytest.raises(TrainingError, match="refused"):
        trained(tmp_path, planner_model, by=failing, eval_rows=0)


def test_what_no_episode_could_survive_ends_the_run(tmp_path: Path, planner_model: Path) -> None:
    with pytest.raises(TrainingError, match="EngineDiedError: gone"):
        trained(tmp_path, planner_model, by=reasoner(fail_at={3: EngineDiedError("gone")}))


def test_argmax_rollouts_are_alike_and_evaluated_so(tmp_path: Path, planner_model: Path) -> None:
    result, records = trained(tmp_path, planner_model, sample_action=False)
    assert result.learned_nothing
    assert [record.mode for record in evaluations(records)] == ["greedy", "greedy"]


def test_figures_go_to_the_trackers(
    tmp_path: Path, planner_model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TRACKIO_DIR", str(tmp_path / "trackio"))
    event_accumulator = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
    _, records = trained(tmp_path, planner_model, report_to=("tensorboard",))
    (events,) = {path.parent for path in (tmp_path / "out").rglob("events.out.tfevents.*")}
    read = event_accumulator.EventAccumulator(str(events))
    read.Reload()
    rewards = [event.value for event in read.Scalars("train/reward")]
    assert rewards == pytest.approx([record.reward for record in updates(records)])
    assert [event.step for event in read.Scalars("train/reward")] == [2, 4]  # steps of the optimizer
    greedy = [record.accuracy for record in evaluations(records) if record.mode == "greedy"]
    assert [event.value for event in read.Scalars("eval/greedy_accuracy")] == pytest.approx(greedy)


def _unsolvable(tmp_path: Path) -> Path:
    path = tmp_path / "unsolvable.jsonl"
    path.write_text("".join(f'{{"prompt": "Name number {i}.", "answer": "7"}}\n' for i in range(8)))
    return path
