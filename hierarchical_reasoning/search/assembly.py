"""From the settings of a run to its search."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, cast

from hierarchical_reasoning.backends import Backends
from hierarchical_reasoning.errors import ConfigError
from hierarchical_reasoning.reasoner import Reasoner
from hierarchical_reasoning.search.values import Values
from hierarchical_reasoning.solvers.search import MakePlanner, SearchParts, SearchSolver
from hierarchical_reasoning.values.assembly import encoder_of
from hierarchical_reasoning.values.base import ValueEstimator
from hierarchical_reasoning.values.settings import HeadKind, HeadSettings
from hierarchical_reasoning.verifiers import Verifier
from taxonomy.model import ThoughtType

if TYPE_CHECKING:
    from hierarchical_reasoning.config import RunConfig


def make_search(
    config: RunConfig,
    backends: Backends,
    verifier: Verifier,
    reasoner: Reasoner,
    options: Sequence[ThoughtType],
    planner: MakePlanner,
    planner_temperature: float,
) -> SearchSolver:
    """The solver of a run that searches; what is given is as in `SearchParts`."""
    parts = SearchParts(
        reasoner=reasoner,
        planner=None if config.planner == "untyped" else planner,
        options=options,
        verifier=verifier,
        values=make_values(config, backends),
        judge=backends.judge if config.asks_judge else None,
        planner_temperature=planner_temperature,
        seed=config.seed,
    )
    return SearchSolver(config, parts)


def make_values(config: RunConfig, backends: Backends) -> Values | None:
    """What learns values; None where no value head was asked for."""
    if not config.learns_values:
        return None
    encoder = encoder_of(config, backends)
    kind = cast("HeadKind", config.uncertainty)

    async def make() -> ValueEstimator:
        from hierarchical_reasoning.values.learned import LearnedValue

        if config.value_head is None:
            return LearnedValue(encoder, HeadSettings(kind, seed=config.seed))
        head = await LearnedValue.load(config.value_head, encoder)
        if head.settings.kind != kind:
            raise ConfigError(
                f"--value_head {config.value_head} holds one of the kind {head.settings.kind}, and --uncertainty is "
                f"{kind}; give --uncertainty {head.settings.kind}"
            )
        return head

    return Values(make, every=config.learns_after, note=backends.reasoner.note)
