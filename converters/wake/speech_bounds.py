"""Where speech starts and ends in a clip, from its energy.

Real wake-word clips are cut around one utterance but carry no alignment. Their pauses are quiet,
so the energy of the log-mel hops tells the bounds to within a hop or two; a clip in which the
pauses are as loud as the speech gives its whole length.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

_DB = 10.0 / np.log(10.0)
_BELOW_PEAK_DB = 25.0
"""Speech fades by about this much before a listener calls the word finished."""
_SHARE = 0.35
"""In noise: this share of the way from the noise floor up to the speech level."""


def energy_db(hops: NDArray[np.floating]) -> NDArray[np.float64]:
    """Level of each hop in dB, smoothed over three hops: [n, 64] -> [n]."""
    energy = _DB * np.log(np.exp(hops.astype(np.float64)).mean(axis=1))
    return np.convolve(np.pad(energy, 1, mode="edge"), np.full(3, 1 / 3), mode="valid")


def speech_bounds(hops: NDArray[np.floating]) -> tuple[int, int]:
    """First hop of speech and the hop after the last one.

    Args:
        hops: log-mel hops [n, 64] of one utterance between pauses.

    Returns:
        (start, end) with 0 <= start < end <= n.

    Raises:
        ValueError: there are no hops.
    """
    if len(hops) == 0:
        raise ValueError("a clip without a single hop has no speech bounds")
    level = energy_db(hops)
    top, floor = np.percentile(level, 95), np.percentile(level, 10)
    threshold = max(top - _BELOW_PEAK_DB, floor + _SHARE * (top - floor))
    active = np.flatnonzero(level >= threshold)
    return int(active[0]), int(active[-1]) + 1
