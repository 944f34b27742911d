"""A language model as the planner: it replies with the name of an option."""

from __future__ import annotations

from hierarchical_reasoning.observer import Observer
from hierarchical_reasoning.planners.base import Choice, Planner
from hierarchical_reasoning.prompts import Prompts
from hierarchical_reasoning.trace import Trace
from llm_backends import Backend, Request, Sampling


class ModelPlanner(Planner):
    """Asks a backend, constrained to the options."""

    def __init__(
        self, backend: Backend, prompts: Prompts, sampling: Sampling, observer: Observer | None = None
    ) -> None:
        self._backend = backend
        self._prompts = prompts
        self._sampling = sampling
        self._observer = observer or Observer()

    async def choose(self, trace: Trace, *, sample: int = 0) -> Choice:
        messages = self._prompts.choose(trace)
        self._observer.asked(trace.problem, messages)
        completion = await self._backend.complete(
            Request(
                messages,
                self._sampling,
                choices=trace.choices,
                sample_index=sample,
                role="planner",
                trace_id=f"{trace.problem.id}/{sample}",
            )
        )
        return Choice(completion.text, completion.choice_probabilities, completion.spent)
