"""What a run found: its entries, its numbers, and the results file that holds both as one JSON object.

The entries carry the names that readers of such files expect (`problem_id` to `ground_truth`), and after them
what a scientist needs besides. `results_file` writes the file, `summary` finds the numbers.
"""

from __future__ import annotations

from collections import Counter
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, model_validator

from hierarchical_reasoning.outcomes import Outcome
from hierarchical_reasoning.results.intervals import Accuracy
from hierarchical_reasoning.results.sampling import SamplingSummary
from hierarchical_reasoning.values.calibration import Calibration
from llm_backends import Price, Spent, Usage


class _Record(BaseModel):
    model_config = ConfigDict(
        frozen=True,
        extra="forbid",
        allow_inf_nan=False,
        ser_json_inf_nan="constants",  # in `config`, where any value may stand: the writer refuses it
        protected_namespaces=(),
    )


class TokenUsage(_Record):
    """Calls and their tokens, whether the replies came from a model or from the cache of replies."""

    calls: int = 0
    """Replies, unusable ones included."""
    prompt_tokens: int = 0
    cached_tokens: int = 0
    """The part of `prompt_tokens` that the prefix cache of the model served."""
    completion_tokens: int = 0
    reasoning_tokens: int = 0
    """The part of `completion_tokens` that a reasoning model spent before it replied."""

    @classmethod
    def of(cls, spent: Spent) -> TokenUsage:
        """What a call took, as it is recorded."""
        return cls(**_counts(spent))


class RoleUsage(TokenUsage):
    """What one role took."""

    from_cache: int = 0
    """The part of `calls` that had been paid for before, and was not asked for again."""
    repeats: dict[str, int] = Field(default_factory=dict)
    """How often something was asked again, by reason."""
    cost_usd: float | None = None
    """Of the calls that were made; None where the price is not known."""
    cost_from_cache_usd: float | None = None
    """What the replies from the cache had cost when they were received; None where the price is not known."""

    @classmethod
    def priced(cls, spent: Spent, price: Price | None) -> RoleUsage:
        """What calls took, and what that costs."""
        return cls(
            **_counts(spent),
            from_cache=spent.cached_replies,
            repeats=dict(spent.repeats),
            cost_usd=_cost(spent.usage, price),
            cost_from_cache_usd=_cost(spent.cached_usage, price),
        )

    def __add__(self, other: RoleUsage) -> RoleUsage:
        repeats = Counter(self.repeats)
        repeats.update(other.repeats)
        return RoleUsage(
            calls=self.calls + other.calls,
            prompt_tokens=self.prompt_tokens + other.prompt_tokens,
            cached_tokens=self.cached_tokens + other.cached_tokens,
            completion_tokens=self.completion_tokens + other.completion_tokens,
            reasoning_tokens=self.reasoning_tokens + other.reasoning_tokens,
            from_cache=self.from_cache + other.from_cache,
            repeats=dict(repeats),
            cost_usd=sum_of_costs(self.cost_usd, other.cost_usd),
            cost_from_cache_usd=sum_of_costs(self.cost_from_cache_usd, other.cost_from_cache_usd),
        )


NOTHING_SPENT = RoleUsage(cost_usd=0.0, cost_from_cache_usd=0.0)


def _counts(spent: Spent) -> dict[str, int]:
    usage = spent.usage + spent.cached_usage
    return {
        "calls": spent.replies + spent.cached_replies,
        "prompt_tokens": usage.prompt_tokens,
        "cached_tokens": usage.cached_tokens,
        "completion_tokens": usage.completion_tokens,
        "reasoning_tokens": usage.reasoning_tokens,
    }


def _cost(usage: Usage, price: Price | None) -> float | None:
    """What tokens cost; no tokens cost nothing, whatever the price."""
    if usage == Usage():
        return 0.0
    return None if price is None else price.of(usage)


def sum_of_costs(one: float | None, other: float | None) -> float | None:
    """None where one of them is not known."""
    return None if one is None or other is None else one + other


class StepRecord(_Record):
    """One step of a trace."""

    thought_type: str
    """"Next thought" where thoughts have no type."""
    node_id: str | None
    """The thought type's node in the taxonomy; None for "Finish thinking" and where thoughts have no type."""
    thought: str
    planner_probabilities: dict[str, float] | None
    """Of each option, where the planner gives them."""
    planner_usage: TokenUsage | None
    reasoner_usage: TokenUsage | None
    truncated: bool = False
    """The thought was cut off by a limit on tokens or by the end of the context."""
    notes: tuple[str, ...] = ()


class ErrorRecord(_Record):
    """What ended a problem in `error`."""

    type: str
    message: str


class EpisodeRecord(_Record):
    """What an episode of a training run is besides a solved problem."""

    update: int
    """Of the planner: it was rolled out for this one, or to measure what came of it."""
    epoch: int | None
    """None where it was rolled out to measure."""
    reward: float | None
    """`correct` and `brevity` together; None where a call failed."""
    correct: float
    """1 for a correct answer, else 0."""
    brevity: float
    """The part that shorter text earns."""
    characters: int
    """Written by the reasoner."""
    advantage: float | None = None
    """None where nothing was to be learned from it."""


class SearchedAnswer(_Record):
    """One answer that a search found."""

    node: int
    """In the search's tree."""
    answer: str | None
    """None where the text has none."""
    path_reward: float | None
    """What it was worth to the search; None where nothing told."""
    total: float
    """Local, path and causal reward of its node, weighted."""
    vote: float
    """The totals of all nodes that give this answer, added up; 0 where the node was pruned, or has no answer."""
    pruned: bool = False


class SearchRecord(_Record):
    """What a search did on one problem."""

    nodes: int
    """Thoughts and answers, pruned ones included."""
    pruned: int
    depth: int
    """Thoughts on the longest path, pruned ones included."""
    calls: int
    """Replies, unusable ones and those of the cache included."""
    tokens: int
    """Of prompts and replies, those of the cache included."""
    answers: tuple[SearchedAnswer, ...]
    """In the order in which they came."""
    chosen: int | None
    """The node of the answer that was given; None where there is none."""
    ended: str
    """Why it ended."""
    seconds: float


class MemoryRecord(_Record):
    """Memory of the whole process, which problems in flight together share: no more than a bound of what one needs."""

    peak_bytes: int
    """The most that the process had held, resident, from its start to the end of the problem."""
    grown_bytes: int
    """By how much that rose while the problem was in flight; 0 where earlier ones had needed as much."""
    peak_gpu_bytes: int | None
    """The most that PyTorch had held by then, on all GPUs together; None where it uses none."""


class ResultEntry(_Record):
    """One problem, or one sample of it, as it ended."""

    problem_id: str
    problem: str
    use_hierarchical: bool
    label_level: int
    thought_types: tuple[str, ...]
    thoughts: tuple[str, ...]
    final_response: str
    extracted_answer: str | None
    is_correct: bool | None
    """None where nothing was graded: no ground truth, or an error."""
    ground_truth: str | tuple[str, ...] | None
    outcome: Outcome
    reason: str
    extracted_by: str = ""
    """How the extracted answer was found, such as "the answer is"; empty where none was."""
    category: str | None = None
    sample: int = 0
    steps: tuple[StepRecord, ...] = ()
    usage: dict[str, RoleUsage] = Field(default_factory=dict)
    """By role, such as planner and reasoner."""
    seconds: float = 0.0
    memory: MemoryRecord | None = None
    """None in a training run, and in files of earlier versions."""
    error: ErrorRecord | None = None
    notes: tuple[str, ...] = ()
    episode: EpisodeRecord | None = None
    """None but in a training run."""
    search: SearchRecord | None = None
    """None where nothing was searched."""
    value: float | None = Field(None, ge=0, le=1)
    """What a value head expects of the answer; None where none was asked, or where a search asked it."""

    @model_validator(mode="after")
    def _outcome_agrees(self) -> ResultEntry:
        if self.is_correct is not self.outcome.is_correct:
            raise ValueError(
                f"is_correct must be {self.outcome.is_correct} where the outcome is {self.outcome}"
            )
        if (self.error is not None) != (self.outcome is Outcome.ERROR):
            raise ValueError(f"an error goes with the outcome error, not with {self.outcome}")
        return self


class TreesSummary(_Record):
    """What the trees of a run's searches come to."""

    figures: dict[str, float]
    """By name, as `trees.metrics.TreeMetrics.figures` has them; what does not exist is left out."""
    calibration: Calibration | None
    """Of the value head: what it expected of thoughts, against the path rewards of the answers that came below them;
    None where there was none, or it had not learned in time."""


class Summary(_Record):
    """A run in numbers. With several samples a problem, every sample counts."""

    n: int
    """Entries."""
    outcomes: dict[Outcome, int]
    """Every outcome, those that did not occur too."""
    accuracy: Accuracy
    """Over all problems with a ground truth; one that ended in an error counts as not solved."""
    accuracy_completed: Accuracy
    """Over those that were finished, whatever their end: errors left out."""
    usage: dict[str, RoleUsage]
    """By role, over all problems and what was done for all of them together."""
    usage_of_earlier_attempts: dict[str, RoleUsage] = Field(default_factory=dict)
    """By role, of attempts that were made again: they ended in an error, or a session left them unfinished."""
    cost_usd: float | None
    """Of all calls that were made, earlier attempts included; None where a price is not known."""
    tokens_per_problem: float | None
    """Prompt and completion tokens of planner and reasoner, of the attempts that count, all samples of a problem
    together; None without problems."""
    seconds: float
    """Summed over entries; they overlap when several run at once."""
    seconds_per_problem: float | None = None
    """Mean, all samples of a problem together; None without problems, and in files of earlier versions."""
    peak_memory_bytes: int | None = None
    """The highest `MemoryRecord.peak_bytes`, so of the process that needed most; None where none was recorded."""
    peak_gpu_memory_bytes: int | None = None
    wall_seconds: float | None
    """Of all sessions together; one that was killed counts until it last finished a problem."""
    sessions: int = 1
    """It took so many to come this far."""
    alarms: tuple[str, ...]
    """What must not be overlooked."""
    thoughts_cut_off: int = 0
    """Steps whose thought was cut off."""
    stopped: str | None = None
    """Why problems are missing; None where none is."""
    missing: int = 0
    """Entries that a complete run has besides."""
    sampling: SamplingSummary | None = None
    """None with one sample a problem."""
    trees: TreesSummary | None = None
    """None where nothing was searched."""


class ResultsHead(_Record):
    """The file without its entries."""

    model_name: str
    label_level: int
    use_hierarchical_reasoning: bool
    summary: Summary
    config: dict[str, Any]
    """The resolved configuration, the seed, the versions and the commit."""


class ResultsFile(ResultsHead):
    """The whole file."""

    results: tuple[ResultEntry, ...]
