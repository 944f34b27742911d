"""Which failures end a run, and not one problem alone."""

from __future__ import annotations

from hierarchical_reasoning.errors import UsageError
from llm_backends import (
    AuthenticationError,
    BackendClosedError,
    CacheError,
    EngineDiedError,
    ModelNotFoundError,
)

FATAL = (
    UsageError,
    AuthenticationError,
    ModelNotFoundError,
    EngineDiedError,
    BackendClosedError,
    CacheError,
    BrokenPipeError,
)
"""What ends a run: every further problem would end the same way, or nobody reads what is printed any more."""
