"""In-context examples: which of them are shown with a thought type, and how many the context holds."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from hierarchical_reasoning.prompts import Prompts
from hierarchical_reasoning.trace import Trace
from llm_backends import Message
from taxonomy.model import ThoughtType


@dataclass(frozen=True)
class InContextExamples:
    """Those of a level."""

    by_type: Mapping[str, Sequence[str]]
    """By thought type name, shown when a chat trace first takes that type, and in every prompt of the single style."""
    prompts: Prompts
    max_thought_tokens: int
    context_length: int | None
    """Of the model that they are shown to; None where it has no limit."""
    count_tokens: Callable[[Sequence[Message]], int | None]
    """That a prompt takes; None where that is not known."""

    def shown(
        self, trace: Trace, option: ThoughtType, *, steps_left: int
    ) -> tuple[tuple[str, ...], tuple[str, ...]]:
        """The examples to show now: those of a type not yet taken, as many as the context holds; and notes on what was
        left out.

        Args:
            steps_left: steps that may still come after this one; room is kept for them.
        """
        wanted = tuple(self.by_type.get(option.name, ()))
        shown_before = any(step.thought_type == option for step in trace.steps)
        if not wanted or (shown_before and self.prompts.style == "chat"):
            return (), ()
        context = self.context_length
        if context is None:
            return wanted, ()
        reserve = self.max_thought_tokens + min(context // 2, steps_left * self.max_thought_tokens)
        for n in range(len(wanted), -1, -1):
            tokens = self.count_tokens(self.prompts.think(trace, option, wanted[:n]))
            if n == 0 or tokens is None or tokens + reserve <= context:
                break
        left_out = len(wanted) - n
        note = f"{left_out} of {len(wanted)} examples of {option.name!r} did not fit the context of {context} tokens"
        return wanted[:n], (note,) if left_out else ()
