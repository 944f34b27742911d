"""``hato_config.yaml``: how trees are searched, rewarded and pruned."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from hierarchical_reasoning.search.settings import SearchName
from hierarchical_reasoning.training.hato.keys import LEFT_OUT, Number, Read, Section, Sets
from hierarchical_reasoning.values.settings import HeadKind


class TreeSection(Section):
    max_depth: Annotated[int, Sets("max_depth")] = LEFT_OUT
    branching_factor: Annotated[int, Sets("branching_factor")] = LEFT_OUT
    search_algorithm: Annotated[SearchName, Sets("search_algorithm")] = LEFT_OUT
    max_nodes_per_level: Annotated[int, Sets("max_nodes_per_level")] = LEFT_OUT


class RewardWeightsSection(Section):
    alpha: Annotated[Number, Sets("reward_alpha")] = LEFT_OUT
    beta: Annotated[Number, Sets("reward_beta")] = LEFT_OUT
    gamma: Annotated[Number, Sets("reward_gamma")] = LEFT_OUT


class ExplorationSection(Section):
    initial_temperature: Annotated[Number, Sets("initial_temperature")] = LEFT_OUT
    temperature_decay: Annotated[Number, Sets("temperature_decay")] = LEFT_OUT


class HeadSection(Section):
    hidden_size: Annotated[int, Sets("uncertainty.hidden_size")] = LEFT_OUT
    n_layers: Annotated[int, Sets("uncertainty.n_layers")] = LEFT_OUT


class UncertaintySection(Section):
    type: Annotated[HeadKind, Sets("uncertainty.kind")] = LEFT_OUT
    n_models: Annotated[int, Sets("uncertainty.n_models")] = LEFT_OUT
    dropout_rate: Annotated[Number, Sets("uncertainty.dropout_rate")] = LEFT_OUT
    n_forward_passes: Annotated[int, Sets("uncertainty.n_forward_passes")] = LEFT_OUT
    n_bootstrap: Annotated[int, Sets("uncertainty.n_bootstrap")] = LEFT_OUT
    head: HeadSection = Field(LEFT_OUT, alias="model_config")


class MetaLearningSection(Section):
    enable: Annotated[bool, Read()] = LEFT_OUT
    type: Annotated[Literal["maml", "reptile"], Read()] = LEFT_OUT
    inner_lr: Annotated[Number, Read()] = LEFT_OUT
    outer_lr: Annotated[Number, Read()] = LEFT_OUT
    meta_lr: Annotated[Number, Read()] = LEFT_OUT
    n_inner_steps: Annotated[int, Read()] = LEFT_OUT


class MemorySection(Section):
    sparse_materialization: Annotated[bool, Sets("sparse_materialization")] = LEFT_OUT
    pruning_threshold: Annotated[Number, Sets("pruning_threshold")] = LEFT_OUT
    max_nodes: Annotated[int, Sets("max_nodes")] = LEFT_OUT


class MetricsSection(Section):
    track_diversity: Annotated[bool, Sets("track_diversity")] = LEFT_OUT
    track_novelty: Annotated[bool, Sets("track_novelty")] = LEFT_OUT
    track_robustness: Annotated[bool, Sets("track_robustness")] = LEFT_OUT


class HatoSection(Section):
    tree: TreeSection = LEFT_OUT
    reward_weights: RewardWeightsSection = LEFT_OUT
    exploration: ExplorationSection = LEFT_OUT
    uncertainty: UncertaintySection = LEFT_OUT
    meta_learning: MetaLearningSection = LEFT_OUT
    memory: MemorySection = LEFT_OUT
    verification_threshold: Annotated[Number, Sets("verification_threshold")] = LEFT_OUT
    metrics: MetricsSection = LEFT_OUT


class HatoFile(Section):
    hato: HatoSection = LEFT_OUT
