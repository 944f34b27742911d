"""What a value head is: how many networks of which size, and how they differ."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

from hierarchical_reasoning.errors import ConfigError

HeadKind = Literal["ensemble", "dropout", "bootstrap"]
HEAD_KINDS: tuple[HeadKind, ...] = get_args(HeadKind)


@dataclass(frozen=True)
class HeadSettings:
    """What a head is made and trained with. Raises ConfigError for a value that is not allowed."""

    kind: HeadKind = "ensemble"
    """``ensemble``: members that start from different weights (Lakshminarayanan et al., 2017). ``dropout``: one
    network, whose members are the thinned networks that dropout leaves (Gal and Ghahramani, 2016). ``bootstrap``:
    as ``ensemble``, and each member learns from a resample of the pairs (Osband et al., 2016)."""
    n_models: int = 5
    """Members of an ensemble."""
    n_bootstrap: int = 5
    """Members of a bootstrap."""
    n_forward_passes: int = 10
    """Members of a dropout head."""
    dropout_rate: float = 0.1
    """Of hidden units, in a dropout head."""
    hidden_size: int = 128
    n_layers: int = 2
    """Hidden layers; the output comes after them."""
    max_pairs: int = 2048
    """How many pairs are learned from; the oldest are forgotten first."""
    seed: int = 0

    def __post_init__(self) -> None:
        if self.kind not in HEAD_KINDS:
            raise ConfigError(
                f"the kind of value head is {self.kind!r}; allowed are {', '.join(HEAD_KINDS)} (--uncertainty)"
            )
        for name, least in (
            ("n_models", 2),
            ("n_bootstrap", 2),
            ("n_forward_passes", 2),
            ("hidden_size", 1),
            ("n_layers", 1),
            ("max_pairs", 8),
        ):
            if getattr(self, name) < least:
                raise ConfigError(
                    f"{name} of the value head is {getattr(self, name)}; it must be {least} or more"
                )
        if not 0.0 < self.dropout_rate < 1.0:
            raise ConfigError(
                f"dropout_rate of the value head is {self.dropout_rate}; it must be more than 0 and less than 1"
            )

    @property
    def n_members(self) -> int:
        """How many predictions an estimate is the mean of."""
        return {"ensemble": self.n_models, "dropout": self.n_forward_passes, "bootstrap": self.n_bootstrap}[
            self.kind
        ]

    @property
    def n_networks(self) -> int:
        """How many networks are trained."""
        return 1 if self.kind == "dropout" else self.n_members
