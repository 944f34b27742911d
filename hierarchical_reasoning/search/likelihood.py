"""How likely a path is, by the models that plan and write it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Likelihood:
    """Of all that was drawn along a path: thought types, where the planner tells how likely they are, and tokens."""

    log_prob: float = 0.0
    """Of all draws, at temperature 1, added up."""
    n_draws: int = 0

    def followed_by(self, prior: float | None, log_probs: Sequence[float]) -> Likelihood:
        """That of the path with one more thought.

        Args:
            prior: the probability of its thought type; None where it is not known, or none was chosen.
            log_probs: of its tokens.
        """
        drawn = log_probs if not prior else (math.log(prior), *log_probs)
        return Likelihood(math.fsum((self.log_prob, *drawn)), self.n_draws + len(drawn))

    @property
    def per_draw(self) -> float:
        """exp(mean log p), the geometric mean of the draws' probabilities, so that long paths and short ones can be
        compared (as the score of beams in Wu et al. 2016, equation 14, with the length itself as the penalty); 1
        without a draw."""
        return math.exp(self.log_prob / self.n_draws) if self.n_draws else 1.0


EMPTY_PATH = Likelihood()
