"""One object that says what a run is; command line and Python build it alike, and its dump runs the run again."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Annotated, Literal

from pydantic import AfterValidator, BeforeValidator, Field

from hierarchical_reasoning.assets import TEST_PROBLEMS
from hierarchical_reasoning.error_limit import errors_allowed
from hierarchical_reasoning.reasoning_config import (
    BUNDLED,
    HOW_ASKED,
    MODEL_SETTINGS,
    ModelChoice,
    ReasoningConfig,
)
from hierarchical_reasoning.search.settings import SearchSettings

PlannerName = Literal["model", "teacher", "uniform", "markov", "fixed", "untyped"]


def _checked_limit(limit: str) -> str:
    errors_allowed(limit, 1)
    return limit


class RunConfig(ReasoningConfig, SearchSettings):
    """Everything a run can be told. Fields are named as the flags are."""

    input_file: Path = TEST_PROBLEMS
    n_rows: int | None = Field(10, ge=1)
    """None: all."""

    vanilla_baseline: bool = False
    max_reasoning_steps: int = Field(10, ge=1)
    planner: PlannerName = "model"
    planner_sequence: str | None = None
    joint: bool = False
    """Thought type and thought in one call."""
    rollouts_file: Path | None = None
    """Labeled rollouts for the Markov planner; the bundled ones where the taxonomy is the bundled one."""

    model_name: str = BUNDLED
    planner_model_name: str | None = None
    """None: `model_name`."""
    planner_llm_framework: str | None = None
    planner_base_url: str | None = None
    planner_api_key_env: str | None = None
    planner_extra_body: str | None = None
    top_p: float = Field(1.0, gt=0, le=1)
    """Of the reasoner's draws: from the fewest tokens whose probabilities reach this sum."""
    max_choice_tokens: int = Field(512, ge=1)
    """Of a planner's reply; a model that reasons first needs more."""

    samples: int = Field(1, ge=1, le=10_000)
    """Of every problem, independent of each other."""
    fail_on_error: Annotated[str, BeforeValidator(str), AfterValidator(_checked_limit)] | None = None
    """A run stops when more problems end in an error: a count ("3"), or a share of all ("10%", "0.1"). None: it goes
    on, whatever happens to problems."""
    retry_errors: bool = True
    """A resumed run makes attempts again that ended in an error."""

    @property
    def planner_model(self) -> ModelChoice:
        """The model that plans, where one does."""
        return self._other("planner") or self.reasoner

    @property
    def asked_planner(self) -> ModelChoice | None:
        """The model that plans; None where none does, or the main one chooses and thinks in one call."""
        asked = self.planner == "model" and not self.vanilla_baseline and not self.joint
        return self.planner_model if asked else None

    @property
    def judge_model(self) -> ModelChoice | None:
        """The model that judges final answers, or rates what a search finds; None where neither is asked for."""
        return self.high_level_model if self.answers_are_judged or self.asks_judge else None

    @property
    def embedding_model(self) -> ModelChoice | None:
        """The model whose embeddings a value head sees, on the main model's server."""
        name = self.embedding_model_name
        asked = self.values_answers or (self.search is not None and self.learns_values)
        wanted = asked and self.value_features == "embeddings"
        return (
            None if name is None or not wanted else replace(self.reasoner, model_name=name, extra_body=None)
        )

    @property
    def shows_taxonomy_examples(self) -> bool:
        typed = not self.vanilla_baseline and self.planner != "untyped"
        return typed and super().shows_taxonomy_examples

    def affecting_output(self) -> dict[str, object]:
        """The settings that can change what becomes of a problem. Files stand for what is in them and models for what
        they are, so they are not here; nor is which problems are chosen."""
        files = {
            "input_file",
            "tree_model_path",
            "prompts_dir",
            "examples_file",
            "rollouts_file",
            "value_head",
        }
        models = {f"{role}{name}" for role in ("", "planner_", "high_level_") for name in MODEL_SETTINGS}
        which = {"fail_on_error", "retry_errors", "samples", "n_rows", "sample_id"}
        # Without a search there is nothing of it, as in journals that know of none.
        searching = set() if self.search is not None else set(SearchSettings.model_fields)
        if self.values_answers:
            searching.discard("value_features")
            if self.value_features == "embeddings":
                searching.discard("embedding_model_name")
        same = self.model_dump(mode="json", exclude=files | models | which | HOW_ASKED | searching)
        # Without a temperature of its own a planner has that of all others, as in journals that know of no other.
        if same.pop("planner_temperature") not in (None, self.temperature):
            same["planner_temperature"] = self.planner_temperature
        if same["top_p"] == 1:  # as in journals that know of none
            del same["top_p"]
        return same | {"num_icl_examples": self.n_examples}
