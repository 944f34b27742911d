"""``train_model_grpo.py``: its flags, and what it says of bad input."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from fake_reasoner import problems_file

import hierarchical_reasoning.training.run
from hierarchical_reasoning.cli.main import main
from hierarchical_reasoning.cli.train_grpo import grpo
from hierarchical_reasoning.training.config import GrpoConfig
from hierarchical_reasoning.training.planner.assembly import assemble_training

SCRIPT = Path(__file__).parents[2] / "train_model_grpo.py"
ORIGINAL_FLAGS = (
    "data_file",
    "planner_model_name",
    "reasoning_model_name",
    "llm_framework",
    "vllm_base_url",
    "output_dir",
    "batch_size",
    "learning_rate",
    "tree_model_path",
    "epochs",
    "max_steps_per_episode",
    "kl_coeff",
    "advantage_type",
    "num_rollouts_per_prompt",
    "gradient_accumulation_steps",
    "sample_action",
    "epsilon",
    "max_grad_norm",
    "temperature",
    "seed",
    "length_reward_weight",
    "ground_truth_format",
    "category",
    "cache_dir",
    "label_level",
)


def grpo_with(*arguments: str) -> Result:
    return CliRunner().invoke(grpo, [*arguments])


def test_it_takes_every_flag_of_the_original_and_says_what_differs() -> None:
    shown = CliRunner().invoke(main, ["train", "grpo", "--help"])
    assert shown.exit_code == 0
    words = " ".join(shown.output.split())
    for flag in (*ORIGINAL_FLAGS, "n_rows", "eval_rows", "no_sample_action"):
        assert f"--{flag} " in words.replace("/", " ") or f"--{flag}]" in words
    assert "default: 1e-05; 0.0003 where the planner is the bundled model" in words


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--num_rollouts_per_prompt", "1"], "--num_rollouts_per_prompt 1"),
        (["--num-rollouts-per-prompt", "1"], "--num_rollouts_per_prompt 1"),
        (["--temperature", "0"], "--temperature 0 with --sample_action"),
        (["--planner_model_name", "{tmp}"], "--planner_model_name '{tmp}' is no model folder"),
        (["--reasoning_model_name", "./nowhere"], "--reasoning_model_name './nowhere' is no model folder"),
        (["--planner_temperature", "0"], "--planner_temperature 0 with --sample_action"),
        (["--llm_framework", "telepathy", "--eval_rows", "0"], "no backend is called 'telepathy'"),
        (["--llm_framework", "scripted"], "--llm_framework scripted replies from a Python function"),
        (
            ["--llm_framework", "together", "--eval_rows", "0"],
            "set the environment variable TOGETHER_API_KEY",
        ),
        (["--vllm_base_url", "localhost", "--eval_rows", "0"], "'localhost'"),
        (["--vllm_gpus", "0"], "--vllm_gpus is about the server of --vllm_auto_start"),
        (["--extra_body", "{{}}"], "--extra_body {{}} is sent to a server, and --llm_framework is local"),
        (["--ground_truth_format", "judge"], "name it with --high_level_model_name"),
        (["--examples_file", "/nope.json", "--eval_rows", "0"], "/nope.json"),
        (["--prompts_dir", "/nope", "--eval_rows", "0"], "/nope"),
        (["--prices", "/nope", "--eval_rows", "0"], "/nope is no table of prices"),
        (["--sample_id", "nobody", "--eval_rows", "0"], "nobody"),
        (["--number_tolerance", "2"], "--number_tolerance 2.0"),
        (["--reasoner_patience", "-1"], "--reasoner_patience -1.0"),
        (["--label_level", "99", "--eval_rows", "0"], "99"),
        (["--n_rows", "4"], "none is left to measure with"),
        (["--eval_file", "{data}"], "4 of 4 held-out problems are trained on as well"),
        (["--data_file", "{unanswered}", "--eval_rows", "0"], "has no ground truth"),
        (["--data_file", "/nope"], "/nope does not exist; give a file of problems with --data_file"),
        (["--eval_file", "/nope"], "/nope does not exist; give a file of problems with --eval_file"),
        (["--problem_field", "puzzle"], "--problem_field 'puzzle' is in no row"),
        (["--answer_field", "solution"], "--answer_field 'solution' is in no row"),
        (["--device", "cuda:99"], "device is 'cuda:99', and torch"),
        (["--temperature", "1e9"], "--temperature 1000000000.0"),
    ],
)
def test_bad_input_exits_with_2_and_one_message(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: list[str], said: str
) -> None:
    monkeypatch.delenv("TOGETHER_API_KEY", raising=False)
    model = tmp_path / "model"
    model.mkdir()
    (model / "config.json").write_text("{}")
    unanswered = tmp_path / "unanswered.jsonl"
    unanswered.write_text('{"prompt": "Why?"}\n')
    names = {"tmp": str(tmp_path), "data": str(problems_file(tmp_path, 4)), "unanswered": str(unanswered)}
    base = [
        "--planner_model_name",
        str(model),
        "--reasoning_model_name",
        str(model),
        "--data_file",
        names["data"],
    ]
    result = grpo_with(*base, *(argument.format(**names) for argument in arguments))
    assert result.exit_code == 2, result.output
    assert said.format(**names) in " ".join(result.output.split())
    assert "Traceback" not in result.output


def test_a_model_that_is_nowhere_is_said_with_its_flag(tmp_path: Path, planner_model: Path) -> None:
    pickled = tmp_path / "pickled"
    pickled.mkdir()
    (pickled / "config.json").write_text("{}")
    (pickled / "pytorch_model.bin").write_bytes(b"")
    for wrong, right in (
        ("--planner_model_name", "--reasoning_model_name"),
        ("--reasoning_model_name", "--planner_model_name"),
    ):
        result = grpo_with(
            *(wrong, str(pickled), right, str(planner_model), "--output_dir", str(tmp_path / "out")),
            *("--data_file", str(problems_file(tmp_path, 4)), "--n_rows", "2", "--num_icl_examples", "0"),
        )
        assert result.exit_code == 2, result.output
        assert f"read from safetensors only: convert them with save_pretrained ({wrong})" in result.output


def test_notes_say_which_problems_they_are_about(tmp_path: Path) -> None:
    held_out = tmp_path / "held_out"
    held_out.mkdir()
    config = GrpoConfig(
        data_file=problems_file(tmp_path, 4), eval_file=problems_file(held_out, 3, first=50), n_rows=4
    )
    notes = assemble_training(config).notes
    assert "problems to train on: the ground truth is taken from `answer`" in notes
    assert "held-out problems: the ground truth is taken from `answer`" in notes
    assert "held-out problems: --eval_rows 100: there are only 3 problems, all of them are used" in notes


def test_a_second_ctrl_c_ends_at_once_and_says_what_was_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(*parts: object, **options: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(hierarchical_reasoning.training.run, "train_planner", interrupted)
    result = grpo_with("--output_dir", str(tmp_path), "--cache_dir", str(tmp_path / "cache"))
    assert result.exit_code == 130
    assert result.stderr == (
        "Error: interrupted; there is no checkpoint yet, so nothing is kept to go on from\n"
    )
    for update in (2, 10):
        state = tmp_path / f"update-{update}" / "training_state"
        state.mkdir(parents=True)
        (state / "progress.json").write_text("{}")
    said = grpo_with("--output_dir", str(tmp_path), "--cache_dir", str(tmp_path / "cache")).stderr
    assert said == f"Error: interrupted; the last checkpoint is {tmp_path}/update-10, go on with --resume\n"


def test_with_argmax_temperature_0_is_no_mistake(tmp_path: Path) -> None:
    result = grpo_with("--temperature", "0", "--no-sample-action", "--planner_model_name", str(tmp_path))
    assert "is no model folder" in result.output


def test_help_loads_neither_torch_nor_transformers() -> None:
    code = (
        "import sys; from click.testing import CliRunner; from hierarchical_reasoning.cli.main import main; "
        "shown = CliRunner().invoke(main, ['train', 'grpo', '--help']); assert shown.exit_code == 0; "
        "print([name for name in ('torch', 'transformers', 'sklearn', 'networkx') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_the_script_at_the_root_is_the_command() -> None:
    done = subprocess.run(
        [sys.executable, str(SCRIPT), "--help"], capture_output=True, text=True, check=True, cwd=SCRIPT.parent
    )
    assert "Usage: train_model_grpo.py" in done.stdout


def test_a_whole_training_run(tmp_path: Path, planner_model: Path) -> None:
    result = grpo_with(
        *("--data_file", str(problems_file(tmp_path, 4)), "--n_rows", "2", "--eval_rows", "2"),
        *("--planner_model_name", str(planner_model), "--reasoning_model_name", str(planner_model)),
        *("--label_level", "1", "--max-steps-per-episode", "2", "--num-rollouts-per-prompt", "2"),
        *(
            "--max_thought_tokens",
            "4",
            "--max_answer_tokens",
            "4",
            "--num_icl_examples",
            "0",
            "--epochs",
            "1",
        ),
        *("--output_dir", str(tmp_path / "out"), "--cache_dir", str(tmp_path / "cache")),
    )
    assert result.exit_code == 0, result.output
    assert "ATTENTION: nothing was learned" in result.output
    best = tmp_path / "out" / "best"
    used_with = f"--planner_model_name {best} --label_level 1 --max_reasoning_steps 2 --num_icl_examples 0"
    assert used_with in result.output
    assert (tmp_path / "out" / "report" / "index.html").is_file()
