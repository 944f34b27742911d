"""What the draws of a tree are seeded by."""

from __future__ import annotations

import hashlib
import json
import random
from dataclasses import dataclass


@dataclass(frozen=True)
class Origin:
    """Where a tree comes from. With a place in it, it seeds a draw: a tree does not depend on what else grows."""

    seed: int
    """Of the run."""
    update: int
    problem_id: str

    def stream_seed(self, place: str) -> int:
        """Of the stream that begins at a place: 0 to 2^63 - 1."""
        return self._bits("stream", place)

    def uniform(self, place: str) -> float:
        """In [0, 1): for what is picked at a place besides."""
        return random.Random(self._bits("pick", place)).random()

    def name(self, place: str) -> str:
        """Of the stream that begins at a place, among all trees."""
        return json.dumps([self.seed, self.update, self.problem_id, place])

    def _bits(self, use: str, place: str) -> int:
        digest = hashlib.sha256(f"{use} {self.name(place)}".encode()).digest()
        return int.from_bytes(digest[:8], "little") >> 1
