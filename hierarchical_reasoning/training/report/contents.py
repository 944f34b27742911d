"""Everything a report shows, found once, for the page and for the pictures alike."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from hierarchical_reasoning.training.report.figures import (
    CurveFigure,
    held_out_figure,
    optimisation_figures,
    reward_figure,
    rollout_figures,
    speed_figures,
)
from hierarchical_reasoning.training.report.headline import Headline, headline
from hierarchical_reasoning.training.report.reading import TrainingLog
from hierarchical_reasoning.training.report.reliability import Reliability, reliabilities
from hierarchical_reasoning.training.report.series import MOST_POINTS, stretches
from hierarchical_reasoning.training.report.thought_types import Usage, colours, thought_types, usage
from hierarchical_reasoning.training.report.transitions import TransitionTables, transition_tables


@dataclass(frozen=True)
class Totals:
    """Of the whole run."""

    updates: int
    epoch: int
    """The last; 0: none yet."""
    episodes: int
    errors: int
    groups: int
    without_spread: int
    tokens: int
    calls: int
    cost_usd: float | None
    """None: not known."""
    rollout_seconds: float
    update_seconds: float
    evaluation_seconds: float

    @property
    def seconds(self) -> float:
        return self.rollout_seconds + self.update_seconds + self.evaluation_seconds


@dataclass(frozen=True)
class Contents:
    log: TrainingLog
    headline: Headline
    totals: Totals
    span: tuple[int, int]
    """The first and the last update of all figures."""
    accuracy: tuple[CurveFigure, ...]
    """On held-out problems, and on those trained on; of these what there is."""
    rollouts: tuple[CurveFigure, ...]
    optimisation: tuple[CurveFigure, ...]
    speed: tuple[CurveFigure, ...]
    reliabilities: tuple[Reliability, ...]
    """Of a value head, where there was one."""
    usage: Usage | None
    transitions: tuple[TransitionTables, ...]
    colour_of: Mapping[str, str]
    number_of: dict[str, int]
    """Of the thought types, from 1, in the order of `thought_types`."""
    notes: tuple[str, ...]
    """What was left out, or drawn otherwise than it stands in the log."""

    @property
    def curve_figures(self) -> tuple[CurveFigure, ...]:
        return (*self.accuracy, *self.rollouts, *self.optimisation, *self.speed)


def contents_of(log: TrainingLog) -> Contents:
    names = thought_types(log)
    return Contents(
        log=log,
        headline=headline(log),
        totals=_totals(log),
        span=(log.records[0].update, log.records[-1].update),
        accuracy=tuple(figure for figure in (held_out_figure(log), reward_figure(log)) if figure is not None),
        rollouts=tuple(rollout_figures(log)),
        optimisation=tuple(optimisation_figures(log)),
        speed=tuple(speed_figures(log)),
        reliabilities=reliabilities(log),
        usage=usage(log),
        transitions=tuple(transition_tables(log)),
        colour_of=colours(names),
        number_of={name: number for number, name in enumerate(names, 1)},
        notes=(*log.notes, *_thinned(log)),
    )


def _thinned(log: TrainingLog) -> tuple[str, ...]:
    length = len(stretches(log.updates)[0]) if log.updates else 1
    if length == 1:
        return ()
    return (
        f"{len(log.updates):,} updates are more than a curve can show: each of its points is the mean of {length} "
        f"updates in a row, shaded from their lowest value to their highest (at most {MOST_POINTS} points). "
        "Tables have every update.",
    )


def _totals(log: TrainingLog) -> Totals:
    updates = log.updates
    costs = [update.cost_usd for update in updates if update.cost_usd is not None]
    return Totals(
        updates=len(updates),
        epoch=max((update.epoch for update in updates), default=0),
        episodes=sum(update.episodes for update in updates),
        errors=sum(update.errors for update in updates),
        groups=sum(update.groups for update in updates),
        without_spread=sum(update.groups_without_spread for update in updates),
        tokens=sum(update.trained_tokens for update in updates),
        calls=sum(update.calls for update in updates),
        cost_usd=sum(costs) if len(costs) == len(updates) else None,
        rollout_seconds=sum(update.rollout_seconds for update in updates),
        update_seconds=sum(update.update_seconds for update in updates),
        evaluation_seconds=sum(evaluation.seconds for evaluation in log.evaluations),
    )
