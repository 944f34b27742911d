"""How a run grows its trees: to learn from, and to be measured."""

from __future__ import annotations

from dataclasses import asdict, astuple
from typing import Literal

from hierarchical_reasoning.errors import ConfigError
from hierarchical_reasoning.planners.model import ModelPlanner
from hierarchical_reasoning.problems import Problem
from hierarchical_reasoning.rewards import LocalReward
from hierarchical_reasoning.search.settings import SearchSettings
from hierarchical_reasoning.solvers import Solution
from hierarchical_reasoning.training.explorers import (
    Conversation,
    EntropyTreeExplorer,
    EntropyTreeSettings,
    Explorer,
    Grown,
    LinearExplorer,
    LinearSettings,
    Origin,
    SearchTreeExplorer,
    SearchTreeSettings,
    ThoughtTreeExplorer,
    ThoughtTreeSettings,
    ThoughtWriter,
)
from hierarchical_reasoning.training.explorers.base import answer_room
from hierarchical_reasoning.training.explorers.shorter_context import ShorterContext
from hierarchical_reasoning.training.language_model.acting import ActingModel
from hierarchical_reasoning.training.language_model.config import ENTROPY_TREE
from hierarchical_reasoning.training.language_model.parts import LanguageModelParts
from hierarchical_reasoning.training.language_model.rollouts import TreeRollouts
from hierarchical_reasoning.training.log import Mode
from hierarchical_reasoning.training.objectives import EntropyStats
from hierarchical_reasoning.trees import ReasoningTree
from hierarchical_reasoning.values.base import ValueEstimator
from llm_backends import Sampling
from llm_backends.local.chat import ChatFormat
from llm_backends.token_streams import AdaptiveTemperature, StreamSettings, TokenSampler


class Explorers:
    """Those of one run; they share the model that acts."""

    def __init__(
        self,
        parts: LanguageModelParts,
        acting: ActingModel,
        chat: ChatFormat,
        values: ValueEstimator,
        judge: LocalReward | None = None,
    ) -> None:
        """
        Args:
            values: of the explorer ``search_tree``.
            judge: what rates thoughts, where the local reward is ``judge``.
        """
        self._judge = judge
        self._parts = parts
        self._values = values
        self._acting = acting
        longest = parts.config.max_length
        self._sampler: TokenSampler = acting if longest is None else ShorterContext(acting, longest)
        self._chat = chat

    def check_room(self, context_length: int | None) -> None:
        """Of whole answers, before any is drawn; how long a thought tree's conversations grow is seen as they do.

        Raises:
            ConfigError: a problem leaves too little room in the model's context.
        """
        parts = self._parts
        if parts.config.thinks_in_steps:
            return
        if parts.config.max_length is not None:
            context_length = min(context_length or parts.config.max_length, parts.config.max_length)
        for problem in (*parts.problems, *parts.held_out):
            prompt = self._chat.prompt_ids(parts.prompts.vanilla(problem))
            try:
                answer_room(prompt, parts.config.max_new_tokens, context_length, least=2)
            except ConfigError as error:
                raise ConfigError(f"problem {problem.id!r}: {error}") from error

    def training(self, stats: EntropyStats | None, temperature: float) -> TreeRollouts:
        """
        Args:
            stats: of the previous update, which adapt the temperature where that is asked for; None in the first one.
            temperature: of this update's draws; of the planner's too, where it has none of its own.
        """
        config = self._parts.config
        adaptive = None
        if config.adaptive_temperature and stats is not None:
            adaptive = AdaptiveTemperature(**asdict(stats), tau=config.temperature_tau)
        sampling = StreamSettings(
            temperature=temperature,
            top_p=config.top_p,
            top_k=config.top_k,
            repetition_penalty=config.repetition_penalty,
            adaptive=adaptive,
        )
        if config.thinks_in_steps:
            planners = temperature if config.planner_temperature is None else config.planner_temperature
            if config.explorer == "search_tree":
                return self._searched_rollouts(sampling, planners)
            return self._thought_rollouts(sampling, config.branching_factor, planners)
        return self._rollouts(self._explorer(sampling))

    def measuring(self, mode: Mode) -> TreeRollouts:
        """One answer to a problem: the likeliest, or one drawn from the model as it is, nothing cut off."""
        temperature = 0.0 if mode == "greedy" else self._parts.config.temperature
        if self._parts.config.thinks_in_steps:
            return self._thought_rollouts(StreamSettings(temperature=temperature), 1, temperature)
        settings = LinearSettings(1, self._parts.config.max_new_tokens)
        return self._rollouts(self._linear(StreamSettings(temperature=temperature), settings))

    def _explorer(self, sampling: StreamSettings) -> Explorer:
        config = self._parts.config
        if config.explorer == "linear":
            settings = LinearSettings(config.num_rollouts_per_prompt, config.max_new_tokens)
            return self._linear(sampling, settings)
        return EntropyTreeExplorer(
            self._sampler,
            self._chat,
            sampling,
            EntropyTreeSettings(**{name: getattr(config, name) for name in ENTROPY_TREE}),
            max_streams=config.max_concurrency,
        )

    def _linear(self, sampling: StreamSettings, settings: LinearSettings) -> LinearExplorer:
        return LinearExplorer(
            self._sampler, self._chat, sampling, settings, max_streams=self._parts.config.max_concurrency
        )

    def _rollouts(self, explorer: Explorer) -> TreeRollouts:
        prompts = self._parts.prompts

        async def grow(origin: Origin, problem: Problem) -> Grown:
            return await explorer.grow(origin, self._chat.prompt_ids(prompts.vanilla(problem)))

        return TreeRollouts(
            grow,
            self._solution_of,
            self._parts.verifier,
            label_level=self._parts.config.label_level,
            use_hierarchical=False,
        )

    def _thought_rollouts(
        self, sampling: StreamSettings, branching_factor: int, planner_temperature: float
    ) -> TreeRollouts:
        config = self._parts.config
        explorer = ThoughtTreeExplorer(
            self._writer(sampling),
            self._planner(),
            ThoughtTreeSettings(
                branching_factor=branching_factor,
                branching_depth=config.branching_depth,
                max_steps=config.longest_trace,
                max_leaves=config.max_leaves,
                max_thought_tokens=config.max_thought_tokens,
                max_answer_tokens=config.max_answer_tokens,
                planner_temperature=planner_temperature,
            ),
        )
        return self._of_steps(explorer)

    def _searched_rollouts(self, sampling: StreamSettings, planner_temperature: float) -> TreeRollouts:
        config = self._parts.config
        search = SearchSettings(
            search=config.search_algorithm,
            max_depth=config.max_depth,
            branching_factor=config.branching_factor,
            max_nodes_per_level=config.max_nodes_per_level,
            max_nodes=config.max_nodes,
            verification_threshold=config.verification_threshold,
            pruning_threshold=config.pruning_threshold,
            no_pruning=not config.sparse_materialization,
            uncertainty=config.uncertainty.kind,
            reward_weights=astuple(config.reward_weights),
        )
        explorer = SearchTreeExplorer(
            self._writer(sampling),
            self._planner(),
            self._parts.verifier,
            SearchTreeSettings(search, planner_temperature),
            self._values,
            self._local_reward(),
        )
        return self._of_steps(explorer)

    def _local_reward(self) -> LocalReward | Literal["prior", "value"]:
        """What a search goes by, and credit after it where it is no heuristic."""
        config = self._parts.config
        if config.credit != "hierarchical" or config.local_reward == "heuristic":
            return "prior"
        if config.local_reward == "value":
            return "value"
        assert self._judge is not None, "what rates thoughts was named"
        return self._judge

    def _writer(self, sampling: StreamSettings) -> ThoughtWriter:
        parts, config = self._parts, self._parts.config
        return ThoughtWriter(
            self._sampler,
            Conversation(self._chat, parts.prompts, parts.options, seed=config.seed, examples=parts.examples),
            sampling,
            max_thought_tokens=config.max_thought_tokens,
            max_answer_tokens=config.max_answer_tokens,
            max_streams=config.max_concurrency,
        )

    def _planner(self) -> ModelPlanner:
        """The model that acts, so that it changes with the one in training."""
        return ModelPlanner(self._acting.chooser, self._parts.prompts, Sampling(temperature=0.0))

    def _of_steps(self, explorer: ThoughtTreeExplorer | SearchTreeExplorer) -> TreeRollouts:
        return TreeRollouts(
            explorer.grow_problem,
            explorer.solution_of,
            self._parts.verifier,
            label_level=self._parts.config.label_level,
            use_hierarchical=True,
            notes=explorer.notes,
        )

    def _solution_of(self, tree: ReasoningTree, leaf: int) -> Solution:
        """A whole answer, as the vanilla baseline gives one."""
        n_prompt = len(tree.node(tree.root).tokens)
        text = self._chat.text(tree.path_tokens(leaf)[n_prompt:])
        return Solution(final_response=text, truncated=not tree.node(leaf).ended)
