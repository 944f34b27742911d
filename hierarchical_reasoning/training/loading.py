"""Where the weights of a training run come from, when it begins and when it goes on."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from hierarchical_reasoning.errors import ConfigError
from hierarchical_reasoning.reasoning_config import BUNDLED
from hierarchical_reasoning.training.checkpoints import Checkpoint
from hierarchical_reasoning.training.config import TrainingConfig
from llm_backends.local.loading import DtypeName


@dataclass(frozen=True)
class Weights:
    """A model is loaded twice: the copy in training, and the one that acts, which takes its weights before it does."""

    trained: str
    """Folder or name; what adapters are put on, where there are any."""
    trained_flag: str
    """That chose it, for messages."""
    dtype: DtypeName
    device: str
    acting: str
    """Adapters merged."""
    acting_flag: str
    acting_dtype: DtypeName
    acting_device: str

    @classmethod
    def of(
        cls, config: TrainingConfig, resumed_from: Checkpoint | None, *, device: str, acting_device: str
    ) -> Weights:
        """
        Args:
            device: where the weights in training are loaded.
        """
        with_lora = config.lora_r > 0
        own_flag = f"--{config.trained_model}"
        merged = str(resumed_from.path) if resumed_from else config.trained_path
        flag = "--output_dir" if resumed_from else own_flag
        dtype: DtypeName = "bfloat16" if config.computes_in_bf16 else "float32"
        return cls(
            trained=config.trained_path if with_lora else merged,
            trained_flag=own_flag if with_lora else flag,
            dtype=dtype if with_lora else "float32",
            device=device,
            acting=merged,
            acting_flag=flag,
            acting_dtype=dtype,
            acting_device=acting_device,
        )


def check_model_folder(flag: str, name: str, model_path: str) -> None:
    """Raises ConfigError where a path is given and no model is there; a name is left to whoever loads it."""
    path = Path(model_path)
    if (path / "config.json").is_file():
        return
    if name == BUNDLED:
        raise ConfigError(
            f"the bundled model is not at {path}; make it with `python -m hierarchical_reasoning.sample_tasks "
            f"model`, or name another with {flag}"
        )
    if path.exists() or path.is_absolute() or name.startswith((".", "~")) or name.count("/") > 1:
        raise ConfigError(
            f"{flag} {name!r} is no model folder: it has no config.json; give a folder that "
            "transformers can load, or a Hugging Face name"
        )
