"""A tiny random planner with room for whole conversations, a two-way taxonomy, and a reasoner that follows rules."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "llm_backends"))
sys.path.insert(0, str(Path(__file__).parents[1] / "taxonomy"))
sys.path.insert(0, str(Path(__file__).parents[1] / "trees"))

from tiny_model import save_chat_model


@pytest.fixture(scope="session")
def planner_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a tiny random chat model."""
    return save_chat_model(
        tmp_path_factory.mktemp("planner"), max_position_embeddings=4096, initializer_range=0.1
    )
