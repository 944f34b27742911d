"""A value head: from vectors to values in [0, 1] and how far the members' values lie apart."""

from __future__ import annotations

import math
from collections.abc import Mapping
from copy import deepcopy
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn import functional

from hierarchical_reasoning.values.base import Estimate
from hierarchical_reasoning.values.networks import DTYPE, Networks, dropout_masks
from hierarchical_reasoning.values.pairs import Pairs
from hierarchical_reasoning.values.predictions import sigmoid
from hierarchical_reasoning.values.settings import HeadSettings

DIGITS = 6
"""Behind the point, of what is estimated: what lies behind them depends on the order of sums."""
MAX_INPUTS = 512
"""Wider vectors are projected to so many numbers (Johnson and Lindenstrauss, 1984): it bounds what learning costs."""
STEPS_PER_CALL = 40
_BATCH = 128
_LEARNING_RATE = 1e-3
_ANCHORING = 0.02
_ANCHORING_AT = 1000
_MOST_ANCHORING = 0.1
"""After each step weights go a share of the way to their anchors: 0.02 · sqrt(1000 / pairs), at most 0.1. That is much,
as pairs are few and rewards noisy; with less, values drift to 0 and 1 while learning goes on."""
_ANCHOR = "anchor."
_FURTHEST = 4.0
"""Standard deviations from the mean that an input can lie; one seen once in the data would lie further by far."""


class ValueHead:
    """Networks, and what turns vectors into their inputs: exactly determined by settings and the order of learning."""

    def __init__(self, width: int, settings: HeadSettings) -> None:
        """
        Args:
            width: of the vectors.
        """
        self.width = width
        self.settings = settings
        n_inputs = min(width, MAX_INPUTS)
        generator = torch.Generator().manual_seed(settings.seed)
        self.networks = Networks(
            settings.n_networks, n_inputs, settings.hidden_size, settings.n_layers, generator
        )
        self.anchors_MIH: list[torch.Tensor] = []
        """What weights are drawn to while nothing else speaks for others."""
        self.anchor()
        self.projection_WI: torch.Tensor | None = None
        if width > MAX_INPUTS:
            drawn = torch.randn(width, n_inputs, generator=generator, dtype=DTYPE)
            self.projection_WI = drawn / math.sqrt(n_inputs)
        self.mean_I = torch.zeros(n_inputs, dtype=DTYPE)
        self.scale_I = torch.ones(n_inputs, dtype=DTYPE)
        self.temperature = 1.0
        """Logits are divided by it (Guo et al., 2017)."""
        self.n_calls = 0
        """How often it has learned."""

    def copy(self) -> ValueHead:
        return deepcopy(self)

    def anchor(self) -> None:
        """Take the present weights for what is believed before any pair is seen. Members believe different things, and
        go on to do so where no pairs are: that is what makes them uncertain there (Pearce et al., 2020, "Approximately
        Bayesian ensembling")."""
        self.anchors_MIH = [weights.detach().clone() for weights in self.networks.weights_MIH]

    def learn(self, pairs: Pairs, n_steps: int = STEPS_PER_CALL) -> None:
        """Go on from the present weights on batches of all pairs gathered so far: binary cross-entropy with rewards as
        soft targets, whose minimum is the mean reward. Inputs are standardised with statistics of these pairs."""
        projected_NI = self._projected(pairs.vectors)
        self.mean_I = projected_NI.mean(dim=0)
        spread_I = projected_NI.std(dim=0, correction=0)
        self.scale_I = torch.where(spread_I > 0, spread_I, 1.0)
        inputs_NI = self._standardised(projected_NI)
        rewards_N = torch.from_numpy(pairs.rewards)
        counts_NM = torch.from_numpy(pairs.counts)
        draws = np.random.default_rng([self.settings.seed, self.n_calls])
        generator = torch.Generator().manual_seed(int(draws.integers(2**62)))
        share = min(_MOST_ANCHORING, _ANCHORING * math.sqrt(_ANCHORING_AT / len(pairs)))
        optimizer = torch.optim.Adam(self.networks.parameters(), lr=_LEARNING_RATE)
        for _ in range(n_steps):
            batch = torch.from_numpy(draws.permutation(len(pairs))[:_BATCH])
            logits_MB = self.networks(inputs_NI[batch], self._masks(1, len(batch), generator))
            targets_MB = rewards_N[batch].expand_as(logits_MB)
            losses_MB = functional.binary_cross_entropy_with_logits(logits_MB, targets_MB, reduction="none")
            if self.settings.kind == "bootstrap":
                weights_MB = counts_NM[batch].T
                losses_MB = losses_MB * weights_MB / weights_MB.mean(dim=1, keepdim=True).clamp(min=1e-9)
            optimizer.zero_grad()
            torch.autograd.backward(losses_MB.mean(dim=1).sum())
            optimizer.step()
            with torch.no_grad():
                for weights, anchors in zip(self.networks.weights_MIH, self.anchors_MIH, strict=True):
                    weights.lerp_(anchors, share)
        self.n_calls += 1

    @torch.no_grad()
    def logits(self, vectors: NDArray[np.float32]) -> NDArray[np.float64]:
        """Of each member for each vector, before the temperature: (members, vectors)."""
        inputs_NI = self.inputs(vectors)
        # The same masks whenever it is asked: a member is one thinned network, and an estimate depends on the vector.
        generator = torch.Generator().manual_seed(self.settings.seed)
        logits_MN: NDArray[np.float64] = self.networks(
            inputs_NI, self._masks(self.settings.n_members, 1, generator)
        ).numpy()
        return logits_MN

    def inputs(self, vectors: NDArray[np.float32]) -> torch.Tensor:
        """(N, I), what the networks see of vectors."""
        return self._standardised(self._projected(vectors))

    def estimates(self, logits_MN: NDArray[np.float64]) -> list[Estimate]:
        """Mean and standard deviation of the members' values."""
        values_MN = sigmoid(logits_MN / self.temperature)
        pairs = zip(values_MN.mean(axis=0).tolist(), values_MN.std(axis=0).tolist(), strict=True)
        return [Estimate(round(mean, DIGITS), round(spread, DIGITS)) for mean, spread in pairs]

    def tensors(self) -> dict[str, NDArray[Any]]:
        """All that it has learned but `temperature` and `n_calls`."""
        own = dict(self.networks.state_dict()) | {"mean": self.mean_I, "scale": self.scale_I}
        own |= {f"{_ANCHOR}{layer}": anchors for layer, anchors in enumerate(self.anchors_MIH)}
        if self.projection_WI is not None:
            own["projection"] = self.projection_WI
        return {name: tensor.numpy() for name, tensor in own.items()}

    def load_tensors(self, tensors: Mapping[str, NDArray[Any]]) -> None:
        """Take what `tensors` gave. Raises KeyError or RuntimeError for those of a head of another shape."""
        own = {name: torch.from_numpy(array) for name, array in tensors.items()}
        self.mean_I, self.scale_I = own.pop("mean"), own.pop("scale")
        if self.projection_WI is not None:
            self.projection_WI = own.pop("projection")
        self.anchors_MIH = [own.pop(f"{_ANCHOR}{layer}") for layer in range(len(self.anchors_MIH))]
        self.networks.load_state_dict(own)

    def _masks(self, n_networks: int, n_places: int, generator: torch.Generator) -> list[torch.Tensor]:
        own = self.settings
        if own.kind != "dropout":
            return []
        return dropout_masks(
            (n_networks, n_places), (own.n_layers, own.hidden_size, own.dropout_rate), generator
        )

    def _projected(self, vectors: NDArray[np.float32]) -> torch.Tensor:
        vectors_NW = torch.from_numpy(vectors.astype(np.float64))
        return vectors_NW if self.projection_WI is None else vectors_NW @ self.projection_WI

    def _standardised(self, projected_NI: torch.Tensor) -> torch.Tensor:
        return ((projected_NI - self.mean_I) / self.scale_I).clamp(-_FURTHEST, _FURTHEST)
