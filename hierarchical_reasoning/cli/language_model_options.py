"""The options of the commands that train a language model, with the defaults of each."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import get_args

import click

from hierarchical_reasoning.cli.grouped import GroupedOption
from hierarchical_reasoning.cli.shared_options import (
    FRAMEWORKS,
    HOW_HOSTED,
    TAXONOMY,
    WHICH_PROBLEMS,
    Decorator,
    unescaped,
    vllm_options,
    with_options,
)
from hierarchical_reasoning.cli.training_options import TrainingOptions
from hierarchical_reasoning.search.settings import SearchName
from hierarchical_reasoning.training.config import Aggregation
from hierarchical_reasoning.training.language_model.config import (
    KL_IN_REWARD,
    CreditName,
    EstimatorName,
    ExplorerName,
    LocalSource,
    ObjectiveName,
    PresetName,
    SpreadMetric,
)
from hierarchical_reasoning.values.settings import HEAD_KINDS

_model = partial(click.option, cls=GroupedOption, group="Model and prompts")
_how = partial(click.option, cls=GroupedOption, group="What is explored, credited and optimized")
_sampling = partial(click.option, cls=GroupedOption, group="Sampling")
_tree = partial(click.option, cls=GroupedOption, group="Trees")
_loss = partial(click.option, cls=GroupedOption, group="Advantages and loss")
_vllm = partial(click.option, cls=GroupedOption, group="vLLM")
_hapo = partial(click.option, cls=GroupedOption, group="HAPO")
_search = partial(click.option, cls=GroupedOption, group="Search")
_update = partial(click.option, cls=GroupedOption, group="Update")
_running = partial(click.option, cls=GroupedOption, group="Running and results")
_judge = partial(click.option, cls=GroupedOption, group="Judge of thoughts (--local_reward judge)")
_path = click.Path(path_type=Path)
JUDGE = (
    _judge("--high_level_model_name", help="Model that rates thoughts. [default: none]"),
    _judge(
        "--high_level_llm_framework", help=f"Its backend: {FRAMEWORKS}. [default: openai; local for a path]"
    ),
    _judge("--high_level_base_url", help="URL of its server. [default: the provider's]"),
    _judge("--high_level_api_key_env", help="Environment variable with its key. [default: the provider's]"),
    _judge("--high_level_extra_body", help="JSON object of fields to send to it besides."),
    *HOW_HOSTED,
)


class LanguageModelOptions(TrainingOptions):
    """Those of one command."""

    def command(self, *options: Decorator) -> Decorator:
        """Its own, among those that every one of them has."""
        return with_options(
            *self.data(),
            *WHICH_PROBLEMS,
            *self.model(),
            *options,
            *self.server(),
            *self.loss(),
            *self.hapo(),
            *self.steps(),
            *self.groups(),
            *self.devices(),
            *self.running(),
            *self.figures(),
        )

    def model(self) -> tuple[Decorator, ...]:
        """What is trained."""
        return (
            _model("--model_id", help="Trained: a model directory, or a name. [default: the bundled model]"),
            _model("--prompts_dir", type=_path, help="Folder of templates that override the shipped ones."),
        )

    def how(self) -> tuple[Decorator, ...]:
        """The three choices that make a run."""
        return (
            _how(
                "--explorer",
                type=click.Choice(get_args(ExplorerName)),
                help=f"How rollouts grow. {self.default('explorer')}",
            ),
            _how(
                "--credit",
                type=click.Choice(get_args(CreditName)),
                help=f"How rewards reach tokens. {self.default('credit')}",
            ),
            _how(
                "--objective",
                type=click.Choice(get_args(ObjectiveName)),
                help=f"Named settings of the loss; dapo sets --filter_groups as well. {self.default('objective')}",
            ),
        )

    def preset(self) -> tuple[Decorator, ...]:
        """For what is not given."""
        return (
            _how(
                "--preset",
                type=click.Choice(get_args(PresetName)),
                help="Settings that go together, for what is not given. [default: bundled where the model is the "
                "bundled one; else none, treerpo with `train tree`, and hato with `train hato`]",
            ),
        )

    def sampling(self) -> tuple[Decorator, ...]:
        """How tokens are drawn."""
        return (
            _sampling("--temperature", type=float, help=f"Of the draws. {self.default('temperature')}"),
            _sampling("--top_p", type=float, help=f"1 cuts nothing off. {self.default('top_p')}"),
            _sampling("--top_k", type=int, help=f"0 cuts nothing off. {self.default('top_k')}"),
            _sampling(
                "--repetition_penalty", type=float, help=f"1 is none. {self.default('repetition_penalty')}"
            ),
            _sampling("--max_new_tokens", type=int, help=f"Of one stream. {self.default('max_new_tokens')}"),
            _sampling(
                "--max_concurrency", type=int, help=f"Streams at once. {self.default('max_concurrency')}"
            ),
            _sampling(
                "--max_length",
                type=int,
                help="Tokens of a prompt and what is drawn after it. [default: as many as the model can hold]",
            ),
        )

    def exploration(self) -> tuple[Decorator, ...]:
        """How that changes on the way."""
        return (
            _sampling(
                "--initial_temperature",
                type=float,
                help="Of the draws of the first update. [default: --temperature]",
            ),
            _sampling(
                "--temperature_decay",
                type=float,
                help="The temperature falls to exp(-this) of its start by the end; 0: it stays. "
                f"{self.default('temperature_decay')}",
            ),
        )

    def linear(self) -> tuple[Decorator, ...]:
        """Of the explorer ``linear``."""
        return (
            _tree(
                "--num_rollouts_per_prompt",
                type=int,
                help=f"linear: answers to a problem. {self.default('num_rollouts_per_prompt')}",
            ),
        )

    def depth(self) -> tuple[Decorator, ...]:
        """Of trees."""
        return (
            _tree(
                "--max_depth",
                type=int,
                help="entropy_tree: deeper nodes are not split for entropy; search_tree: thoughts on a path at most. "
                f"{self.default('max_depth')}",
            ),
        )

    def entropy_tree(self) -> tuple[Decorator, ...]:
        """Of ``entropy_tree``."""
        return (
            _tree(
                "--min_segment_len",
                type=int,
                help=f"Tokens of a segment before a split, characters before a cut. {self.default('min_segment_len')}",
            ),
            _tree(
                "--entropy_threshold",
                type=float,
                help=f"Nats that the next token's entropy must exceed. {self.default('entropy_threshold')}",
            ),
            _tree(
                "--entropy_topk",
                type=int,
                help=f"Likeliest tokens that the entropy is taken over. {self.default('entropy_topk')}",
            ),
            _tree(
                "--coverage_min_chars",
                type=int,
                help=f"Characters that a cut takes off at least. {self.default('coverage_min_chars')}",
            ),
            _tree(
                "--coverage_children_max",
                type=int,
                help=f"Continuations of an answer that is cut back. {self.default('coverage_children_max')}",
            ),
            _tree(
                "--delimiters",
                multiple=True,
                type=unescaped,
                metavar="TEXT",
                help=r"What the text before a split ends in, as in '\n'; once for each of them. "
                f"{self.default('delimiters')}",
            ),
        )

    def thoughts(self) -> tuple[Decorator, ...]:
        """Of ``thought_tree`` and ``search_tree``, whose thoughts have types."""
        return (
            TAXONOMY,
            _tree("--label_level", type=int, help=f"Level of the taxonomy. {self.default('label_level')}"),
            _tree(
                "--branching_factor",
                type=int,
                help=f"Thought types tried at a choice. {self.default('branching_factor')}",
            ),
            _tree(
                "--planner_temperature",
                type=float,
                help="At which thought types are drawn. [default: --temperature]",
            ),
            _tree(
                "--max_thought_tokens",
                type=int,
                help=f"Longest thought. {self.default('max_thought_tokens')}",
            ),
            _tree(
                "--max_answer_tokens",
                type=int,
                help=f"Longest final response behind thoughts. {self.default('max_answer_tokens')}",
            ),
            _tree(
                "--num_icl_examples",
                type=int,
                help="Examples shown per thought type. [default: as the model was trained, else 5]",
            ),
        )

    def thought_tree(self) -> tuple[Decorator, ...]:
        """Of ``thought_tree`` alone."""
        return (
            _tree(
                "--branching_depth",
                type=int,
                help=f"thought_tree: choices that branch, from the first. {self.default('branching_depth')}",
            ),
            _tree("--max_leaves", type=int, help=f"thought_tree: at most. {self.default('max_leaves')}"),
            _tree(
                "--max_steps_per_episode",
                type=int,
                help=f"thought_tree: steps of a path at most. {self.default('max_steps_per_episode')}",
            ),
        )

    def search(self) -> tuple[Decorator, ...]:
        """Of ``search_tree``."""
        return (
            _search(
                "--search_algorithm",
                type=click.Choice(get_args(SearchName)),
                help=f"In which order a tree grows. {self.default('search_algorithm')}",
            ),
            _search(
                "--max_nodes_per_level",
                type=int,
                help=f"Nodes kept at each level of a tree. {self.default('max_nodes_per_level')}",
            ),
            _search("--max_nodes", type=int, help=f"Of a tree. {self.default('max_nodes')}"),
            _search(
                "--verification_threshold",
                type=float,
                help="A node that is worth so much is answered before it is followed further. "
                f"{self.default('verification_threshold')}",
            ),
            _search(
                "--pruning_threshold",
                type=float,
                help=f"Nodes that are worth less are dropped. {self.default('pruning_threshold')}",
            ),
            _search(
                "--sparse_materialization/--no_sparse_materialization",
                default=None,
                help="Drop nodes that are worth little. [default: drop]",
            ),
            _search(
                "--uncertainty",
                type=click.Choice(HEAD_KINDS),
                help="Value head that tells what thoughts are worth, and how uncertain that is; it learns from the "
                "trees of every update. [default: ensemble]",
            ),
        )

    def server(self) -> tuple[Decorator, ...]:
        """What draws rollouts."""
        return (
            _vllm(
                "--llm_framework",
                type=click.Choice(("local", "vllm")),
                help="What draws rollouts: this process, or a vLLM server that gets the weights before each update. "
                "[default: local; vllm where one of the flags below names a server]",
            ),
            *vllm_options("--model_id"),
            _vllm(
                "--gpu_memory_utilization",
                type=float,
                help="For --vllm_auto_start: part of each GPU's memory. [default: vLLM's]",
            ),
        )

    def rewards(self) -> tuple[Decorator, ...]:
        """What a node is worth."""
        return (
            _loss(
                "--reward_alpha",
                type=float,
                help=f"hierarchical: weight of the local reward. {self.default('reward_alpha')}",
            ),
            _loss(
                "--reward_beta",
                type=float,
                help=f"hierarchical: weight of the path reward. {self.default('reward_beta')}",
            ),
            _loss(
                "--reward_gamma",
                type=float,
                help=f"hierarchical: weight of the causal reward. {self.default('reward_gamma')}",
            ),
            _loss(
                "--local_reward",
                type=click.Choice(get_args(LocalSource)),
                help="hierarchical: what a node is worth by itself: the words that it shares with what is before it, "
                f"the value head's opinion, or that of --high_level_model_name. {self.default('local_reward')}",
            ),
            *JUDGE,
        )

    def loss(self) -> tuple[Decorator, ...]:
        """From advantages to a loss."""
        return (
            _loss(
                "--adv_estimator",
                type=click.Choice(get_args(EstimatorName)),
                help="Reward minus the group's mean; scaled: by the standard deviation; hapo: over tokens. "
                "[default: as --objective has it]",
            ),
            _loss(
                "--norm_adv_by_std_in_grpo/--no_norm_adv_by_std_in_grpo",
                default=None,
                help="Of hapo: divide by the standard deviation. [default: divide]",
            ),
            _loss("--clip_ratio_low", type=float, help=f"{self.default('clip_ratio_low')}"),
            _loss("--clip_ratio_high", type=float, help="[default: 0.2; 0.28 with dapo]"),
            _loss("--clip_ratio_c", type=float, help=f"Of the dual clip. {self.default('clip_ratio_c')}"),
            _loss(
                "--loss_agg_mode",
                type=click.Choice(get_args(Aggregation)),
                help="[default: token-mean; seq-mean-token-mean with grpo on linear rollouts]",
            ),
            _loss(
                "--kl_coeff",
                type=float,
                help="Weight of the KL to the model at the start. "
                f"[default: 0; {KL_IN_REWARD} with --kl_in_reward]",
            ),
            _loss(
                "--kl_in_reward/--no_kl_in_reward",
                default=None,
                help="Take the KL off an answer's reward, before credit is given, instead of adding it to the loss.",
            ),
        )

    def hapo(self) -> tuple[Decorator, ...]:
        """What HAPO adapts."""
        return (
            _hapo(
                "--entropy_pivot",
                type=float,
                help=f"Quantile of entropies that tells sure tokens from unsure ones. {self.default('entropy_pivot')}",
            ),
            _hapo(
                "--adaptive_temperature/--no_adaptive_temperature",
                default=None,
                help="Draw unsure tokens at a higher temperature. [default: with hapo]",
            ),
            _hapo(
                "--temperature_tau",
                type=float,
                help=f"By what share at most. {self.default('temperature_tau')}",
            ),
            _hapo(
                "--adaptive_advantage/--no_adaptive_advantage",
                default=None,
                help="Redistribute advantages by entropy. [default: with hapo]",
            ),
            _hapo("--adv_beta", type=float, help=f"How far. {self.default('adv_beta')}"),
            _hapo(
                "--adaptive_clip/--no_adaptive_clip",
                default=None,
                help="Clip by entropy. [default: with hapo]",
            ),
            _hapo("--clip_alpha", type=float, help=f"How far. {self.default('clip_alpha')}"),
        )

    def groups(self) -> tuple[Decorator, ...]:
        """Which groups are learned from."""
        return (
            _update(
                "--gen_batch_size",
                type=int,
                help="Problems that an update rolls out, to learn from the first --batch_size times "
                "--gradient_accumulation_steps of them whose groups have spread; None: so many are rolled out. "
                f"{self.default('gen_batch_size')}",
            ),
            _update(
                "--filter_groups_metric",
                type=click.Choice(get_args(SpreadMetric)),
                help="With --filter_groups: spread in what credit compares, or in whether answers are right (acc). "
                f"{self.default('filter_groups_metric')}",
            ),
        )

    def figures(self) -> tuple[Decorator, ...]:
        """What is recorded of trees."""
        return (
            _running(
                "--track_diversity/--no_track_diversity",
                default=None,
                help=f"Record how different siblings are. {self.default('track_diversity')}",
            ),
            _running(
                "--track_novelty/--no_track_novelty",
                default=None,
                help=f"Record how much of the trees no earlier one had. {self.default('track_novelty')}",
            ),
            _running(
                "--track_robustness/--no_track_robustness",
                default=None,
                help=f"Record how far answers to a problem agree. {self.default('track_robustness')}",
            ),
        )
