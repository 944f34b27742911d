"""One object that says what a training run is; command line and Python build it alike."""

from __future__ import annotations

from pathlib import Path
from typing import Any, ClassVar, Literal

from pydantic import Field, model_validator

from hierarchical_reasoning.assets import MODEL, TEST_PROBLEMS, TRAIN_PROBLEMS
from hierarchical_reasoning.reasoning_config import BUNDLED, HOW_ASKED, ReasoningConfig

AdvantageKind = Literal["binary", "mean"]
Aggregation = Literal["token-mean", "seq-mean-token-sum", "seq-mean-token-mean", "seq-mean-token-sum-norm"]
"""How the losses of tokens become one number, as verl names it."""
KlReference = Literal["old", "start"]
LrSchedule = Literal["constant", "linear"]
Tracker = Literal["tensorboard", "trackio", "wandb"]

FOR_BUNDLED_PLANNER: dict[str, Any] = {
    "n_rows": 160,
    "epochs": 1,
    "learning_rate": 3e-4,
    "num_rollouts_per_prompt": 8,
    "num_iterations": 2,
    "temperature": 0.1,
    "planner_temperature": 1.0,
}
"""Defaults where the planner is the bundled model, which is a thousand times smaller than those that the others
are meant for."""


class TrainingConfig(ReasoningConfig):
    """What every training run can be told. Fields are named as the flags are."""

    trained_model: ClassVar[str]
    """The field, and the flag, that names the model that is trained, in this process."""

    data_file: Path = TRAIN_PROBLEMS
    eval_file: Path | None = None
    """Held-out problems. None: the bundled test problems where `data_file` is the bundled one, else those of
    `data_file` that follow the first `n_rows`."""
    n_rows: int = Field(64, ge=1)
    eval_rows: int = Field(100, ge=0)
    """0: no evaluation."""
    val_before_train: bool = True
    """Measure before the first update too."""
    val_only: bool = False
    """Measure, and train nothing."""

    epochs: int = Field(3, ge=1)
    batch_size: int = Field(4, ge=1)
    """Problems."""
    gradient_accumulation_steps: int = Field(4, ge=1)
    """Batches whose gradients make one update; their rollouts are made together."""
    num_iterations: int = Field(1, ge=1)
    """Updates made from the same rollouts. In the first the policy is still the one that acted, so its ratio is
    1 and its KL 0; only further ones can be clipped."""
    filter_groups: bool = False
    """Groups without spread are replaced by those of other problems, instead of being left out."""
    max_num_gen_batches: int = Field(5, ge=1)
    """Times that rollouts are made for one update, at most, with `filter_groups`."""
    learning_rate: float = Field(1e-5, gt=0, allow_inf_nan=False)
    warmup_steps: int = Field(0, ge=0)
    """Steps of the optimizer in which the learning rate rises linearly to `learning_rate`."""
    lr_schedule: LrSchedule = "constant"
    """After the warm-up: as it is, or falling linearly to 0 at the end."""
    max_grad_norm: float = Field(1.0, gt=0, allow_inf_nan=False)

    lora_r: int = Field(0, ge=0)
    """Rank of LoRA adapters on all linear layers but the head; 0: all weights are trained."""
    lora_alpha: int | None = Field(None, ge=1)
    """None: twice `lora_r`."""
    bf16: bool | None = None
    """Forward passes in bfloat16, and with LoRA frozen weights as well. None: on a GPU."""
    gradient_checkpointing: bool = False
    tokens_per_pass: int | None = Field(None, ge=1)
    """Of a forward and backward pass, what rollouts share counted once; a rollout that is longer has a pass of its own.
    None: 4,096 on a CPU, where more is slower, else 16,384."""

    eval_every: int = Field(5, ge=0)
    """Updates between evaluations on held-out problems; 0: only before and after."""
    save_every: int = Field(5, ge=1)
    """Updates between checkpoints."""
    save_total_limit: int = Field(1, ge=1)
    """Checkpoints that are kept, the newest; the best one besides."""
    logging_steps: int = Field(1, ge=1)
    """Updates between those that are printed; the log has them all."""
    report_to: tuple[Tracker, ...] = ()
    """Where figures go besides the log."""
    project_name: str = Field("hierarchical-reasoning", min_length=1)
    """Of the run, where figures go."""
    experiment_name: str | None = Field(None, min_length=1)
    """Of the run, where figures go; None: the last part of `output_dir`."""

    output_dir: Path
    max_concurrency: int = Field(128, ge=1)
    """Episodes in flight."""
    reasoner_patience: float = Field(600, ge=0, allow_inf_nan=False)
    """Seconds for which a reasoner that is out of reach, or fails, is asked again before training stops. 0: an episode
    in which a call fails is an error at once."""

    @property
    def trained_model_name(self) -> str:
        """As it was given."""
        name: str = getattr(self, self.trained_model)
        return name

    @property
    def trained_path(self) -> str:
        """What is loaded to be trained."""
        return str(MODEL) if self.trained_model_name == BUNDLED else self.trained_model_name

    @property
    def computes_in_bf16(self) -> bool:
        """Whether forward passes are in bfloat16."""
        if self.bf16 is not None:
            return self.bf16
        import torch

        return self.device != "cpu" and torch.cuda.is_available()

    @property
    def held_out_file(self) -> Path | None:
        """The file of held-out problems; None where they are taken from `data_file`."""
        if self.eval_file is None and self.data_file.resolve() == TRAIN_PROBLEMS.resolve():
            return TEST_PROBLEMS
        return self.eval_file

    @property
    def depends_on_length(self) -> bool:
        """Whether how an update goes depends on how many there will be."""
        return self.lr_schedule != "constant"

    @property
    def problems_per_update(self) -> int:
        """Learned from."""
        return self.batch_size * self.gradient_accumulation_steps

    @property
    def problems_rolled_out(self) -> int:
        """For an update, before any is replaced."""
        return self.problems_per_update

    def affecting_weights(self) -> dict[str, object]:
        """The settings that a resumed run must share: all that can change the weights after an update. Files stand for
        what is in them, which the parts' `settings` have; what is measured decides which checkpoint is the best."""
        free = {
            "data_file", "eval_every", "save_every", "save_total_limit", "logging_steps", "report_to", "output_dir",
            "tree_model_path", "prompts_dir", "examples_file", "device", "tokens_per_pass", "gradient_checkpointing",
            "base_url", "api_key_env", "high_level_base_url", "high_level_api_key_env", "reasoner_patience",
            "project_name", "experiment_name", "val_before_train", "val_only",
        }  # fmt: skip
        if not self.depends_on_length:
            free.add("epochs")
        same = self.model_dump(mode="json", exclude=free | HOW_ASKED)
        return same | {"bf16": self.computes_in_bf16}


class GrpoConfig(TrainingConfig):
    """Everything a run that trains a planner can be told."""

    main_model: ClassVar[str] = "reasoning_model_name"
    trained_model: ClassVar[str] = "planner_model_name"

    planner_model_name: str = BUNDLED
    reasoning_model_name: str = BUNDLED

    max_steps_per_episode: int = Field(10, ge=2)
    num_rollouts_per_prompt: int = Field(4, ge=2)
    sample_action: bool = True
    temperature: float = Field(1.0, ge=0, le=2)
    """Of the reasoner's draws."""
    planner_temperature: float | None = Field(None, ge=0, allow_inf_nan=False)
    """Of the planner's draws, which stay among its options however high it is; None: `temperature`."""
    length_reward_weight: float = Field(0.0, ge=0, allow_inf_nan=False)
    advantage_type: AdvantageKind = "binary"
    epsilon: float = Field(0.2, gt=0, lt=1)
    kl_coeff: float = Field(0.1, ge=0, allow_inf_nan=False)
    kl_reference: KlReference = "old"
    """What the KL holds the planner to: the one that acted in this update, or the one that training started from."""

    output_dir: Path = Path("cache/checkpoints/planner_grpo")

    @model_validator(mode="before")
    @classmethod
    def _defaults_of_the_bundled_planner(cls, given: Any) -> Any:
        if not isinstance(given, dict) or given.get("planner_model_name", BUNDLED) != BUNDLED:
            return given
        # A temperature that is given is the planner's too, unless it has one of its own.
        usual = FOR_BUNDLED_PLANNER | ({"planner_temperature": None} if "temperature" in given else {})
        return usual | given

    @property
    def planner_path(self) -> str:
        """What is loaded as the planner."""
        return self.trained_path
