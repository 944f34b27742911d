"""How a run grows its trees: to learn from, and to be measured."""

from __future__ import annotations

from dataclasses import asdict

from hierarchical_reasoning.errors import ConfigError
from hierarchical_reasoning.planners.model import ModelPlanner
from hierarchical_reasoning.problems import Problem
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
    ThoughtTreeExplorer,
    ThoughtTreeSettings,
)
from hierarchical_reasoning.training.explorers.base import answer_room
from hierarchical_reasoning.training.language_model.config import ENTROPY_TREE
from hierarchical_reasoning.training.language_model.parts import LanguageModelParts
from hierarchical_reasoning.training.language_model.rollouts import TreeRollouts
from hierarchical_reasoning.training.log import Mode
from hierarchical_reasoning.training.objectives import EntropyStats
from hierarchical_reasoning.trees import ReasoningTree
from llm_backends import Sampling
from llm_backends.local import LocalBackend, LocalTokenSampler
from llm_backends.local.chat import ChatFormat
from llm_backends.token_streams import AdaptiveTemperature, StreamSettings


class Explorers:
    """Those of one run; they share the model that acts."""

    def __init__(self, parts: LanguageModelParts, acting: LocalBackend, chat: ChatFormat) -> None:
        self._parts = parts
        self._acting = acting
        self._sampler = LocalTokenSampler(acting)
        self._chat = chat

    def check_room(self, context_length: int | None) -> None:
        """Of whole answers, before any is drawn; how long a thought tree's conversations grow is seen as they do.

        Raises:
            ConfigError: a problem leaves too little room in the model's context.
        """
        parts = self._parts
        if parts.config.explorer == "thought_tree":
            return
        for problem in (*parts.problems, *parts.held_out):
            prompt = self._chat.prompt_ids(parts.prompts.vanilla(problem))
            try:
                answer_room(prompt, parts.config.max_new_tokens, context_length, least=2)
            except ConfigError as error:
                raise ConfigError(f"problem {problem.id!r}: {error}") from error

    def training(self, stats: EntropyStats | None) -> TreeRollouts:
        """
        Args:
            stats: of the previous update, which adapt the temperature where that is asked for; None in the first one.
        """
        config = self._parts.config
        adaptive = None
        if config.adaptive_temperature and stats is not None:
            adaptive = AdaptiveTemperature(**asdict(stats), tau=config.temperature_tau)
        sampling = StreamSettings(
            temperature=config.temperature,
            top_p=config.top_p,
            top_k=config.top_k,
            repetition_penalty=config.repetition_penalty,
            adaptive=adaptive,
        )
        if config.explorer == "thought_tree":
            return self._thought_rollouts(
                sampling, config.branching_factor, config.planner_sampling_temperature
            )
        return self._rollouts(self._explorer(sampling))

    def measuring(self, mode: Mode) -> TreeRollouts:
        """One answer to a problem: the likeliest, or one drawn from the model as it is, nothing cut off."""
        temperature = 0.0 if mode == "greedy" else self._parts.config.temperature
        if self._parts.config.explorer == "thought_tree":
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
        """The planner is the model that acts, so it changes with the one in training."""
        parts, config = self._parts, self._parts.config
        explorer = ThoughtTreeExplorer(
            self._sampler,
            ModelPlanner(self._acting, parts.prompts, Sampling(temperature=0.0)),
            Conversation(self._chat, parts.prompts, parts.options, seed=config.seed, examples=parts.examples),
            sampling,
            ThoughtTreeSettings(
                branching_factor=branching_factor,
                branching_depth=config.branching_depth,
                max_steps=config.max_steps_per_episode,
                max_leaves=config.max_leaves,
                max_thought_tokens=config.max_thought_tokens,
                max_answer_tokens=config.max_answer_tokens,
                planner_temperature=planner_temperature,
            ),
            max_streams=config.max_concurrency,
        )
        return TreeRollouts(
            explorer.grow_problem,
            explorer.solution_of,
            parts.verifier,
            label_level=config.label_level,
            use_hierarchical=True,
        )

    def _solution_of(self, tree: ReasoningTree, leaf: int) -> Solution:
        """A whole answer, as the vanilla baseline gives one."""
        n_prompt = len(tree.node(tree.root).tokens)
        text = self._chat.text(tree.path_tokens(leaf)[n_prompt:])
        return Solution(final_response=text, truncated=not tree.node(leaf).ended)
