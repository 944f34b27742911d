"""Which settings of models go together, and which model plays which role; of every command that reasons."""

from __future__ import annotations

from hierarchical_reasoning.errors import ConfigError
from hierarchical_reasoning.reasoning_config import MODEL_SETTINGS, ModelChoice, ReasoningConfig
from llm_backends import backend_class, backend_names

_LOCAL_SETTINGS = frozenset({"dtype", "device", "trust_remote_code"})
_HOSTED_SETTINGS = frozenset({"requests_per_minute", "request_timeout", "structured_output"})
_SERVER_SETTINGS = frozenset({"base_url", "api_key_env", "extra_body"})
_VLLM_SETTINGS = frozenset({"vllm_base_url", "vllm_auto_start", "vllm_gpus", "start_vllm_verbose"})
_HIGH_LEVEL_MODEL = frozenset(f"high_level_{name}" for name in MODEL_SETTINGS)
_PREFIXES = {
    "reasoner": "",
    "planner": "planner_",
    "examples": "high_level_",
    "judge": "high_level_",
    "value head": "embedding_",
}
"""Of a role's own settings."""


def models_by_role(config: ReasoningConfig) -> dict[str, ModelChoice]:
    """Who is asked, by role; a combination that cannot work is refused."""
    models = {"reasoner": config.reasoner}
    if config.asked_planner is not None:
        models["planner"] = config.asked_planner
    if config.high_level_model is not None and config.shows_taxonomy_examples:
        models["examples"] = config.high_level_model
    if config.judge_model is not None:
        models["judge"] = config.judge_model
    if config.embedding_model is not None:
        models["value head"] = config.embedding_model
    for role, model in models.items():
        backend_class(model.framework)  # there is one of this name
        if model.is_bundled and model.framework not in ("local", "vllm"):
            raise ConfigError(
                f"--{_PREFIXES[role]}llm_framework {model.framework} serves no bundled model; name one of its models "
                f"with {model_flag(config, role)}"
            )
        if role == "examples":
            check_gives_json(
                model, f"{model_flag(config, role)} {model.model_name}", "--high_level_llm_framework"
            )
    return models


def model_flag(config: ReasoningConfig, role: str) -> str:
    """The flag that names the model of a role."""
    return f"--{config.main_model}" if role == "reasoner" else f"--{_PREFIXES[role]}model_name"


def check_high_level_model(config: ReasoningConfig) -> None:
    """
    Raises:
        ConfigError: it cannot be had so.
        BackendError: there is no such backend.
    """
    model = config.high_level_model
    if model is None:
        return
    backend_class(model.framework)  # there is one of this name
    if model.is_bundled and model.framework not in ("local", "vllm"):
        raise ConfigError(
            f"--high_level_llm_framework {model.framework} serves no bundled model; name one of its models with "
            "--high_level_model_name"
        )
    check_extra_body("high_level_", config.high_level_extra_body, model)


def check_gives_json(model: ModelChoice, what: str, framework_flag: str) -> None:
    """
    Raises:
        ConfigError: the model's backend gives no replies of a given form, which `what` needs.
    """
    if not backend_class(model.framework).supports_schema:
        able = ", ".join(name for name in backend_names() if backend_class(name).supports_schema)
        raise ConfigError(
            f"{what} needs replies of a given form (JSON), which the backend {model.framework!r} does not give; "
            f"take one of {able} ({framework_flag})"
        )


def check_models(config: ReasoningConfig) -> None:
    """
    Raises:
        ConfigError: a setting that needs another one is there without it, or two contradict each other.
    """
    if config.examples_file is not None and config.n_examples == 0:
        raise ConfigError("--examples_file needs --num_icl_examples of 1 or more, and it is 0")
    if config.framework == "vllm" and config.base_url is not None and config.vllm_base_url is not None:
        raise ConfigError(
            f"--base_url {config.base_url} and --vllm_base_url {config.vllm_base_url} are both given; give one"
        )
    check_extra_body("", config.extra_body, config.reasoner)
    check_extra_body("high_level_", config.high_level_extra_body, config.high_level_model)
    if config.answers_are_judged and config.judge_model is None:
        raise ConfigError(
            "--ground_truth_format judge has a model judge the answers; name it with --high_level_model_name (it may "
            f"be the main one, {config.main_model_name})"
        )
    check_server_settings(config)


def check_extra_body(prefix: str, extra_body: str | None, model: ModelChoice | None) -> None:
    """
    Raises:
        ConfigError: fields of a request go to a server, and the model runs in this process, which takes none.
    """
    if extra_body is not None and model is not None and model.framework == "local":
        raise ConfigError(
            f"--{prefix}extra_body {extra_body} is sent to a server, and --{prefix}llm_framework is local; leave it "
            "out, or take another backend"
        )


def unused_model_settings(config: ReasoningConfig, *others: ModelChoice) -> set[str]:
    """The settings that have no effect, whatever they are.

    Args:
        others: models that are asked besides those that every command has.
    """
    models = (config.reasoner, *others, *filter(None, [config.high_level_model]))
    frameworks = {model.framework for model in models}
    unused: set[str] = set()
    if not config.shows_taxonomy_examples and not config.answers_are_judged and config.judge_model is None:
        unused |= _HIGH_LEVEL_MODEL
    if "local" not in frameworks:
        unused |= _LOCAL_SETTINGS - ({"trust_remote_code"} if config.vllm_auto_start else set())
    if frameworks == {"local"}:
        unused |= _HOSTED_SETTINGS
    if config.framework == "local":
        unused |= _SERVER_SETTINGS
    if "vllm" not in frameworks:
        unused |= _VLLM_SETTINGS
    return unused


def notes_on_unused(config: ReasoningConfig, unused: set[str], where: str) -> tuple[str, ...]:
    """Of those settings, a note on each that was given."""
    fields = type(config).model_fields
    return tuple(
        f"--{name} {getattr(config, name)} has no effect with {where}"
        for name in sorted(unused)
        if getattr(config, name) != fields[name].default
    )


def check_server_settings(config: ReasoningConfig) -> None:
    """
    Raises:
        ConfigError: a setting of a vLLM server that is to be started contradicts another one.
    """
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
