"""A model in this process, through transformers. Importing this loads torch and transformers."""

from llm_backends.local.backend import LocalBackend
from llm_backends.local.token_sampler import LocalTokenSampler

__all__ = ["LocalBackend", "LocalTokenSampler"]
