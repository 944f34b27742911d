"""From graded trees to a gradient: what each token is worth, in passes in which every token is computed once.

Axes: T tokens of all lessons behind each other, or of one pass; L tokens that the loss is taken on; S = 2 signs of an
advantage, of which an objective is linear in each.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch

from hierarchical_reasoning.training.credit import Credit, token_advantages
from hierarchical_reasoning.training.objectives import (
    Aggregation,
    Clip,
    EntropyStats,
    KlTerm,
    adaptive_clip,
    clipped_objective,
    entropy_against,
    importance_ratio,
    redistribute_advantage,
    token_scores,
)
from hierarchical_reasoning.training.packed.packed_forward import PackedModel
from hierarchical_reasoning.training.packed.packing import PackedPass, pack
from hierarchical_reasoning.training.packed.token_forest import NO_PLACE, TokenForest, lay_out
from hierarchical_reasoning.training.sums import Sums
from hierarchical_reasoning.trees import ReasoningTree
from hierarchical_reasoning.trees.leaf_means import leaf_means


@dataclass(frozen=True, eq=False)
class TreeLesson:
    """One tree as the loss sees it; its tokens in the order of `forest`, on the CPU."""

    tree: ReasoningTree
    forest: TokenForest
    places: Mapping[int, slice]
    """In it, of each node's tokens."""
    advantage_T: torch.Tensor
    negative_T: torch.Tensor
    """What of it comes from negative advantages; see `Credit`."""
    weight_T: torch.Tensor
    """How much of the loss a token is; 0 where it was given."""
    acted_log_probs_T: torch.Tensor
    """By the copy of the model that acted, at temperature 1; NaN where the token was not drawn."""
    count: float
    """What the loss is divided by on account of this tree: tokens, or sequences."""
    old_log_probs_T: torch.Tensor | None = None
    """By the model in training before its first step, at the temperature that it acts at; None: as in the step, since
    none came between."""
    entropy_T: torch.Tensor | None = None
    reference_log_probs_T: torch.Tensor | None = None
    stats: EntropyStats | None = None
    """Of all trees of the update, in all processes."""


@dataclass(frozen=True)
class TokenLossSettings:
    """What the loss depends on besides lessons and weights; the fields of `LanguageModelConfig`."""

    temperature: float
    clip_ratio_low: float
    clip_ratio_high: float
    clip_ratio_c: float
    kl_coeff: float
    """Of the loss; 0 where the reward has the KL."""
    adv_beta: float | None
    """None: advantages stay as they are."""
    clip_alpha: float | None
    """None: so do the clip ranges."""


@dataclass(frozen=True, eq=False)
class LessonPass:
    """A forward pass, and the lessons that its trees are the numbers of."""

    packed: PackedPass
    lessons: Sequence[TreeLesson]

    def of_tokens(self, name: str) -> torch.Tensor:
        """(T,) what the lessons say of each token of the pass."""
        found = torch.empty(len(self.packed.forest), dtype=torch.float64)
        for number in set(self.packed.tree_T.tolist()):
            here = self.packed.tree_T == number
            found[here] = getattr(self.lessons[number], name)[self.packed.place_T[here]]
        return found

    def taught(self, *, everywhere: bool) -> torch.Tensor:
        """(L,) the places in the pass that the loss is taken on.

        Args:
            everywhere: also where the advantage is 0, as a KL and the entropies of a batch need.
        """
        counts_T = self.packed.counts_T & (self.of_tokens("weight_T") > 0)
        if not everywhere:
            counts_T &= (self.of_tokens("advantage_T") != 0) | (self.of_tokens("negative_T") != 0)
        return counts_T.nonzero().squeeze(1)


def tree_lesson(tree: ReasoningTree, credit: Credit, aggregation: Aggregation, horizon: int) -> TreeLesson:
    """What there is to learn from a tree.

    Args:
        aggregation: as verl names them. A sequence is what one advantage is given to: a path with `outcome_credit`, a
            node with the others. One in which nothing was drawn does not count.
        horizon: the longest that a sequence can be, for ``seq-mean-token-sum-norm``.
    """
    numbers = {node_id: number for number, node_id in enumerate(tree.walk())}
    nodes = [tree.node(node_id) for node_id in numbers]
    parents = [NO_PLACE if node.parent is None else numbers[node.parent] for node in nodes]
    forest, ranges = lay_out(parents, [node.tokens for node in nodes])
    places = {node_id: slice(here.start, here.stop) for node_id, here in zip(numbers, ranges, strict=True)}
    advantage_T = torch.zeros(len(forest), dtype=torch.float64)
    negative_T, weight_T = torch.zeros_like(advantage_T), torch.zeros_like(advantage_T)
    acted_T = torch.full_like(advantage_T, torch.nan)
    for node_id, tokens in token_advantages(tree, _weighed(tree, credit, aggregation, horizon)).items():
        here = places[node_id]
        advantage_T[here] = torch.from_numpy(tokens.advantage_T)
        negative_T[here] = torch.from_numpy(tokens.negative_T)
        weight_T[here] = torch.from_numpy(tokens.weight_T)
        node = tree.node(node_id)
        if node.log_probs:
            acted_T[here][node.given :] = torch.tensor(node.log_probs, dtype=torch.float64)
    count = float(weight_T.sum()) if aggregation == "token-mean" else float(len(_lengths(tree, credit)[1]))
    return TreeLesson(tree, forest, places, advantage_T, negative_T, weight_T, acted_T, count)


def kl_of_leaves(lesson: TreeLesson) -> dict[int, float]:
    """By leaf that has a reward, how far its answer has gone from the model at the start: log pi_old - log pi_start as
    `scores_of` has found them, summed over the tokens drawn on its path.

    Source: verl's `apply_kl_penalty` with its estimator ``kl`` (k1), summed over a response as GRPO sums token rewards.
    """
    assert lesson.old_log_probs_T is not None
    assert lesson.reference_log_probs_T is not None
    left_T = lesson.old_log_probs_T - lesson.reference_log_probs_T
    cost_to: dict[int, float] = {}
    for node_id in lesson.tree.walk():
        node = lesson.tree.node(node_id)
        before = 0.0 if node.parent is None else cost_to[node.parent]
        cost_to[node_id] = before + float(left_T[lesson.places[node_id]][node.given :].sum())
    return {leaf: cost_to[leaf] for leaf, reward in lesson.tree.rewards().items() if reward is not None}


def divide(lessons: Sequence[TreeLesson], tokens_per_pass: int) -> list[LessonPass]:
    """The trees in passes; of one that is larger than a pass, the parts."""
    return [
        LessonPass(packed, lessons) for packed in pack([each.forest for each in lessons], tokens_per_pass)
    ]


def pass_loss(
    model: PackedModel, part: LessonPass, settings: TokenLossSettings, wrapped: Any | None = None
) -> tuple[torch.Tensor, Sums]:
    """The loss of one forward pass, summed over its tokens as they count and differentiable; and its figures."""
    held = part.lessons[0].reference_log_probs_T is not None
    places_L = part.taught(everywhere=held)
    if not len(places_L):
        return idle_loss(model, wrapped), Sums()
    logits_LV, tokens_L = logits_of(model, part.packed.forest, places_L, wrapped)
    log_probs_L, _ = token_scores(logits_LV, tokens_L, settings.temperature)
    device = log_probs_L.device

    def of(name: str) -> torch.Tensor:
        return part.of_tokens(name)[places_L].to(device, log_probs_L.dtype).unsqueeze(0)

    new_1L = log_probs_L.unsqueeze(0)
    known = part.lessons[0].old_log_probs_T is not None
    old_1L = of("old_log_probs_T") if known else new_1L.detach()
    mask_1L = torch.ones_like(new_1L, dtype=torch.bool)
    negative_1L, weight_1L = of("negative_T"), of("weight_T")
    advantage_SL = torch.cat([of("advantage_T") - negative_1L, negative_1L])
    low_1L, high_1L = (
        torch.full_like(new_1L, side).detach() for side in (settings.clip_ratio_low, settings.clip_ratio_high)
    )
    stats = part.lessons[0].stats
    if stats is not None:
        h_hat_1L = entropy_against(stats, of("entropy_T"))
        if settings.clip_alpha is not None:
            low_1L, high_1L = adaptive_clip(
                h_hat_1L, settings.clip_ratio_low, settings.clip_ratio_high, settings.clip_alpha
            )
        if settings.adv_beta is not None:
            ratio_1L = importance_ratio(new_1L.detach(), old_1L, mask_1L)
            advantage_SL = redistribute_advantage(
                advantage_SL, h_hat_1L, ratio_1L, low_1L, high_1L, settings.adv_beta
            )
    # A token stands in the row of either sign, so each has half of its KL.
    held_to = None
    if held:  # with a weight of 0, its figure alone
        held_to = KlTerm(of("reference_log_probs_T").expand(2, -1), settings.kl_coeff / 2)
    result = clipped_objective(
        new_1L.expand(2, -1),
        old_1L.expand(2, -1),
        advantage_SL,
        mask_1L.expand(2, -1),
        Clip(low_1L, high_1L, settings.clip_ratio_c),
        kl=held_to,
    )
    loss = (result.loss_BT * weight_1L).sum()
    with torch.no_grad():
        at_one_L = log_probs_L if settings.temperature == 1 else token_scores(logits_LV, tokens_L)[0]
        gap_L = (at_one_L - of("acted_log_probs_T").squeeze(0)).abs().nan_to_num(0.0)
    return loss, Sums(
        loss=float(loss.detach()),
        kl=float(result.kl_BT.detach().sum()) / 2,
        clipped=float((result.clipped_BT | result.dual_clipped_BT).any(dim=0).sum()),
        gap=float(gap_L.sum()),
        acts=len(places_L),
        tokens=len(part.packed.forest),
    )


def idle_loss(model: PackedModel, wrapped: Any | None = None) -> torch.Tensor:
    """0, by the shortest forward pass."""
    forest, _ = lay_out([NO_PLACE], [[0]])
    return 0.0 * model.logits(forest, torch.zeros(1, dtype=torch.long), wrapped).sum()


def logits_of(
    model: PackedModel, forest: TokenForest, places_L: torch.Tensor, wrapped: Any | None
) -> tuple[torch.Tensor, torch.Tensor]:
    """(L, V) logits that the tokens at these places were drawn by, and (L,) these tokens."""
    logits_LV = model.logits(forest, forest.previous_T[places_L], wrapped)
    return logits_LV, forest.tokens_T[places_L].to(logits_LV.device)


def scores_of(
    model: PackedModel,
    lessons: Sequence[TreeLesson],
    temperature: float,
    tokens_per_pass: int,
    wrapped: Any | None,
) -> list[tuple[torch.Tensor, torch.Tensor]]:
    """Of each lesson, (T,) log probabilities of its tokens at a temperature, and (T,) entropies where they were drawn
    at temperature 1; without gradient, 0 in places that are not taught."""
    log_probs = [torch.zeros(len(lesson.forest), dtype=torch.float64) for lesson in lessons]
    entropies = [torch.zeros(len(lesson.forest), dtype=torch.float64) for lesson in lessons]
    with torch.no_grad():
        for part in divide(lessons, tokens_per_pass):
            places_L = part.taught(everywhere=True)
            if not len(places_L):
                idle_loss(model, wrapped)
                continue
            found = token_scores(*logits_of(model, part.packed.forest, places_L, wrapped), temperature)
            for of_lesson, values_L in zip((log_probs, entropies), found, strict=True):
                for number in set(part.packed.tree_T.tolist()):
                    here_L = part.packed.tree_T[places_L] == number
                    of_lesson[number][part.packed.place_T[places_L[here_L]]] = values_L[here_L].double().cpu()
    return list(zip(log_probs, entropies, strict=True))


def _weighed(tree: ReasoningTree, credit: Credit, aggregation: Aggregation, horizon: int) -> Credit:
    """The credit with weights, and where need be advantages, that make sums over tokens those of `aggregation`."""
    if aggregation in ("token-mean", "seq-mean-token-sum"):
        return credit
    if aggregation == "seq-mean-token-sum-norm":
        return replace(credit, weight_N=credit.weight_N / horizon)
    of_paths, lengths = _lengths(tree, credit)
    if not of_paths:
        length_N = np.array([lengths.get(node_id, 1) for node_id in credit.node_N])
        return replace(credit, weight_N=credit.weight_N / length_N)
    # What a token is worth to each path that it is on is a share of that path's length.
    advantages = dict(zip(credit.node_N, credit.advantage_N.tolist(), strict=True))
    shares = {leaf: 1.0 / lengths[leaf] if leaf in lengths else None for leaf in tree.leaves()}
    worth = {leaf: None if share is None else share * advantages[leaf] for leaf, share in shares.items()}
    negative = {leaf: None if value is None else min(value, 0.0) for leaf, value in worth.items()}
    share_N, worth_N, negative_N = (
        np.array([means[node_id].mean or 0.0 for node_id in credit.node_N])
        for means in (leaf_means(tree, values) for values in (shares, worth, negative))
    )
    advantage_N, negative_N = (
        np.divide(each_N, share_N, out=np.zeros_like(each_N), where=share_N > 0)
        for each_N in (worth_N, negative_N)
    )
    return replace(credit, advantage_N=advantage_N, negative_N=negative_N, weight_N=credit.weight_N * share_N)


def _lengths(tree: ReasoningTree, credit: Credit) -> tuple[bool, dict[int, int]]:
    """Whether sequences are paths, as where leaves alone were compared, or nodes; and by its last node, how many tokens
    were drawn in each, where there were any."""
    compared = [
        node for node, group in zip(credit.node_N, credit.group_N.tolist(), strict=True) if group >= 0
    ]
    of_paths = all(map(tree.is_leaf, compared))
    drawn = {
        node: sum(tree.node(at).drawn for at in (tree.path(node) if of_paths else (node,)))
        for node in compared
    }
    return of_paths, {node: length for node, length in drawn.items() if length}
