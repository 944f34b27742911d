"""What a run that learns a start across families can be told."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from hierarchical_reasoning.assets import MODEL
from hierarchical_reasoning.errors import ConfigError
from hierarchical_reasoning.problems import ShapeName
from hierarchical_reasoning.reasoning_config import BUNDLED

MetaAlgorithm = Literal["reptile", "maml"]
Trained = Literal["adapter", "head"]
EncoderName = Literal["states", "words"]
LearnFrom = Literal["drawn", "solutions"]
FOR_BUNDLED_ADAPTER: dict[str, Any] = {"inner_lr": 0.5, "batch_size": 2, "n_test": 24}
"""Defaults where adapters of the bundled model are learned: its gradients are small, and 0.01 would hardly move it.
Where problems are generated, it learns from solutions besides: of what it draws itself, nothing is left to learn."""
SAMPLE_FAMILIES = {
    "drawn": ("expression", "equation", "story", "ratio"),
    "solutions": ("average", "remainder", "comparison", "unit_price"),
}
"""By `learn_from`: families that the bundled model gets right now and then, or never. The last is not seen."""


class MetaConfig(BaseModel):
    """Fields are named as the flags are."""

    model_config = ConfigDict(frozen=True, extra="forbid", protected_namespaces=())

    meta_algorithm: MetaAlgorithm = "reptile"
    parameters: Trained = "adapter"
    """What is learned: LoRA adapters of the language model, or a value head on its states."""
    inner_lr: float = Field(0.01, gt=0, allow_inf_nan=False)
    """Of gradient descent on one family; also when adapting to the unseen one."""
    n_inner_steps: int = Field(5, ge=1)
    meta_lr: float = Field(0.1, gt=0, le=1)
    """Reptile's step towards the adapted parameters."""
    outer_lr: float = Field(0.001, gt=0, allow_inf_nan=False)
    """Of Adam: in MAML's outer steps, and for the start that is trained on all families jointly."""
    first_order: bool = False
    """Of MAML."""
    meta_steps: int = Field(20, ge=1)
    """Outer steps; each meets every family."""
    batch_size: int = Field(4, ge=1)
    """Problems in a batch of one inner step."""

    data_file: Path | None = None
    """None: generated sample problems."""
    family_field: str | None = None
    """The field of a row that names its family; None: its category."""
    families: tuple[str, ...] = ()
    """To train on. Empty: `SAMPLE_FAMILIES`, or those of `data_file`; all but `unseen`."""
    unseen: str | None = None
    """None: the last of `SAMPLE_FAMILIES`, where problems are generated."""
    n_train: int = Field(32, ge=1)
    """Problems of each family that is trained on."""
    n_support: int = Field(32, ge=1)
    """Problems of the unseen family to adapt with."""
    n_test: int = Field(48, ge=1)
    """Problems of the unseen family to measure with."""
    adaptation_steps: tuple[int, ...] = (0, 1, 2, 5, 10)
    """After how many steps on the unseen family it is measured."""
    learn_from: LearnFrom = "drawn"
    """What the model draws itself (adapters: where it is right), or right answers that the problems come with."""
    solution_field: str = "solution"
    """The field of a row with such an answer; naming one asks for it."""
    num_rollouts_per_prompt: int = Field(4, ge=1)
    problem_shape: ShapeName = "auto"
    problem_field: str | None = None
    answer_field: str | None = None
    ground_truth_format: str | None = None

    model_id: str = BUNDLED
    prompts_dir: Path | None = None
    temperature: float = Field(1.0, gt=0, le=2)
    """Of what is drawn to learn from; what is measured is the likeliest answer."""
    max_new_tokens: int = Field(512, ge=2)
    lora_r: int = Field(8, ge=1)
    lora_alpha: int | None = Field(None, ge=1)
    """None: twice `lora_r`."""
    encoder: EncoderName = "states"
    """What a value head sees of a trace: states of the model, or hashed words."""
    hidden_size: int = Field(128, ge=1)
    n_layers: int = Field(2, ge=1)
    n_models: int = Field(5, ge=2)
    """These three are of the value head."""
    device: str = "auto"
    dtype: Literal["auto", "bfloat16", "float32"] = "float32"
    """Of the frozen weights; what is trained is float32."""
    max_concurrency: int = Field(64, ge=1)

    seed: int = 42
    save_every: int = Field(5, ge=1)
    """Outer steps between checkpoints."""
    output_dir: Path = Path("cache/checkpoints/meta")

    @model_validator(mode="before")
    @classmethod
    def _what_is_not_given(cls, given: Any) -> Any:
        if not isinstance(given, dict):
            return given
        usual: dict[str, Any] = {}
        if given.get("model_id", BUNDLED) == BUNDLED and given.get("parameters", "adapter") == "adapter":
            generated = given.get("data_file") is None
            usual = FOR_BUNDLED_ADAPTER | ({"learn_from": "solutions"} if generated else {})
        if "solution_field" in given:
            usual = usual | {"learn_from": "solutions"}
        return usual | given

    @property
    def model_path(self) -> str:
        return str(MODEL) if self.model_id == BUNDLED else self.model_id

    @property
    def learned_field(self) -> str | None:
        """`solution_field`, where it is learned from."""
        return self.solution_field if self.learn_from == "solutions" else None

    @property
    def measured_after(self) -> tuple[int, ...]:
        """`adaptation_steps`, each once, in order."""
        return tuple(sorted(set(self.adaptation_steps)))

    def affecting_weights(self) -> dict[str, object]:
        """The settings that a resumed run must share. Problems and weights stand for files and names."""
        free = {
            "data_file",
            "prompts_dir",
            "output_dir",
            "save_every",
            "device",
            "max_concurrency",
            "meta_steps",
        }
        return self.model_dump(mode="json", exclude=free)


def check_meta(config: MetaConfig) -> tuple[str, ...]:
    """Notes on settings that have no effect; those that do not go together are refused.

    Raises:
        ConfigError: a combination that no run can have.
    """
    if not config.adaptation_steps or min(config.adaptation_steps) < 0:
        given = " ".join(map(str, config.adaptation_steps)) or "nothing"
        raise ConfigError(f"--adaptation_steps {given}: give one or more numbers, from 0")
    if config.parameters == "head":
        if config.learn_from == "solutions":
            raise ConfigError(
                "--learn_from solutions (--solution_field) goes with --parameters adapter: a value head learns from "
                "right and wrong answers, which the model has to draw"
            )
        if config.num_rollouts_per_prompt < 2:
            raise ConfigError(
                "--num_rollouts_per_prompt 1 with --parameters head: right and wrong answers are wanted; give 2 or more"
            )
    return tuple(_without_effect(config))


_READ_BY = {
    ("meta_algorithm", "reptile"): ("meta_lr",),
    ("meta_algorithm", "maml"): ("first_order",),
    ("parameters", "adapter"): ("lora_r", "lora_alpha"),
    ("parameters", "head"): ("encoder", "hidden_size", "n_layers", "n_models"),
    ("learn_from", "drawn"): ("num_rollouts_per_prompt", "temperature"),
    ("learn_from", "solutions"): ("solution_field",),
}
"""By a choice, the settings that nothing else reads."""


def _without_effect(config: MetaConfig) -> Iterator[str]:
    usual = MetaConfig(model_id=config.model_id, parameters=config.parameters)
    for (choice, wanted), names in _READ_BY.items():
        chosen = getattr(config, choice)
        for name in names:
            value = getattr(config, name)
            if chosen != wanted and value != getattr(usual, name):
                yield f"--{name} {value} has no effect with --{choice} {chosen}"
