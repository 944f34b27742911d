"""From a configuration to the parts of a run that trains a language model, checked before a model is loaded."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from hierarchical_reasoning.problems import Problem
from hierarchical_reasoning.prompts import Prompts
from hierarchical_reasoning.reasoning_parts import Examples, shown_examples
from hierarchical_reasoning.results.records import ResultsHead
from hierarchical_reasoning.results.summary import summarize
from hierarchical_reasoning.training.language_model.combinations import check_language_model
from hierarchical_reasoning.training.language_model.config import LanguageModelConfig
from hierarchical_reasoning.training.loading import check_model_folder
from hierarchical_reasoning.training.problem_sets import read_problem_sets
from hierarchical_reasoning.verifiers import Verifier
from hierarchical_reasoning.versions import versions
from llm_backends.local.loading import find_device
from llm_backends.model_files import model_files
from taxonomy import ThoughtType, load_taxonomy


@dataclass(frozen=True)
class LanguageModelParts:
    """What the run is made of, checked, short of its model."""

    config: LanguageModelConfig
    problems: tuple[Problem, ...]
    held_out: tuple[Problem, ...]
    verifier: Verifier
    prompts: Prompts
    options: tuple[ThoughtType, ...]
    """Where thoughts have types; else none."""
    examples: Examples
    """So are these."""
    settings: Mapping[str, Any]
    """All that can change the weights: a resumed run must share it."""
    notes: tuple[str, ...]

    def results_head(self) -> ResultsHead:
        """Of the files with episodes."""
        config = self.config
        return ResultsHead(
            model_name=config.model_id,
            label_level=config.label_level,
            use_hierarchical_reasoning=config.thinks_in_steps,
            summary=summarize(()),
            config={
                **config.model_dump(mode="json"),
                "llm_framework": config.framework,
                "answer_format": self.verifier.format,
                "versions": versions(),
            },
        )


def assemble_language_model(config: LanguageModelConfig) -> LanguageModelParts:
    """Read and check everything that training needs, short of its model.

    Raises:
        UsageError: files, settings or combinations of them that cannot be used.
        TaxonomyError: the taxonomy cannot be used, or lacks the level.
    """
    notes = check_language_model(config)
    find_device(config.device)
    check_model_folder("--model_id", config.model_id, config.trained_path)
    asked = read_problem_sets(config)
    prompts = Prompts(config.prompt_style, asked.verifier.answer_form, config.prompts_dir)
    options: tuple[ThoughtType, ...] = ()
    examples: Examples = {}
    example_notes: tuple[str, ...] = ()
    if config.thinks_in_steps:
        options = load_taxonomy(config.tree_model_path).at_level(config.label_level)
        prompts.check(asked.problems[0], options[0])
        examples, example_notes = shown_examples(config, options, None)
    else:
        prompts.vanilla(asked.problems[0])
    settings = config.affecting_weights() | {
        "problems_sha256": asked.sha256,
        "answer_format": asked.verifier.format,
        "prompts_sha256": prompts.sha256,
        "options": [[option.node_id, option.name, option.description] for option in options],
        "examples": {name: list(texts) for name, texts in examples.items()},
        "models": {"model": model_files(config.trained_path)},
    }
    return LanguageModelParts(
        config,
        asked.problems,
        asked.held_out,
        asked.verifier,
        prompts,
        options,
        examples,
        settings,
        (*notes, *asked.notes, *example_notes),
    )
