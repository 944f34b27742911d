"""Which settings are the study's, and which are those of thoughts."""

from __future__ import annotations

from hierarchical_reasoning.reasoning_config import HOW_ASKED, MODEL_SETTINGS
from hierarchical_reasoning.search.settings import SearchSettings

HOW_DONE = HOW_ASKED | {"fail_on_error", "retry_errors"}
"""Settings that no reply depends on, and that may be others when a study goes on."""
OF_THE_STUDY = HOW_DONE | {
    "answer_field",
    "category",
    "ground_truth_format",
    "input_file",
    "n_rows",
    "number_tolerance",
    "problem_field",
    "problem_shape",
    "sample_id",
    "samples",
    "seed",
    "shuffle",
}
"""Settings that no arm has for itself: problems, how they are graded, and how the study is done."""
OF_THOUGHTS = frozenset(
    {
        *SearchSettings.model_fields,
        *(f"planner_{name}" for name in MODEL_SETTINGS),
        "examples_file",
        "joint",
        "label_level",
        "max_choice_tokens",
        "max_reasoning_steps",
        "max_thought_tokens",
        "num_icl_examples",
        "planner",
        "planner_sequence",
        "planner_temperature",
        "rollouts_file",
        "tree_model_path",
    }
)
"""Settings that a vanilla prompt knows nothing of."""
