"""TRL's GRPOTrainer as the host of a training run: the only module that knows of it.

From TRL, transformers and accelerate come the optimizer, its schedule, clipping, mixed precision, adapters, several
devices, the trackers, and the order in which prompts reach processes (groups whole). What is ours takes the place of
three steps of theirs:

``_generate_and_score_completions``  the rollouts of the learner
``training_step``                    its loss, in as many passes as fit the memory
``log``                              figures of an update, once all of its steps are made

Saving, resuming and evaluating are the run's own (:mod:`hierarchical_reasoning.training.trainer`).
"""

from __future__ import annotations

import math
import os
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace
from typing import Any, TypeVar

import torch
from datasets import Dataset
from transformers import PrinterCallback, TrainerCallback, TrainerControl, TrainerState, TrainingArguments
from trl import GRPOConfig, GRPOTrainer

from hierarchical_reasoning.training.adapters import with_lora
from hierarchical_reasoning.training.config import TrainingConfig
from hierarchical_reasoning.training.errors import DivergedError
from hierarchical_reasoning.training.host import Due, Step
from hierarchical_reasoning.training.learner import Experience
from hierarchical_reasoning.training.sharding import (
    adapter_weights,
    check_sharding,
    full_weights,
    gather_objects,
    load_adapter_weights,
    load_optimizer_tensors,
    one_pass,
    optimizer_tensors,
    use_one_device,
    whole_models,
)
from hierarchical_reasoning.training.sharding.launch import Launch
from hierarchical_reasoning.training.sums import Sums
from hierarchical_reasoning.training.trainer import Training

_NO_PROBLEM = -1
"""In a batch that is not full, so that every process gets as many rows."""
_ROWS_PER_PROBLEM = 2
"""TRL's fewest; how many rollouts a row stands for is the learner's affair."""
_TOKENS_PER_PASS_ON_CPU = 4096
_TOKENS_PER_PASS = 16384
_LONGEST_WAIT_S = 24 * 3600
_Item = TypeVar("_Item")


def trl_arguments(config: TrainingConfig, launch: Launch, updates: int) -> GRPOConfig:
    """How TRL is told of a run: the episodes of an update are a generation batch, each iteration on them a step."""
    processes = launch.processes
    on_cpu = config.device == "cpu" or not torch.cuda.is_available()
    groups = math.ceil(config.problems_rolled_out / processes)
    arguments = GRPOConfig(
        output_dir=str(config.output_dir),
        per_device_train_batch_size=groups * _ROWS_PER_PROBLEM,
        num_generations=_ROWS_PER_PROBLEM,
        steps_per_generation=1,
        gradient_accumulation_steps=1,
        num_iterations=config.num_iterations,
        max_steps=updates * config.num_iterations,
        shuffle_dataset=False,
        remove_unused_columns=False,
        dataloader_pin_memory=False,
        learning_rate=config.learning_rate,
        lr_scheduler_type="linear" if config.lr_schedule == "linear" else "constant_with_warmup",
        warmup_steps=config.warmup_steps,
        optim="adamw_torch",
        weight_decay=0.0,
        max_grad_norm=config.max_grad_norm,
        beta=0.0,
        bf16=config.computes_in_bf16,
        use_cpu=on_cpu,
        ddp_find_unused_parameters=False,
        ddp_backend="gloo" if on_cpu and processes > 1 else None,
        gradient_checkpointing=None,  # its name of old, on by default there
        activation_checkpointing=config.gradient_checkpointing,
        # A process with little to do waits for the others' episodes, and they for their reasoner.
        ddp_timeout=_LONGEST_WAIT_S + int(config.reasoner_patience),
        logging_steps=1,
        logging_nan_inf_filter=False,
        save_strategy="no",
        eval_strategy="no",
        report_to=list(config.report_to) or "none",
        run_name=config.experiment_name or config.output_dir.name,
        project=config.project_name,
        seed=config.seed,
        disable_tqdm=True,
        log_level="error",
    )
    use_one_device(arguments)
    return arguments


def is_sharded(arguments: GRPOConfig) -> bool:
    """Whether no process holds all of the weights in training."""
    by_launcher = os.environ.get("ACCELERATE_USE_FSDP", "false").lower() in ("1", "true")
    return by_launcher or arguments.fsdp_plugin_args is not None or arguments.deepspeed_plugin is not None


def train(training: Training, arguments: GRPOConfig) -> None:
    """Make all updates that are due, or those until the run is asked to stop.

    Raises:
        DivergedError: a loss or a gradient is not a finite number; the weights on disk are those of before.
        TrainingError: as `Training.experience`.
        OutputError: a checkpoint or the log cannot be written.
    """
    due = training.due()
    if not due:
        return
    host = _LearnerTrainer(training, arguments, due)
    host.train()


class _LearnerTrainer(GRPOTrainer):  # type: ignore[misc]
    """TRL's trainer with the rollouts and the loss of a learner; it is also the run's `Host`."""

    def __init__(self, training: Training, arguments: GRPOConfig, due: Sequence[Due]) -> None:
        self._training = training
        self._learner = training.learner
        self._config = training.config
        self._due = {update.number: update for update in due}
        take_up = _TakeUp()
        super().__init__(
            model=_with_adapters(training),
            reward_funcs=_unused_reward,
            args=arguments,
            train_dataset=_rows(due, self._config, arguments.world_size),
            processing_class=training.learner.tokenizer,
            callbacks=[take_up],
        )
        self.remove_callback(PrinterCallback)  # only the command prints
        take_up.host = self
        check_sharding(self.accelerator)
        if "start" in self._learner.looks and not self._config.lora_r:
            with whole_models():
                self._learner.load_start()
        usual = _TOKENS_PER_PASS_ON_CPU if self.accelerator.device.type == "cpu" else _TOKENS_PER_PASS
        self._tokens_per_pass = self._config.tokens_per_pass or usual
        self._update = 0
        self._experience: Experience | None = None
        self._sums = Sums()
        self._steps: list[Step] = []
        self._seconds = 0.0

    # What the run asks of its host.

    @property
    def rank(self) -> int:
        return int(self.accelerator.process_index)

    @property
    def processes(self) -> int:
        return int(self.accelerator.num_processes)

    def weights(self) -> Iterator[tuple[str, torch.Tensor]]:
        return full_weights(self.accelerator, self.model_wrapped)

    def adapter(self) -> dict[str, torch.Tensor]:
        return {name: tensor.cpu() for name, tensor in adapter_weights(self.accelerator, self.model_wrapped)}

    def optimizer_tensors(self) -> dict[str, torch.Tensor]:
        return optimizer_tensors(self.accelerator, self.model_wrapped, self.optimizer)

    def gather(self, items: Sequence[_Item]) -> list[_Item]:
        return gather_objects(self.accelerator, items)

    def wait(self) -> None:
        self.accelerator.wait_for_everyone()

    def report(self, figures: Mapping[str, float], update: int) -> None:
        super().log(dict(figures) | {"update": update})

    # What TRL asks of us.

    def _generate_and_score_completions(self, inputs: list[dict[str, Any]]) -> dict[str, torch.Tensor]:
        """Roll out the groups that these rows stand for. The lessons stay here: TRL's buffer gets the update alone."""
        rows = inputs[::_ROWS_PER_PROBLEM]
        due = self._due[rows[0]["update"]]
        self._update = due.number
        problems = [row["problem"] for row in rows if row["problem"] != _NO_PROBLEM]
        rolled_out = self._training.experience(self, due, problems)
        started = time.perf_counter()
        self._experience = self._looked_at(rolled_out)
        self._steps, self._seconds = [], time.perf_counter() - started
        self._training.keep(self, due, self._experience)
        return {"update": torch.full((len(inputs),), due.number)}

    def training_step(
        self, model: torch.nn.Module, inputs: list[dict[str, Any]], num_items_in_batch: object = None
    ) -> torch.Tensor:
        """One step's gradient, in as many passes as fit the memory; nothing where no group anywhere has spread."""
        model.train()
        self._prepare_inputs(inputs)
        started = time.perf_counter()
        self._sums = self._accumulate(model)
        self._seconds += time.perf_counter() - started
        self._step += 1
        return torch.tensor(self._sums.mean("loss"), device=self.accelerator.device)

    def log(self, logs: dict[str, float], start_time: float | None = None) -> None:
        """Called after each step of the optimizer; after the last one of an update, the update is finished."""
        if "learning_rate" not in logs:  # the sums at the end of training
            return
        if self._sums.count:
            # DeepSpeed leaves out a step whose gradient is none, and others take it: neither goes on from here.
            skipped = bool(self.accelerator.optimizer_step_was_skipped)
            norm = math.nan if skipped else float(logs["grad_norm"])
            self._check_finite("norm of the gradient", norm)
            self._steps.append(Step(self._sums, norm, float(logs["learning_rate"])))
        if self.state.global_step % self._config.num_iterations:
            return
        assert self._experience is not None
        due = self._due[self._update]
        if self._training.finish(self, due, self._experience, self._steps, self._seconds):
            self.control.should_training_stop = True

    def _send_telemetry(self) -> None:
        """Nothing is sent anywhere."""

    def _accumulate(self, model: torch.nn.Module) -> Sums:
        """Gradients of the mean loss over all processes' lessons; returns its sums over all of them."""
        assert self._experience is not None
        lessons = self._experience.lessons
        parts = self._learner.passes(lessons, self._tokens_per_pass)
        counts = self.gather([(len(parts), self._learner.count(lessons))])
        passes, count = max(n for n, _ in counts), sum(n for _, n in counts)
        if not count:
            return Sums()
        sums = Sums()
        for number in range(passes):
            # Every process makes as many passes: one short of work makes one that counts for nothing.
            with one_pass(self.accelerator, model, last=number == passes - 1) as backward:
                with self.accelerator.autocast():
                    if number < len(parts):
                        loss, found = self._learner.pass_loss(parts[number], model)
                    else:
                        loss, found = self._learner.idle_loss(model), Sums()
                sums += found
                backward(loss / count)
        everyones = replace(sum(self.gather([sums]), Sums()), count=count)
        # Of all processes, so that all of them stop here, before the step.
        self._check_finite("loss", everyones.loss, whole=everyones.is_finite)
        return everyones

    def _looked_at(self, experience: Experience) -> Experience:
        """With what passes without gradient say of the lessons, and then with what depends on that, or on all
        processes."""
        found = experience.lessons
        for look in self._learner.looks:
            model: Any | None = self.model_wrapped
            as_it_was: AbstractContextManager[Any] = nullcontext()
            if look == "start" and self._config.lora_r:
                as_it_was = self.accelerator.unwrap_model(self.model_wrapped).disable_adapter()
            elif look == "start":
                model = None
            # Every process makes as many passes, as a sharded model needs.
            passes = max(self.gather([len(self._learner.passes(found, self._tokens_per_pass))]))
            with as_it_was, self.accelerator.autocast():
                found = self._learner.look(look, found, passes, self._tokens_per_pass, model)
        return self._learner.settled(replace(experience, lessons=found), self.gather)

    def _check_finite(self, what: str, value: float, *, whole: bool = True) -> None:
        if math.isfinite(value) and whole:
            return
        raise DivergedError(
            f"the {what} is {value} in update {self._update}; lower --learning_rate ({self._config.learning_rate}) or "
            f"--max_grad_norm ({self._config.max_grad_norm}). {self._training.where_to_go_on()}"
        )


class _TakeUp(TrainerCallback):  # type: ignore[misc]
    """Begins the run once everything is wrapped, or takes it up where its last session ended."""

    def __init__(self) -> None:
        self.host: _LearnerTrainer | None = None

    def on_train_begin(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        assert self.host is not None
        training = self.host._training
        checkpoint = training.resumed_from
        if checkpoint is not None:
            load_optimizer_tensors(
                self.host.accelerator,
                self.host.model_wrapped,
                self.host.optimizer,
                checkpoint.optimizer_tensors(),
            )
            state.global_step = checkpoint.progress.update * training.config.num_iterations
            _set_schedule(self.host.lr_scheduler, state.global_step)
        training.begin(self.host)


def _set_schedule(scheduler: Any, steps: int) -> None:
    """Put a schedule where it stands after so many steps."""
    schedule = getattr(scheduler, "scheduler", scheduler)  # accelerate wraps it
    rates = [
        rate * factor(steps) for rate, factor in zip(schedule.base_lrs, schedule.lr_lambdas, strict=True)
    ]
    for group, rate in zip(schedule.optimizer.param_groups, rates, strict=True):
        group["lr"] = rate
    schedule.load_state_dict(
        schedule.state_dict() | {"last_epoch": steps, "_step_count": steps + 1, "_last_lr": rates}
    )


def _with_adapters(training: Training) -> Any:
    """The module in training, with LoRA adapters where they are asked for."""
    config, module = training.config, training.learner.module
    if not config.lora_r:
        return module
    alpha = 2 * config.lora_r if config.lora_alpha is None else config.lora_alpha
    model = with_lora(module, r=config.lora_r, alpha=alpha, seed=config.seed)
    if training.resumed_from is not None:
        load_adapter_weights(model, training.resumed_from.adapter_tensors())
    return model


def _rows(due: Sequence[Due], config: TrainingConfig, processes: int) -> Dataset:
    """A row for each problem of each update; an update that is not full is filled up."""
    size = math.ceil(config.problems_rolled_out / processes) * processes
    rows = [
        {"prompt": "", "update": update.number, "problem": problem}
        for update in due
        for problem in (*update.problems, *[_NO_PROBLEM] * (size - len(update.problems)))
    ]
    return Dataset.from_list(rows)


def _unused_reward(**columns: Any) -> list[float]:
    raise AssertionError("rewards are given where the episodes are rolled out")
