"""What a search is told. Fields are named as the flags are; the main command's settings are these and others."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal, TypeAlias, get_args

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from hierarchical_reasoning.rewards.base import RewardWeights

SearchName: TypeAlias = Literal["beam", "bfs", "dfs", "best_first", "mcts"]
SEARCHES: tuple[SearchName, ...] = get_args(SearchName)
Uncertainty: TypeAlias = Literal["ensemble", "dropout", "bootstrap", "disagreement", "none"]
LEARNED: tuple[Uncertainty, ...] = ("ensemble", "dropout", "bootstrap")
"""The kinds of uncertainty that a value head tells, which learns values."""
OF_VALUE_HEAD = frozenset({"value_head", "value_features", "embedding_model_name"})
"""Which value head, and what it sees. Without a search it chooses among samples."""
PathRewardName: TypeAlias = Literal["agreement", "value", "judge", "check", "verifier"]
LocalRewardName: TypeAlias = Literal["prior", "likelihood", "heuristic", "value", "judge"]
Selection: TypeAlias = Literal["best_path", "vote"]
ValueFeatures: TypeAlias = Literal["auto", "states", "embeddings", "words"]


def _weights(weights: tuple[float, float, float]) -> tuple[float, float, float]:
    RewardWeights(*weights)
    return weights


class SearchSettings(BaseModel):
    """How a search grows its tree, and answers."""

    model_config = ConfigDict(frozen=True, extra="forbid", protected_namespaces=())

    search: SearchName | None = None
    """None: no search, a single trace."""
    max_depth: int = Field(3, ge=1)
    """Thoughts on a path at most; a path that has as many is answered."""
    branching_factor: int = Field(5, ge=1)
    """Children of a node at most, answers that are asked for besides not counted."""
    max_nodes_per_level: int = Field(5, ge=1)
    """Of ``beam``: how many of each level but the deepest are expanded."""
    max_nodes: int = Field(1000, ge=1)
    """Thoughts and answers on one problem, pruned ones included."""
    max_search_tokens: int | None = Field(None, ge=1)
    """Of prompts and replies on one problem, those that a cache served included; None: no bound."""
    max_search_calls: int | None = Field(None, ge=1)
    """Replies on one problem, unusable ones that are asked for again included; None: no bound."""
    verification_threshold: float = Field(0.7, ge=0, allow_inf_nan=False)
    """A node whose value or total is expected to reach it is answered before it is expanded."""
    pruning_threshold: float = Field(0.2, ge=0, allow_inf_nan=False)
    """A node is dropped when its total, and what is uncertain about it besides, stays below."""
    no_pruning: bool = False
    fixed_branching: bool = False
    """Every node that is expanded gets `branching_factor` children."""
    repeat_types: bool = False
    """Children may have the same thought type, each another sample of the thought, as the planner's probabilities have
    it; otherwise they are all of different types."""
    mcts_c: float = Field(1.25, ge=0, allow_inf_nan=False)
    """Of ``mcts``: the weight of what was visited little; Rosin (2011), with the constant of Silver et al. (2017)."""
    mcts_leaves: int = Field(1, ge=1)
    """Of ``mcts``: thoughts that are expanded together, each chosen as if those before it had been answered wrongly."""

    uncertainty: Uncertainty = "ensemble"
    uncertainty_samples: int = Field(3, ge=2)
    """Of ``disagreement``: answers that are asked for after each thought."""
    value_head: Path | None = None
    """A folder with a value head to begin with; None: it begins with nothing. Without a search it values the answer of
    each attempt."""
    value_features: ValueFeatures = "auto"
    """What a value head sees of a place. ``states``: hidden states of the model, which must run in this process;
    ``embeddings``: those of `embedding_model_name`; ``words``: hashed words, without a model. ``auto``: states where
    they are to be had, else words."""
    embedding_model_name: str | None = None
    learn_every: int = Field(8, ge=0)
    """The value head learns after so many attempts, in their order, from all of their trees; 0: it never does, and so
    with the path reward ``value``, which is its own opinion."""
    local_reward: LocalRewardName | None = None
    """What a thought is worth by itself. ``prior``: the planner's probability of its thought type; ``likelihood``: how
    likely the path so far is, thought types and tokens (`Likelihood.per_draw`); ``heuristic``: the words that it shares
    with what is before it and with the problem (HATO, spec/000), which favours repetition; ``value``: the value
    head's; ``judge``: the high-level model's rating. None: ``prior``, or ``heuristic`` where
    thoughts have no type."""
    path_reward: PathRewardName = "agreement"
    """What an answer is worth to a search. ``agreement``: the share of the answers so far that are equal to it;
    ``value``: the value head's; ``judge``: the high-level model's rating, without the ground truth; ``check``: whether
    it is right, where the problem alone tells; ``verifier``: whether it is right by the ground truth, an oracle that is
    no method."""
    reward_weights: Annotated[tuple[float, float, float], AfterValidator(_weights)] = (0.4, 0.5, 0.1)
    """Of local, path and causal reward."""
    select: Selection = "best_path"

    @property
    def weights(self) -> RewardWeights:
        return RewardWeights(*self.reward_weights)

    @property
    def learns_values(self) -> bool:
        """Whether there is a value head."""
        return self.uncertainty in LEARNED

    @property
    def learns_after(self) -> int:
        """Attempts after which the value head learns; 0: it never does."""
        return 0 if self.path_reward == "value" else self.learn_every

    @property
    def values_answers(self) -> bool:
        """Whether a value head says what it expects of answers, without a search."""
        return self.search is None and self.value_head is not None

    @property
    def answers_sampled(self) -> int:
        """Answers that are asked for after each thought, as soon as it is there."""
        return self.uncertainty_samples if self.uncertainty == "disagreement" else 0

    @property
    def asks_judge(self) -> bool:
        """Whether the high-level model rates thoughts or answers."""
        return self.search is not None and "judge" in (self.local_reward, self.path_reward)
