"""Lengths of rows that suit the utterances there are.

Commands last one to five seconds, read sentences up to sixteen. A row into which few utterances
fit is mostly silence, and an utterance that fits into no row is never learnt from.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from agent.hearing.features import HOPS_PER_FRAME

SHORTEST_TAIL = 20
"""Hops of pause that follow every utterance at least."""
_FEWEST = 0.25
"""Share of utterances that must fit for a length to be taken."""
_NEARLY_ALL = 0.98


def fitting_lengths(
    offered: Sequence[int], hops: NDArray[np.int64], stretch: float
) -> tuple[int, ...]:
    """The offered lengths that a quarter fit into, none longer than nearly all need.

    Args:
        offered: lengths in frames.
        hops: int64 [n], lengths of utterances in hops, as often as they are drawn.
        stretch: largest share by which an utterance is lengthened.

    Returns:
        At least one of them, in rising order.
    """
    needed = np.asarray(hops) * (1.0 + stretch) + SHORTEST_TAIL
    chosen = []
    for length in sorted(set(offered)):
        share = float(np.mean(needed <= length * HOPS_PER_FRAME))
        if share >= _FEWEST:
            chosen.append(length)
        if share >= _NEARLY_ALL:
            break
    return tuple(chosen) or (max(offered),)
