"""Values learned while a search or a training goes on: an encoder, a head, and the pairs gathered so far.

Estimates depend on the seed, on the vectors, and on the order in which `learn` is called: not on what else is asked in
the same call nor, but for a tie in the last digit (`head.DIGITS`), on the number of threads. A search whose result must
not depend on how many problems are in flight gives each of them a `copy`.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from hierarchical_reasoning.errors import ValueHeadError
from hierarchical_reasoning.values.base import UNKNOWN, Estimate, Place, check_rewards
from hierarchical_reasoning.values.calibration import Calibration
from hierarchical_reasoning.values.head import ValueHead
from hierarchical_reasoning.values.head_files import PROBE, check_encoder, digest_of, read_head, write_head
from hierarchical_reasoning.values.pairs import LEAST_PAIRS, Pairs
from hierarchical_reasoning.values.predictions import Predictions
from hierarchical_reasoning.values.settings import HeadSettings

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from hierarchical_reasoning.problems import Problem
    from hierarchical_reasoning.values.encoders.base import Encoder, Vectors

_VECTORS_KEPT = 4096
_UNTRAINED = (
    f"every place has the same value until the value head has learned from {LEAST_PAIRS} pairs of place and reward "
    "whose rewards are not all the same"
)


class LearnedValue:
    """A `ValueEstimator` that learns online. What a call costs is bounded, and so is all that grows with use, apart
    from the names of the problems that it learned from."""

    def __init__(self, encoder: Encoder, settings: HeadSettings | None = None) -> None:
        self.encoder = encoder
        self.settings = settings or HeadSettings()
        self.notes: list[str] = []
        self.problems: frozenset[str] | None = frozenset()
        """Digests (`head_files.digest_of`) of those that it learned from; None where that is not known of all."""
        self._head: ValueHead | None = None
        """None until the width of the vectors is known."""
        self._pairs = Pairs(self.settings)
        self._predictions = Predictions(self.settings.n_members)
        self._vectors: OrderedDict[tuple[str, ...], Vectors] = OrderedDict()
        """By a place's texts; the least recently used go first."""
        self._one_at_a_time = asyncio.Lock()

    @property
    def is_trained(self) -> bool:
        return self._head is not None and self._head.n_calls > 0

    @property
    def n_pairs(self) -> int:
        """How many it has been given."""
        return self._pairs.n_seen

    @property
    def calibration(self) -> Calibration | None:
        """How the newest values came true, each from before its pair was learned; None where there was none."""
        return self._predictions.calibration

    @classmethod
    def of(cls, encoder: Encoder, head: ValueHead, pairs: Pairs, problems: Iterable[Problem]) -> LearnedValue:
        """One that goes on from a head whose weights come from elsewhere.

        Args:
            pairs: what it learns from besides those that are to come; the head's statistics are of these.
            problems: that the weights were made or chosen by.
        """
        head.anchor()
        made = cls(encoder, head.settings)
        made._head, made._pairs = head, pairs
        made._remember(problems)
        return made

    def copy(self) -> LearnedValue:
        """One that knows the same, and learns for itself from now on."""
        other = LearnedValue(self.encoder, self.settings)
        other._head = None if self._head is None else self._head.copy()
        other._pairs = self._pairs.copy()
        other._predictions = self._predictions.copy()
        other._vectors.update(self._vectors)
        other.problems = self.problems
        return other

    async def estimate(self, places: Sequence[Place], encoder: Encoder | None = None) -> list[Estimate]:
        """
        Args:
            encoder: makes all of their vectors, as its own would; None: its own, and only those that are not known.

        Raises:
            BackendError: the encoder asks a server that does not answer.
        """
        async with self._one_at_a_time:
            head = self._head
            if head is None or not self.is_trained:
                if _UNTRAINED not in self.notes:
                    self.notes.append(_UNTRAINED)
                return [UNKNOWN] * len(places)
            if not places:
                return []
            if encoder is None:
                vectors = await self._encoded(places)
                return await asyncio.to_thread(lambda: head.estimates(head.logits(vectors)))
        vectors = await encoder.encode(places)  # a server is asked many things at once
        async with self._one_at_a_time:
            return await asyncio.to_thread(lambda: head.estimates(head.logits(vectors)))

    def know(self, vectors: Mapping[tuple[str, ...], Vectors]) -> None:
        """Have the vectors of places, by their texts, for the `learn` that comes next."""
        self._vectors.update(vectors)

    async def learn(self, places: Sequence[Place], rewards: Sequence[float]) -> None:
        """
        Raises:
            ValueError: a reward is not in [0, 1], or there are not as many as places.
            BackendError: the encoder asks a server that does not answer.
        """
        check_rewards(places, rewards)
        if not places:
            return
        async with self._one_at_a_time:
            vectors = await self._encoded(places)
            await asyncio.to_thread(self._learn, vectors, np.array(rewards, dtype=np.float64))
            self._remember(place.problem for place in places)

    async def save(self, folder: Path) -> None:
        """Write it into `folder`, with the pairs that it learned from.

        Raises:
            ValueHeadError: it has learned nothing yet.
            OutputError: it cannot be written.
        """
        if self._head is None or not self.is_trained:
            raise ValueHeadError(
                f"there is no value head to write to {folder}: it has not learned yet from {LEAST_PAIRS} pairs whose "
                "rewards are not all the same"
            )
        header = {
            "encoder": self.encoder.name,
            "settings": asdict(self.settings),
            "temperature": self._head.temperature,
            "n_calls": self._head.n_calls,
            "n_seen": self._pairs.n_seen,
            "problems": None if self.problems is None else sorted(self.problems),
        }
        tensors: dict[str, NDArray[Any]] = {"probe": (await self.encoder.encode([PROBE]))[0]}
        for part, own in self._parts().items():
            tensors |= {f"{part}/{name}": array for name, array in own.tensors().items()}
        await asyncio.to_thread(write_head, folder, header, tensors)

    @classmethod
    async def load(cls, folder: Path, encoder: Encoder) -> LearnedValue:
        """What `save` wrote; it goes on learning as if it had never been written.

        Raises:
            ValueHeadError: there is none that can be read, or it learned from the vectors of another encoder or model.
        """
        header, tensors = await asyncio.to_thread(read_head, folder)
        try:
            read = cls(encoder, HeadSettings(**header["settings"]))
            known = tensors["probe"]
            read._head = ValueHead(len(known), read.settings)
            read._head.temperature, read._head.n_calls = header["temperature"], header["n_calls"]
            read._pairs.n_seen = header["n_seen"]
            read.problems = None if header["problems"] is None else frozenset(header["problems"])
            for part, own in read._parts().items():
                own.load_tensors(_of_part(tensors, part))
        except (KeyError, TypeError, ValueError, RuntimeError) as error:
            raise ValueHeadError(
                f"the value head in {folder} is not what was written: {error!r} (--value_head)"
            ) from error
        check_encoder(folder, header, known, encoder.name, (await encoder.encode([PROBE]))[0])
        return read

    def _remember(self, problems: Iterable[Problem]) -> None:
        if self.problems is not None:
            self.problems |= {digest_of(problem) for problem in problems}

    def _parts(self) -> dict[str, ValueHead | Pairs | Predictions]:
        """By name, what has tensors."""
        assert self._head is not None
        return {"head": self._head, "pairs": self._pairs, "predictions": self._predictions}

    def _learn(self, vectors: Vectors, rewards: NDArray[np.float64]) -> None:
        if self._head is None:
            self._head = ValueHead(vectors.shape[1], self.settings)
        if self.is_trained:
            logits_MN = self._head.logits(vectors)
            values = np.array([estimate.value for estimate in self._head.estimates(logits_MN)])
            self._predictions.add(values, logits_MN, rewards)
        self._pairs.add(vectors, rewards)
        if self._pairs.suffice:
            self._head.learn(self._pairs)
            self._head.temperature = self._predictions.temperature or self._head.temperature

    async def _encoded(self, places: Sequence[Place]) -> Vectors:
        known = self._vectors
        new = {place.texts: place for place in places if place.texts not in known}
        if new:
            known.update(zip(new, await self.encoder.encode(list(new.values())), strict=True))
        for place in places:
            known.move_to_end(place.texts)
        vectors = np.stack([known[place.texts] for place in places])
        while len(known) > _VECTORS_KEPT:
            known.popitem(last=False)
        return vectors


def _of_part(tensors: Mapping[str, NDArray[Any]], part: str) -> dict[str, NDArray[Any]]:
    prefix = f"{part}/"
    return {name.removeprefix(prefix): array for name, array in tensors.items() if name.startswith(prefix)}
