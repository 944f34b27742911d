"""Values on embeddings of a server, for which each search pays itself."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, cast

from hierarchical_reasoning.search.budget import Budget, Cost
from hierarchical_reasoning.solvers.base import Solution
from hierarchical_reasoning.values.base import Estimate, Place, ValueEstimator
from hierarchical_reasoning.values.encoders.served import ROLE, ServedEmbeddings
from llm_backends import BackendError, Spent
from llm_backends.hosted.embeddings import EMBEDDINGS_AT_ONCE

if TYPE_CHECKING:
    from hierarchical_reasoning.values.encoders.base import Vectors
    from hierarchical_reasoning.values.learned import LearnedValue

_TOKENS_AROUND_TEXT = 8
"""Allowed for what a model of embeddings puts around a text."""


class PaidValues:
    """A `ValueEstimator` for one search: what is embedded to estimate goes into its budget, and, with what is embedded
    to learn from its tree, into its solution.

    The texts of an estimate are asked for together, whatever is known of them from other searches, so that what a
    search takes does not depend on these. The cache of replies has them all the same.
    """

    def __init__(
        self, estimator: LearnedValue, served: ServedEmbeddings, budget: Budget, solution: Solution
    ) -> None:
        """
        Args:
            served: the encoder of `estimator`.
        """
        self.notes = estimator.notes
        self._estimator = estimator
        self._served = served
        self._budget = budget
        self._solution = solution

    @property
    def is_trained(self) -> bool:
        return self._estimator.is_trained

    async def estimate(self, places: Sequence[Place]) -> list[Estimate]:
        """
        Raises:
            BudgetSpentError: the embeddings do not fit in what is left; they were not asked for.
            BackendError: the server does not answer.
        """
        return await self._estimator.estimate(places, self._served.by(self._within_budget))

    async def learn(self, places: Sequence[Place], rewards: Sequence[float]) -> None:
        await self._estimator.learn(places, rewards)

    async def see(self, places: Sequence[Place]) -> dict[tuple[str, ...], Vectors]:
        """The vectors, by texts, of places that are to be learned from; no bound of the search holds for them.

        Raises:
            BackendError: the server does not answer.
        """
        vectors = await self._served.by(self._embed).encode(places) if places else ()
        return dict(zip((place.texts for place in places), vectors, strict=True))

    async def _within_budget(self, texts: Sequence[str]) -> Sequence[Sequence[float]]:
        tokens = sum(len(text.encode(errors="surrogatepass")) + _TOKENS_AROUND_TEXT for text in texts)
        most = Cost(tokens, math.ceil(len(texts) / EMBEDDINGS_AT_ONCE))
        await self._budget.admit(most)
        before = self._solution.spent.get(ROLE)
        try:
            vectors = await self._embed(texts)
        finally:
            took = Cost.of(self._solution.spent.get(ROLE, Spent())) - Cost.of(before or Spent())
            self._budget.settle(most, took)
        return vectors

    async def _embed(self, texts: Sequence[str]) -> Sequence[Sequence[float]]:
        try:
            vectors, spent = await self._served.backend.embed(texts, role=ROLE)
        except BackendError as error:
            self._solution.spend(ROLE, error.spent)
            error.spent = Spent()
            raise
        self._solution.spend(ROLE, spent)
        return vectors


def paid_by(estimator: ValueEstimator, budget: Budget, solution: Solution) -> PaidValues | None:
    """The estimator for one attempt that pays for what it has embedded; None where nothing is to be paid."""
    served = getattr(estimator, "encoder", None)
    if not isinstance(served, ServedEmbeddings):
        return None
    return PaidValues(cast("LearnedValue", estimator), served, budget, solution)
