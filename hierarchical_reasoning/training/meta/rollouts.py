"""Answers that a language model draws: to learn from, and to be measured by."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from hierarchical_reasoning.outcomes import Outcome
from hierarchical_reasoning.problems import Problem
from hierarchical_reasoning.prompts import Prompts
from hierarchical_reasoning.solvers import Solution
from hierarchical_reasoning.training.explorers import Grown, LinearExplorer, LinearSettings, Origin
from hierarchical_reasoning.training.language_model.rollouts import GradedTree, TreeRollouts
from hierarchical_reasoning.training.meta.config import MetaConfig
from hierarchical_reasoning.trees import ReasoningTree
from hierarchical_reasoning.verifiers import Verifier
from llm_backends.local import LocalBackend, LocalTokenSampler
from llm_backends.local.chat import ChatFormat
from llm_backends.token_streams import StreamSettings


@dataclass(frozen=True)
class Answer:
    """One that was graded."""

    problem_id: str
    tokens: tuple[int, ...]
    text: str
    is_correct: bool


class Answers:
    """Whole answers to the prompt of the vanilla baseline."""

    def __init__(
        self, config: MetaConfig, acting: LocalBackend, chat: ChatFormat, prompts: Prompts, verifier: Verifier
    ) -> None:
        self._config = config
        self._sampler = LocalTokenSampler(acting)
        self._chat = chat
        self._prompts = prompts
        self._verifier = verifier

    def prompt(self, problem: Problem) -> tuple[int, ...]:
        """Its tokens."""
        return tuple(self._chat.prompt_ids(self._prompts.vanilla(problem)))

    async def drawn(self, problems: Sequence[Problem]) -> list[Answer]:
        """`num_rollouts_per_prompt` of each.

        Raises:
            UsageError, BackendError, VerifierError: an answer cannot be drawn or graded.
        """
        return await self._graded(
            problems, self._config.num_rollouts_per_prompt, self._config.temperature, self._config.seed
        )

    async def n_correct(self, problems: Sequence[Problem]) -> int:
        """How many the likeliest answer solves."""
        return sum(answer.is_correct for answer in await self._graded(problems, 1, 0.0, 0))

    async def _graded(
        self, problems: Sequence[Problem], n: int, temperature: float, seed: int
    ) -> list[Answer]:
        explorer = LinearExplorer(
            self._sampler,
            self._chat,
            StreamSettings(temperature=temperature),
            LinearSettings(n, self._config.max_new_tokens),
            max_streams=self._config.max_concurrency,
        )

        async def grow(origin: Origin, problem: Problem) -> Grown:
            return await explorer.grow(origin, self.prompt(problem))

        rollouts = TreeRollouts(
            grow, self._solution_of, self._verifier, label_level=0, use_hierarchical=False
        )
        found: list[Answer] = []
        for graded in await rollouts.collect(problems, seed=seed, update=0):
            found += self._answers(graded)
        return found

    def _answers(self, graded: GradedTree) -> list[Answer]:
        tree = graded.tree
        leaves = [tree.node(leaf) for leaf in tree.leaves()]
        return [
            Answer(tree.problem_id, leaf.tokens, leaf.text, episode.outcome is Outcome.CORRECT)
            for leaf, episode in zip(leaves, graded.episodes, strict=True)
        ]

    def _solution_of(self, tree: ReasoningTree, leaf: int) -> Solution:
        node = tree.node(leaf)
        return Solution(final_response=self._chat.text(node.tokens), truncated=not node.ended)
