"""How many prompt tokens a server's prefix cache leaves to compute, by prompt style, with and without ``--joint``.

The same problems are solved in every way by a scripted model: the same thought types, thoughts and examples of a stated
length, so that the ways differ in their prompts alone. The cache is that of a server which keeps blocks of 16 tokens,
each under the hash of all tokens up to its end, and computes the last token of a prompt in any case. Problems come one
after another, and share what they have in common.

The reference is the system behind this one, measured on 12 chess problems: 183 calls, and 10,850 prompt tokens a
problem, of which such a cache could not serve 4,370. The default lengths are the shape of that workload: a reply took
50 ms and 2 ms a token there, and all of them 20.2 s, which is 30 tokens a call, choices of a few tokens included.

    python benchmarks/prompt_cache.py [--output benchmarks/results/prompt_cache.json]
"""

from __future__ import annotations

import argparse
import asyncio
import json
import random
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import transformers

from hierarchical_reasoning.assets import MODEL, TAXONOMY, TEST_PROBLEMS
from hierarchical_reasoning.planners.model import ModelPlanner
from hierarchical_reasoning.problems import Problem, read_problems
from hierarchical_reasoning.prompts import PROMPT_STYLES, Prompts, PromptStyle
from hierarchical_reasoning.reasoner import Reasoner
from hierarchical_reasoning.solvers import HierarchicalSolver, JointSolver, Solution, Solver
from llm_backends import Completion, Request, Sampling, ScriptedBackend
from llm_backends.local.chat import ChatFormat
from taxonomy import ThoughtType, load_taxonomy

BLOCK = 16
REFERENCE = {"calls": 15.3, "prompt_tokens": 10_850, "uncached_tokens": 4_370, "paid_for": 5_018}
"""Of one problem, on average over 12."""
WORDS = ("the", "so", "if", "then", "this", "must", "first", "next", "left", "right", "one", "two")


class PrefixCache:
    """Blocks of tokens, known by everything up to their end; the least recently used go first."""

    def __init__(self, capacity: int | None = None) -> None:
        """
        Args:
            capacity: blocks kept; None keeps all.
        """
        self._capacity = capacity
        self._blocks: OrderedDict[int, None] = OrderedDict()

    def served(self, prompt: Sequence[int]) -> int:
        """Tokens of this prompt that need not be computed."""
        n = 0
        for block in _chain(prompt[:-1]):
            if block not in self._blocks:
                break
            n += BLOCK
        return n

    def keep(self, tokens: Sequence[int]) -> None:
        for block in reversed(_chain(tokens)):  # of one text, the end is the first to go
            self._blocks[block] = None
            self._blocks.move_to_end(block)
        while self._capacity is not None and len(self._blocks) > self._capacity:
            self._blocks.popitem(last=False)


def _chain(tokens: Sequence[int]) -> list[int]:
    """The hash of each full block, which covers those before it too."""
    hashes = [0]
    for start in range(0, len(tokens) - BLOCK + 1, BLOCK):
        hashes.append(hash((hashes[-1], *tokens[start : start + BLOCK])))
    return hashes[1:]


@dataclass
class Count:
    """What the calls of one arm took."""

    calls: int = 0
    prompt_tokens: int = 0
    uncached_tokens: int = 0
    """A cache of prompts."""
    uncached_with_replies: int = 0
    """A cache of prompts and of the replies to them."""
    uncached_when_bounded: int = 0
    """The same with a bounded number of blocks."""


@dataclass(frozen=True)
class Script:
    """What the scripted model says: a function of the problem and the step, however it is asked."""

    chat: ChatFormat
    names: tuple[str, ...]
    """Of the thought types."""
    thought_tokens: int
    example_tokens: int
    seed: int = 0

    def thought_type(self, problem_id: str, step: int) -> str:
        return random.Random(f"{self.seed}/{problem_id}/{step}").choice(self.names)

    def thought(self, problem_id: str, step: int) -> str:
        return self._filler(f"{problem_id}/{step}/thought", self.thought_tokens)

    def examples(self, count: int) -> dict[str, list[str]]:
        return {
            name: [self._filler(f"{name}/{i}", self.example_tokens) for i in range(count)]
            for name in self.names
        }

    def _filler(self, what: str, tokens: int) -> str:
        """Random words, so many tokens long."""
        rng = random.Random(f"{self.seed}/{what}")
        words: list[str] = []
        length = 0
        while length < tokens:
            words.append(rng.choice(WORDS))
            length += self._tokens_of[words[-1]]
        return " ".join(words)

    @cached_property
    def _tokens_of(self) -> dict[str, int]:
        return {word: len(self.chat.option_ids(f" {word}")) - 1 for word in WORDS}


class CountingBackend(ScriptedBackend):
    """Replies from the script, and counts what a server would have to compute."""

    name = "counting"

    def __init__(self, script: Script, steps: int, bounded_blocks: int) -> None:
        super().__init__(self._said, max_concurrency=1)
        self.count = Count()
        self._script = script
        self._steps = steps
        self._written: dict[str, int] = {}
        """Thoughts so far, by problem."""
        self._prompts, self._replies_too = PrefixCache(), PrefixCache()
        self._bounded = PrefixCache(bounded_blocks)

    async def _complete(self, request: Request) -> Completion:
        completion = await super()._complete(request)
        prompt = self._script.chat.prompt_ids(request.messages)
        with_reply = [*prompt, *self._script.chat.option_ids(completion.text)]
        self.count.calls += 1
        self.count.prompt_tokens += len(prompt)
        self.count.uncached_tokens += len(prompt) - self._prompts.served(prompt)
        self.count.uncached_with_replies += len(prompt) - self._replies_too.served(prompt)
        self.count.uncached_when_bounded += len(prompt) - self._bounded.served(prompt)
        self._prompts.keep(prompt)
        self._replies_too.keep(with_reply)
        self._bounded.keep(with_reply)
        return completion

    def _said(self, request: Request) -> str:
        problem_id = (request.trace_id or "").rpartition("/")[0]
        step = self._written.get(problem_id, 0)
        if request.choices is not None:
            return self._script.thought_type(problem_id, step)
        if step == self._steps:
            return "\\boxed{0}"
        self._written[problem_id] = step + 1
        thought = self._script.thought(problem_id, step)
        if request.schema is None:
            return thought
        return json.dumps({"thought_type": self._script.thought_type(problem_id, step), "thought": thought})


@dataclass(frozen=True)
class Workload:
    """What every arm solves."""

    problems: tuple[Problem, ...]
    options: tuple[ThoughtType, ...]
    script: Script
    steps: int
    n_examples: int
    bounded_blocks: int

    async def count(self, style: PromptStyle, *, joint: bool) -> Count:
        backend = CountingBackend(self.script, self.steps, self.bounded_blocks)
        solver = self._solver(backend, style, joint=joint)
        for problem in self.problems:
            await solver.solve(problem, Solution())
        return backend.count

    def _solver(self, backend: CountingBackend, style: PromptStyle, *, joint: bool) -> Solver:
        prompts, sampling = Prompts(style), Sampling()
        examples = self.script.examples(self.n_examples)
        reasoner = Reasoner(backend, prompts, sampling, 1024, 1024, examples)
        max_steps = self.steps + 1  # the last is "Finish thinking"
        if joint:
            return JointSolver(reasoner, self.options, max_reasoning_steps=max_steps, seed=42)
        planner = ModelPlanner(backend, prompts, sampling)
        return HierarchicalSolver(planner, reasoner, self.options, max_reasoning_steps=max_steps, seed=42)


def paid_for(prompt_tokens: float, uncached_tokens: float) -> float:
    """Prompt tokens, a cached one counted as a tenth, as providers tend to price it."""
    return round(uncached_tokens + (prompt_tokens - uncached_tokens) / 10, 1)


def figures(counted: Count, n_problems: int) -> dict[str, float]:
    """An arm's figures a problem, and how many times more the reference computes."""
    each = {key: round(value / n_problems, 1) for key, value in asdict(counted).items()}
    return {
        **each,
        "paid_for": paid_for(each["prompt_tokens"], each["uncached_tokens"]),
        "uncached_share": round(counted.uncached_tokens / counted.prompt_tokens, 3),
        "reference_over_this": round(REFERENCE["uncached_tokens"] / each["uncached_tokens"], 2),
    }


def parse_arguments() -> tuple[argparse.Namespace, str]:
    """The flags, and the command that they were."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--tree_model_path", type=Path, default=TAXONOMY)
    parser.add_argument("--label_level", type=int, default=3)
    parser.add_argument("--input_file", type=Path, default=TEST_PROBLEMS)
    parser.add_argument("--problems", type=int, default=12)
    parser.add_argument("--steps", type=int, default=7, help="Thoughts a problem.")
    parser.add_argument("--thought_tokens", type=int, default=52)
    parser.add_argument("--num_icl_examples", type=int, default=5, help="Per thought type.")
    parser.add_argument("--example_tokens", type=int, default=50)
    parser.add_argument(
        "--bounded_blocks", type=int, default=1024, help="Blocks that the bounded cache keeps."
    )
    parser.add_argument(
        "--tokenizer", type=Path, default=MODEL, help="A folder; its chat template counts too."
    )
    parser.add_argument("--output", type=Path)
    arguments = parser.parse_args()
    changed = [
        f"--{name} {value}" for name, value in vars(arguments).items() if value != parser.get_default(name)
    ]
    return arguments, " ".join(["python benchmarks/prompt_cache.py", *changed])


def main() -> None:
    arguments, command = parse_arguments()
    tokenizer = transformers.AutoTokenizer.from_pretrained(arguments.tokenizer, model_max_length=10**9)
    options = load_taxonomy(arguments.tree_model_path).at_level(arguments.label_level)
    workload = Workload(
        read_problems(arguments.input_file, n_rows=arguments.problems).problems,
        options,
        Script(
            ChatFormat(tokenizer, frozenset({tokenizer.eos_token_id}), str(arguments.tokenizer)),
            tuple(sorted(option.name for option in options)),
            arguments.thought_tokens,
            arguments.example_tokens,
        ),
        arguments.steps,
        arguments.num_icl_examples,
        arguments.bounded_blocks,
    )
    rows: dict[str, dict[str, float]] = {}
    for joint in (False, True):
        for style in PROMPT_STYLES:
            name = f"{style}, joint" if joint else style
            counted = asyncio.run(workload.count(style, joint=joint))
            rows[name] = figures(counted, len(workload.problems))
            print(f"{name}:", "  ".join(f"{key} {value:,}" for key, value in rows[name].items()), flush=True)
    print("reference:", "  ".join(f"{key} {value:,}" for key, value in REFERENCE.items()))
    ratio = round(rows["single"]["uncached_tokens"] / rows["chat"]["uncached_tokens"], 2)
    print(f"prompt tokens left to compute, single over chat: {ratio}")
    if arguments.output:
        about: dict[str, Any] = {
            "command": command,
            "problems": len(workload.problems),
            "options": len(options),
            "reference": REFERENCE,
            "single_over_chat": ratio,
        }
        arguments.output.write_text(json.dumps({"about": about, "rows": rows}, indent=2) + "\n")


if __name__ == "__main__":
    main()
