"""From the parts of a training run to a trained model: what the commands and Python call alike."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable
from contextlib import ExitStack, nullcontext
from typing import Any

from anyio.from_thread import BlockingPortal

from hierarchical_reasoning.backends import Backends
from hierarchical_reasoning.errors import ConfigError
from hierarchical_reasoning.training.checkpoints import Checkpoints
from hierarchical_reasoning.training.language_model.parts import LanguageModelParts
from hierarchical_reasoning.training.learner import Learner
from hierarchical_reasoning.training.loading import Weights
from hierarchical_reasoning.training.log import Record
from hierarchical_reasoning.training.planner.assembly import TrainingParts
from hierarchical_reasoning.training.planner.rollouts import Waiting
from hierarchical_reasoning.training.schedule import count_updates
from hierarchical_reasoning.training.sharding.launch import Launch
from hierarchical_reasoning.training.trackers import tracked
from hierarchical_reasoning.training.trainer import Parts, Trained, Training, silent
from llm_backends.vllm_server import StartProgress

_NEEDED = ("trl", "peft", "accelerate", "datasets")


def check_packages(report_to: tuple[str, ...]) -> None:
    """Raises ConfigError where a package that training needs is not installed."""
    missing = [name for name in (*_NEEDED, *report_to) if importlib.util.find_spec(name) is None]
    if missing:
        raise ConfigError(
            f"training needs {', '.join(missing)}, which {'is' if len(missing) == 1 else 'are'} not installed; "
            "pip install -e '.[train,track]'"
        )


def train_planner(
    parts: TrainingParts,
    backends: Backends,
    portal: BlockingPortal,
    launch: Launch,
    *,
    resume: bool = False,
    report: Callable[[Record], None] = silent,
    begins: Callable[[Training], None] = silent,
    waiting: Callable[[Waiting], None] = silent,
    stop_requested: Callable[[], int] = lambda: 0,
    rewards_shuffled: bool = False,
) -> Trained:
    """Train a planner to the end, or until it is asked to stop.

    Args:
        backends: of the reasoner, which is frozen; the caller closes them.
        portal: runs the event loop that rollouts live in, in a thread of its own; `backends` belong to it.
        launch: how many processes there are, and which this is.
        resume: go on from the newest checkpoint, if there is one.
        report: gets every record of the log as it is written, in the first process.
        begins: is told once everything is loaded and checked.
        waiting: is told when the reasoner is gone and the run waits for it.
        stop_requested: asked after every update; not 0, such as the number of a signal, stops the run.
        rewards_shuffled: an ablation; see `Gatherer`.

    Raises:
        UsageError: the output directory cannot be written, or holds another run.
        BackendError: the planner cannot be loaded, or its tokenizer cannot tell two options apart.
        TrainingError: training cannot go on; the message says from where to go on later.
    """
    from hierarchical_reasoning.training.planner.learner import PlannerLearner

    return train(
        parts,
        lambda weights: PlannerLearner(
            parts,
            backends,
            weights,
            share=(launch.rank, launch.processes),
            waiting=waiting,
            rewards_shuffled=rewards_shuffled,
        ),
        portal,
        launch,
        resume=resume,
        report=report,
        begins=begins,
        stop_requested=stop_requested,
    )


def train_language_model(
    parts: LanguageModelParts,
    portal: BlockingPortal,
    launch: Launch,
    *,
    resume: bool = False,
    report: Callable[[Record], None] = silent,
    begins: Callable[[Training], None] = silent,
    on_server: Callable[[StartProgress], None] = silent,
    stop_requested: Callable[[], int] = lambda: 0,
) -> Trained:
    """Train a language model to the end, or until it is asked to stop. Arguments and errors are those of
    `train_planner`, and

    Args:
        on_server: is told of a vLLM server that is started to act.

    Raises:
        ConfigError: there are several processes, and a vLLM server is to act.
        BackendError: the model that is to rate thoughts is not there.
    """
    from hierarchical_reasoning.training.language_model.learner import LanguageModelLearner
    from hierarchical_reasoning.training.language_model.thought_judge import ThoughtJudge

    if launch.processes > 1 and parts.config.framework == "vllm":
        raise ConfigError(
            f"--llm_framework vllm serves one process that trains, and {launch.processes} were started; start one, or "
            "take --llm_framework local, with which each process acts by itself"
        )
    share = (launch.rank, launch.processes)
    with ExitStack() as opened:
        judge = None
        if parts.config.judges_thoughts and not parts.config.val_only:
            judge = portal.call(ThoughtJudge.open, parts.config)  # there: a cache belongs to its thread
            opened.callback(portal.call, judge.aclose)
        return train(
            parts,
            lambda weights: LanguageModelLearner(
                parts, weights, share=share, on_server=on_server, judge=judge
            ),
            portal,
            launch,
            resume=resume,
            report=report,
            begins=begins,
            stop_requested=stop_requested,
        )


def train(
    parts: Parts,
    make_learner: Callable[[Weights], Learner[Any, Any]],
    portal: BlockingPortal,
    launch: Launch,
    *,
    resume: bool = False,
    report: Callable[[Record], None] = silent,
    begins: Callable[[Training], None] = silent,
    stop_requested: Callable[[], int] = lambda: 0,
) -> Trained:
    """Train whatever `make_learner` makes. Arguments and errors are those of `train_planner`."""
    from hierarchical_reasoning.training import trl_host
    from hierarchical_reasoning.training.measuring import MeasuringHost
    from hierarchical_reasoning.training.sharding import whole_models

    config = parts.config
    arguments = trl_host.trl_arguments(config, launch, count_updates(config, len(parts.problems)))
    checkpoints = Checkpoints(config.output_dir)
    checkpoints.make_directory()
    with checkpoints.locked() if launch.rank == 0 else nullcontext():
        with whole_models():
            training = Training(
                parts,
                lambda resumed_from: make_learner(
                    Weights.of(
                        config,
                        resumed_from,
                        device="cpu" if trl_host.is_sharded(arguments) else str(arguments.device),
                        acting_device=str(arguments.device),
                    )
                ),
                portal,
                resume=resume,
                report=report,
                stop_requested=stop_requested,
                share=(launch.rank, launch.processes),
            )
        with training:
            begins(training)
            if config.val_only:
                training.begin(MeasuringHost(training.learner))
            else:
                with tracked(config):
                    trl_host.train(training, arguments)
            return training.result()
