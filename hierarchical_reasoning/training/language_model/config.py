"""What a run that trains a language model can be told."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field, model_validator

from hierarchical_reasoning.reasoning_config import BUNDLED, ModelChoice
from hierarchical_reasoning.rewards import RewardWeights
from hierarchical_reasoning.search.settings import SearchName
from hierarchical_reasoning.training.config import Aggregation, TrainingConfig
from hierarchical_reasoning.training.explorers.presets import PRESETS as EXPLORER_PRESETS
from hierarchical_reasoning.training.explorers.settings import DELIMITERS, EntropyTreeSettings
from hierarchical_reasoning.values.settings import HeadSettings

ExplorerName = Literal["linear", "entropy_tree", "thought_tree", "search_tree"]
CreditName = Literal["outcome", "descendant_mean", "hierarchical"]
ObjectiveName = Literal["grpo", "dapo", "hapo"]
EstimatorName = Literal["centred", "scaled", "hapo"]
PresetName = Literal["treerpo", "hato", "bundled"]
SpreadMetric = Literal["rewards", "acc"]
LocalSource = Literal["heuristic", "value", "judge"]

OBJECTIVES: dict[str, dict[str, Any]] = {
    "grpo": {"adv_estimator": "scaled", "loss_agg_mode": "seq-mean-token-mean"},
    "dapo": {"adv_estimator": "scaled", "clip_ratio_high": 0.28, "filter_groups": True},
    "hapo": {
        "adv_estimator": "hapo",
        "adaptive_temperature": True,
        "adaptive_advantage": True,
        "adaptive_clip": True,
    },
}
"""What each objective sets, where nothing else is given."""
GRPO_ON_NODES: dict[str, dict[str, Any]] = {
    "descendant_mean": {"adv_estimator": "centred", "loss_agg_mode": "token-mean"},
    "hierarchical": {"adv_estimator": "scaled", "loss_agg_mode": "token-mean"},
}
"""What ``grpo`` sets instead where nodes are compared: as TreeRPO and HATO have it."""


KL_IN_REWARD = 0.001
"""What `kl_coeff` is with `kl_in_reward`, where it is not given: verl's."""


def _of_trees(name: str) -> dict[str, Any]:
    """The fields of an explorer's preset."""
    preset = EXPLORER_PRESETS[name]
    sampling = asdict(preset.sampling)
    tree = asdict(preset.tree)
    return {field: sampling[field] for field in SAMPLING} | {field: tree[field] for field in ENTROPY_TREE}


SAMPLING = ("temperature", "top_p", "top_k", "repetition_penalty")
ENTROPY_TREE = (
    *("max_depth", "min_segment_len", "entropy_threshold", "entropy_topk"),
    *("coverage_min_chars", "coverage_children_max", "max_new_tokens", "delimiters"),
)
PRESETS: dict[str, dict[str, Any]] = {
    "treerpo": _of_trees("treerpo")
    | {
        "batch_size": 16,
        "gradient_accumulation_steps": 1,
        "logging_steps": 50,
        "save_every": 200,
        "save_total_limit": 2,
    },
    "hato": {
        "max_depth": 3,
        "branching_factor": 5,
        "initial_temperature": 0.7,
        "temperature_decay": 2.0,
        "gen_batch_size": 32,
        "batch_size": 8,
        "gradient_accumulation_steps": 1,
        "epochs": 3,
        "eval_every": 500,
        "save_every": 1000,
    },
    "bundled": _of_trees("bundled")
    | {
        "n_rows": 160,
        "epochs": 1,
        "batch_size": 8,
        "gradient_accumulation_steps": 1,
        "learning_rate": 1e-4,
    },
}
"""Settings that go together: `treerpo` is its published run, `hato` what its published files have, `bundled` fits the
shipped model's short answers."""


class LanguageModelConfig(TrainingConfig):
    """Everything a run that trains a language model can be told. Fields are named as the flags are."""

    main_model: ClassVar[str] = "model_id"
    trained_model: ClassVar[str] = "model_id"

    model_id: str = BUNDLED
    explorer: ExplorerName = "linear"
    credit: CreditName = "outcome"
    objective: ObjectiveName = "grpo"
    preset: PresetName | None = None
    """Gives what is not given otherwise. None: ``bundled`` where the model is the bundled one, else none."""

    num_rollouts_per_prompt: int = Field(8, ge=2)
    """Of the explorer ``linear``."""
    max_depth: int = Field(7, ge=1)
    min_segment_len: int = Field(150, ge=1)
    entropy_threshold: float = Field(1.0, ge=0, allow_inf_nan=False)
    entropy_topk: int = Field(20, ge=2)
    coverage_min_chars: int = Field(150, ge=1)
    coverage_children_max: int = Field(4, ge=0)
    delimiters: tuple[Annotated[str, Field(min_length=1)], ...] = Field(DELIMITERS, min_length=1)
    """These seven are of ``entropy_tree``."""
    branching_factor: int = Field(3, ge=1)
    branching_depth: int = Field(2, ge=0)
    max_leaves: int = Field(64, ge=1)
    max_steps_per_episode: int = Field(10, ge=2)
    """These four are of ``thought_tree``."""

    search_algorithm: SearchName = "beam"
    max_nodes_per_level: int = Field(5, ge=1)
    max_nodes: int = Field(1000, ge=1)
    verification_threshold: float = Field(0.7, ge=0, le=1)
    pruning_threshold: float = Field(0.2, ge=0, le=1)
    sparse_materialization: bool = True
    uncertainty: HeadSettings = HeadSettings()
    """These seven are of ``search_tree``, which reads `max_depth` and `branching_factor` as well. What tells values
    sees hashed words, which mean the same whatever the weights are."""

    temperature: float = Field(1.0, gt=0, le=2)
    """Of answers that are measured, and of those that are learned from, unless `initial_temperature` is given."""
    initial_temperature: float | None = Field(None, gt=0, le=2)
    """Of the first update's rollouts; None: `temperature`."""
    temperature_decay: float = Field(0.0, ge=0, le=10)
    """T = initial_temperature * exp(-temperature_decay * share of updates made); 0: it stays."""
    top_p: float = Field(1.0, gt=0, le=1)
    top_k: int = Field(0, ge=0)
    """0: all."""
    repetition_penalty: float = Field(1.0, gt=0, allow_inf_nan=False)
    max_new_tokens: int = Field(1024, ge=2)

    reward_alpha: float = Field(0.4, ge=0, allow_inf_nan=False)
    reward_beta: float = Field(0.5, ge=0, allow_inf_nan=False)
    reward_gamma: float = Field(0.1, ge=0, allow_inf_nan=False)
    """Of the credit ``hierarchical``: weights of the local, the path and the causal reward."""
    local_reward: LocalSource = "heuristic"
    """Of the credit ``hierarchical``: what a node is worth by itself. ``heuristic``: words that it shares with what is
    before it and with the problem; ``value``: what the value head of the explorer ``search_tree`` expects of it;
    ``judge``: how the high-level model rates it. With the last two a search goes by the same rewards; with the first,
    by how likely the planner finds a thought's type."""

    adv_estimator: EstimatorName = "centred"
    norm_adv_by_std_in_grpo: bool = True
    """Of the estimator ``hapo``."""
    clip_ratio_low: float = Field(0.2, gt=0, lt=1)
    clip_ratio_high: float = Field(0.2, gt=0, allow_inf_nan=False)
    clip_ratio_c: float = Field(3.0, gt=1, allow_inf_nan=False)
    """Of the dual clip."""
    loss_agg_mode: Aggregation = "token-mean"
    kl_coeff: float = Field(0.0, ge=0, allow_inf_nan=False)
    """Weight of the KL to the model that training started from: in the loss, estimated by k3, or with `kl_in_reward` in
    the reward."""
    kl_in_reward: bool = False
    """Take the KL of an answer's tokens, estimated by k1, off its reward, before credit is given."""
    entropy_pivot: float = Field(0.8, ge=0, le=1)
    adaptive_temperature: bool = False
    temperature_tau: float = Field(0.05, ge=0, lt=1)
    adaptive_advantage: bool = False
    adv_beta: float = Field(1.0, ge=0, allow_inf_nan=False)
    adaptive_clip: bool = False
    clip_alpha: float = Field(1.0, ge=0, le=1)

    gpu_memory_utilization: float | None = Field(None, gt=0, le=1)
    """Of the vLLM server that is started to act. None: vLLM's choice."""

    gen_batch_size: int | None = Field(None, ge=1)
    """Problems that an update rolls out, of which it learns from the first `batch_size *
    gradient_accumulation_steps` whose groups have spread; None: so many are rolled out."""
    filter_groups_metric: SpreadMetric = "rewards"
    """What groups are to have spread in: what credit compares, or whether answers are right (``acc``)."""
    max_length: int | None = Field(None, ge=2)
    """Tokens of a prompt and what is drawn after it; None: as many as the model can hold."""
    track_diversity: bool = False
    track_novelty: bool = False
    """Against all earlier trees, whose n-grams are kept in memory."""
    track_robustness: bool = False
    """These three add figures of the trees to every update's record."""

    output_dir: Path = Path("cache/checkpoints/language_model")
    n_rows: int = Field(64, ge=1)

    @model_validator(mode="before")
    @classmethod
    def _what_is_not_given(cls, given: Any) -> Any:
        if not isinstance(given, dict):
            return given
        bundled = given.get("model_id", BUNDLED) == BUNDLED
        preset = given.get("preset") or ("bundled" if bundled else None)
        usual = PRESETS.get(str(preset), {}) | OBJECTIVES.get(str(given.get("objective", "grpo")), {})
        if given.get("objective", "grpo") == "grpo":
            usual = usual | GRPO_ON_NODES.get(str(given.get("credit")), {})
        if given.get("kl_in_reward"):
            usual = usual | {"kl_coeff": KL_IN_REWARD}
        if isinstance(kind := given.get("uncertainty"), str):
            given = given | {"uncertainty": HeadSettings(kind)}  # type: ignore[arg-type]  # it checks what it gets
        if given.get("vllm_base_url") or given.get("vllm_auto_start"):
            usual = usual | {"llm_framework": "vllm"}
        return usual | {"preset": preset} | {name: value for name, value in given.items() if name != "preset"}

    @property
    def problems_rolled_out(self) -> int:
        return self.problems_per_update if self.gen_batch_size is None else self.gen_batch_size

    @property
    def reasoner(self) -> ModelChoice:
        """The model in training, which acts in this process unless a vLLM server is asked for, whatever its name is."""
        framework = self.llm_framework or "local"
        return ModelChoice(framework, self.model_id, self._url(framework, self.base_url))

    @property
    def judge_model(self) -> ModelChoice | None:
        """The model that rates thoughts; None where none does, or none was named."""
        return self.high_level_model if self.judges_thoughts else None

    @property
    def judges_thoughts(self) -> bool:
        """Whether a model rates what a node is worth by itself."""
        return self.credit == "hierarchical" and self.local_reward == "judge"

    @property
    def longest_sequence(self) -> int:
        """Tokens that one advantage can be given to: those of an answer, or of a segment of one."""
        of_answers = self.credit == "outcome"
        if self.thinks_in_steps:
            thoughts = (self.longest_trace - 1) * self.max_thought_tokens
            longest = max(self.max_thought_tokens, self.max_answer_tokens)
            return thoughts + self.max_answer_tokens if of_answers else longest
        if self.explorer == "entropy_tree" and of_answers:
            return EntropyTreeSettings(max_new_tokens=self.max_new_tokens).answer_tokens
        return self.max_new_tokens

    @property
    def thinks_in_steps(self) -> bool:
        """Whether rollouts are made of thoughts that have a type each."""
        return self.explorer in ("thought_tree", "search_tree")

    @property
    def longest_trace(self) -> int:
        """Steps at most, the last of which is "Finish thinking"."""
        return self.max_depth + 1 if self.explorer == "search_tree" else self.max_steps_per_episode

    @property
    def reward_weights(self) -> RewardWeights:
        return RewardWeights(self.reward_alpha, self.reward_beta, self.reward_gamma)

    @property
    def first_temperature(self) -> float:
        """Of the first update's rollouts."""
        return self.temperature if self.initial_temperature is None else self.initial_temperature

    @property
    def depends_on_length(self) -> bool:
        return super().depends_on_length or self.temperature_decay > 0

    @property
    def needs_entropy(self) -> bool:
        """Whether the loss or the sampling reads how unsure the model was."""
        return self.adaptive_temperature or self.adaptive_advantage or self.adaptive_clip

    @property
    def n_examples(self) -> int:
        """Prompts of a whole answer show none."""
        return super().n_examples if self.thinks_in_steps else 0
