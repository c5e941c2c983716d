"""Tempo and vocal tract, changed on the features: a new speaker whenever an utterance is drawn.

Both are interpolations of log band powers. They cost far less than new features, so that copies
that lie in memory do not repeat themselves.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from agent.hearing.features import MELS, band_edges
from converters.asr.shards import UNKNOWN, Clip

Floats = NDArray[np.float32]
_STEPS = 41


def varied(
    clip: Clip, stretch: float, warp: float, rng: np.random.Generator
) -> tuple[Floats, NDArray[np.int8]]:
    """An utterance as somebody else says it.

    Args:
        clip: n hops.
        stretch: largest change of duration, as a share.
        warp: largest change of all frequencies, as a share of at most 0.2.
        rng: the only source of chance.

    Returns:
        Features float32 [m, 64] and phones int8 [m], where m is n times the change of duration.
    """
    count = len(clip.hops)
    duration = count * (1.0 + stretch * rng.uniform(-1.0, 1.0))
    step = round(warp * rng.uniform(-1.0, 1.0) / _LARGEST_WARP * (_STEPS // 2))
    place = np.linspace(0, count - 1, max(1, round(duration)))
    first = np.minimum(place.astype(np.int64), max(0, count - 2))
    share = (place - first).astype(np.float32)[:, None]
    hops = np.asarray(clip.hops, np.float32)
    after = np.minimum(first + 1, count - 1)
    stretched = hops[first] * (1.0 - share) + hops[after] * share
    phones = np.full(len(place), UNKNOWN, np.int8)
    if clip.phones is not None:
        phones = clip.phones[np.rint(place).astype(np.int64)]
    return (stretched @ _WARPS[step + _STEPS // 2] if step else stretched), phones


def warp_matrix(factor: float) -> Floats:
    """float32 [64, 64]: hops @ matrix are the bands of the sound with all formants at 1 / factor.

    Band i takes the value found at factor times its centre, between the two nearest centres; above
    the last centre nothing is known and the last band is repeated.
    """
    centres = band_edges()[1:-1]
    place = np.interp(centres * factor, centres, np.arange(MELS))
    low = np.minimum(place.astype(np.int64), MELS - 2)
    matrix = np.zeros((MELS, MELS), np.float32)
    matrix[low, np.arange(MELS)] = 1.0 - (place - low)
    matrix[low + 1, np.arange(MELS)] = place - low
    return matrix


_LARGEST_WARP = 0.2
_WARPS = [warp_matrix(float(f)) for f in 1.0 + np.linspace(-_LARGEST_WARP, _LARGEST_WARP, _STEPS)]
