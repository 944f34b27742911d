"""What a run and a training run are told alike: problems, taxonomy, prompts, and which models are asked, how."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Literal

from pydantic import BaseModel, ConfigDict, Field

from hierarchical_reasoning.assets import MODEL, TAXONOMY
from hierarchical_reasoning.model_settings import USUAL_EXAMPLES, read_model_settings
from hierarchical_reasoning.problems import ShapeName

MODEL_SETTINGS = ("model_name", "llm_framework", "base_url", "api_key_env", "extra_body")
"""The settings that name a model; with `planner_` or `high_level_` before them, that of a role of its own."""
HOW_ASKED = frozenset(
    {
        "cache_dir",
        "gpu_memory_utilization",
        "max_concurrency",
        "max_retries",
        "no_cache",
        "prices",
        "request_timeout",
        "requests_per_minute",
        "start_vllm_verbose",
        "structured_output",
        "vllm_auto_start",
        "vllm_base_url",
        "vllm_gpus",
    }
)
"""The settings that say how models are reached and how fast; what they reply does not depend on them."""
JUDGE = "judge"
"""The answer format that a model grades."""
BUNDLED = "bundled"
"""The name of the shipped model, for ``--model_name``."""


@dataclass(frozen=True)
class ModelChoice:
    """Which model plays a role, and through which backend."""

    framework: str
    model_name: str
    """As it was given: a name the backend knows, a directory, or "bundled"."""
    base_url: str | None = None
    api_key_env: str | None = None
    """The environment variable with the key; None: the provider's usual one."""
    extra_body: str | None = None
    """JSON object of fields to send besides."""

    @property
    def is_bundled(self) -> bool:
        return self.model_name == BUNDLED

    @property
    def model_path(self) -> str:
        """What the backend loads or asks for."""
        return str(MODEL) if self.is_bundled else self.model_name


class ReasoningConfig(BaseModel):
    """The settings of every command that reasons. Fields are named as the flags are."""

    model_config = ConfigDict(frozen=True, extra="forbid", protected_namespaces=())

    main_model: ClassVar[str] = "model_name"
    """The field, and the flag, that names the main model, which reasons."""

    category: str | None = None
    sample_id: tuple[str, ...] = ()
    """Ids of the problems to take; `n_rows` plays no part then."""
    shuffle: bool = False
    """Take problems in an order drawn with `seed`."""
    ground_truth_format: str | None = None
    number_tolerance: float = Field(0, ge=0, lt=1, allow_inf_nan=False)
    """Allowed |answer - truth| / |truth| of the format ``number``."""
    problem_shape: ShapeName = "auto"
    problem_field: str | None = None
    answer_field: str | None = None

    tree_model_path: Path = TAXONOMY
    label_level: int = Field(3, ge=0)
    prompt_style: Literal["chat", "single"] = "chat"
    prompts_dir: Path | None = None
    num_icl_examples: int | None = Field(None, ge=0)
    """None: what the main model was trained with, where its directory says so (0 for the bundled one), else 5."""
    examples_file: Path | None = None
    """Examples by thought type, instead of those chosen from the taxonomy's chunks."""

    llm_framework: str | None = None
    """None: ``vllm`` or ``openai`` where the address of such a server is given, else ``local`` for the bundled model
    and for directories, else ``openai``."""
    base_url: str | None = None
    """Of an OpenAI-compatible server; None: the provider's."""
    api_key_env: str | None = None
    """Name of the environment variable that holds the main model's key; None: the provider's usual one."""
    extra_body: str | None = None
    """JSON object of fields that its server takes besides, such as ``{"reasoning_effort": "low"}``."""
    high_level_model_name: str | None = None
    """Chooses in-context examples, and judges answers with the format ``judge``; None: no model does."""
    high_level_llm_framework: str | None = None
    high_level_base_url: str | None = None
    high_level_api_key_env: str | None = None
    high_level_extra_body: str | None = None
    structured_output: Literal["auto", "json_schema", "words"] = "auto"
    """How a hosted model is held to the choices."""
    temperature: float = Field(0.1, ge=0, le=2)
    """Of the main model's draws. Above 2 hosted models refuse, and others write noise."""
    planner_temperature: float | None = Field(None, ge=0, le=2)
    """Of the planner's draws; None: `temperature`."""
    max_thought_tokens: int = Field(256, ge=1)
    max_answer_tokens: int = Field(1024, ge=1)
    dtype: Literal["auto", "bfloat16", "float32"] = "auto"
    device: str = "auto"
    trust_remote_code: bool = False

    vllm_base_url: str | None = None
    """None: the environment variable VLLM_BASE_URL, else port 8000 of this machine."""
    vllm_auto_start: bool = False
    vllm_gpus: str | None = None
    start_vllm_verbose: bool = False

    seed: int = 42
    cache_dir: Path = Path("cache")
    max_concurrency: int = Field(16, ge=1)
    max_retries: int = Field(5, ge=0)
    requests_per_minute: float | None = Field(None, gt=0, allow_inf_nan=False)
    request_timeout: float = Field(600, gt=0, allow_inf_nan=False)
    """Seconds, for hosted models."""
    no_cache: bool = False
    """Ask again even where the same request was answered before."""
    prices: Path | None = None
    """Prices that go over the shipped ones."""

    @property
    def main_model_name(self) -> str:
        """As it was given."""
        name: str = getattr(self, self.main_model)
        return name

    @property
    def framework(self) -> str:
        """The reasoner's backend."""
        return self.reasoner.framework

    @property
    def reasoner(self) -> ModelChoice:
        """The main model."""
        served = self.vllm_base_url is not None or self.vllm_auto_start
        name = self.main_model_name
        usual = "vllm" if served else "openai" if self.base_url else _usual_framework(name, "openai")
        framework = self.llm_framework or usual
        return ModelChoice(
            framework, name, self._url(framework, self.base_url), self.api_key_env, self.extra_body
        )

    @property
    def asked_planner(self) -> ModelChoice | None:
        """The model that plans through a backend; None where none does."""
        return None

    @property
    def high_level_model(self) -> ModelChoice | None:
        """The model that chooses examples; None where none was asked for."""
        return self._other("high_level")

    @property
    def judge_model(self) -> ModelChoice | None:
        """The model that judges answers; None where they are graded without one, or none was named."""
        return self.high_level_model if self.answers_are_judged else None

    @property
    def embedding_model(self) -> ModelChoice | None:
        """The model whose embeddings a value head sees; None where it sees something else, or there is none."""
        return None

    @property
    def answers_are_judged(self) -> bool:
        """Whether the answer format is the one that a model grades."""
        return (self.ground_truth_format or "").strip().lower() == JUDGE

    @property
    def planner_sampling_temperature(self) -> float:
        """Of the planner's draws."""
        return self.temperature if self.planner_temperature is None else self.planner_temperature

    @property
    def is_bundled_model(self) -> bool:
        return self.main_model_name == BUNDLED

    @property
    def n_examples(self) -> int:
        """In-context examples per thought type."""
        if self.num_icl_examples is not None:
            return self.num_icl_examples
        settings = read_model_settings(self.reasoner.model_path)
        own = self.examples_file is not None
        return USUAL_EXAMPLES if settings is None or own else settings.num_icl_examples

    @property
    def shows_taxonomy_examples(self) -> bool:
        """Whether in-context examples are chosen from the taxonomy's chunks."""
        return self.n_examples > 0 and self.examples_file is None

    def _other(self, role: str) -> ModelChoice | None:
        """The model that a role's own settings name, and what they leave open as for the main model; None where they
        name nothing. A key and further fields go to the main model's server alone, unless given for this one."""
        model_name, framework, base_url, api_key_env, extra_body = (
            getattr(self, f"{role}_{name}") for name in MODEL_SETTINGS
        )
        if model_name is framework is base_url is api_key_env is extra_body is None:
            return None
        name = self.main_model_name if model_name is None else model_name
        hosted = "openai" if self.framework == "local" else self.framework
        usual = self.framework if model_name is None else _usual_framework(name, hosted)
        chosen = framework or usual
        if base_url is None and chosen == self.framework:
            base_url = self.base_url
        url = self._url(chosen, base_url)
        if api_key_env is None and (chosen, url) == (self.framework, self.reasoner.base_url):
            api_key_env = self.api_key_env
        return ModelChoice(chosen, name, url, api_key_env, extra_body)

    def _url(self, framework: str, base_url: str | None) -> str | None:
        return base_url or (self.vllm_base_url if framework == "vllm" else None)


def _usual_framework(model_name: str, hosted: str) -> str:
    """The backend of a model that comes without one: in this process for the bundled one and for paths."""
    is_path = model_name.startswith((".", "/", "~")) or Path(model_name).is_dir()
    return "local" if model_name == BUNDLED or is_path else hosted
