"""The options of searches."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any, get_args

import click

from hierarchical_reasoning.cli.grouped import GroupedOption
from hierarchical_reasoning.search.settings import (
    SEARCHES,
    LocalRewardName,
    PathRewardName,
    SearchSettings,
    Selection,
    Uncertainty,
    ValueFeatures,
)

_search = partial(click.option, cls=GroupedOption, group="Search (--search)")


def _default(name: str) -> Any:
    return SearchSettings.model_fields[name].default


SEARCH = (
    _search(
        "--search",
        type=click.Choice(SEARCHES),
        help="Grow a tree of thoughts on each problem, and answer with the best of it. [default: a single trace]",
    ),
    _search("--max_depth", type=int, help=f"Thoughts on a path at most. [default: {_default('max_depth')}]"),
    _search(
        "--branching_factor",
        type=int,
        help=f"Thoughts that follow one at most: different thought types, or samples with --planner untyped. "
        f"[default: {_default('branching_factor')}]",
    ),
    _search("--fixed_branching", is_flag=True, help="All of them, however little a thought promises."),
    _search(
        "--repeat_types",
        is_flag=True,
        help="Several of them may be samples of one thought type, where the planner is sure of it.",
    ),
    _search(
        "--max_nodes_per_level",
        type=int,
        help=f"beam: how many of a level are followed. [default: {_default('max_nodes_per_level')}]",
    ),
    _search(
        "--max_nodes", type=int, help=f"Thoughts and answers a problem. [default: {_default('max_nodes')}]"
    ),
    _search("--max_search_tokens", type=int, help="Of prompts and replies, a problem. [default: no bound]"),
    _search("--max_search_calls", type=int, help="Replies of models, a problem. [default: no bound]"),
    _search(
        "--mcts_c",
        type=float,
        help=f"mcts: weight of what was visited little. [default: {_default('mcts_c')}]",
    ),
    _search(
        "--mcts_leaves",
        type=int,
        help=f"mcts: thoughts expanded together, in fewer rounds. [default: {_default('mcts_leaves')}]",
    ),
    _search(
        "--path_reward",
        type=click.Choice(get_args(PathRewardName)),
        help="What an answer is worth: how many others agree, the value head's or the high-level model's opinion, a "
        f"check that needs no ground truth, or (an oracle) the ground truth. [default: {_default('path_reward')}]",
    ),
    _search(
        "--local_reward",
        type=click.Choice(get_args(LocalRewardName)),
        help="What a thought is worth by itself: how likely the planner finds its thought type, how likely the "
        "path to it is by planner and reasoner, the words that it shares with what is before it (HATO's "
        "heuristic), the value head's or the high-level model's opinion. "
        "[default: prior; heuristic with --planner untyped]",
    ),
    _search(
        "--reward_weights",
        type=float,
        nargs=3,
        metavar="LOCAL PATH CAUSAL",
        help="[default: {:g} {:g} {:g}]".format(*_default("reward_weights")),
    ),
    _search(
        "--verification_threshold",
        type=float,
        help=f"A thought that promises so much is answered at once. [default: {_default('verification_threshold')}]",
    ),
    _search(
        "--pruning_threshold",
        type=float,
        help=f"A thought that promises less is dropped. [default: {_default('pruning_threshold')}]",
    ),
    _search("--no_pruning", is_flag=True, help="Drop none for that."),
    _search(
        "--uncertainty",
        type=click.Choice(get_args(Uncertainty)),
        help="How sure a thought's value is: a value head of this kind, disagreement of sampled answers, or none. "
        f"[default: {_default('uncertainty')}]",
    ),
    _search(
        "--uncertainty_samples",
        type=int,
        help=f"disagreement: answers after each thought. [default: {_default('uncertainty_samples')}]",
    ),
    _search(
        "--value_head",
        type=click.Path(path_type=Path),
        help="Folder of a value head to begin with. Without --search it chooses among the answers of --samples.",
    ),
    _search(
        "--value_features",
        type=click.Choice(get_args(ValueFeatures)),
        help="What a value head sees. [default: the states of a model in this process, else words]",
    ),
    _search("--embedding_model_name", help="--value_features embeddings: the model that makes them."),
    _search(
        "--learn_every",
        type=int,
        help="The value head learns after so many problems, from their trees; 0: never. "
        f"[default: {_default('learn_every')}]",
    ),
    _search(
        "--select",
        type=click.Choice(get_args(Selection)),
        help=f"The answer: of the best path, or of the weighted vote. [default: {_default('select')}]",
    ),
)
