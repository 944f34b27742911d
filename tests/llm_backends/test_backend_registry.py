from __future__ import annotations

import pytest

from llm_backends import ScriptedBackend, UnsupportedError, backend_class, backend_names, create_backend


def test_every_name_is_a_backend_of_that_name() -> None:
    assert backend_names() == ("anthropic", "local", "openai", "scripted", "together", "vllm")
    for name in backend_names():
        assert backend_class(name).name == name


def test_options_reach_the_backend() -> None:
    backend = create_backend("scripted", model_name="a", reply=["x"], max_retries=1)
    assert isinstance(backend, ScriptedBackend)
    assert (backend.model_name, backend.max_retries) == ("a", 1)


def test_an_unknown_name_lists_those_known() -> None:
    with pytest.raises(UnsupportedError, match="'lokal'; known are anthropic, local, openai"):
        create_backend("lokal", model_name="a")
