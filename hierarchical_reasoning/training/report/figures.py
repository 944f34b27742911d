"""Which curves a report has, and what each of them means."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from hierarchical_reasoning.training.log import UpdateRecord
from hierarchical_reasoning.training.report.reading import TrainingLog
from hierarchical_reasoning.training.report.scales import Scale, Unit, value_scale
from hierarchical_reasoning.training.report.series import (
    Curve,
    Stretch,
    accuracy_curve,
    stretches,
    update_curve,
)
from hierarchical_reasoning.training.report.words import PLANNER

_SHORTEST_SECONDS = 1e-3
Measure = Callable[[UpdateRecord], float | None]


@dataclass(frozen=True)
class CurveFigure:
    """One or two curves over the updates."""

    key: str
    """Name of its file, without suffix."""
    title: str
    meaning: str
    unit: Unit
    curves: tuple[Curve, ...]
    floor: float | None = 0.0
    """Where the axis begins at the latest; None: with the values."""
    ceiling: float | None = None

    def scale(self) -> Scale:
        values = [
            number
            for curve in self.curves
            for point in curve.points
            for number in (point.value, point.low, point.high)
            if number is not None
        ]
        return value_scale(values, floor=self.floor, ceiling=self.ceiling)


@dataclass(frozen=True)
class _Plan:
    """A figure of what updates measured."""

    key: str
    title: str
    meaning: str
    measures: tuple[tuple[str, Measure], ...]
    unit: Unit = "number"
    floor: float | None = 0.0
    ceiling: float | None = None

    def measured(self, update: UpdateRecord) -> bool:
        return any(measure(update) is not None for _, measure in self.measures)

    def drawn(self, parts: list[Stretch]) -> CurveFigure:
        curves = tuple(update_curve(name, parts, measure) for name, measure in self.measures)
        return CurveFigure(self.key, self.title, self.meaning, self.unit, curves, self.floor, self.ceiling)


def held_out_figure(log: TrainingLog) -> CurveFigure | None:
    """None: nothing was evaluated."""
    curves = tuple(accuracy_curve(mode, records) for mode, records in log.evaluations_by_mode().items())
    if not curves:
        return None
    return CurveFigure(
        "held_out_accuracy",
        "Held-out accuracy",
        "Shaded: 95 % Wilson intervals.",
        "percent",
        curves,
        ceiling=1.0,
    )


def reward_figure(log: TrainingLog) -> CurveFigure | None:
    """None: there is no update yet."""
    return next(iter(_drawn((_REWARD,), log)), None)


def rollout_figures(log: TrainingLog) -> list[CurveFigure]:
    """What the episodes were that were learned from."""
    if log.words is PLANNER:
        return _drawn((_WITHOUT_SPREAD, _CHOICES), log)
    measured = tuple(plan for plan in _METRICS if any(plan.measured(update) for update in log.updates))
    return _drawn((_WITHOUT_SPREAD, _TOKENS, *_TREES, *measured), log)


def optimisation_figures(log: TrainingLog) -> list[CurveFigure]:
    """What was done to the weights."""
    words = log.words
    has_kl = words is PLANNER or any(update.kl for update in log.updates)
    entropy = _Plan("entropy", "Entropy", words.entropy, (("entropy", lambda u: u.entropy),))
    clipped = _Plan(
        "clip_share",
        "Clip share",
        f"Share of {words.acts} whose ratio was clipped.",
        (("clipped", _if_taught(lambda u: u.clip_share)),),
        unit="percent",
    )
    held_to = (
        "from the policy that acted (or the reference) to the one trained."
        if words is PLANNER
        else "from the model trained to the one before training, estimated by k3."
    )
    kl = _Plan("kl", "KL", f"Of a {words.act}, {held_to}", (("KL", _if_taught(lambda u: u.kl)),))
    return _drawn((entropy, *([kl] if has_kl else []), clipped, *_OPTIMISATION), log)


def speed_figures(log: TrainingLog) -> list[CurveFigure]:
    measured = tuple(plan for plan in _MEMORY if any(plan.measured(update) for update in log.updates))
    return _drawn((*_SPEED, *measured), log)


def taught(update: UpdateRecord) -> bool:
    """Whether anything was trained on; if not, there is no loss, and no KL, clipping or gradient."""
    return update.trained_tokens > 0


def tokens_a_second(update: UpdateRecord) -> float | None:
    """None: nothing was trained on, or in no time that can be told."""
    if not taught(update) or update.update_seconds < _SHORTEST_SECONDS:
        return None
    return update.trained_tokens / update.update_seconds


def share_without_spread(update: UpdateRecord) -> float | None:
    return update.groups_without_spread / update.groups if update.groups else None


def _drawn(plans: tuple[_Plan, ...], log: TrainingLog) -> list[CurveFigure]:
    parts = stretches(log.updates)
    return [plan.drawn(parts) for plan in plans] if parts else []


def _tree_share(part: str, whole: str) -> Measure:
    """One sum over trees by another; None where that is 0."""
    return lambda update: update.trees[part] / update.trees[whole] if update.trees.get(whole) else None


def _metric(name: str) -> Measure:
    return lambda update: update.metrics.get(name)


def _if_taught(measure: Callable[[UpdateRecord], float]) -> Measure:
    return lambda update: measure(update) if taught(update) else None


_REWARD = _Plan(
    "reward",
    "Reward and accuracy in training",
    "Means of the episodes that were rolled out to learn from.",
    (("reward", lambda u: u.reward), ("accuracy", lambda u: u.accuracy)),
    ceiling=1.0,
)
_WITHOUT_SPREAD = _Plan(
    "groups_without_spread",
    "Groups without spread",
    "Share of problems whose rollouts all had the same reward: they teach nothing.",
    (("share", share_without_spread),),
    unit="percent",
    ceiling=1.0,
)
_CHOICES = _Plan(
    "steps", "Choices an episode", "“Finish thinking” included.", (("choices", lambda u: u.steps),)
)
_TOKENS = _Plan(
    "steps",
    "Tokens an answer",
    "Drawn from the prompt to its end.",
    (("tokens", lambda u: u.steps),),
)
_TREES = (
    _Plan(
        "leaves", "Leaves a tree", "Answers to one problem.", (("leaves", _tree_share("leaves", "trees")),)
    ),
    _Plan(
        "depth",
        "Depth",
        "Segments from the prompt to the end of an answer.",
        (("depth", _tree_share("sum_of_depths", "leaves")),),
    ),
    _Plan(
        "unique_tokens",
        "Unique tokens",
        "Of those of all answers with their prompts: the others are shared, and computed once.",
        (("share", _tree_share("unique_tokens", "tokens_on_paths")),),
        unit="percent",
        ceiling=1.0,
    ),
    _Plan(
        "branchings_with_spread",
        "Branchings with spread",
        "Share of what is compared with each other, whose rewards differ.",
        (("share", _tree_share("groups_with_spread", "groups")),),
        unit="percent",
        ceiling=1.0,
    ),
)
_METRICS = (
    _Plan(
        "pass_at_k",
        "pass@k",
        "Chance that one of k answers of a tree is right.",
        (("k = 1", _metric("pass_at_1")), ("k = 4", _metric("pass_at_4"))),
        unit="percent",
        ceiling=1.0,
    ),
    _Plan(
        "pass_at_more",
        "pass@k, more answers",
        "Over the trees with as many answers.",
        (("k = 8", _metric("pass_at_8")), ("k = 16", _metric("pass_at_16"))),
        unit="percent",
        ceiling=1.0,
    ),
    _Plan(
        "tree_rewards",
        "Rewards in trees",
        "Total of a node, and what was backed up from an answer.",
        (("node", _metric("node_reward")), ("path", _metric("path_reward"))),
    ),
    _Plan(
        "right_depth",
        "Depth of right answers",
        "Thoughts, or segments, of all of them, and of the least deep of a tree.",
        (("all", _metric("right_depth")), ("least deep", _metric("shallowest"))),
    ),
    _Plan(
        "branching",
        "Branching",
        "Children of an inner node, where a problem was solved and where it was not.",
        (("solved", _metric("branching_solved")), ("failed", _metric("branching_failed"))),
    ),
    _Plan(
        "pruned",
        "Pruned children",
        "Of an inner node, where a problem was solved and where it was not.",
        (("solved", _metric("pruned_solved")), ("failed", _metric("pruned_failed"))),
    ),
    _Plan(
        "diversity",
        "Diversity and novelty",
        "Bigrams of siblings that differ; 4-grams of trees that no earlier one had.",
        (("diversity", _metric("diversity")), ("novelty", _metric("novelty"))),
        unit="percent",
        ceiling=1.0,
    ),
    _Plan(
        "agreement",
        "Agreement",
        "Pairs of answers to a problem that are the same.",
        (("pairs", _metric("robustness")),),
        unit="percent",
        ceiling=1.0,
    ),
    _Plan(
        "calibration",
        "Calibration of the value head",
        "Of what it expected of thoughts in the trees of an update, from those before: expected calibration error and "
        "Brier score. 0 is best.",
        (("ECE", _metric("ece")), ("Brier", _metric("brier"))),
    ),
)
_OPTIMISATION = (
    _Plan("loss", "Loss", "Mean over the iterations.", (("loss", _if_taught(lambda u: u.loss)),), floor=None),
    _Plan(
        "grad_norm",
        "Gradient norm",
        "Before it is scaled down.",
        (("norm", _if_taught(lambda u: u.grad_norm)),),
    ),
    _Plan(
        "learning_rate",
        "Learning rate",
        "In the last iteration.",
        (("learning rate", _if_taught(lambda u: u.learning_rate)),),
    ),
    _Plan(
        "acting_gap",
        "Acting gap",
        "Mean distance between log probabilities as trained and as acted: what numerics differ by.",
        (("gap", _if_taught(lambda u: u.acting_gap)),),
    ),
)
_SPEED = (
    _Plan(
        "tokens_per_second",
        "Trained tokens a second",
        "Tokens in forward and backward passes, without padding, over the seconds of the update.",
        (("tokens/s", tokens_a_second),),
    ),
    _Plan(
        "seconds",
        "Seconds",
        "Of each update: rolling out episodes, and learning from them.",
        (("rollout", lambda u: u.rollout_seconds), ("update", lambda u: u.update_seconds)),
    ),
    _Plan(
        "seconds_per_problem",
        "Seconds a problem",
        "Of rolling out, with all problems of an update in flight together.",
        (("rollout", lambda u: u.rollout_seconds / u.groups if u.groups else None),),
    ),
)
_MEMORY = (
    _Plan(
        "memory",
        "Peak memory, MiB",
        "The most that a process has held until then, in main memory and on GPUs.",
        (
            ("process", lambda u: _mebibytes(u.peak_memory_bytes)),
            ("GPUs", lambda u: _mebibytes(u.peak_gpu_memory_bytes)),
        ),
    ),
)


def _mebibytes(n_bytes: int | None) -> float | None:
    return None if n_bytes is None else n_bytes / 2**20
