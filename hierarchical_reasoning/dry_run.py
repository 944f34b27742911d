"""What a run would take at most, before anything is spent.

The real loop runs over the real problems and prompts, against a backend that never finishes early, takes a thought
type that was not taken yet as long as there is one (so that every in-context example is shown), those with the longest
examples first, and whose every reply is as long as allowed. So this is a bound, and no forecast: most runs take far
less.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from hierarchical_reasoning.assembly import assemble
from hierarchical_reasoning.backends import Backends
from hierarchical_reasoning.config import RunConfig
from hierarchical_reasoning.observer import Observer
from hierarchical_reasoning.reasoning_config import ModelChoice
from hierarchical_reasoning.results.records import RoleUsage
from hierarchical_reasoning.solvers import Solution
from hierarchical_reasoning.trace import FINISH
from llm_backends import Backend, Completion, FinishReason, Message, Request, Spent, Usage

CHARACTERS_PER_TOKEN = 4
_TOKENS_PER_MESSAGE = 4
_WORD = "word "
_NEXT = 0.001
"""How probable the next dearest choice is, beside the one before: a search follows the dearest ones."""


@dataclass(frozen=True)
class Estimate:
    """What a run takes at most."""

    n_problems: int
    usage: dict[str, RoleUsage]
    """By role."""
    notes: tuple[str, ...]

    @property
    def total(self) -> RoleUsage | None:
        """Of all roles; None where no model is asked."""
        total: RoleUsage | None = None
        for used in self.usage.values():
            total = used if total is None else total + used
        return total


async def estimate(config: RunConfig, *, samples: int | None = None) -> Estimate:
    """Count calls, tokens and cost of a run.

    Args:
        samples: of every problem that are counted; None: as many as the run makes.

    Raises:
        UsageError, TaxonomyError, BackendError: as `assemble`.
    """
    run = assemble(config)
    changes: dict[str, object] = {}
    if not config.vanilla_baseline and config.planner != "untyped":
        # A planner that asks no model may finish whenever it likes; one that never does stands in for it.
        changes |= _MODEL_PLANS
    if config.values_answers:
        changes["value_head"] = None
    if config.search is not None:
        sampled = config.uncertainty if config.answers_sampled else "none"
        changes |= {**_MOST_IS_SEARCHED, "uncertainty": sampled}
    counted = assemble(config.model_copy(update=changes)) if changes else run
    lengths = {name: sum(map(len, texts)) for name, texts in counted.examples.items()}
    reasoner = _DryBackend(config.reasoner, lengths)
    backends = Backends(reasoner, _DryBackend(config.planner_model, lengths))
    solver = counted.make_solver(backends, Observer())
    spent: dict[str, Spent] = {}
    for problem in counted.problems.problems:
        for sample in range(samples or config.samples):
            solution = Solution()
            reasoner.longest_prompt = 0
            await solver.solve(problem, solution, sample=sample)
            solution.spend("reasoner", _last_answers(config, reasoner.longest_prompt))
            for role, used in solution.spent.items():
                spent[role] = spent.get(role, Spent()) + _within_budget(used, config)
    if config.planner not in ("model", "untyped"):
        spent.pop("planner", None)
    usage = {role: RoleUsage.priced(used, run.prices.get(role)) for role, used in spent.items()}
    return Estimate(len(run.problems.problems), usage, (*run.notes, *_notes(config)))


_MODEL_PLANS = {"planner": "model", "planner_sequence": None, "rollouts_file": None}
_MOST_IS_SEARCHED = {
    "fixed_branching": True,
    "no_pruning": True,
    "local_reward": "heuristic",
    "path_reward": "agreement",
    "verification_threshold": 0.0,
    "max_search_tokens": None,
    "max_search_calls": None,
}
"""Whatever is expected of thoughts, all that a search may ask is asked; what its budgets let in is told of that, since
what fits into them depends on how long replies are."""


def _last_answers(config: RunConfig, longest_prompt: int) -> Spent | None:
    """What a search takes besides, at most, that its budget ends before it has an answer: then it answers the thoughts
    that promise most, and at last the problem itself."""
    if config.search is None or (config.max_search_tokens is None and config.max_search_calls is None):
        return None
    n = config.max_nodes_per_level + 1
    return Spent(n, Usage(n * longest_prompt, 0, n * config.max_answer_tokens))


def _within_budget(used: Spent, config: RunConfig) -> Spent:
    """What a role takes of one problem at most: prompts or replies alone may take up the whole budget of tokens."""
    if config.search is None:
        return used
    calls, tokens = config.max_search_calls, config.max_search_tokens
    usage = used.usage
    if tokens is not None:
        prompts, replies = min(usage.prompt_tokens, tokens), min(usage.completion_tokens, tokens)
        usage = replace(usage, prompt_tokens=prompts, completion_tokens=replies)
    return replace(used, replies=used.replies if calls is None else min(used.replies, calls), usage=usage)


def _notes(config: RunConfig) -> list[str]:
    notes = [
        "this is a bound: every step taken, every reply as long as allowed, nothing from a cache, no call repeated"
    ]
    if config.search is not None and config.max_search_tokens is not None:
        notes.append(
            f"a problem takes {config.max_search_tokens:,} tokens in all (--max_search_tokens), of prompts and replies "
            "of every role together; each is told as if it took them alone"
        )
    if not Path(config.reasoner.model_path).is_dir():
        notes.append(f"tokens of prompts are estimated, {CHARACTERS_PER_TOKEN} characters each")
    if config.high_level_model is not None:
        tasks = {
            "choose examples": config.shows_taxonomy_examples,
            "judge answers": config.answers_are_judged,
            "rate what a search finds": config.asks_judge,
        }
        if what := " and to ".join(task for task, asked in tasks.items() if asked):
            notes.append(f"what {config.high_level_model.model_name} takes to {what} is not counted")
    if config.embedding_model is not None:
        notes.append(f"what {config.embedding_model.model_name} takes to embed is not counted")
    return notes


class _DryBackend(Backend):
    """Replies with the dearest choice that does not finish, or with as many words as allowed."""

    name = "dry_run"
    supports_choices = True
    supports_schema = True

    def __init__(self, model: ModelChoice, lengths: Mapping[str, int]) -> None:
        """
        Args:
            model: whose tokenizer counts, where it is at hand.
            lengths: characters of the in-context examples, by thought type.
        """
        super().__init__(model.model_name)
        self.longest_prompt = 0
        """In tokens, of thoughts and answers; whoever reads it sets it back."""
        self._lengths = lengths
        self._tokenizer = _tokenizer(model)

    def count_tokens(self, messages: Sequence[Message], *, completion: bool = True) -> int:
        if self._tokenizer is not None:
            chat = [{"role": message.role, "content": message.content} for message in messages]
            text = self._tokenizer.apply_chat_template(chat, add_generation_prompt=completion, tokenize=False)
            # Not verbose: it would warn of prompts that outgrow the context, which the bound takes into account.
            ids = self._tokenizer(text, add_special_tokens=False, verbose=False)["input_ids"]
            return len(ids)
        characters = sum(len(message.content) for message in messages)
        return characters // CHARACTERS_PER_TOKEN + _TOKENS_PER_MESSAGE * len(messages)

    async def _complete(self, request: Request) -> Completion:
        prompt_tokens = self.count_tokens(request.messages)
        if request.choices is not None:
            ranked = self._dearest_first(request.choices, request.messages)
            name = ranked[0]
            allowed = request.sampling.max_tokens if self._tokenizer is None else len(name)
            return Completion(
                name,
                FinishReason.CHOICE,
                Usage(prompt_tokens, 0, allowed),
                choice_probabilities={choice: _NEXT**rank for rank, choice in enumerate(ranked)},
            )
        self.longest_prompt = max(self.longest_prompt, prompt_tokens)
        allowed = request.sampling.max_tokens
        # Samples differ, since a search follows what differs alone.
        text = f"{request.sample_index} " + _WORD * (allowed * CHARACTERS_PER_TOKEN // len(_WORD))
        if request.schema is not None:
            names = request.schema.model_json_schema()["properties"]["thought_type"]["enum"]
            name = self._dearest_first(names, request.messages)[0]
            text = json.dumps({"thought_type": name, "thought": text})
        return Completion(text, FinishReason.STOP, Usage(prompt_tokens, 0, allowed))

    def _dearest_first(self, choices: Sequence[str], messages: Sequence[Message]) -> list[str]:
        """The choices by what their examples add to the conversation; those that it has already add nothing."""
        taken = {message.content for message in messages if message.role == "assistant"}
        left = [choice for choice in choices if choice != FINISH]
        return sorted(left, key=lambda choice: (choice in taken, -self._lengths.get(choice, 0)))


def _tokenizer(model: ModelChoice):  # type: ignore[no-untyped-def]
    """That of a model in a directory; None elsewhere."""
    if not Path(model.model_path).is_dir():
        return None
    from transformers import AutoTokenizer

    return AutoTokenizer.from_pretrained(model.model_path, local_files_only=True)
