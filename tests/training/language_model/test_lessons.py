"""The loss of packed trees and its gradient, against paths one by one in float64."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, get_args

import pytest
import torch
from made_up_lessons import branching, linear, model
from plain_loss import Objective, Result, farthest, gradient_of, plain_loss, rows_of_nodes, rows_of_paths

from hierarchical_reasoning.training.credit import Credit, descendant_mean_credit, outcome_credit
from hierarchical_reasoning.training.estimators import centred, scaled, token_level
from hierarchical_reasoning.training.language_model.lessons import (
    TokenLossSettings,
    TreeLesson,
    divide,
    pass_loss,
    scores_of,
    tree_lesson,
)
from hierarchical_reasoning.training.objectives import Aggregation, entropy_stats
from hierarchical_reasoning.training.packed.packed_forward import PackedModel
from hierarchical_reasoning.training.sums import Sums
from hierarchical_reasoning.trees import ReasoningTree

EXACT = 1e-6
ESTIMATORS = {"centred": centred, "scaled": scaled, "hapo": partial(token_level, norm_by_std=True)}
BRANCHING = (branching(1), branching(2, rewards=(0.0, 0.0, 1.0, 0.0, 0.0, 0.0)))
LINEAR = (linear(3), linear(4, (0.0, 0.0, 1.0, 0.0, None)))


@dataclass(frozen=True)
class Models:
    """The one in training; it when it acted, some steps ago; and it before training."""

    new: Any
    old: Any
    start: Any


@pytest.fixture(scope="module")
def models() -> Models:
    new = model(0)
    return Models(new, model(1, like=new, distance=0.08), model(2, like=new, distance=0.1))


@dataclass(frozen=True)
class Found:
    loss: float
    gradient: dict[str, torch.Tensor]
    sums: Sums
    passes: int


def packed(
    models: Models, lessons: Sequence[TreeLesson], objective: Objective, tokens_per_pass: int = 10_000
) -> Found:
    """As an update goes: looks without gradient, then the passes of a step."""
    acted, start = PackedModel(models.old), PackedModel(models.start)
    settings = TokenLossSettings(
        objective.temperature, objective.low, objective.high, objective.dual, objective.kl, objective.beta,
        objective.alpha,
    )  # fmt: skip
    if models.old is not models.new or objective.alpha is not None or objective.beta is not None:
        seen = scores_of(acted, lessons, objective.temperature, tokens_per_pass, None)
        lessons = [
            replace(lesson, old_log_probs_T=log_probs, entropy_T=entropy)
            for lesson, (log_probs, entropy) in zip(lessons, seen, strict=True)
        ]
    if objective.kl:
        seen = scores_of(start, lessons, objective.temperature, tokens_per_pass, None)
        lessons = [
            replace(lesson, reference_log_probs_T=log_probs)
            for lesson, (log_probs, _) in zip(lessons, seen, strict=True)
        ]
    if objective.alpha is not None or objective.beta is not None:
        entropies = torch.cat([each.entropy_T[each.weight_T > 0] for each in lessons])  # type: ignore[index]
        stats = entropy_stats(entropies, torch.ones_like(entropies), objective.pivot)
        lessons = [replace(lesson, stats=stats) for lesson in lessons]
    new = PackedModel(models.new)
    parts = divide(lessons, tokens_per_pass)
    sums, losses = Sums(), []
    for part in parts:
        loss, found = pass_loss(new, part, settings)
        losses.append(loss)
        sums += found
    total = torch.stack(losses).sum() / sum(lesson.count for lesson in lessons)
    return Found(float(total.detach()), gradient_of(models.new, total), sums, len(parts))


def lessons_of(
    trees: Sequence[ReasoningTree], by: str, estimator: str, aggregation: Aggregation = "token-mean"
) -> list[TreeLesson]:
    def credit(tree: ReasoningTree) -> Credit:
        of = outcome_credit if by == "outcome" else descendant_mean_credit
        return of(tree, tree.rewards(), ESTIMATORS[estimator])

    return [tree_lesson(tree, credit(tree), aggregation, Objective().horizon) for tree in trees]


def check(
    models: Models, trees: Sequence[ReasoningTree], by: str, estimator: str, objective: Objective
) -> Result:
    """That loss and gradient are those of the plain way."""
    rows_of = rows_of_paths if by == "outcome" else rows_of_nodes
    rows = [row for tree in trees for row in rows_of(tree, estimator)]
    plain = plain_loss(models.new, models.old, models.start, rows, objective)
    expected = gradient_of(models.new, plain.loss)
    found = packed(models, lessons_of(trees, by, estimator, objective.aggregation), objective)  # type: ignore[arg-type]
    assert found.loss == pytest.approx(float(plain.loss.detach()), rel=EXACT, abs=1e-12)
    assert farthest(found.gradient, expected) < EXACT
    unique = sum(node.drawn for tree in trees for node in tree.nodes.values())
    assert found.sums.acts in range(1, unique + 1)  # each once, whatever it counts in the loss
    return plain


@pytest.mark.parametrize("aggregation", get_args(Aggregation))
@pytest.mark.parametrize("trees", [LINEAR, BRANCHING], ids=["linear", "branching"])
def test_outcome_credit_is_each_path_as_a_row(
    models: Models, trees: Sequence[ReasoningTree], aggregation: str
) -> None:
    """A node that paths share counts for each of them, also where only those of one sign are clipped."""
    on_policy = replace(models, old=models.new)
    check(on_policy, trees, "outcome", "scaled", Objective(aggregation=aggregation))
    check(on_policy, trees, "outcome", "hapo", Objective(aggregation=aggregation, temperature=0.6, kl=0.3))
    objective = Objective(aggregation=aggregation, low=0.1, high=0.1, dual=1.5, kl=0.3)
    assert check(models, trees, "outcome", "hapo", objective).clipped >= 3


@pytest.mark.parametrize("aggregation", get_args(Aggregation))
def test_descendant_mean_credit_is_each_node_as_a_row(models: Models, aggregation: str) -> None:
    check(models, BRANCHING, "descendant_mean", "centred", Objective(aggregation=aggregation))


@pytest.mark.parametrize(
    ("trees", "by"),
    [(LINEAR, "outcome"), (BRANCHING, "outcome"), (BRANCHING, "descendant_mean")],
    ids=["linear", "paths", "nodes"],
)
@pytest.mark.parametrize("temperature", [1.0, 0.6])
def test_after_several_steps_ratios_are_clipped(
    models: Models, trees: Sequence[ReasoningTree], by: str, temperature: float
) -> None:
    plain = check(models, trees, by, "scaled", Objective(temperature, low=0.1, high=0.28, dual=1.2))
    assert plain.clipped >= 3
    assert plain.dual_clipped >= 1


def test_the_kl_holds_to_the_start_where_there_is_no_advantage_too(models: Models) -> None:
    check(models, BRANCHING, "descendant_mean", "centred", Objective(kl=0.5, temperature=0.8))
    found = packed(models, lessons_of(BRANCHING, "descendant_mean", "centred"), Objective(kl=0.5))
    rows = [row for tree in BRANCHING for row in rows_of_nodes(tree)]
    plain = plain_loss(models.new, models.old, models.start, rows, Objective(kl=0.5))
    assert found.sums.mean("kl") == pytest.approx(plain.kl, rel=EXACT)
    assert found.sums.acts == sum(len(row.drawn) for row in rows)


@pytest.mark.parametrize(
    ("trees", "by"), [(LINEAR, "outcome"), (BRANCHING, "descendant_mean")], ids=["linear", "branching"]
)
@pytest.mark.parametrize(
    "objective",
    [
        Objective(alpha=1.0, low=0.1, high=0.1),
        Objective(beta=1.0),
        Objective(alpha=1.0, beta=0.5, low=0.1, high=0.3, pivot=0.4, temperature=0.8, dual=10.0),
    ],
    ids=["clip", "redistribution", "both"],
)
def test_hapo_reads_the_entropies_of_the_model_that_acted(
    models: Models, trees: Sequence[ReasoningTree], by: str, objective: Objective
) -> None:
    plain = check(models, trees, by, "hapo", objective)
    assert plain.clipped >= 2
    assert objective.beta is None or plain.redistributed >= 5


@pytest.mark.parametrize("tokens_per_pass", [1, 20, 45])
def test_how_trees_are_divided_changes_rounding_alone(models: Models, tokens_per_pass: int) -> None:
    objective = Objective(alpha=1.0, beta=1.0, kl=0.2, temperature=0.7)
    trees = (*BRANCHING, *LINEAR)
    lessons = lessons_of(trees, "descendant_mean", "scaled")
    whole, parts = packed(models, lessons, objective), packed(models, lessons, objective, tokens_per_pass)
    assert parts.passes > whole.passes == 1
    assert parts.loss == pytest.approx(whole.loss, rel=1e-9)
    assert farthest(parts.gradient, whole.gradient) < 1e-9
    for name in ("loss", "kl", "clipped", "gap", "acts"):
        found, expected = getattr(parts.sums, name), getattr(whole.sums, name)
        assert found == pytest.approx(expected, rel=1e-9, abs=1e-9), name
    assert parts.sums.tokens > whole.sums.tokens


def test_a_tree_without_spread_has_no_gradient(models: Models) -> None:
    alike = branching(5, rewards=(1.0, 1.0, 1.0, 1.0, 1.0, None))
    for by in ("outcome", "descendant_mean"):
        (lesson,) = lessons_of([alike], by, "scaled")
        assert not lesson.advantage_T.any()
        (part,) = divide([lesson], 1000)
        loss, sums = pass_loss(
            PackedModel(models.new), part, TokenLossSettings(1.0, 0.2, 0.2, 3.0, 0.0, None, None)
        )
        assert float(loss.detach()) == 0
        assert sums == Sums()
        loss.backward()
        assert not any(p.grad is not None and p.grad.any() for p in models.new.parameters())
        models.new.zero_grad()


@pytest.mark.parametrize("by", ["outcome", "descendant_mean"])
def test_what_was_given_is_never_trained(by: str) -> None:
    tree = BRANCHING[0]
    (lesson,) = lessons_of([tree], by, "centred")
    taught = {int(place) for place in (lesson.weight_T > 0).nonzero()}
    # Of each token in the row, by the tokens that lead to it.
    paths = {place: [*lesson.forest.path_above(place).tolist(), place] for place in range(len(lesson.forest))}
    by_path = {tuple(lesson.forest.tokens_T[path].tolist()): place for place, path in paths.items()}
    expected = set()
    for node in tree.nodes.values():
        path = tree.path_tokens(node.id)
        graded = any(tree.rewards()[leaf] is not None for leaf in tree.descendant_leaves(node.id))
        if graded:
            start = len(path) - node.drawn
            expected |= {by_path[tuple(path[: end + 1])] for end in range(start, len(path))}
    assert taught == expected
    assert len(taught) < len(lesson.forest) - len(tree.node(tree.root).tokens)


def test_a_node_counts_for_every_answer_that_shares_it() -> None:
    tree = BRANCHING[0]
    (lesson,) = lessons_of([tree], "outcome", "centred")
    rows = rows_of_paths(tree, "centred")
    assert lesson.count == sum(len(row.drawn) for row in rows)
    (by_node,) = lessons_of([tree], "descendant_mean", "centred")
    assert by_node.count == sum(node.drawn for node in tree.nodes.values() if node.text != "f")


def test_a_sequence_in_which_nothing_was_drawn_does_not_count() -> None:
    tree = BRANCHING[0]
    (lesson,) = lessons_of([tree], "descendant_mean", "centred", "seq-mean-token-mean")
    assert lesson.count == 6  # 8 nodes but the root; one was given whole, one has no reward


def test_the_gap_is_to_what_the_copy_that_acted_said(models: Models) -> None:
    """At temperature 1, whatever the loss is at: what acted knows nothing else."""
    tree = linear(6)
    with torch.no_grad():
        log_probs = {}
        for leaf in tree.leaves():
            path = tree.path_tokens(leaf)
            logits_TV = models.new(input_ids=torch.tensor([path]), use_cache=False).logits[0]
            n_prompt = len(tree.node(tree.root).tokens)
            log_probs[leaf] = [
                float(logits_TV[at - 1].log_softmax(-1)[path[at]]) + 0.25 for at in range(n_prompt, len(path))
            ]
    acted = ReasoningTree("p", tree.node(tree.root).tokens, "prompt")
    for leaf in tree.leaves():
        node = tree.node(leaf)
        found = acted.add(acted.root, node.tokens, node.text, log_probs=log_probs[leaf])
        assert node.leaf is not None
        acted.grade(found, node.leaf)
    for temperature in (1.0, 0.6):
        on_policy = replace(models, old=models.new)
        found_loss = packed(on_policy, lessons_of([acted], "outcome", "scaled"), Objective(temperature))
        assert found_loss.sums.mean("gap") == pytest.approx(0.25, rel=EXACT)
