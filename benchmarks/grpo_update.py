"""Episodes a second that the planner's update learns from, beside three other ways to compute one.

``ours``      many episodes in one forward pass, what they share computed once
``per step``  one forward pass per recorded step, batch 1, which sees that step's whole prompt; the head is applied to
              its last token alone
``per step, as the reference does``  the same as the system behind this one does it: logits of the whole vocabulary at
              every token of the prompt, of which the last ones are taken
``TRL``       TRL's own GRPOTrainer on the same tokens, its own loss, the choices' tokens unmasked, no gradient
              checkpointing, with the batch size that is fastest; what it does to generate is not timed

All start from the same episodes of ten choices and the same weights, and end with a step of AdamW; all but TRL
begin with the messages, TRL with tokens. Each runs in a process of its own, whose peak memory is what it needs above
what it holds before the first update. Tokens are those of the conversations, each counted once, in every way alike;
so a way that computes a token ten times has learned from it once. Loss and gradient of ours and per step are compared,
in float32.

On a CPU what counts is the processor's seconds, which other work on the machine disturbs less; OMP_NUM_THREADS=1 makes
them those of one thread.

Where a step takes seconds, --sampled_steps times so many steps of the two ways per step, drawn at random, and counts
their seconds as often as all steps have their tokens; the optimizer's step is timed once, as it is.

    python benchmarks/grpo_update.py --output benchmarks/results/grpo_update.json
    python benchmarks/grpo_update.py --device cuda --dtype bfloat16 --layers 24 --width 896 --vocabulary 151936
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import random
import tempfile
from collections.abc import Callable, Collection, Container, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, get_args

import torch
import transformers
from measuring import Memory, alone, machine, medians, seconds_of, wait_for
from recorded_episodes import GROUP, N_CHOICES, Kind, record

from hierarchical_reasoning.assets import MODEL
from hierarchical_reasoning.training.episode import Episode
from hierarchical_reasoning.training.objectives import clipped_choice_loss
from hierarchical_reasoning.training.packed.prefix_trie import UniqueTokens
from hierarchical_reasoning.training.planner.policy import Policy
from hierarchical_reasoning.training.planner.update import Lesson, LossSettings, divide, pass_loss
from llm_backends.choices import ChoiceTrie, option_log_probs
from llm_backends.local.loading import LoadedModel, load_model

SETTINGS = LossSettings(epsilon=0.2, kl_coeff=0.1, temperature=1.0)
LEARNING_RATE = 1e-6
MAX_GRAD_NORM = 1.0
WAYS = ("per_step", "reference", "trl")


@dataclass(frozen=True)
class Task:
    """What every way gets."""

    model: str
    device: str
    dtype: str
    episodes: tuple[Episode, ...]
    repeats: int
    sampled_steps: int | None = None
    """Of the ways per step, how many steps are computed; None: all."""

    def load(self) -> LoadedModel:
        """Weights in float32, whatever is computed in."""
        return load_model(self.model, dtype="float32", device=self.device)

    def autocast(self) -> contextlib.AbstractContextManager[Any]:
        if self.dtype == "float32":
            return contextlib.nullcontext()
        return torch.autocast(torch.device(self.device).type, dtype=torch.bfloat16)

    def advantage(self, episode: Episode) -> float:
        """Reward minus the mean of the group, half of whose rewards are 1."""
        assert episode.reward is not None
        return episode.reward - 0.5


def ours(task: Task, tokens_per_pass: int) -> dict[str, Any]:
    policy = Policy(task.load())

    def update() -> None:
        for part in divide(_lessons(task, policy), tokens_per_pass):
            with task.autocast():
                loss, _ = pass_loss(policy, part, SETTINGS)
            torch.autograd.backward(loss / (len(task.episodes) * N_CHOICES))

    timed = _timed(task, policy.module, update)
    computed = sum(
        UniqueTokens().add([path for lesson in part for path in lesson.encoded.paths])
        for part in divide(_lessons(task, policy), tokens_per_pass)
    )
    return {"way": "ours", "tokens_per_pass": tokens_per_pass, **timed, "computed_tokens": computed}


def per_step(task: Task, all_logits: bool) -> dict[str, Any]:
    """Each recorded step by a forward pass of its own.

    Args:
        all_logits: the head is applied to every token of the prompt.
    """
    model = task.load()

    n_steps = len(task.episodes) * N_CHOICES
    n_computed = n_steps if task.sampled_steps is None else min(task.sampled_steps, n_steps)
    computed = set(random.Random(0).sample(range(n_steps), n_computed))

    def update() -> None:
        for loss in _step_losses(task, model, computed, all_logits=all_logits):
            torch.autograd.backward(loss)

    lengths = [
        len(model.chat.prompt_ids(choice.decision.messages))
        for episode in task.episodes
        for choice in episode.choices
    ]
    of_computed = sum(lengths[number] for number in computed)
    timed = _timed(task, model.module, update, counts=sum(lengths) / of_computed)
    way = "per step, as the reference does" if all_logits else "per step"
    return {"way": way, **timed, "computed_tokens": sum(lengths), "steps_timed": n_computed}


def trl(task: Task, batch_size: int) -> dict[str, Any]:
    from trl_on_tokens import train  # so that the other processes hold none of it

    model = task.load()
    rows = [_row(task, model, episode) for episode in task.episodes]
    with tempfile.TemporaryDirectory() as directory:
        memory = Memory(task.device)
        seconds = train(
            model,
            rows,
            batch_size=batch_size,
            updates=1 + task.repeats,
            learning_rate=LEARNING_RATE,
            max_grad_norm=MAX_GRAD_NORM,
            group=GROUP,
            dtype=task.dtype,
            directory=directory,
        )
        peak = memory.peak()
    tokens = sum(len(row["prompt_ids"]) + len(row["completion_ids"]) for row in rows)
    return {
        "way": "TRL",
        "batch_size": batch_size,
        **medians(seconds),
        "peak_mb": peak,
        "computed_tokens": tokens,
    }


def agreement(task: Task, tokens_per_pass: int) -> dict[str, float]:
    """Loss and gradient of ours against per step, in float32."""
    model = task.load()
    policy = Policy(model)
    parameters = list(model.module.parameters())

    def of(losses: Iterator[torch.Tensor]) -> tuple[float, list[torch.Tensor]]:
        model.module.zero_grad(set_to_none=True)
        total = 0.0
        for loss in losses:
            torch.autograd.backward(loss)
            total += float(loss.detach())
        return total, [parameter.grad.clone() for parameter in parameters if parameter.grad is not None]

    n_choices = len(task.episodes) * N_CHOICES
    parts = divide(_lessons(task, policy), tokens_per_pass)
    our_loss, our_grads = of(pass_loss(policy, part, SETTINGS)[0] / n_choices for part in parts)
    step_loss, step_grads = of(_step_losses(task, model, range(n_choices)))
    relative = [
        float((ours - theirs).abs().max() / theirs.abs().max())
        for ours, theirs in zip(our_grads, step_grads, strict=True)
    ]
    return {
        "loss": step_loss,
        "loss_relative_difference": float(f"{abs(our_loss - step_loss) / abs(step_loss):.1e}"),
        "largest_gradient_relative_difference": float(f"{max(relative):.1e}"),
    }


def _lessons(task: Task, policy: Policy) -> list[Lesson]:
    return [
        Lesson(
            encoded=policy.encode([choice.decision for choice in episode.choices]),
            old_log_probs_CO=torch.tensor([choice.old_log_probs for choice in episode.choices]),
            chosen_C=torch.tensor([choice.chosen for choice in episode.choices]),
            advantage=task.advantage(episode),
        )
        for episode in task.episodes
    ]


def _step_losses(
    task: Task, model: LoadedModel, computed: Container[int], *, all_logits: bool = False
) -> Iterator[torch.Tensor]:
    """Of the recorded steps with these numbers, each by a forward pass of its own; of all, they add up to the loss of
    ours."""
    n_choices = len(task.episodes) * N_CHOICES
    for index, episode in enumerate(task.episodes):
        for number, choice in enumerate(episode.choices, start=index * N_CHOICES):
            if number not in computed:
                continue
            trie = ChoiceTrie.build([model.chat.option_ids(name) for name in choice.decision.choices])
            if trie.packed:
                raise SystemExit("some options begin with the same token: one logit does not tell them apart")
            prompt_1T = torch.tensor([model.chat.prompt_ids(choice.decision.messages)], device=model.device)
            with task.autocast():
                if all_logits:
                    logits_1V = model.module(input_ids=prompt_1T, use_cache=False).logits[:, -1]
                else:
                    hidden_1TH = model.body(input_ids=prompt_1T, use_cache=False).last_hidden_state
                    logits_1V = model.head(hidden_1TH[:, -1])
            result = clipped_choice_loss(
                option_log_probs(trie, logits_1V).unsqueeze(0),
                torch.tensor([choice.old_log_probs], device=model.device),
                torch.tensor([choice.chosen], device=model.device),
                torch.tensor([task.advantage(episode)], device=model.device),
                epsilon=SETTINGS.epsilon,
                kl_coeff=SETTINGS.kl_coeff,
            )
            yield result.loss_C.sum() / n_choices


def _row(task: Task, model: LoadedModel, episode: Episode) -> dict[str, Any]:
    """The conversation as TRL takes it: all after the first prompt is the completion, its choices unmasked."""
    prompts = [model.chat.prompt_ids(choice.decision.messages) for choice in episode.choices]
    options = [model.chat.option_ids(choice.name) for choice in episode.choices]
    tokens = prompts[-1] + options[-1]
    mask = [0] * len(tokens)
    for prompt, option in zip(prompts, options, strict=True):
        end = len(prompt) + len(option)
        if tokens[: len(prompt)] != prompt or tokens[len(prompt) : end] != option:
            raise SystemExit(
                "the conversation does not only grow in tokens, so TRL cannot be given it as one row"
            )
        mask[len(prompt) : end] = [1] * len(option)
    start = len(prompts[0])
    return {
        "prompt_ids": tokens[:start],
        "completion_ids": tokens[start:],
        "env_mask": mask[start:],
        "episode_reward": episode.reward,
    }


def _timed(
    task: Task, module: torch.nn.Module, update: Callable[[], None], *, counts: float = 1.0
) -> dict[str, Any]:
    """Seconds of an update, and the peak of them all.

    Args:
        counts: how often the gradients of an update count, beside the optimizer's step.
    """
    optimizer = torch.optim.AdamW(module.parameters(), lr=LEARNING_RATE, weight_decay=0.0)

    def backward() -> None:
        optimizer.zero_grad(set_to_none=True)
        update()
        wait_for(task.device)

    def step() -> None:
        torch.nn.utils.clip_grad_norm_(module.parameters(), MAX_GRAD_NORM)
        optimizer.step()
        wait_for(task.device)

    memory = Memory(task.device)
    seconds = []
    for _ in range(1 + task.repeats):
        (wall, cpu), _ = seconds_of(backward)
        (step_wall, step_cpu), _ = seconds_of(step)
        seconds.append((counts * wall + step_wall, counts * cpu + step_cpu))
    return medians(seconds) | {"peak_mb": memory.peak()}


def conversations(task: Task) -> int:
    """Tokens of all conversations, each counted once."""
    model = task.load()
    rows = [_row(task, model, episode) for episode in task.episodes]
    return sum(len(row["prompt_ids"]) + len(row["completion_ids"]) for row in rows)


def compare(
    task: Task, ways: Collection[str], tokens_per_pass: Sequence[int], batch_sizes: Sequence[int]
) -> list[dict[str, Any]]:
    """A row a way, each at its fastest setting."""
    candidates = [[alone(ours, task, budget) for budget in tokens_per_pass]]
    if "per_step" in ways:
        candidates.append([alone(per_step, task, False)])
    if "reference" in ways:
        candidates.append([alone(per_step, task, True)])
    if "trl" in ways:
        candidates.append([alone(trl, task, size) for size in batch_sizes])
    rows = [min(found, key=lambda row: row["seconds"]) for found in candidates]
    conversation_tokens = alone(conversations, task)
    for row, found in zip(rows, candidates, strict=True):
        row["episodes_per_s"] = round(len(task.episodes) / row["seconds"], 4)
        row["tokens_per_s"] = round(conversation_tokens / row["seconds"])
        by = "cpu_seconds" if torch.device(task.device).type == "cpu" else "seconds"
        row["ours_times_as_fast"] = round(row[by] / rows[0][by], 2)
        row["tried"] = (
            [{key: other[key] for key in list(row)[1:4]} for other in found] if len(found) > 1 else []
        )
    return rows


def save_random_model(folder: str, layers: int, width: int, vocabulary: int | None) -> None:
    """The bundled model's kind and tokenizer in another size, with random weights.

    Args:
        vocabulary: of the model; the tokenizer uses the first part of it.
    """
    config = transformers.AutoConfig.from_pretrained(MODEL)
    config.num_hidden_layers, config.hidden_size, config.intermediate_size = layers, width, 4 * width
    config.head_dim, config.num_attention_heads, config.num_key_value_heads = 64, width // 64, width // 64
    config.vocab_size = vocabulary or config.vocab_size
    torch.manual_seed(0)
    transformers.AutoModelForCausalLM.from_config(config, dtype=torch.float32).save_pretrained(folder)
    transformers.AutoTokenizer.from_pretrained(MODEL).save_pretrained(folder)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--problems", type=int, default=8, help=f"of {GROUP} episodes each")
    parser.add_argument(
        "--repeats", type=int, default=3, help="updates that are timed, after one that is not"
    )
    parser.add_argument("--kinds", nargs="+", choices=get_args(Kind), default=list(get_args(Kind)))
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--dtype", choices=("float32", "bfloat16"), default="float32", help="computed in")
    parser.add_argument(
        "--layers", type=int, help="with --width: random weights of this size, not the bundled model"
    )
    parser.add_argument("--width", type=int, help="a multiple of 64")
    parser.add_argument("--vocabulary", type=int, help="of such a model; the bundled one's unless given")
    parser.add_argument(
        "--no_agreement",
        action="store_true",
        help="do not compare loss and gradient, which takes two updates in float32",
    )
    parser.add_argument(
        "--tokens_per_pass", type=int, nargs="+", default=[2048, 4096, 8192], help="ours; the fastest counts"
    )
    parser.add_argument(
        "--batch_sizes", type=int, nargs="+", default=[1, 4, 16], help="TRL's; the fastest counts"
    )
    parser.add_argument("--ways", nargs="+", choices=WAYS, default=WAYS, help="that ours stands beside")
    parser.add_argument("--sampled_steps", type=int, help="of the ways per step; all unless given")
    parser.add_argument("--output", type=Path)
    arguments = parser.parse_args()
    found: dict[str, Any] = {"about": vars(arguments) | {"output": None} | machine(arguments.device)}
    with tempfile.TemporaryDirectory() as directory:
        model = str(MODEL)
        if arguments.layers:
            model = f"{directory}/model"
            save_random_model(model, arguments.layers, arguments.width, arguments.vocabulary)
        for kind in arguments.kinds:
            episodes = tuple(asyncio.run(record(kind, arguments.problems, Path(directory))))
            task = Task(
                model,
                arguments.device,
                arguments.dtype,
                episodes,
                arguments.repeats,
                arguments.sampled_steps,
            )
            rows = compare(task, arguments.ways, arguments.tokens_per_pass, arguments.batch_sizes)
            found[kind] = {"rows": rows}
            if not arguments.no_agreement:
                found[kind]["agreement"] = alone(agreement, task, arguments.tokens_per_pass[0])
            _show(kind, found[kind])
    if arguments.output:
        arguments.output.write_text(json.dumps(found, indent=2) + "\n")


def _show(kind: str, found: dict[str, Any]) -> None:
    columns = (
        "way",
        "episodes_per_s",
        "tokens_per_s",
        "cpu_seconds",
        "computed_tokens",
        "peak_mb",
        "ours_times_as_fast",
    )
    print(f"{kind}\n" + "  ".join(f"{column:>18}" for column in columns))
    for row in found["rows"]:
        print("  ".join(f"{row[column]:>18}" for column in columns))
    if "agreement" in found:
        said = ", ".join(f"{name} {value:.3g}" for name, value in found["agreement"].items())
        print(f"ours against per step: {said}", flush=True)


if __name__ == "__main__":
    main()
