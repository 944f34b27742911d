"""``train run`` and ``train tree``: their flags, what they note, and what they say of bad input."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from easy_task import log_of
from fake_reasoner import problems_file

from hierarchical_reasoning.cli.main import main
from hierarchical_reasoning.training.explorers.settings import DELIMITERS
from hierarchical_reasoning.training.language_model.config import LanguageModelConfig
from hierarchical_reasoning.training.language_model.parts import assemble_language_model

SPEC_FLAGS = (
    *("--per_device_train_batch_size", "16", "--save_steps", "200", "--save_total_limit", "2"),
    *("--logging_steps", "50", "--gpu_memory_utilization", "0.4", "--enable_prefix_caching"),
    *("--max_depth", "7", "--min_segment_len", "150", "--entropy_threshold", "1.0", "--entropy_topk", "20"),
    *(
        "--coverage_min_chars",
        "150",
        "--coverage_children_max",
        "4",
        "--temperature",
        "0.6",
        "--top_p",
        "0.85",
    ),
    *("--top_k", "25", "--repetition_penalty", "1.1", "--max_new_tokens", "1300"),
)
"""Of the published command, but for its model, its data and where it writes."""


def called(*arguments: str) -> Result:
    return CliRunner().invoke(main, ["train", *arguments])


def base(tmp_path: Path, model: Path, *more: str) -> list[str]:
    return [
        *("--model_id", str(model), "--data_file", str(problems_file(tmp_path, 4)), "--n_rows", "2"),
        *("--eval_rows", "0", "--epochs", "1", "--output_dir", str(tmp_path / "out"), *more),
    ]


def settings_of(folder: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((folder / "settings.json").read_text())
    return found


def said(result: Result) -> str:
    return " ".join(result.output.split())


def test_the_published_command_runs(tmp_path: Path, planner_model: Path) -> None:
    data = problems_file(tmp_path, 2)
    result = called(
        *(
            "tree",
            "--model_id",
            str(planner_model),
            "--dataset",
            str(data),
            "--n_rows",
            "2",
            "--eval_rows",
            "0",
        ),
        *("--epochs", "1", "--output_dir", str(tmp_path / "out"), "--torch_dtype", "bfloat16", *SPEC_FLAGS),
    )
    assert result.exit_code == 0, result.output
    assert "note: --gpu_memory_utilization 0.4 has no effect with no vLLM server that is" in result.output
    assert "note: --enable_prefix_caching has no effect" in result.output
    assert "a tree each" in result.output
    found = settings_of(tmp_path / "out")
    expected = {
        "batch_size": 16, "gradient_accumulation_steps": 1, "save_every": 200, "save_total_limit": 2,
        "logging_steps": 50, "bf16": True, "explorer": "entropy_tree", "credit": "descendant_mean",
        "objective": "grpo", "adv_estimator": "centred", "loss_agg_mode": "token-mean", "kl_coeff": 0.0,
        "preset": "treerpo",
    }  # fmt: skip
    assert {name: found[name] for name in expected} == expected


def test_the_preset_has_the_published_values() -> None:
    """Those of its flags that are numbers; what is left out of them is what they would have said."""
    config = LanguageModelConfig(model_id="some/model", preset="treerpo")
    aliases = {"per_device_train_batch_size": "batch_size", "save_steps": "save_every"}
    flags = dict(pairwise(SPEC_FLAGS))
    named = {flag.removeprefix("--"): value for flag, value in flags.items() if flag.startswith("--")}
    for name in ("gpu_memory_utilization", "enable_prefix_caching"):
        del named[name]
    for name, value in named.items():
        assert getattr(config, aliases.get(name, name)) == float(value), name
    assert config.gradient_accumulation_steps == 1


@pytest.mark.parametrize(
    ("command", "arguments", "expected"),
    [
        ("run", ["--model_id", "{tmp}/nothing"], "is no model folder: it has no config.json"),
        ("run", ["--temperature", "0"], "--temperature 0.0: Input should be greater than 0"),
        ("tree", ["--temperature", "0"], "--temperature 0.0: Input should be greater than 0"),
        (
            "run",
            ["--num_rollouts_per_prompt", "1"],
            "--num_rollouts_per_prompt 1: Input should be greater than or",
        ),
        (
            "run",
            ["--ground_truth_format", "judge"],
            "--ground_truth_format judge: no model judges answers here",
        ),
        ("run", ["--explorer", "forest"], "'forest' is not one of 'linear', 'entropy_tree', 'thought_tree'"),
        (
            "run",
            ["--data_file", "{tmp}/nothing"],
            "nothing does not exist; give a file of problems with --data_file",
        ),
        (
            "tree",
            ["--dataset", "some/dataset"],
            "--dataset 'some/dataset' is no file; a dataset of a hub is first",
        ),
        ("tree", ["--dataset", "{data}", "--data_file", "{data}"], "--dataset and --data_file are the same"),
        ("tree", ["--save_steps", "5", "--save_every", "5"], "--save_steps and --save_every are the same"),
        ("tree", ["--max_depth", "0"], "--max_depth 0: Input should be greater than or equal to 1"),
        (
            "run",
            ["--config", "{tmp}/nothing.yaml"],
            "nothing.yaml cannot be read (No such file or directory)",
        ),
        ("run", ["--device", "cuda:99"], "device is 'cuda:99'"),
    ],
)
def test_bad_input_exits_with_2_and_one_message(
    tmp_path: Path, command: str, arguments: list[str], expected: str
) -> None:
    model = tmp_path / "model"
    model.mkdir()
    (model / "config.json").write_text("{}")
    names = {"tmp": str(tmp_path), "data": str(problems_file(tmp_path, 4))}
    given = [argument.format(**names) for argument in arguments]
    usual = {
        "--model_id": str(model), "--data_file": names["data"], "--n_rows": "2", "--eval_rows": "0",
        "--output_dir": str(tmp_path / "out"),
    }  # fmt: skip
    if "--dataset" in given:
        del usual["--data_file"]
    rest = [text for flag, value in usual.items() if flag not in given for text in (flag, value)]
    result = called(command, *rest, *given)
    assert result.exit_code == 2, result.output
    assert expected in said(result)
    assert "Traceback" not in result.output


def test_a_model_of_a_hub_is_not_taken_for_a_hosted_one() -> None:
    config = LanguageModelConfig(model_id="omrisap/Qwen2.5-Math-1.5B-5K-SFT")
    assert config.framework == "local"
    assert config.preset is None


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["--max_depth", "3"], "--max_depth 3 has no effect with --explorer linear"),
        (
            ["--explorer", "entropy_tree", "--num_rollouts_per_prompt", "3"],
            "has no effect with --explorer entropy_tree",
        ),
        (["--branching_factor", "5"], "--branching_factor 5 has no effect with --explorer linear"),
        (["--entropy_pivot", "0.5"], "--entropy_pivot 0.5 has no effect with nothing that reads entropies"),
        (["--adv_beta", "0.5"], "--adv_beta 0.5 has no effect with --no_adaptive_advantage"),
        (["--temperature_tau", "0.1"], "--temperature_tau 0.1 has no effect with --no_adaptive_temperature"),
        (
            ["--preset", "treerpo"],
            "--preset treerpo: its rules for splitting have no effect with --explorer linear",
        ),
        (["--clip_ratio_low", "0.1"], "--clip_ratio_low 0.1 has no effect with --num_iterations 1"),
        (["--objective", "hapo"], "--adaptive_clip has no effect with --num_iterations 1"),
        (["--max_num_gen_batches", "3"], "--max_num_gen_batches 3 has no effect with --no_filter_groups"),
        (
            ["--no_norm_adv_by_std_in_grpo"],
            "--norm_adv_by_std_in_grpo False has no effect with --adv_estimator scaled",
        ),
    ],
)
def test_what_has_no_effect_is_noted(
    tmp_path: Path, planner_model: Path, arguments: list[str], expected: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    configs: list[LanguageModelConfig] = []

    def caught(config: LanguageModelConfig, *, resume: bool, notes: tuple[str, ...]) -> None:
        configs.append(config)

    monkeypatch.setattr(
        "hierarchical_reasoning.cli.train_language_model.train_language_model_at_terminal", caught
    )
    assert called("run", *base(tmp_path, planner_model)).exit_code == 0
    assert called("run", *base(tmp_path, planner_model, *arguments)).exit_code == 0
    usual, given = (assemble_language_model(config).notes for config in configs)
    assert not any("no effect" in note for note in usual)
    assert any(expected in note for note in given), given


def test_delimiters_are_given_one_by_one(
    tmp_path: Path, planner_model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    configs: list[LanguageModelConfig] = []
    monkeypatch.setattr(
        "hierarchical_reasoning.cli.train_language_model.train_language_model_at_terminal",
        lambda config, **_: configs.append(config),
    )
    given = ("--delimiters", r"\n", "--delimiters", r"\\n", "--delimiters", "。")
    for command in ("run", "tree"):
        assert called(command, *base(tmp_path, planner_model, *given)).exit_code == 0
        assert called(command, *base(tmp_path, planner_model)).exit_code == 0
    assert [config.delimiters for config in configs] == [("\n", r"\n", "。"), DELIMITERS] * 2
    refused = called("tree", *base(tmp_path, planner_model, "--delimiters", ""))
    assert (refused.exit_code, "--delimiters '': String should have at least 1" in said(refused)) == (2, True)


def test_a_whole_run_that_learns_nothing_says_so(tmp_path: Path, planner_model: Path) -> None:
    result = called(
        "run", *base(tmp_path, planner_model, "--max_new_tokens", "4", "--num_rollouts_per_prompt", "2")
    )
    assert result.exit_code == 0, result.output
    assert "ATTENTION: nothing was learned" in result.output
    assert "--num_rollouts_per_prompt, the number of branches or --temperature" in said(result)
    last = tmp_path / "out" / "last"
    assert f"--model_name {last} --llm_framework local --vanilla_baseline" in said(result)
    assert (tmp_path / "out" / "report" / "index.html").is_file()


def test_help_loads_neither_torch_nor_transformers() -> None:
    code = (
        "import sys; from click.testing import CliRunner; from hierarchical_reasoning.cli.main import main; "
        "shown = [CliRunner().invoke(main, ['train', name, '--help']) for name in ('run', 'tree', 'hato')]; "
        "assert not any(each.exit_code for each in shown); "
        "print([name for name in ('torch', 'transformers', 'sklearn', 'networkx') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_interrupted_it_makes_a_checkpoint_and_goes_on_from_it(tmp_path: Path, planner_model: Path) -> None:
    def command(*more: str) -> list[str]:
        code = "from hierarchical_reasoning.cli.main import main; main()"
        settings = ("--batch_size", "1", "--max_new_tokens", "4", "--num_rollouts_per_prompt", "2", *more)
        return [sys.executable, "-c", code, "train", "run", *base(tmp_path, planner_model, *settings)]

    with subprocess.Popen(
        command("--gradient_accumulation_steps", "1", "--epochs", "500", "--save_every", "10000"),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        for line in process.stdout:
            if line.startswith("update 1 "):
                break
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=120)
    assert process.returncode == 130, out + err
    last = tmp_path / "out" / "last"
    assert f"go on from {last.resolve()} with --resume" in err
    assert "Traceback" not in err
    done = int(last.resolve().name.removeprefix("update-"))
    result = called(
        *("run", *base(tmp_path, planner_model, "--batch_size", "1", "--max_new_tokens", "4")),
        *("--num_rollouts_per_prompt", "2", "--gradient_accumulation_steps", "1", "--resume"),
        *("--epochs", str(done // 2 + 1)),
    )
    assert result.exit_code == 0, result.output
    numbers = [r["update"] for r in log_of(tmp_path / "out") if r["kind"] == "update"]
    assert numbers == list(range(1, 2 * (done // 2 + 1) + 1))
