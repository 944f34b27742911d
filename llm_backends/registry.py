"""Backends by name. A class is imported when it is first asked for, so that naming them all costs nothing.

A package brings a further backend by an entry point in the group `llm_backends`: its name is the name of the
backend, and it points at the class.
"""

from __future__ import annotations

import importlib
from functools import lru_cache
from importlib.metadata import EntryPoint, entry_points
from typing import Any, cast

from llm_backends.base import Backend
from llm_backends.errors import UnsupportedError

ENTRY_POINTS = "llm_backends"
_BACKENDS = {
    "anthropic": "llm_backends.hosted.anthropic:AnthropicBackend",
    "local": "llm_backends.local:LocalBackend",
    "openai": "llm_backends.hosted.openai:OpenAIBackend",
    "scripted": "llm_backends.scripted:ScriptedBackend",
    "together": "llm_backends.hosted.together:TogetherBackend",
    "vllm": "llm_backends.hosted.vllm:VLLMBackend",
}


def backend_names() -> tuple[str, ...]:
    """The names that `create_backend` takes."""
    return tuple(sorted({*_BACKENDS, *_plugins()}))


def backend_class(name: str) -> type[Backend]:
    """The class behind `name`, not yet made: its capability flags can be read before a model is loaded.

    :raises UnsupportedError: there is no such backend, or a plug-in's is none.
    """
    if name in _BACKENDS:
        module, _, attribute = _BACKENDS[name].partition(":")
        return cast("type[Backend]", getattr(importlib.import_module(module), attribute))
    if name not in _plugins():
        raise UnsupportedError(
            f"no backend is called {name!r}; known are {', '.join(backend_names())} (--llm_framework)"
        )
    plugin = _plugins()[name]
    try:
        found = plugin.load()
    except (ImportError, AttributeError) as error:
        raise UnsupportedError(
            f"the backend {name!r} ({plugin.value}) cannot be loaded: {error} (--llm_framework)"
        ) from error
    if not (isinstance(found, type) and issubclass(found, Backend)):
        raise UnsupportedError(
            f"the backend {name!r} ({plugin.value}) is no subclass of Backend (--llm_framework)"
        )
    return found


def create_backend(name: str, *, model_name: str, **options: Any) -> Backend:
    """Make the backend called `name`; `options` are those of its class."""
    create = cast("Any", backend_class(name))
    return cast("Backend", create(model_name=model_name, **options))


@lru_cache(maxsize=1)
def _plugins() -> dict[str, EntryPoint]:
    return {point.name: point for point in entry_points(group=ENTRY_POINTS)}
