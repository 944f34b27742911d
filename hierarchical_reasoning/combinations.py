"""Which settings of a run go together, and which model plays which role."""

from __future__ import annotations

from hierarchical_reasoning.config import MODEL_SETTINGS, ModelChoice, RunConfig
from hierarchical_reasoning.errors import ConfigError
from llm_backends import backend_class, backend_names

_TAXONOMY_SETTINGS = frozenset({"tree_model_path", "label_level", "num_icl_examples", "examples_file"})
_THOUGHT_SETTINGS = frozenset({"planner", "max_reasoning_steps", "max_thought_tokens"})
_LOCAL_SETTINGS = frozenset({"dtype", "device", "trust_remote_code"})
_HOSTED_SETTINGS = frozenset({"requests_per_minute", "request_timeout", "structured_output"})
_SERVER_SETTINGS = frozenset({"base_url", "api_key_env", "extra_body"})
_VLLM_SETTINGS = frozenset({"vllm_base_url", "vllm_auto_start", "vllm_gpus", "start_vllm_verbose"})
_PLANNER_MODEL = frozenset(f"planner_{name}" for name in MODEL_SETTINGS)
_HIGH_LEVEL_MODEL = frozenset(f"high_level_{name}" for name in MODEL_SETTINGS)
_FLAGS = {
    "reasoner": ("--model_name", "--llm_framework"),
    "planner": ("--planner_model_name", "--planner_llm_framework"),
    "examples": ("--high_level_model_name", "--high_level_llm_framework"),
    "judge": ("--high_level_model_name", "--high_level_llm_framework"),
}


def models_by_role(config: RunConfig) -> dict[str, ModelChoice]:
    """Who is asked, by role; a combination that cannot work is refused."""
    models = {"reasoner": config.reasoner}
    if config.planner == "model" and not config.vanilla_baseline and not config.joint:
        models["planner"] = config.planner_model
    if config.high_level_model is not None and shows_taxonomy_examples(config):
        models["examples"] = config.high_level_model
    if config.judge_model is not None:
        models["judge"] = config.judge_model
    for role, model in models.items():
        backend = backend_class(model.framework)
        name_flag, framework_flag = _FLAGS[role]
        if model.is_bundled and model.framework not in ("local", "vllm"):
            raise ConfigError(
                f"{framework_flag} {model.framework} serves no bundled model; name one of its models with {name_flag}"
            )
        needs_schema = role == "examples" or (role == "reasoner" and config.joint)
        if needs_schema and not backend.supports_schema:
            what = "--joint" if role == "reasoner" else f"{name_flag} {model.model_name}"
            able = ", ".join(name for name in backend_names() if backend_class(name).supports_schema)
            raise ConfigError(
                f"{what} needs replies of a given form (JSON), which the backend {model.framework!r} does not give; "
                f"take one of {able} ({framework_flag})"
            )
    return models


def shows_taxonomy_examples(config: RunConfig) -> bool:
    """Whether in-context examples are chosen from the taxonomy's chunks."""
    typed = not config.vanilla_baseline and config.planner != "untyped"
    return typed and config.n_examples > 0 and config.examples_file is None


def check_combinations(config: RunConfig) -> tuple[str, ...]:
    """Notes on settings that have no effect; one that needs another setting is refused without it."""
    mode = "--vanilla_baseline" if config.vanilla_baseline else f"--planner {config.planner}"
    if config.planner_sequence is not None and mode != "--planner fixed":
        raise ConfigError(f"--planner_sequence goes with --planner fixed, not with {mode}")
    if config.rollouts_file is not None and mode != "--planner markov":
        raise ConfigError(f"--rollouts_file goes with --planner markov, not with {mode}")
    if config.examples_file is not None and config.n_examples == 0:
        raise ConfigError("--examples_file needs --num_icl_examples of 1 or more, and it is 0")
    if config.joint and mode != "--planner model":
        raise ConfigError(f"--joint has one model choose and think in one call; it does not go with {mode}")
    if config.framework == "vllm" and config.base_url is not None and config.vllm_base_url is not None:
        raise ConfigError(
            f"--base_url {config.base_url} and --vllm_base_url {config.vllm_base_url} are both given; give one"
        )
    _check_samples(config, mode)
    _check_extra_bodies(config)
    if config.answers_are_judged and config.judge_model is None:
        raise ConfigError(
            "--ground_truth_format judge has a model judge the answers; name it with --high_level_model_name (it may "
            f"be the main one, {config.model_name})"
        )
    _check_server(config)
    return tuple(
        f"--{name} {getattr(config, name)} has no effect with {mode} and --llm_framework {config.framework}"
        for name in sorted(_unused(config, mode))
        if getattr(config, name) != RunConfig.model_fields[name].default
    )


def _check_samples(config: RunConfig, mode: str) -> None:
    """Planners that draw differ from sample to sample; what a model writes at temperature 0 does not."""
    if (
        config.samples > 1
        and config.temperature == 0
        and mode not in ("--planner uniform", "--planner markov")
    ):
        raise ConfigError(
            f"--samples {config.samples} with --temperature 0 takes the likeliest words every time, so that all "
            "samples of a problem are the same; give a --temperature above 0, or --samples 1"
        )


def _check_extra_bodies(config: RunConfig) -> None:
    """The fields of a request go to a server; what runs in this process takes none."""
    given = {
        "": (config.extra_body, config.reasoner),
        "planner_": (config.planner_extra_body, config.planner_model),
        "high_level_": (config.high_level_extra_body, config.high_level_model),
    }
    for role, (extra_body, model) in given.items():
        if extra_body is not None and model is not None and model.framework == "local":
            raise ConfigError(
                f"--{role}extra_body {extra_body} is sent to a server, and --{role}llm_framework is local; leave it "
                "out, or take another backend"
            )


def _check_server(config: RunConfig) -> None:
    if not config.vllm_auto_start:
        for name in ("vllm_gpus", "start_vllm_verbose"):
            if getattr(config, name) not in (None, False):
                raise ConfigError(f"--{name} is about the server of --vllm_auto_start, which is not given")
        return
    if config.framework != "vllm":
        raise ConfigError(f"--vllm_auto_start goes with --llm_framework vllm, not with {config.framework}")
    url = config.vllm_base_url or config.base_url
    if url is not None:
        raise ConfigError(f"--vllm_auto_start starts a server of its own; leave out the address {url}")


def _unused(config: RunConfig, mode: str) -> set[str]:
    frameworks = {
        model.framework
        for model in (config.reasoner, config.planner_model, config.high_level_model)
        if model is not None
    }
    unused: set[str] = set()
    if mode in ("--vanilla_baseline", "--planner untyped"):
        unused |= _TAXONOMY_SETTINGS
    if config.vanilla_baseline:
        unused |= _THOUGHT_SETTINGS
    if mode != "--planner model" or config.joint:
        unused |= _PLANNER_MODEL
    if not shows_taxonomy_examples(config) and not config.answers_are_judged:
        unused |= _HIGH_LEVEL_MODEL
    if mode != "--planner model" or config.joint:
        unused |= {"max_choice_tokens"}
    if "local" not in frameworks:
        unused |= _LOCAL_SETTINGS - ({"trust_remote_code"} if config.vllm_auto_start else set())
    if frameworks == {"local"}:
        unused |= _HOSTED_SETTINGS
    if config.framework == "local":
        unused |= _SERVER_SETTINGS
    if "vllm" not in frameworks:
        unused |= _VLLM_SETTINGS
    return unused
