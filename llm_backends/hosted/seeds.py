"""One seed from a request's seed and its sample's index."""

from __future__ import annotations

import hashlib

from llm_backends.types import Request


def seed_of(request: Request) -> int:
    """The seed to send: the request's own for sample 0, and one derived from both, below 2^31, for the others."""
    seed = request.sampling.seed
    if request.sample_index == 0:
        return seed
    digest = hashlib.blake2b(f"{seed}:{request.sample_index}".encode(), digest_size=4).digest()
    return int.from_bytes(digest, "big") >> 1
