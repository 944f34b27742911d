"""What a run that fits a value head can be told."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from hierarchical_reasoning.search.settings import ValueFeatures
from hierarchical_reasoning.values.settings import HeadKind, HeadSettings

_MEMBERS = {"ensemble": "n_models", "bootstrap": "n_bootstrap", "dropout": "n_forward_passes"}
_USUAL = HeadSettings()


class ValuesConfig(BaseModel):
    """Fields are named as the flags are."""

    model_config = ConfigDict(frozen=True, extra="forbid", protected_namespaces=())

    files: tuple[Path, ...] = Field(min_length=1)
    """Results files, or journals."""
    output_dir: Path = Path("cache/value_head")
    uncertainty: HeadKind = _USUAL.kind
    n_members: int | None = Field(None, ge=2)
    """Networks, or with ``dropout`` thinned ones; None: as a search has."""
    hidden_size: int = Field(_USUAL.hidden_size, ge=1)
    n_layers: int = Field(_USUAL.n_layers, ge=1)
    value_features: ValueFeatures = "auto"
    model_name: str | None = None
    """Whose states are seen; None: the one whose traces they are."""
    llm_framework: str | None = None
    """Of that model, or of `embedding_model_name`; None: as the files have it, or as the model's name says."""
    base_url: str | None = None
    api_key_env: str | None = None
    embedding_model_name: str | None = None
    device: str = "auto"
    dtype: str = "auto"
    test_share: float = Field(0.2, ge=0, lt=1, allow_inf_nan=False)
    """Of the problems, which nothing is learned or chosen by; 0: nothing is measured."""
    validation_share: float = Field(0.2, gt=0, lt=1, allow_inf_nan=False)
    """Of the others, by which the fit is stopped and calibrated."""
    max_pairs: int = Field(20_000, ge=8)
    """Places that are learned from, at most."""
    max_concurrency: int = Field(8, ge=1)
    """Calls for embeddings at once."""
    cache_dir: Path = Path("cache")
    no_cache: bool = False
    seed: int = 42

    @property
    def head(self) -> HeadSettings:
        """Raises ConfigError for a value that is not allowed."""
        members: dict[str, Any] = (
            {} if self.n_members is None else {_MEMBERS[self.uncertainty]: self.n_members}
        )
        return replace(
            _USUAL,
            kind=self.uncertainty,
            hidden_size=self.hidden_size,
            n_layers=self.n_layers,
            max_pairs=self.max_pairs,
            seed=self.seed,
            **members,
        )
