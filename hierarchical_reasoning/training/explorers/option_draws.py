"""Which thought types a choice branches into, and how many leaves each may have, as pure functions."""

from __future__ import annotations

from collections.abc import Sequence

from hierarchical_reasoning.planners.option_draws import draw_options
from hierarchical_reasoning.trace import FINISH

__all__ = ["draw_options", "leaf_shares"]


def leaf_shares(names: Sequence[str], leaves: int) -> tuple[int, ...]:
    """How many leaves may be below each child: as evenly as can be, the first ones more; one below "Finish thinking".

    Args:
        leaves: of them all; at least one a child.
    """
    going_on = len(names) - names.count(FINISH)
    each, over = divmod(leaves - names.count(FINISH), going_on) if going_on else (0, 0)
    shares = iter([each + 1] * over + [each] * (going_on - over))
    return tuple(1 if name == FINISH else next(shares) for name in names)
