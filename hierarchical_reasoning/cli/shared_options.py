"""The options that every command that reasons takes: which problems, which models, how they are asked, and prompts."""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, TypeAlias, get_args

import click

from hierarchical_reasoning.cli.grouped import GroupedOption
from hierarchical_reasoning.problems import ShapeName
from hierarchical_reasoning.reasoning_config import ReasoningConfig

Decorator: TypeAlias = "Callable[[Callable[..., Any]], Callable[..., Any]]"

FRAMEWORKS = "openai, together, anthropic, vllm, local, or the name of a plug-in"
_data = partial(click.option, cls=GroupedOption, group="Data and taxonomy")
_prompts = partial(click.option, cls=GroupedOption, group="Prompts")
_others = partial(click.option, cls=GroupedOption, group="Other models for other roles")
_hosted = partial(click.option, cls=GroupedOption, group="Hosted models")
_vllm = partial(click.option, cls=GroupedOption, group="vLLM")
_path = click.Path(path_type=Path)
_ESCAPES = {r"\n": "\n", r"\t": "\t", r"\r": "\r", r"\\": "\\"}


def _default(name: str) -> Any:
    return ReasoningConfig.model_fields[name].default


WHICH_PROBLEMS = (
    _data(
        "--number_tolerance", type=float, help="For the format number: relative. [default: 0, exactly equal]"
    ),
    _data("--sample_id", multiple=True, help="Only the problem with this id; can be repeated."),
    _data("--shuffle", is_flag=True, help="Take problems in an order drawn with --seed."),
    _data(
        "--problem_shape",
        type=click.Choice(get_args(ShapeName)),
        help="How the rows of problems are laid out. [default: auto, found from the data]",
    ),
    _data("--problem_field", help="Field with the problem's text. [default: prompt, problem or question]"),
    _data("--answer_field", help="Field with the ground truth. [default: answer, ground_truth, ...]"),
)
TAXONOMY = _data(
    "--tree_model_path", type=_path, help="Taxonomy: a directory or a .gml file. [default: the bundled one]"
)
HIGH_LEVEL = (
    _others(
        "--high_level_model_name",
        help="Model that chooses in-context examples, and judges answers. [default: none]",
    ),
    _others("--high_level_llm_framework", help="Its backend. [default: as --llm_framework]"),
    _others("--high_level_base_url", help="URL of its server."),
    _others("--high_level_api_key_env", help="Environment variable with its key."),
    _others("--high_level_extra_body", help="JSON object of fields to send to it besides."),
)
HOW_HOSTED = (
    _hosted(
        "--structured_output",
        type=click.Choice(("auto", "json_schema", "words")),
        help="How a model is held to the options; words: it is asked, and its reply matched. [default: auto]",
    ),
    _hosted(
        "--requests_per_minute", type=float, help="Calls started per minute at most. [default: no bound]"
    ),
    _hosted(
        "--request_timeout",
        type=float,
        help=f"Seconds for one try. [default: {_default('request_timeout'):g}]",
    ),
    _hosted("--prices", type=_path, help="JSON with your prices, over the shipped ones."),
)
HOSTED = (
    _hosted("--base_url", help="URL of an OpenAI-compatible server. [default: the provider's]"),
    _hosted(
        "--api_key_env",
        help="Environment variable with the key. [default: OPENAI_API_KEY, TOGETHER_API_KEY, ANTHROPIC_API_KEY]",
    ),
    _hosted(
        "--extra_body", help='JSON object of fields to send besides, as in \'{"reasoning_effort": "low"}\'.'
    ),
    *HOW_HOSTED,
)


def vllm_options(main_model: str) -> tuple[Decorator, ...]:
    """Those of vLLM, where `main_model` is the flag of the model that a server is started for."""
    return (
        _vllm("--vllm_base_url", help="URL of a running server. [default: VLLM_BASE_URL, else port 8000]"),
        _vllm(
            "--vllm_auto_start",
            is_flag=True,
            help=f"Start a server for {main_model}, and stop it at the end.",
        ),
        _vllm("--vllm_gpus", help="For --vllm_auto_start: GPUs, as in 0,1. [default: the first two]"),
        _vllm(
            "--start_vllm_verbose", is_flag=True, help="For --vllm_auto_start: show what the server prints."
        ),
    )


def prompt_options(model: str) -> tuple[Decorator, ...]:
    """Those of prompts; `model` is what the help calls the model that they are for."""
    return (
        _prompts(
            "--prompt_style",
            type=click.Choice(("chat", "single")),
            help="chat: one growing conversation; single: every call stands alone. [default: chat]",
        ),
        _prompts("--prompts_dir", type=_path, help="Folder of templates that override the shipped ones."),
        _prompts(
            "--num_icl_examples",
            type=int,
            help=f"Examples shown per thought type. [default: as the {model} was trained, else 5]",
        ),
        _prompts(
            "--examples_file",
            type=_path,
            help="Examples by thought type, .json or a .pkl cache of the reference system. "
            "[default: from the taxonomy]",
        ),
    )


def unescaped(text: str) -> str:
    r"""What \n, \t, \r and \\ in an argument stand for, as in Python: a shell makes them hard to give."""
    return re.sub(r"\\[ntr\\]", lambda found: _ESCAPES[found[0]], text)


def with_options(*options: Decorator) -> Decorator:
    """All of them, in this order."""

    def decorate(command: Callable[..., Any]) -> Callable[..., Any]:
        for option in reversed(options):
            command = option(command)
        return command

    return decorate
