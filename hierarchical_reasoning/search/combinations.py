"""Which settings of a search go together, and with those of a run."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hierarchical_reasoning.errors import ConfigError
from hierarchical_reasoning.search.settings import LEARNED, OF_VALUE_HEAD, SearchSettings
from hierarchical_reasoning.verifiers import Verifier

if TYPE_CHECKING:
    from hierarchical_reasoning.config import RunConfig

_DRAWING_PLANNERS = ("model", "uniform", "markov", "untyped")
_EMBEDDING_FRAMEWORKS = ("openai", "together", "vllm")


def check_search(config: RunConfig, mode: str) -> None:
    """
    Raises:
        ConfigError: a setting of a search needs another one, or contradicts it.
    """
    if config.search is None:
        if config.values_answers:
            _check_features(config)
        return
    search = f"--search {config.search}"
    if config.vanilla_baseline or config.joint or config.planner not in _DRAWING_PLANNERS:
        what = "--joint" if config.joint else mode
        raise ConfigError(
            f"{search} follows several of a planner's thought types, and does not go with {what}; take --planner "
            f"{', '.join(_DRAWING_PLANNERS[:-1])} or {_DRAWING_PLANNERS[-1]}"
        )
    if config.planner == "untyped" and config.temperature == 0 and config.branching_factor > 1:
        raise ConfigError(
            f"{search} with --planner untyped takes several samples of the next thought, and with --temperature 0 all "
            "are the same; give a --temperature above 0, or --branching_factor 1"
        )
    if config.repeat_types and config.temperature == 0 and config.branching_factor > 1:
        raise ConfigError(
            "--repeat_types takes several samples of a thought, and with --temperature 0 all are the same; give a "
            "--temperature above 0"
        )
    if config.planner == "untyped" and config.local_reward == "prior":
        raise ConfigError(
            "--local_reward prior is the planner's probability of a thought type, and with --planner untyped there is "
            "none; take likelihood, heuristic, value or judge"
        )
    for flag, source in (("--local_reward", config.local_reward), ("--path_reward", config.path_reward)):
        if source == "value" and not config.learns_values:
            raise ConfigError(
                f"{flag} value is what a value head expects, and --uncertainty is {config.uncertainty}; take one of "
                f"{', '.join(LEARNED)}"
            )
        if source == "judge" and config.high_level_model is None:
            raise ConfigError(f"{flag} judge has a model rate; name it with --high_level_model_name")
    if config.learns_values:
        _check_features(config)


def _check_features(config: RunConfig) -> None:
    features = config.value_features
    if features == "states" and config.framework != "local":
        raise ConfigError(
            f"--value_features states are those of a model in this process, and --llm_framework is "
            f"{config.framework}; take embeddings or words"
        )
    if features == "embeddings":
        if config.embedding_model_name is None:
            raise ConfigError(
                "--value_features embeddings needs a model that makes them; name it with --embedding_model_name"
            )
        if config.framework not in _EMBEDDING_FRAMEWORKS:
            raise ConfigError(
                f"--value_features embeddings come from {', '.join(_EMBEDDING_FRAMEWORKS)}, and --llm_framework is "
                f"{config.framework}; take {'states or words' if config.framework == 'local' else 'words'}"
            )


def check_path_reward(config: RunConfig, verifier: Verifier) -> None:
    """
    Raises:
        ConfigError: answers of this format cannot be rewarded so.
    """
    if config.search is None:
        return
    if config.path_reward == "check" and not verifier.computes_truth:
        raise ConfigError(
            "--path_reward check asks the problem alone whether an answer is right, which answers of the format "
            f"{verifier.format} do not tell; take agreement, value or judge"
        )
    if config.path_reward == "verifier" and config.answers_are_judged:
        raise ConfigError(
            "--path_reward verifier reads the ground truth, and --ground_truth_format judge would have a model do so "
            "at every answer; take agreement, value or judge"
        )


def unused_search_settings(config: RunConfig) -> set[str]:
    """The settings of a search that have no effect, or, with one, the setting that it stands in for."""
    if config.search is None:
        return set(SearchSettings.model_fields) - (OF_VALUE_HEAD if config.values_answers else set())
    unused = {"max_reasoning_steps"}
    if config.planner == "untyped":
        unused.add("repeat_types")
    if config.search == "mcts":  # follows every child down to an answer
        unused.add("verification_threshold")
    else:
        unused |= {"mcts_c", "mcts_leaves"}
    if not config.learns_values:
        unused |= {*OF_VALUE_HEAD, "learn_every"}
    if config.uncertainty != "disagreement":
        unused.add("uncertainty_samples")
    if config.no_pruning:
        unused.add("pruning_threshold")
    if config.path_reward == "value":
        unused.add("learn_every")
    return unused


def notes_on_search(config: RunConfig) -> tuple[str, ...]:
    """What the user should know of it."""
    if config.values_answers and config.samples == 1:
        return ("--value_head values each answer, and with --samples 1 there is nothing to choose from",)
    if config.search is None or config.path_reward != "verifier":
        return ()
    return (
        "ORACLE: --path_reward verifier shows the search the ground truth; what it finds is a bound, and no result of "
        "a method",
    )
