"""HATO's three files: the published blocks load as they stand, and no key is without a meaning or a word on it."""

from __future__ import annotations

from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from hierarchical_reasoning.errors import ConfigError
from hierarchical_reasoning.training.hato.keys import Sets, Unused, known_keys
from hierarchical_reasoning.training.hato.reading import (
    FILES,
    HATO,
    MODEL,
    TRAINING,
    HatoFiles,
    read_hato_files,
)
from hierarchical_reasoning.training.hato.settings import hato_run
from hierarchical_reasoning.training.hato.usual import FOR_BUNDLED, USUAL
from hierarchical_reasoning.training.language_model.config import LanguageModelConfig
from hierarchical_reasoning.values.settings import HeadSettings

MODEL_BLOCK = """
model:
  name: "Qwen/Qwen1.5-0.6B"  # Change to appropriate model size
  tokenizer: "Qwen/Qwen1.5-0.6B"
  max_length: 2048
  use_flash_attention: true
  precision: "bf16"  # Options: fp32, fp16, bf16
"""
TRAINING_BLOCK = """
trainer:
  project_name: "hato"
  experiment_name: "hato_qwen_0.6b_math"
  logger: "wandb"  # Options: wandb, tensorboard, none
  total_epochs: 3
  critic_warmup: 100
  test_freq: 500
  save_freq: 1000
  val_before_train: true
  val_only: false
  balance_batch: true
  output_dir: "./outputs"
  checkpoint_path: null  # Path to checkpoint for resuming training

resource:
  n_actor_worker: 4
  n_critic_worker: 2
  n_rm_worker: 2
  n_ref_worker: 2
  actor_worker_use_gpu: true
  critic_worker_use_gpu: true
  rm_worker_use_gpu: true
  ref_worker_use_gpu: true
  actor_worker_gpu_memory: 20000
  critic_worker_gpu_memory: 20000
  rm_worker_gpu_memory: 20000
  ref_worker_gpu_memory: 20000
"""
HATO_BLOCK = """
hato:
  # Tree configuration
  tree:
    max_depth: 3
    branching_factor: 5
    search_algorithm: "beam"  # Options: bfs, dfs, beam
    max_nodes_per_level: 5

  # Reward weights
  reward_weights:
    alpha: 0.4  # Weight for local reward
    beta: 0.5   # Weight for path reward
    gamma: 0.1  # Weight for causal reward

  # Exploration parameters
  exploration:
    initial_temperature: 0.7
    temperature_decay: 2.0

  # Uncertainty estimation
  uncertainty:
    type: "ensemble"  # Options: ensemble, dropout, bootstrap
    n_models: 5
    dropout_rate: 0.1
    n_forward_passes: 10
    n_bootstrap: 5
    model_config:
      hidden_size: 128
      n_layers: 2

  # Meta-learning configuration
  meta_learning:
    enable: true
    type: "reptile"  # Options: maml, reptile
    inner_lr: 0.01
    outer_lr: 0.001
    meta_lr: 0.1
    n_inner_steps: 5

  # Memory efficiency
  memory:
    sparse_materialization: true
    pruning_threshold: 0.2
    max_nodes: 1000

  # Verification threshold
  verification_threshold: 0.7

  # Evaluation metrics
  metrics:
    track_diversity: true
    track_novelty: true
    track_robustness: true
"""
ENTRY_POINT: dict[str, Any] = {
    "algorithm": {
        "adv_estimator": "grpo", "gamma": 0.99, "lam": 0.95, "norm_adv_by_std_in_grpo": True, "use_kl_in_reward": False,
        "filter_groups": {"enable": True, "metric": "rewards", "max_num_gen_batches": 5},
    },
    "actor_rollout_ref": {
        "actor": {"clip_ratio_low": 0.2, "clip_ratio_high": 0.28, "loss_agg_mode": "token-mean"}
    },
    "data": {"gen_batch_size": 32, "train_batch_size": 8},
}  # fmt: skip
"""What the main entry point adds to the files."""
BLOCKS = {MODEL: MODEL_BLOCK, TRAINING: TRAINING_BLOCK, HATO: HATO_BLOCK}
WORDS = {
    "model.name": "some/model",
    "model.tokenizer": "some/tokenizer",
    "model.precision": "fp32",
    "trainer.project_name": "other",
    "trainer.experiment_name": "other",
    "trainer.logger": "none",
    "trainer.output_dir": "./other",
    "trainer.checkpoint_path": "./nowhere",
    "algorithm.adv_estimator": "hapo",
    "algorithm.filter_groups.metric": "acc",
    "actor_rollout_ref.actor.loss_agg_mode": "seq-mean-token-sum",
    "hato.tree.search_algorithm": "dfs",
    "hato.uncertainty.type": "dropout",
    "hato.meta_learning.type": "maml",
}
"""Another value, of keys that are neither numbers nor switches."""
_OF_GRPO = {"algorithm.norm_adv_by_std_in_grpo": "adv_estimator"}
"""With grpo, which is an estimator for each of its values."""
REFUSED = {"model.tokenizer", "trainer.checkpoint_path"}
"""Keys whose other value is none that is served."""


def published() -> dict[str, Any]:
    """By file, what it maps: the blocks, and what the entry point adds."""
    found = {name: yaml.safe_load(block) for name, block in BLOCKS.items()}
    found[TRAINING] |= deepcopy(ENTRY_POINT)
    return found


def files_of(folder: Path, contents: dict[str, Any]) -> HatoFiles:
    for name, content in contents.items():
        (folder / name).write_text(content if isinstance(content, str) else yaml.safe_dump(content))
    return read_hato_files(folder)


def place(contents: dict[str, Any], key: str) -> tuple[dict[str, Any], str]:
    """Where a key stands, and its last part."""
    (at,) = [content for name, content in contents.items() if key in dict(known_keys(FILES[name]))]
    *sections, last = key.split(".")
    for section in sections:
        at = at[section]
    return at, last


def test_the_published_blocks_load_as_they_stand(tmp_path: Path) -> None:
    run = hato_run(files_of(tmp_path, dict(BLOCKS)), {}, resume=False)
    expected = {
        "model_id": "Qwen/Qwen1.5-0.6B", "max_length": 2048, "bf16": True, "project_name": "hato",
        "experiment_name": "hato_qwen_0.6b_math", "report_to": ("wandb",), "epochs": 3, "eval_every": 500,
        "save_every": 1000, "val_before_train": True, "val_only": False, "output_dir": Path("outputs"),
        "device": "auto", "max_depth": 3, "branching_factor": 5, "search_algorithm": "beam",
        "max_nodes_per_level": 5, "reward_alpha": 0.4, "reward_beta": 0.5, "reward_gamma": 0.1,
        "initial_temperature": 0.7, "temperature_decay": 2.0, "sparse_materialization": True,
        "pruning_threshold": 0.2, "max_nodes": 1000, "verification_threshold": 0.7, "track_diversity": True,
        "track_novelty": True, "track_robustness": True, "credit": "hierarchical", "preset": "hato",
    }  # fmt: skip
    found = run.config.model_dump()
    assert {name: found[name] for name in expected} == expected
    assert run.config.uncertainty == HeadSettings("ensemble", 5, 5, 10, 0.1, 128, 2)
    assert not run.resume


def test_the_entry_points_keys_are_what_hato_has_without_them(tmp_path: Path) -> None:
    with_them = hato_run(files_of(tmp_path, published()), {}, resume=False)
    without = hato_run(files_of(tmp_path, dict(BLOCKS)), {}, resume=False)
    assert with_them.config == without.config
    assert with_them.config.adv_estimator == "scaled"
    assert (with_them.config.gen_batch_size, with_them.config.batch_size) == (32, 8)


def test_the_published_blocks_have_every_key() -> None:
    for name, content in published().items():
        for key, _ in known_keys(FILES[name]):
            at, last = place(published(), key)
            assert last in at, key
        assert len(list(known_keys(FILES[name]))) == _leaves(content)


@pytest.mark.parametrize("key", [key for kind in FILES.values() for key, _ in known_keys(kind)])
def test_every_key_changes_a_setting_or_is_told_of(tmp_path: Path, key: str) -> None:
    usual = hato_run(files_of(tmp_path, published()), {}, resume=False)
    contents = published()
    at, last = place(contents, key)
    at[last] = other = _other(key, at[last])
    if key == "model.name":
        del at["tokenizer"]
    if key in REFUSED:
        with pytest.raises(ConfigError, match=key.replace(".", r"\.")):
            hato_run(files_of(tmp_path, contents), {}, resume=False)
        return
    run = hato_run(files_of(tmp_path, contents), {}, resume=False)
    (use,) = [use for kind in FILES.values() for name, use in known_keys(kind) if name == key]
    if isinstance(use, Sets):
        before, after = usual.config.model_dump(), run.config.model_dump()
        changed = {name for name in before if before[name] != after[name]}
        assert _OF_GRPO.get(key, use.setting.partition(".")[0]) in changed
    else:
        (note,) = set(run.notes) - set(usual.notes)
        assert f"{key}: {other}" in note
        assert isinstance(use, Unused) is ("unused" in note)


def test_a_kl_in_the_reward_has_the_weight_that_verl_gives_it(tmp_path: Path) -> None:
    contents = published()
    contents[TRAINING]["algorithm"]["use_kl_in_reward"] = True
    found = hato_run(files_of(tmp_path, contents), {}, resume=False).config
    assert (found.kl_in_reward, found.kl_coeff) == (True, 0.001)
    assert hato_run(files_of(tmp_path, contents), {"kl_coeff": 0.1}, resume=False).config.kl_coeff == 0.1


def test_dividing_by_the_deviation_is_an_estimator(tmp_path: Path) -> None:
    contents = published()
    contents[TRAINING]["algorithm"]["norm_adv_by_std_in_grpo"] = False
    assert hato_run(files_of(tmp_path, contents), {}, resume=False).config.adv_estimator == "centred"
    del contents[TRAINING]["algorithm"]["adv_estimator"]
    assert hato_run(files_of(tmp_path, contents), {}, resume=False).config.adv_estimator == "centred"
    contents[TRAINING]["algorithm"] = {"adv_estimator": "hapo", "norm_adv_by_std_in_grpo": False}
    found = hato_run(files_of(tmp_path, contents), {}, resume=False).config
    assert (found.adv_estimator, found.norm_adv_by_std_in_grpo) == ("hapo", False)


@pytest.mark.parametrize(
    ("file", "text", "said"),
    [
        (HATO, "hato: {tree: {max_dept: 3}}", "no key 'hato.tree.max_dept'; did you mean 'hato.tree.max_depth'"),
        (HATO, "hato: {max_nodes: 3}", "no key 'hato.max_nodes'; did you mean 'hato.memory.max_nodes'"),
        (TRAINING, "trainer: {epochs: 3}", "no key 'trainer.epochs'; did you mean 'trainer.total_epochs'"),
        (
            TRAINING,
            "trainer: {max_length: 3}",
            "no key 'trainer.max_length'; did you mean 'model.max_length' (in model_config.yaml)",
        ),
        (MODEL, "modle: {name: x}", "there is no key 'modle'; allowed are model.name, model.tokenizer"),
        (MODEL, "model: {precision: fp8}", "model.precision is 'fp8': Input should be 'fp32', 'fp16' or 'bf16'"),
        (MODEL, "model: {precision: fp16}", "model.precision is 'fp16': gradients leave the range of float16"),
        (MODEL, "model: {name: a, tokenizer: b}", "model.tokenizer is 'b' and model.name 'a'"),
        (MODEL, "model: 3", "model is 3; expected are keys and values below it"),
        (MODEL, "model:", "model is None; expected are keys and values below it"),
        (TRAINING, "trainer: {total_epochs: few}", "trainer.total_epochs is 'few': Input should be a valid integer"),
        (TRAINING, "trainer: {total_epochs: true}", "trainer.total_epochs is True: Input should be a valid integer"),
        (TRAINING, "trainer: {total_epochs: null}", "trainer.total_epochs is None: Input should be a valid integer"),
        (
            TRAINING,
            "algorithm: {use_kl_in_reward: true, filter_groups: {metric: seq_final_reward}}",
            "algorithm.filter_groups.metric is 'seq_final_reward' and algorithm.use_kl_in_reward is True",
        ),
        (TRAINING, "algorithm: {adv_estimator: gae}", "algorithm.adv_estimator is 'gae'; take grpo or hapo"),
        (HATO, "hato: {tree: {max_depth: 1, max_depth: 2}}", "the key 'max_depth' stands there twice"),
        (HATO, "- hato", "is a list, expected keys and values"),
        (HATO, "hato: [", "is not YAML"),
    ],
)  # fmt: skip
def test_what_cannot_be_read_is_told(tmp_path: Path, file: str, text: str, said: str) -> None:
    with pytest.raises(ConfigError) as caught:
        files_of(tmp_path, dict.fromkeys(FILES, "{}") | {file: text})
    assert said in str(caught.value)
    assert file in str(caught.value)


@pytest.mark.parametrize(
    ("file", "text", "said"),
    [
        (
            TRAINING,
            "trainer: {total_epochs: 0}",
            "trainer.total_epochs: 0: Input should be greater than or equal to 1",
        ),
        (TRAINING, "trainer: {save_freq: -1}", "trainer.save_freq: -1: Input should be greater"),
        (
            HATO,
            "hato: {tree: {branching_factor: 0}}",
            "hato.tree.branching_factor: 0: Input should be greater",
        ),
        (HATO, "hato: {uncertainty: {n_models: 1}}", "n_models of the value head is 1; it must be 2 or more"),
        (HATO, "hato: {reward_weights: {alpha: -1}}", "hato.reward_weights.alpha: -1"),
    ],
)
def test_what_is_out_of_range_is_told_by_its_key(tmp_path: Path, file: str, text: str, said: str) -> None:
    files = files_of(tmp_path, dict.fromkeys(FILES, "{}") | {file: text})
    with pytest.raises(ConfigError) as caught:
        hato_run(files, {}, resume=False)
    assert said in str(caught.value)
    assert file in str(caught.value)


def test_a_missing_file_is_told(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"model_config\.yaml cannot be read \(No such file or directory\)"):
        read_hato_files(tmp_path)


def test_flags_win_and_that_is_noted(tmp_path: Path) -> None:
    files = files_of(tmp_path, published())
    run = hato_run(files, {"epochs": 1, "branching_factor": 2, "seed": 3}, resume=False)
    assert (run.config.epochs, run.config.branching_factor, run.config.seed) == (1, 2, 3)
    said = [note for note in run.notes if "wins over" in note]
    assert any("--epochs 1 wins over trainer.total_epochs: 3" in note for note in said)
    assert len(said) == 2


def test_without_files_the_bundled_model_has_what_fits_it() -> None:
    run = hato_run(None, {}, resume=False)
    assert run.config == LanguageModelConfig(**USUAL, **FOR_BUNDLED)
    assert run.config.preset == "bundled"
    assert hato_run(None, {"model_id": "some/model"}, resume=False).config.preset == "hato"


def test_as_many_are_rolled_out_as_are_learned_from_unless_said_otherwise(tmp_path: Path) -> None:
    contents = published()
    contents[TRAINING]["data"] = {"train_batch_size": 64}
    run = hato_run(files_of(tmp_path, contents), {}, resume=False)
    assert run.config.problems_rolled_out == run.config.problems_per_update == 64


def test_meta_learning_is_told_as_a_command(tmp_path: Path) -> None:
    files = files_of(tmp_path, published())
    (note,) = [note for note in hato_run(files, {}, resume=False).notes if "meta_learning" in note]
    assert note.endswith(
        "hierarchical-reasoning train meta --meta_algorithm reptile --inner_lr 0.01 --outer_lr 0.001 --meta_lr 0.1 "
        "--n_inner_steps 5"
    )


_keys = st.one_of(
    st.sampled_from(
        ["model", "trainer", "hato", "tree", "max_depth", "alpha", "uncertainty", "model_config"]
    ),
    st.text(max_size=6),
    st.integers(),
)
_anything = st.recursive(
    st.one_of(st.none(), st.booleans(), st.floats(), st.integers(), st.text(max_size=5)),
    lambda inner: st.one_of(st.lists(inner, max_size=2), st.dictionaries(_keys, inner, max_size=3)),
    max_leaves=8,
)


@given(found=_anything, file=st.sampled_from(sorted(FILES)))
def test_any_yaml_is_read_or_refused(tmp_path_factory: pytest.TempPathFactory, found: Any, file: str) -> None:
    folder = tmp_path_factory.getbasetemp() / "any"
    folder.mkdir(exist_ok=True)
    try:
        hato_run(
            files_of(folder, dict.fromkeys(FILES, "{}") | {file: yaml.safe_dump(found)}), {}, resume=False
        )
    except ConfigError:
        return


def _leaves(content: Any) -> int:
    return sum(map(_leaves, content.values())) if isinstance(content, dict) else 1


def _other(key: str, value: Any) -> Any:
    if key in WORDS:
        return WORDS[key]
    if isinstance(value, bool):
        return not value
    return value + 1 if isinstance(value, int) else value / 2
