"""Trains the bundled model from scratch on lessons.

A small standard transformer (Llama, tied embeddings) and a byte-level BPE tokenizer that splits digits. Hidden
matrices are optimised by Muon, the rest by AdamW; logits are computed only where there is loss. The same seed,
machine type and number of threads give the same model.
"""

from __future__ import annotations

import hashlib
import json
import math
import random
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

import torch
from torch import Tensor, nn
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

from hierarchical_reasoning.model_settings import ModelSettings, write_model_settings
from hierarchical_reasoning.sample_tasks.lessons import LessonMaker, lessons_sha256
from hierarchical_reasoning.sample_tasks.muon import Muon
from hierarchical_reasoning.sample_tasks.tokenizer import encode_lesson, train_tokenizer
from llm_backends.local.loading import find_device


@dataclass(frozen=True)
class Phase:
    """One run of the schedule: linear warm-up, then cosine to nearly nothing. Optimizers start afresh."""

    steps: int
    peak: float
    """Share of the plan's learning rates that is reached."""
    drills: tuple[float, float]
    """Share of drills among conversations, at the start and at the end."""


@dataclass(frozen=True)
class TrainingPlan:
    """Everything that decides what the bundled model becomes."""

    hidden_size: int = 192
    layers: int = 5
    heads: int = 6
    intermediate_size: int = 512
    vocabulary: int = 1024
    context_length: int = 4096
    phases: tuple[Phase, ...] = (
        Phase(2300, 1.0, (0.5, 0.2)),
        Phase(900, 0.35, (0.35, 0.15)),
        Phase(450, 0.2, (0.35, 0.15)),
    )
    """Each starts from the saved model of the one before."""
    tokens_per_batch: int = 8192
    learning_rate: float = 3e-3
    """Of AdamW: embeddings, norms, biases."""
    matrix_learning_rate: float = 0.02
    """Of Muon: hidden matrices."""
    warmup_steps: int = 60
    weight_decay: float = 0.01
    seed: int = 0
    lessons_for_tokenizer: int = 2000


@dataclass(frozen=True)
class Batch:
    """Conversations padded on the right to one length."""

    input_ids_BT: Tensor
    predict_N: Tensor
    """Flat positions whose next token carries loss."""
    target_N: Tensor


def train_model(
    plan: TrainingPlan,
    maker: LessonMaker,
    output: Path,
    *,
    device: str = "auto",
    first_phase: int = 0,
    report: Callable[[str], None] = lambda line: None,
) -> Path:
    """Train, and write a transformers model directory.

    Args:
        plan: sizes, schedule, seed.
        maker: draws the lessons.
        output: directory to write, whole or not at all. A phase after the first starts from the model in it.
        device: ``auto`` takes a CUDA GPU (bf16 autocast) where there is one.
        first_phase: where to begin; 0 begins from nothing.
        report: gets a line of progress now and then.
    """
    device = str(find_device(device))
    output.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=output.parent, prefix=".training-") as folder:
        staging = Path(folder)
        if first_phase == 0:
            _save_untrained(plan, maker, staging)
        else:
            shutil.copytree(output, staging, dirs_exist_ok=True)
        for number in range(first_phase, len(plan.phases)):
            _train_phase(plan, number, maker, staging, device, report)
        weights = hashlib.sha256((staging / "model.safetensors").read_bytes()).hexdigest()
        record = {"weights_sha256": weights, "lessons_sha256": lessons_sha256(maker), "plan": asdict(plan)}
        write_model_settings(staging, ModelSettings(num_icl_examples=0))
        (staging / "training.json").write_text(json.dumps(record, indent=2) + "\n", encoding="utf-8")
        output.mkdir(exist_ok=True)
        for path in sorted(staging.iterdir()):
            path.replace(output / path.name)
    return output


def _save_untrained(plan: TrainingPlan, maker: LessonMaker, output: Path) -> None:
    torch.manual_seed(plan.seed)
    rng = random.Random(f"tokenizer/{plan.seed}")
    lessons = (maker.lesson(rng) for _ in range(plan.lessons_for_tokenizer))
    tokenizer = train_tokenizer(lessons, plan.vocabulary, plan.context_length)
    save_model(make_model(plan, tokenizer), tokenizer, output, torch.float32)


def _train_phase(
    plan: TrainingPlan,
    number: int,
    maker: LessonMaker,
    output: Path,
    device: str,
    report: Callable[[str], None],
) -> None:
    phase = plan.phases[number]
    model = LlamaForCausalLM.from_pretrained(output, dtype=torch.float32).to(device)
    tokenizer = PreTrainedTokenizerFast.from_pretrained(output)
    size = sum(p.numel() for p in model.parameters()) / 1e6
    report(f"phase {number}: {phase.steps} steps, {size:.2f} M parameters on {device}")
    run = _Training(plan, phase, model, device)
    rng = random.Random(f"lessons/{plan.seed + number}")
    started, seen = time.monotonic(), 0
    for step, batch in enumerate(batches(plan, phase, maker, tokenizer, rng)):
        loss = run.step(step, batch)
        seen += batch.input_ids_BT.numel()
        if step % 50 == 0 or step + 1 == phase.steps:
            seconds = time.monotonic() - started
            report(f"step {step} loss {loss:.4f} {seen / seconds:,.0f} tokens/s {seconds:,.0f} s")
    save_model(model, tokenizer, output)


def make_model(plan: TrainingPlan, tokenizer: PreTrainedTokenizerFast) -> LlamaForCausalLM:
    config = LlamaConfig(
        vocab_size=plan.vocabulary,
        hidden_size=plan.hidden_size,
        intermediate_size=plan.intermediate_size,
        num_hidden_layers=plan.layers,
        num_attention_heads=plan.heads,
        num_key_value_heads=plan.heads,
        max_position_embeddings=plan.context_length,
        tie_word_embeddings=True,
        bos_token_id=None,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
    )
    return LlamaForCausalLM(config)


def save_model(
    model: LlamaForCausalLM,
    tokenizer: PreTrainedTokenizerFast,
    output: Path,
    dtype: torch.dtype = torch.bfloat16,
) -> None:
    """Write weights, tokenizer and chat template."""
    output.mkdir(parents=True, exist_ok=True)
    stored = LlamaForCausalLM(model.config).to(dtype)
    stored.load_state_dict({name: tensor.to("cpu", dtype) for name, tensor in model.state_dict().items()})
    stored.generation_config.do_sample = False
    stored.save_pretrained(output)
    tokenizer.save_pretrained(output)


def batches(
    plan: TrainingPlan,
    phase: Phase,
    maker: LessonMaker,
    tokenizer: PreTrainedTokenizerFast,
    rng: random.Random,
) -> Iterator[Batch]:
    """Batches of about ``tokens_per_batch``, each of conversations of like length."""
    made = 0
    while made < phase.steps:
        start, end = phase.drills
        share = start + (end - start) * made / phase.steps
        pool = [
            encode_lesson(tokenizer, maker.drill(rng) if rng.random() < share else maker.lesson(rng))
            for _ in range(256)
        ]
        pool.sort(key=lambda lesson: len(lesson[0]))
        groups: list[list[tuple[list[int], list[bool]]]] = [[]]
        for lesson in pool:
            if groups[-1] and len(lesson[0]) * (len(groups[-1]) + 1) > plan.tokens_per_batch:
                groups.append([])
            groups[-1].append(lesson)
        rng.shuffle(groups)
        for group in groups[: phase.steps - made]:
            yield _collate(group, tokenizer.pad_token_id)
            made += 1


def _collate(group: list[tuple[list[int], list[bool]]], pad: int) -> Batch:
    length = max(len(ids) for ids, _ in group)
    input_ids_BT = torch.full((len(group), length), pad)
    loss_BT = torch.zeros(len(group), length, dtype=torch.bool)
    for row, (ids, loss) in enumerate(group):
        input_ids_BT[row, : len(ids)] = torch.tensor(ids)
        loss_BT[row, : len(ids)] = torch.tensor(loss)
    predict_BT = torch.zeros_like(loss_BT)
    predict_BT[:, :-1] = loss_BT[:, 1:]
    return Batch(input_ids_BT, predict_BT.flatten().nonzero().squeeze(1), input_ids_BT[loss_BT])


class _Training:
    def __init__(self, plan: TrainingPlan, phase: Phase, model: LlamaForCausalLM, device: str) -> None:
        matrices = [p for p in model.model.layers.parameters() if p.ndim == 2]
        others = [p for p in model.parameters() if not any(p is m for m in matrices)]
        self.plan, self.phase, self.model, self.device = plan, phase, model, device
        self.optimizers: list[torch.optim.Optimizer] = [
            Muon(matrices, lr=plan.matrix_learning_rate, weight_decay=plan.weight_decay),
            torch.optim.AdamW(others, lr=plan.learning_rate, weight_decay=0.0, betas=(0.9, 0.95)),
        ]
        self.peaks = [phase.peak * plan.matrix_learning_rate, phase.peak * plan.learning_rate]
        self.body = torch.compile(model.model, dynamic=True) if device == "cuda" else model.model

    def step(self, step: int, batch: Batch) -> float:
        for optimizer, peak in zip(self.optimizers, self.peaks, strict=True):
            optimizer.param_groups[0]["lr"] = peak * self._schedule(step)
        with torch.autocast(self.device, torch.bfloat16, enabled=self.device == "cuda"):
            hidden_BTD = self.body(
                input_ids=batch.input_ids_BT.to(self.device), use_cache=False
            ).last_hidden_state
            hidden_ND = hidden_BTD.flatten(0, 1)[batch.predict_N.to(self.device)]
            logits_NV = self.model.lm_head(hidden_ND).float()
        loss = nn.functional.cross_entropy(logits_NV, batch.target_N.to(self.device))
        torch.autograd.backward(loss)
        nn.utils.clip_grad_norm_(self.model.parameters(), 1.0)
        for optimizer in self.optimizers:
            optimizer.step()
            optimizer.zero_grad(set_to_none=True)
        return float(loss.detach())

    def _schedule(self, step: int) -> float:
        if step < self.plan.warmup_steps:
            return (step + 1) / self.plan.warmup_steps
        done = (step - self.plan.warmup_steps) / max(1, self.phase.steps - self.plan.warmup_steps)
        return 0.02 + 0.98 * 0.5 * (1 + math.cos(math.pi * done))
