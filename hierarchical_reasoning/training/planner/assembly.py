"""From a configuration to the parts of a training run.

Whatever is wrong with what the user gave is found here, before a model is loaded.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from hierarchical_reasoning.backends import Backends
from hierarchical_reasoning.errors import ConfigError
from hierarchical_reasoning.model_combinations import (
    check_models,
    model_flag,
    notes_on_unused,
    unused_model_settings,
)
from hierarchical_reasoning.problems import Problem
from hierarchical_reasoning.prompts import Prompts
from hierarchical_reasoning.reasoning_parts import (
    Examples,
    make_reasoner,
    model_identities,
    no_examples,
    prices_by_role,
    shown_examples,
    with_examples_by_model,
)
from hierarchical_reasoning.results.records import ResultsHead, RoleUsage
from hierarchical_reasoning.results.summary import summarize
from hierarchical_reasoning.training.config import GrpoConfig
from hierarchical_reasoning.training.loading import check_model_folder
from hierarchical_reasoning.training.planner.patience import Waiting
from hierarchical_reasoning.training.planner.rollouts import Rollouts
from hierarchical_reasoning.training.problem_sets import read_problem_sets
from hierarchical_reasoning.verifiers import Verifier
from hierarchical_reasoning.versions import versions
from llm_backends import Backend, Price
from llm_backends.local.loading import find_device
from llm_backends.model_files import model_files
from taxonomy import ThoughtType, load_taxonomy
from taxonomy.examples import LevelExamples

_FREE_TO_PLAN = Price(input=0, output=0)


@dataclass(frozen=True)
class TrainingParts:
    """What a training run is made of, checked, short of its models."""

    config: GrpoConfig
    problems: tuple[Problem, ...]
    held_out: tuple[Problem, ...]
    verifier: Verifier
    prompts: Prompts
    options: tuple[ThoughtType, ...]
    examples: Examples
    settings: Mapping[str, Any]
    """All that can change the weights: a resumed run must share it."""
    prices: Mapping[str, Price | None]
    """By role; None where a model has no known price."""
    notes: tuple[str, ...]
    """What the user should know before it starts."""
    examples_spent: RoleUsage | None = None
    """What choosing the in-context examples took."""

    def results_head(self) -> ResultsHead:
        """Of the files with episodes."""
        config = self.config
        return ResultsHead(
            model_name=config.reasoning_model_name,
            label_level=config.label_level,
            use_hierarchical_reasoning=True,
            summary=summarize(()),
            config={
                **config.model_dump(mode="json"),
                "llm_framework": config.framework,
                "num_icl_examples": config.n_examples,
                "planner_temperature": config.planner_sampling_temperature,
                "answer_format": self.verifier.format,
                "versions": versions(),
            },
        )

    def rollouts(
        self,
        planner: Backend,
        backends: Backends,
        waiting: Callable[[Waiting], None] = lambda waiting: None,
    ) -> Rollouts:
        """
        Args:
            planner: runs the weights that are trained.
            backends: of the reasoner, and of the judge where there is one.
            waiting: told when nothing is asked for a while, since calls fail.
        """
        config = self.config
        return Rollouts(
            planner=planner,
            reasoner=make_reasoner(config, self.prompts, backends.reasoner, self.examples),
            verifier=self.verifier.judged_by(backends.judge),
            options=self.options,
            label_level=config.label_level,
            max_steps=config.max_steps_per_episode,
            length_reward_weight=config.length_reward_weight,
            max_concurrency=config.max_concurrency,
            seed=config.seed,
            prices=self.prices,
            patience_s=config.reasoner_patience,
            waiting=waiting,
        )


def check_training(config: GrpoConfig) -> None:
    """Find whatever is wrong with what the user gave, before anything is started or spent. Raises as
    `assemble_training`."""
    assemble_training(config, no_examples(config))


async def prepare_training(config: GrpoConfig, *, serving: GrpoConfig | None = None) -> TrainingParts:
    """As :func:`assemble_training`, and have the high-level model choose the in-context examples, where one was asked
    for.

    Args:
        config: of the training run.
        serving: the same with the address of a server that was started for it.

    Raises:
        UsageError, TaxonomyError, BackendError: as `assemble_training`, and what the high-level model raises.
    """
    return await with_examples_by_model(assemble_training, config, serving)


def assemble_training(config: GrpoConfig, chosen_examples: LevelExamples | None = None) -> TrainingParts:
    """Read and check everything that training needs, short of its models.

    Args:
        config: of the training run.
        chosen_examples: those of the level; None: they are chosen here, without a model.

    Raises:
        UsageError: files, settings or combinations of them that cannot be used.
        TaxonomyError: the taxonomy cannot be used, or lacks the level.
        BackendError: there is no such backend, or a key is missing.
    """
    unused = _check_settings(config)
    asked = read_problem_sets(config)
    verifier, problems = asked.verifier, asked.problems
    prompts = Prompts(config.prompt_style, verifier.answer_form, config.prompts_dir)
    options = load_taxonomy(config.tree_model_path).at_level(config.label_level)
    prompts.check(problems[0], options[0])
    examples, example_notes = shown_examples(config, options, chosen_examples)
    settings = config.affecting_weights() | {
        "problems_sha256": asked.sha256,
        "answer_format": verifier.format,
        "prompts_sha256": prompts.sha256,
        "options": [[option.node_id, option.name, option.description] for option in options],
        "examples": {name: list(texts) for name, texts in examples.items()},
        "models": _identities(config),
    }
    return TrainingParts(
        config,
        problems,
        asked.held_out,
        verifier,
        prompts,
        options,
        examples,
        settings,
        {"planner": _FREE_TO_PLAN} | prices_by_role(config),
        (*unused, *asked.notes, *example_notes),
    )


def _check_settings(config: GrpoConfig) -> tuple[str, ...]:
    """Notes on settings that have no effect."""
    if config.sample_action and config.planner_sampling_temperature == 0:
        flag = "--temperature" if config.planner_temperature is None else "--planner_temperature"
        raise ConfigError(
            f"{flag} 0 with --sample_action: at temperature 0 the planner samples nothing, and rollouts that are "
            f"all alike teach nothing; give a {flag} above 0"
            + (", or a --planner_temperature" if flag == "--temperature" else "")
        )
    check_models(config)
    find_device(config.device)
    check_model_folder("--planner_model_name", config.planner_model_name, config.planner_path)
    if config.framework == "local":
        check_model_folder(model_flag(config, "reasoner"), config.main_model_name, config.reasoner.model_path)
    # The planner runs in this process, on the device.
    unused = unused_model_settings(config) - {"device"}
    return notes_on_unused(config, unused, f"--llm_framework {config.framework}")


def _identities(config: GrpoConfig) -> dict[str, object]:
    """What the models are. Where a server is may change from one session to the next."""
    identities = {
        role: {name: value for name, value in identity.items() if name != "base_url"}
        for role, identity in model_identities(config).items()
    }
    return {"planner": model_files(config.planner_path), **identities}
