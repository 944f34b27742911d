"""What a training run prints as it goes."""

from __future__ import annotations

import shlex
import time
from abc import ABC, abstractmethod
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, Generic, TypeVar

import click

from hierarchical_reasoning.training.config import GrpoConfig, TrainingConfig
from hierarchical_reasoning.training.language_model.config import LanguageModelConfig
from hierarchical_reasoning.wording import counted

if TYPE_CHECKING:
    from hierarchical_reasoning.training.log import EvaluationRecord, Record, UpdateRecord
    from hierarchical_reasoning.training.sharding.launch import Launch
    from hierarchical_reasoning.training.trainer import Trained, Training

_Config = TypeVar("_Config", bound=TrainingConfig)


class TrainingDisplay(ABC, Generic[_Config]):
    """What is printed, by the first of the processes alone."""

    def __init__(self, config: _Config, launch: Launch) -> None:
        self._config = config
        self._launch = launch
        self._started = time.monotonic()
        self._updates = 0
        self._updates_here = 0

    def line(self, text: str) -> None:
        if self._launch.rank == 0:
            click.echo(text)

    def prepared(self, n_problems: int, notes: tuple[str, ...]) -> None:
        self.line(f"{n_problems} problems of {self._config.data_file}, {self._what()}")
        for note in notes:
            self.line(f"note: {note}")

    def begins(self, training: Training, *, resume: bool) -> None:
        self._updates = training.updates
        self._started = time.monotonic()
        if training.resumed_from is not None:
            self.line(f"going on from {training.resumed_from.path}")
        elif resume:
            self.line(f"--resume: no checkpoint in {self._config.output_dir}; a new run begins")
        if self._config.val_only:
            self.line(f"--val_only: nothing is trained; log and traces: {self._config.output_dir}")
            return
        self.line(
            f"{counted(training.updates, 'update')} of up to {counted(self._config.problems_rolled_out, 'problem')}"
            f"{self._per_problem()}; log, traces and checkpoints: {self._config.output_dir}"
        )

    def show(self, record: Record) -> None:
        if record.kind == "evaluation":
            self._show_evaluation(record)
        else:
            self._show_update(record)
        for note in record.notes:
            self.line(f"note: {note}")

    def end(self, trained: Trained) -> None:
        if trained.last is None:
            return
        if trained.learned_nothing:
            self.line(
                "ATTENTION: nothing was learned, since the rollouts of every problem had equal rewards; raise "
                f"{self._raise_for_spread}, or take problems that are solved now and then"
            )
        chosen = trained.best or trained.last
        if trained.best is not None and trained.best.resolve() != trained.last.resolve():
            self.line(f"best on held-out problems: {trained.best.resolve().name}")
        self._compare_with_start(trained)
        if trained.report is not None:
            for note in trained.report.notes:
                self.line(f"note: {note}")
            self.line(f"curves: {trained.report.html}")
        self.line(f"{self._what_is_there(chosen)}; use it with {shlex.join(self._used_with(chosen))}")

    def _compare_with_start(self, trained: Trained) -> None:
        greedy = [record for record in trained.evaluations if record.mode == "greedy"]
        start = [record.correct for record in greedy if record.update == 0]
        later = [record.correct for record in greedy if record.update > 0]
        if start and later and max(later) <= start[0]:
            self.line(
                "ATTENTION: no checkpoint solved more held-out problems, greedily, than the "
                f"{self._trained} before training "
                f"({start[0]} of {greedy[0].n})"
            )

    def _show_evaluation(self, record: EvaluationRecord) -> None:
        when = "before training" if record.update == 0 else f"after update {record.update}"
        errors = f", {record.errors} errors" if record.errors else ""
        self.line(
            f"{when}, {record.mode}: {record.correct} of {record.n} held-out problems correct "
            f"({100 * record.accuracy:.1f} %), {record.steps:.1f} {self._length} a problem{errors}"
        )

    def _show_update(self, record: UpdateRecord) -> None:
        self._updates_here += 1
        if record.update % self._config.logging_steps and record.update != self._updates:
            return
        seconds = (time.monotonic() - self._started) / self._updates_here
        left = round(seconds * (self._updates - record.update))
        errors = f", {record.errors} errors" if record.errors else ""
        batches = f" in {record.generation_batches} batches" if record.generation_batches > 1 else ""
        speed = record.trained_tokens / record.update_seconds if record.update_seconds else 0
        self.line(
            f"update {record.update} of {self._updates} (epoch {record.epoch}): reward {record.reward:.3f}, "
            f"accuracy {100 * record.accuracy:.1f} %, entropy {record.entropy:.3f}, KL {record.kl:.4f}, "
            f"clipped {100 * record.clip_share:.1f} %, {self._grown(record)}{record.groups_without_spread} of "
            f"{record.groups} groups without spread{batches}{errors}; {record.rollout_seconds:.0f} + "
            f"{record.update_seconds:.0f} s, {speed:,.0f} tokens/s trained, {left // 60}:{left % 60:02} left"
        )
        if told := self._trees(record):
            self.line(f"  trees of update {record.update}: {told}")

    _trained: ClassVar[str]
    _length: ClassVar[str]
    """What `EvaluationRecord.steps` counts."""
    _raise_for_spread: ClassVar[str]
    """The flags that make rollouts differ."""

    @abstractmethod
    def _what(self) -> str:
        """What is trained on the problems, and how."""

    @abstractmethod
    def _per_problem(self) -> str:
        """How many rollouts each problem has."""

    @abstractmethod
    def _used_with(self, chosen: Path) -> list[str]:
        """The command that uses what was trained, as it was trained."""

    def _what_is_there(self, chosen: Path) -> str:
        return f"the {self._trained} is in {chosen}"

    def _grown(self, record: UpdateRecord) -> str:
        """On trees."""
        return ""

    def _trees(self, record: UpdateRecord) -> str:
        """What they come to, for a line of its own; empty where nothing is to be told."""
        return ""


class PlannerDisplay(TrainingDisplay[GrpoConfig]):
    """Of a run that trains a planner."""

    _trained = "planner"
    _length = "choices"
    _raise_for_spread = "--num_rollouts_per_prompt, --planner_temperature or --max_steps_per_episode"

    def _what(self) -> str:
        config = self._config
        return (
            f"level {config.label_level}; planner {config.planner_model_name}, reasoner "
            f"{config.reasoning_model_name} ({config.framework})"
        )

    def _per_problem(self) -> str:
        return f" x {self._config.num_rollouts_per_prompt} episodes"

    def _used_with(self, chosen: Path) -> list[str]:
        config = self._config
        usual = GrpoConfig(planner_model_name=config.planner_model_name)
        named = {
            "planner_model_name": chosen,
            "label_level": config.label_level,
            "max_reasoning_steps": config.max_steps_per_episode,
            "num_icl_examples": config.n_examples,
            "temperature": config.temperature,
        }
        same = (
            "tree_model_path",
            "prompt_style",
            "prompts_dir",
            "examples_file",
            "base_url",
            "vllm_base_url",
        )
        named |= {
            name: getattr(config, name) for name in same if getattr(config, name) != getattr(usual, name)
        }
        if config.reasoning_model_name != usual.reasoning_model_name:
            named |= {"model_name": config.reasoning_model_name, "llm_framework": config.framework}
        flags = [text for name, value in named.items() for text in (f"--{name}", str(value))]
        return ["python", "hierarchical_reasoning.py", *flags]


class LanguageModelDisplay(TrainingDisplay[LanguageModelConfig]):
    """Of a run that trains a language model."""

    _trained = "model"
    _length = "characters"
    _raise_for_spread = "--num_rollouts_per_prompt, the number of branches or --temperature"

    def _what(self) -> str:
        config = self._config
        return (
            f"model {config.model_id}; explorer {config.explorer}, credit {config.credit}, objective "
            f"{config.objective}"
            + (f", preset {config.preset}" if config.preset else "")
            + (", rollouts from vLLM" if config.framework == "vllm" else "")
        )

    def _per_problem(self) -> str:
        rollouts = f" x {self._config.num_rollouts_per_prompt} rollouts"
        return rollouts if self._config.explorer == "linear" else ", a tree each"

    def _used_with(self, chosen: Path) -> list[str]:
        hierarchical = self._config.thinks_in_steps
        how = ("--label_level", str(self._config.label_level)) if hierarchical else ("--vanilla_baseline",)
        named = ("--model_name", str(chosen), "--llm_framework", "local")
        return ["python", "hierarchical_reasoning.py", *named, *how]

    def _grown(self, record: UpdateRecord) -> str:
        trees = record.trees
        if self._config.explorer == "linear" or not trees.get("trees"):
            return ""
        branchings = f"{trees['groups_with_spread']:.0f} of {trees['groups']:.0f} branchings with spread, "
        return (
            f"{trees['leaves'] / trees['trees']:.1f} leaves a tree, "
            f"{100 * trees['unique_tokens'] / trees['tokens_on_paths']:.0f} % of their tokens unique, "
            # With outcomes a group is a whole tree, and those are counted anyway.
            + (branchings if self._config.credit != "outcome" else "")
        )

    def _trees(self, record: UpdateRecord) -> str:
        if self._config.explorer == "linear":
            return ""
        from hierarchical_reasoning.trees.metrics import figures_in_words

        return ", ".join(f"{what} {value}" for what, value in figures_in_words(record.metrics))
