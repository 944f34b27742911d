"""One object that says what a training run is; command line and Python build it alike."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from hierarchical_reasoning.assets import MODEL, TAXONOMY, TEST_PROBLEMS, TRAIN_PROBLEMS
from hierarchical_reasoning.config import BUNDLED
from hierarchical_reasoning.model_settings import USUAL_EXAMPLES, read_model_settings
from hierarchical_reasoning.problems import ShapeName

AdvantageKind = Literal["binary", "mean"]

FOR_BUNDLED_PLANNER: dict[str, Any] = {
    "learning_rate": 1e-4,
    "epochs": 4,
    "num_rollouts_per_prompt": 8,
    "num_iterations": 2,
}
"""Defaults where the planner is the bundled model, which is a thousand times smaller than those that the others
are meant for."""


class GrpoConfig(BaseModel):
    """Everything a training run can be told. Fields are named as the flags are."""

    model_config = ConfigDict(frozen=True, extra="forbid", protected_namespaces=())

    data_file: Path = TRAIN_PROBLEMS
    eval_file: Path | None = None
    """Held-out problems. None: the bundled test problems where `data_file` is the bundled one, else those of
    `data_file` that follow the first `n_rows`."""
    n_rows: int = Field(64, ge=1)
    eval_rows: int = Field(100, ge=0)
    """0: no evaluation."""
    category: str | None = None
    shuffle: bool = False
    """Take problems in an order drawn with `seed`."""
    ground_truth_format: str | None = None
    problem_shape: ShapeName = "auto"
    problem_field: str | None = None
    answer_field: str | None = None

    tree_model_path: Path = TAXONOMY
    label_level: int = Field(3, ge=0)
    max_steps_per_episode: int = Field(10, ge=2)
    num_icl_examples: int | None = Field(None, ge=0)
    """None: 0 where the reasoner is the bundled model, which was trained without, else 5."""

    planner_model_name: str = BUNDLED
    reasoning_model_name: str = BUNDLED
    llm_framework: str = "local"
    """Backend of the reasoner."""
    max_thought_tokens: int = Field(256, ge=1)
    max_answer_tokens: int = Field(1024, ge=1)
    device: str = "auto"

    num_rollouts_per_prompt: int = Field(4, ge=2)
    sample_action: bool = True
    temperature: float = Field(1.0, ge=0, allow_inf_nan=False)
    """Of the planner's draws."""
    reasoning_temperature: float = Field(0.1, ge=0, le=2)
    """Of the reasoner's draws. Above 2 hosted models refuse, and others write noise; a planner's draws stay among
    its options at any temperature."""
    length_reward_weight: float = Field(0.0, ge=0, allow_inf_nan=False)
    advantage_type: AdvantageKind = "binary"

    epochs: int = Field(3, ge=1)
    batch_size: int = Field(4, ge=1)
    """Problems."""
    gradient_accumulation_steps: int = Field(4, ge=1)
    """Batches whose gradients make one update; their episodes are rolled out together."""
    num_iterations: int = Field(1, ge=1)
    """Updates made from the same episodes. In the first the policy is still the one that acted, so its ratio is
    1 and its KL 0; only further ones can be clipped."""
    learning_rate: float = Field(1e-5, gt=0, allow_inf_nan=False)
    epsilon: float = Field(0.2, gt=0, lt=1)
    kl_coeff: float = Field(0.1, ge=0, allow_inf_nan=False)
    max_grad_norm: float = Field(1.0, gt=0, allow_inf_nan=False)

    seed: int = 42
    output_dir: Path = Path("cache/checkpoints/planner_grpo")
    cache_dir: Path = Path("cache")
    max_concurrency: int = Field(128, ge=1)
    """Episodes in flight."""

    @model_validator(mode="before")
    @classmethod
    def _defaults_of_the_bundled_planner(cls, given: Any) -> Any:
        if isinstance(given, dict) and given.get("planner_model_name", BUNDLED) == BUNDLED:
            return FOR_BUNDLED_PLANNER | given
        return given

    @property
    def planner_path(self) -> str:
        """What is loaded as the planner."""
        return str(MODEL) if self.planner_model_name == BUNDLED else self.planner_model_name

    @property
    def reasoner_path(self) -> str:
        """What is loaded as the reasoner."""
        return str(MODEL) if self.reasoning_model_name == BUNDLED else self.reasoning_model_name

    @property
    def held_out_file(self) -> Path | None:
        """The file of held-out problems; None where they are taken from `data_file`."""
        if self.eval_file is None and self.data_file.resolve() == TRAIN_PROBLEMS.resolve():
            return TEST_PROBLEMS
        return self.eval_file

    @property
    def n_examples(self) -> int:
        """In-context examples per thought type."""
        if self.num_icl_examples is not None:
            return self.num_icl_examples
        bundled = self.reasoning_model_name == BUNDLED
        settings = read_model_settings(str(MODEL) if bundled else self.reasoning_model_name)
        return USUAL_EXAMPLES if settings is None else settings.num_icl_examples

    @property
    def problems_per_update(self) -> int:
        return self.batch_size * self.gradient_accumulation_steps

    def affecting_weights(self) -> dict[str, object]:
        """The settings that a resumed run must share: all that can change the weights after an epoch."""
        free = {"epochs", "eval_file", "eval_rows", "output_dir", "cache_dir", "max_concurrency", "device"}
        return self.model_dump(mode="json", exclude=free)
