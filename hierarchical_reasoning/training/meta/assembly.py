"""From a configuration to what is meta-learned, with what there is to learn from."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass
from typing import Any

from hierarchical_reasoning.errors import ConfigError
from hierarchical_reasoning.journal.file import fingerprint
from hierarchical_reasoning.prompts import Prompts
from hierarchical_reasoning.training.loading import check_model_folder
from hierarchical_reasoning.training.meta.adapter import Adapters, by_problem
from hierarchical_reasoning.training.meta.answers_file import read_answers, write_answers
from hierarchical_reasoning.training.meta.config import MetaConfig, check_meta
from hierarchical_reasoning.training.meta.families import FamilyProblems, read_families
from hierarchical_reasoning.training.meta.head import Head
from hierarchical_reasoning.training.meta.rollouts import Answer, Answers
from hierarchical_reasoning.training.meta.subject import Subject
from hierarchical_reasoning.training.run import check_packages
from hierarchical_reasoning.values.encoders import HashedWords, HiddenStates
from hierarchical_reasoning.verifiers import Verifier, verifier_for
from llm_backends.local import LocalBackend
from llm_backends.local.loading import find_device, load_model
from llm_backends.model_files import model_files


@dataclass(frozen=True)
class MetaParts:
    """What a run is made of, checked, short of its model."""

    config: MetaConfig
    problems: FamilyProblems
    verifier: Verifier
    prompts: Prompts
    settings: Mapping[str, Any]
    """All that can change what is learned: a resumed run must share it."""
    notes: tuple[str, ...]


def assemble_meta(config: MetaConfig) -> MetaParts:
    """
    Raises:
        UsageError: files, settings or combinations of them that cannot be used.
        BackendError: this machine has no such device.
    """
    notes = check_meta(config)
    check_packages(())
    find_device(config.device)
    check_model_folder("--model_id", config.model_id, config.model_path)
    problems = read_families(config)
    verifier, note = verifier_for(config.ground_truth_format, problems.everything())
    for problem in problems.everything():
        if verifier.ground_truth(problem) is None:
            raise ConfigError(
                f"problem {problem.id!r} has no ground truth, so no answer to it could be graded; every problem needs "
                "one (--data_file, --answer_field)"
            )
    prompts = Prompts(answer_form=verifier.answer_form, directory=config.prompts_dir)
    prompts.vanilla(problems.test[0])
    settings = config.affecting_weights() | {
        "problems_sha256": fingerprint(
            {"problems": [[each.id, each.text, each.answers] for each in problems.everything()]}
        ),
        "trained_families": list(problems.train),
        "answer_format": verifier.format,
        "prompts_sha256": prompts.sha256,
        "model": model_files(config.model_path),
    }
    return MetaParts(config, problems, verifier, prompts, settings, (*notes, *problems.notes, note))


async def open_subject(parts: MetaParts, stack: AsyncExitStack, *, resumed: bool) -> Subject:
    """What is meta-learned, with its examples gathered.

    Args:
        stack: closes what is opened here.
        resumed: take the answers that were drawn when the run began.

    Raises:
        BackendError: the model cannot be loaded, or cannot be trained.
        UsageError: there is too little to learn from, or it cannot be written down.
        VerifierError: an answer cannot be graded.
    """
    config, problems = parts.config, parts.problems
    acting = LocalBackend(
        config.model_path,
        dtype=config.dtype,
        device=config.device,
        max_batch_size=config.max_concurrency,
        model_flag="--model_id",
    )
    stack.push_async_callback(acting.aclose)
    stack.push_async_callback(parts.verifier.aclose)
    answers = Answers(config, acting, acting.model.chat, parts.prompts, parts.verifier)
    drawn = by_problem(await _learned_from(parts, answers, resumed=resumed))
    if config.parameters == "head":
        encoder = HashedWords() if config.encoder == "words" else HiddenStates(acting.model)
        return await Head.gather(config, problems, encoder, drawn)
    model = load_model(config.model_path, dtype=config.dtype, device=config.device, flag="--model_id")
    return Adapters(config, problems, model, acting, answers, drawn)


async def _learned_from(parts: MetaParts, answers: Answers, *, resumed: bool) -> list[Answer]:
    """What the model draws; nothing where the problems come with answers."""
    config, problems = parts.config, parts.problems
    if config.learn_from == "solutions":
        return []
    kept = read_answers(config.output_dir) if resumed else None
    if kept is not None:
        return kept
    tested = problems.test if config.parameters == "head" else ()
    trained = (problem for members in problems.train.values() for problem in members)
    drawn = await answers.drawn([*trained, *problems.support, *tested])
    write_answers(config.output_dir, drawn)
    return drawn
