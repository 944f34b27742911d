"""What a model directory says of how the model was trained to be run, so that nobody has to remember it."""

from __future__ import annotations

import json
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from hierarchical_reasoning.errors import ConfigError

FILE = "hierarchical_reasoning.json"
USUAL_EXAMPLES = 5


class ModelSettings(BaseModel):
    """The content of the file."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    num_icl_examples: int = Field(USUAL_EXAMPLES, ge=0)
    """In-context examples per thought type that the model was shown in training."""


def read_model_settings(model_path: str) -> ModelSettings | None:
    """Those of a model directory; None where it has none.

    Raises:
        ConfigError: the file is there, and is no such file.
    """
    path = Path(model_path) / FILE
    if not path.is_file():
        return None
    try:
        return ModelSettings.model_validate(json.loads(path.read_text(encoding="utf-8")))
    except (OSError, ValueError, ValidationError) as error:
        raise ConfigError(f"{path} cannot be used ({error}); mend or delete it (--model_name)") from error


def write_model_settings(folder: Path, settings: ModelSettings) -> None:
    """Write them into a model directory."""
    (folder / FILE).write_text(settings.model_dump_json(indent=2) + "\n", encoding="utf-8")
