"""TRL's own GRPOTrainer on recorded tokens: its loss and its update, without what it does to generate."""

from __future__ import annotations

import os
import time
import warnings
from collections import Counter
from collections.abc import Sequence
from typing import Any

import torch
from datasets import Dataset, disable_progress_bars
from transformers import PrinterCallback, ProgressCallback, TrainerCallback
from trl import GRPOConfig, GRPOTrainer

from llm_backends.local.loading import LoadedModel


def train(
    model: LoadedModel,
    rows: Sequence[dict[str, Any]],
    *,
    batch_size: int,
    updates: int,
    learning_rate: float,
    max_grad_norm: float,
    group: int,
    dtype: str,
    directory: str,
) -> list[tuple[float, float]]:
    """Seconds of each update on all the rows, and processor seconds.

    Args:
        rows: prompt_ids, completion_ids, env_mask and episode_reward of an episode, group by group.
    """
    os.environ |= {"HF_HUB_OFFLINE": "1", "TRL_EXPERIMENTAL_SILENCE": "1"}
    warnings.filterwarnings("ignore", category=FutureWarning, module="transformers")
    disable_progress_bars()
    on_cpu = model.device.type == "cpu"
    trainer = _Timed(
        model=model.module,
        reward_funcs=lambda completions, episode_reward, **_: episode_reward,
        train_dataset=Dataset.from_list(
            [{"prompt": [{"role": "user", "content": str(number)}]} for number in range(len(rows) // group)]
        ),
        processing_class=model.tokenizer,
        rollout_func=lambda prompts, trainer: _recorded(rows, group, prompts),
        args=GRPOConfig(
            output_dir=directory,
            use_cpu=on_cpu,
            bf16=dtype == "bfloat16",
            gradient_checkpointing=False,
            per_device_train_batch_size=batch_size,
            gradient_accumulation_steps=len(rows) // batch_size,
            num_generations=group,
            max_steps=updates,
            learning_rate=learning_rate,
            max_grad_norm=max_grad_norm,
            scale_rewards="none",
            save_strategy="no",
            report_to="none",
            disable_tqdm=True,
            logging_strategy="no",
        ),
    )
    trainer.add_callback(_Clock(trainer))
    trainer.remove_callback(PrinterCallback)
    trainer.remove_callback(ProgressCallback)
    trainer.train()
    return trainer.seconds


def _recorded(rows: Sequence[dict[str, Any]], group: int, prompts: Sequence[Any]) -> dict[str, Any]:
    """The rows of the groups that are asked for, those of a group in turn."""
    seen: Counter[int] = Counter()
    chosen = []
    for prompt in prompts:
        number = int(prompt[0]["content"])
        chosen.append(rows[group * number + seen[number] % group])
        seen[number] += 1
    return {name: [row[name] for row in chosen] for name in rows[0]} | {"logprobs": None}


class _Timed(GRPOTrainer):  # type: ignore[misc]
    """Knows how long its updates took, less what belongs to generation."""

    def __init__(self, **arguments: Any) -> None:
        self.seconds: list[tuple[float, float]] = []
        self.generation = (0.0, 0.0)
        super().__init__(**arguments)

    def _generate_and_score_completions(self, inputs: Any) -> Any:
        began = _now()
        output = super()._generate_and_score_completions(inputs)
        self.generation = _since(began)
        return output


class _Clock(TrainerCallback):  # type: ignore[misc]
    def __init__(self, trainer: _Timed) -> None:
        self._trainer = trainer
        self._began = _now()

    def on_step_begin(self, *_: Any, **__: Any) -> None:
        self._began = _now()

    def on_step_end(self, *_: Any, **__: Any) -> None:
        if torch.cuda.is_available():
            torch.cuda.synchronize()
        wall, cpu = _since(self._began)
        self._trainer.seconds.append((wall - self._trainer.generation[0], cpu - self._trainer.generation[1]))


def _now() -> tuple[float, float]:
    return time.perf_counter(), time.process_time()


def _since(began: tuple[float, float]) -> tuple[float, float]:
    wall, cpu = _now()
    return wall - began[0], cpu - began[1]
