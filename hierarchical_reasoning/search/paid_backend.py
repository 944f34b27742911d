"""A backend whose calls are paid from the budget of one search."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from hierarchical_reasoning.search.budget import Budget, Cost
from hierarchical_reasoning.solvers.base import Solution
from llm_backends import Backend, BackendError, Completion, Message, Request, Spent

_TOKENS_AROUND_MESSAGE = 64
"""Allowed for what a chat template puts around a message, where tokens are not counted."""
_TOKENS_AROUND_CHOICES = 256
"""Allowed for what asks for one of the choices, and for a complaint about a reply that is none."""


class PaidBackend(Backend):
    """Asks another backend within a budget; what calls take goes into the budget and into a solution, where they fail
    too: the `spent` of an error that is raised here is accounted for, and empty."""

    name = "paid"

    def __init__(self, backend: Backend, budget: Budget, solution: Solution) -> None:
        super().__init__(backend.model_name, max_choice_attempts=backend.max_choice_attempts)
        self._backend = backend
        self._budget = budget
        self._solution = solution

    @property
    def context_length(self) -> int | None:
        return self._backend.context_length

    def count_tokens(self, messages: Sequence[Message], *, completion: bool = True) -> int | None:
        return self._backend.count_tokens(messages, completion=completion)

    def cache_identity(self) -> Mapping[str, object]:
        return self._backend.cache_identity()

    def most(self, request: Request) -> Cost:
        """What a request can take at most.

        The tokens of a prompt are counted where the backend can, else it is taken that none is shorter than a byte. A
        model in this process answers once; any other may be asked again, within the backend's bound.
        """
        backend = self._backend
        in_process = not backend.empty_is_a_fault
        prompt = backend.count_tokens(request.messages)
        if prompt is None:
            sizes = [len(message.content.encode()) for message in request.messages]
            prompt = sum(sizes) + _TOKENS_AROUND_MESSAGE * len(sizes)
        reply = request.sampling.max_tokens
        around = 0
        if request.choices is not None:
            longest = max(len(choice.encode()) for choice in request.choices) + 1
            reply = longest if in_process else max(reply, longest + _TOKENS_AROUND_CHOICES)
            around = 0 if in_process else sum(map(len, request.choices)) + _TOKENS_AROUND_CHOICES
        if backend.context_length is not None:
            reply = min(reply, max(0, backend.context_length - prompt))
        if in_process:
            return Cost(prompt + reply, 1)
        again = backend.max_choice_attempts - 1
        first = prompt + around + reply
        return Cost(first + again * (first + reply + around), 1 + again)

    async def complete(self, request: Request) -> Completion:
        """
        Raises:
            BudgetSpentError: the call does not fit in what is left; it was not made.
            BackendError: as the backend.
        """
        most, took = self.most(request), Cost()
        await self._budget.admit(most)
        try:
            completion = await self._backend.complete(request)
            took = Cost.of(completion.spent)
            self._solution.spend(request.role, completion.spent)
        except BackendError as error:
            took = Cost.of(error.spent or Spent())
            self._solution.spend(request.role, error.spent)
            error.spent = Spent()
            raise
        finally:
            self._budget.settle(most, took)
        return completion

    async def _complete(self, request: Request) -> Completion:
        raise AssertionError("`complete` asks the other backend")
