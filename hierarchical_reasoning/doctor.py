"""What works here and what does not: packages, hardware, keys, servers, and one model asked for real."""

from __future__ import annotations

import json
import os
import platform
import shutil
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from enum import Enum
from importlib import metadata
from typing import Literal

from pydantic import BaseModel

from hierarchical_reasoning.assets import MODEL
from hierarchical_reasoning.backends import make_backend
from hierarchical_reasoning.config import RunConfig
from hierarchical_reasoning.errors import OutputError
from hierarchical_reasoning.reasoning_config import ModelChoice
from hierarchical_reasoning.results.file import check_writable
from llm_backends import (
    Backend,
    BackendError,
    Message,
    PriceTable,
    Request,
    Sampling,
    backend_class,
)

KEYS = {"openai": "OPENAI_API_KEY", "together": "TOGETHER_API_KEY", "anthropic": "ANTHROPIC_API_KEY"}
PACKAGES = ("torch", "transformers", "openai", "together", "anthropic", "networkx", "scikit-learn", "vllm")
_OPTIONAL = {"anthropic", "vllm"}
_MODELS_SHOWN = 5
_QUESTION = Message("user", "Which of these is a color: red, or seven? Reply with one word, red or seven.")


class Status(str, Enum):
    """How a check ended."""

    OK = "ok"
    NOTE = "note"
    """Not there, and only needed by who wants it."""
    FAILED = "FAILED"


@dataclass(frozen=True)
class Check:
    """One thing that was looked at."""

    name: str
    status: Status
    detail: str


class _Color(BaseModel):
    color: Literal["red", "seven"]


async def checks(config: RunConfig, *, ask: bool) -> AsyncIterator[Check]:
    """Look at everything, one thing after another.

    Args:
        config: whose models, addresses and directory are looked at.
        ask: send the main model a few short requests, which a provider charges for.
    """
    yield Check("python", Status.OK, f"{platform.python_version()} on {platform.platform()}")
    for package in PACKAGES:
        yield _package(package)
    yield _hardware()
    yield _bundled_model()
    yield _cache_dir(config)
    yield _slurm()
    for framework, variable in KEYS.items():
        yield await _provider(config, framework, variable)
    yield await _vllm_server(config)
    if ask:
        async for check in _asked(config, config.reasoner):
            yield check


def _package(name: str) -> Check:
    try:
        return Check(name, Status.OK, metadata.version(name))
    except metadata.PackageNotFoundError:
        status = Status.NOTE if name in _OPTIONAL else Status.FAILED
        return Check(name, status, "not installed")


def _hardware() -> Check:
    import torch

    if torch.cuda.is_available():
        names = [torch.cuda.get_device_name(index) for index in range(torch.cuda.device_count())]
        return Check("GPU", Status.OK, ", ".join(names))
    return Check(
        "GPU", Status.NOTE, f"none; {os.cpu_count()} CPU cores, {torch.get_num_threads()} used by torch"
    )


def _bundled_model() -> Check:
    import hashlib

    expected = json.loads((MODEL / "training.json").read_text(encoding="utf-8"))["weights_sha256"]
    found = hashlib.sha256((MODEL / "model.safetensors").read_bytes()).hexdigest()
    if found != expected:
        return Check("bundled model", Status.FAILED, f"{MODEL}: the weights are not those that were trained")
    return Check("bundled model", Status.OK, "whole")


def _cache_dir(config: RunConfig) -> Check:
    try:
        return Check("--cache_dir", Status.OK, f"{check_writable(config.cache_dir)} can be written")
    except OutputError as error:
        return Check("--cache_dir", Status.FAILED, str(error))


def _slurm() -> Check:
    path = shutil.which("sbatch")
    return Check("Slurm", Status.OK if path else Status.NOTE, path or "no sbatch here")


async def _provider(config: RunConfig, framework: str, variable: str) -> Check:
    if framework == config.framework:
        variable = config.api_key_env or variable
        model = config.reasoner
    else:
        model = ModelChoice(framework, config.model_name)
    asked_for = framework == config.framework
    if not os.environ.get(variable) and model.base_url is None:
        status = Status.FAILED if asked_for else Status.NOTE
        return Check(framework, status, f"no key: {variable} is not set")
    check = await _server(config, model)
    is_fault = asked_for or check.status is not Status.FAILED
    return check if is_fault else replace(check, status=Status.NOTE)


async def _vllm_server(config: RunConfig) -> Check:
    url = config.vllm_base_url or (config.base_url if config.framework == "vllm" else None)
    wanted = url is not None or config.framework == "vllm" or "VLLM_BASE_URL" in os.environ
    check = await _server(config, ModelChoice("vllm", config.model_name, url))
    if check.status is Status.FAILED and not wanted:
        return Check(check.name, Status.NOTE, "no server on port 8000; hierarchical-reasoning vllm start")
    return check


async def _server(config: RunConfig, model: ModelChoice) -> Check:
    """Whether a server is there, takes the key, and lists its models."""
    from llm_backends.hosted.backend import HostedBackend

    try:
        backend = make_backend(config, model, cache=None)
        assert isinstance(backend, HostedBackend)
        async with backend:
            models = await backend.list_models()
    except BackendError as error:
        return Check(model.framework, Status.FAILED, f"{type(error).__name__}: {error}")
    shown = ", ".join(models[:_MODELS_SHOWN]) + (", ..." if len(models) > _MODELS_SHOWN else "")
    found = f"{backend.base_url} lists {len(models)} models: {shown}"
    if model.framework == config.framework and model.model_path not in models:
        return Check(model.framework, Status.FAILED, f"{found}; not {model.model_path!r} (--model_name)")
    return Check(model.framework, Status.OK, found)


async def _asked(config: RunConfig, model: ModelChoice) -> AsyncIterator[Check]:
    """A choice and a JSON reply from the main model."""
    name = f"{model.framework} {model.model_name}"
    try:
        backend = make_backend(config, model, cache=None)
    except BackendError as error:
        yield Check(name, Status.FAILED, f"{type(error).__name__}: {error}")
        return
    async with backend:
        yield await _choice(backend, name)
        if backend_class(model.framework).supports_schema:
            yield await _json(backend, name)
        for note in backend.notes:
            yield Check(name, Status.NOTE, note)
    price = PriceTable.load(config.prices).price(model.framework, model.model_name)
    if model.framework in KEYS:
        known = "price unknown (--prices)" if price is None else f"${price.input} in, ${price.output} out"
        yield Check(f"{name}: price", Status.NOTE if price is None else Status.OK, known)


async def _choice(backend: Backend, name: str) -> Check:
    request = Request((_QUESTION,), Sampling(temperature=0.0, max_tokens=32), choices=("red", "seven"))
    started = time.perf_counter()
    try:
        completion = await backend.complete(request)
    except BackendError as error:
        return Check(f"{name}: choice", Status.FAILED, f"{type(error).__name__}: {error}")
    probabilities = completion.choice_probabilities
    known = (
        "no probabilities" if probabilities is None else f"probability {probabilities[completion.text]:.2f}"
    )
    seconds = time.perf_counter() - started
    return Check(f"{name}: choice", Status.OK, f"{completion.text!r}, {known}, {seconds:.2f} s")


async def _json(backend: Backend, name: str) -> Check:
    request = Request((_QUESTION,), Sampling(temperature=0.0, max_tokens=64), schema=_Color)
    try:
        completion = await backend.complete(request)
    except BackendError as error:
        return Check(f"{name}: JSON", Status.FAILED, f"{type(error).__name__}: {error}")
    return Check(f"{name}: JSON", Status.OK, completion.text.strip())
