"""Several small networks of one shape, computed as one: a layer of all of them is one batched product.

Axes: M networks, N places, I inputs, H hidden units. In double precision: sums in another order, as other numbers of
threads make them, then differ far behind the digits that estimates are rounded to (`head.DIGITS`).
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch.nn import functional

DTYPE = torch.float64


class Networks(torch.nn.Module):
    """M networks from inputs to one logit each. They share nothing, so their losses may be summed."""

    def __init__(
        self, n_networks: int, n_inputs: int, hidden_size: int, n_layers: int, generator: torch.Generator
    ) -> None:
        """
        Args:
            n_layers: hidden ones.
            generator: draws the first weights: He et al. (2015) for the hidden layers, and an output layer that
                lets logits begin at a spread of about 1.
        """
        super().__init__()
        sizes = [n_inputs, *[hidden_size] * n_layers, 1]
        gains = [math.sqrt(2.0)] * n_layers + [1.0]
        self.weights_MIH = torch.nn.ParameterList(
            gain
            / math.sqrt(fan_in)
            * torch.randn(n_networks, fan_in, fan_out, generator=generator, dtype=DTYPE)
            for gain, fan_in, fan_out in zip(gains, sizes, sizes[1:], strict=False)
        )
        self.biases_M1H = torch.nn.ParameterList(
            torch.zeros(n_networks, 1, fan_out, dtype=DTYPE) for fan_out in sizes[1:]
        )

    def forward(self, inputs_MNI: torch.Tensor, masks_MNH: Sequence[torch.Tensor] = ()) -> torch.Tensor:
        """Logits, (M, N).

        Args:
            inputs_MNI: or (N, I), the same for all networks.
            masks_MNH: one for each hidden layer, that its units are multiplied with; none: no dropout. Its first axis
                may be longer where there is a single network: then it stands for so many thinned ones.
        """
        hidden = inputs_MNI
        last = len(self.weights_MIH) - 1
        for layer, (weights, biases) in enumerate(zip(self.weights_MIH, self.biases_M1H, strict=True)):
            hidden = hidden @ weights + biases
            if layer < last:
                hidden = functional.relu(hidden)
                if masks_MNH:
                    hidden = hidden * masks_MNH[layer]
        return hidden.squeeze(-1)


def dropout_masks(
    shape: tuple[int, int], settings: tuple[int, int, float], generator: torch.Generator
) -> list[torch.Tensor]:
    """For each hidden layer a mask of 0 and 1 / (1 - rate).

    Args:
        shape: networks and places; 1 for places gives each network one mask for all of them.
        settings: hidden layers, hidden units, and the rate.
    """
    n_layers, hidden_size, rate = settings
    return [
        (torch.rand(*shape, hidden_size, generator=generator, dtype=DTYPE) >= rate) / (1 - rate)
        for _ in range(n_layers)
    ]
