"""Tempo and voice, changed on the features: a new speaker whenever an utterance is drawn.

A voice is a product with one small matrix. It moves formants by a smooth warp of the frequency
axis (other throats are not only longer or shorter: the front and the back of a mouth differ on
their own) and makes peaks sharper or flatter, as bandwidths and vocoders do. Everything works on
log band powers and costs far less than new features, so that copies that lie in memory do not
repeat themselves.
"""

from __future__ import annotations

import functools

import numpy as np
from numpy.typing import NDArray

from agent.hearing.features import MELS, band_edges
from converters.asr.shards import Clip
from converters.synthesis.phones import UNKNOWN

Floats = NDArray[np.float32]
VOICES = 768
_SEED = 31
_LENGTH = 0.08
"""Deviation of the log of the vocal tract's length."""
_SHAPE = 0.035
"""Deviation of each of three smooth deformations of the frequency axis, in log frequency."""
_CONTRAST = (-0.45, 0.45)
"""Range of the exaggeration of spectral peaks: -1 would flatten them to their neighbourhood."""
_DYNAMICS = (-0.4, 0.4)
"""The same from hop to hop: some synthesisers smear transitions, some cut them."""


def varied(
    clip: Clip, stretch: float, other_voice: float, rng: np.random.Generator
) -> tuple[Floats, NDArray[np.int8]]:
    """An utterance as somebody else says it.

    Args:
        clip: n hops.
        stretch: largest change of duration, as a share.
        other_voice: chance that the voice is changed.
        rng: the only source of chance.

    Returns:
        Features float32 [m, 64] and phones int8 [m], where m is n times the change of duration.
    """
    count = len(clip.hops)
    duration = count * (1.0 + stretch * rng.uniform(-1.0, 1.0))
    place = np.linspace(0, count - 1, max(1, round(duration)))
    first = np.minimum(place.astype(np.int64), max(0, count - 2))
    share = (place - first).astype(np.float32)[:, None]
    source = np.asarray(clip.hops, np.float32)
    after = np.minimum(first + 1, count - 1)
    hops = source[first] * (1.0 - share) + source[after] * share
    phones = np.full(len(place), UNKNOWN, np.int8)
    if clip.phones is not None:
        phones = clip.phones[np.rint(place).astype(np.int64)]
    if rng.random() < other_voice:
        hops = hops @ voices()[int(rng.integers(VOICES))]
        hops = with_dynamics(hops, float(rng.uniform(*_DYNAMICS)))
    return hops, phones


def with_dynamics(hops: Floats, amount: float) -> Floats:
    """Exaggerates (or, below 0, smears) what differs from the mean of the hops beside: [n, 64]."""
    padded = np.pad(hops, ((1, 1), (0, 0)), "edge")
    beside = (padded[:-2] + padded[2:]) * np.float32(0.5)
    return (hops + np.float32(0.5 * amount) * (hops - beside)).astype(np.float32, copy=False)


@functools.cache
def voices() -> Floats:
    """float32 [768, 64, 64]: hops @ voices()[k] is what voice k makes of them."""
    rng = np.random.default_rng(_SEED)
    waves = np.cos(np.pi * np.outer(np.arange(1, 4), np.arange(MELS) / (MELS - 1)))
    made = []
    for _ in range(VOICES):
        bend = rng.normal(0.0, _SHAPE, 3) @ waves
        factors = np.exp(np.clip(rng.normal(0.0, _LENGTH) + bend, -0.22, 0.22))
        made.append(warp_matrix(factors) @ contrast_matrix(rng.uniform(*_CONTRAST)))
    return np.stack(made).astype(np.float32)


def warp_matrix(factors: NDArray[np.float64]) -> NDArray[np.float64]:
    """float64 [64, 64]: band i of hops @ matrix is what stood at factors[i] times its frequency.

    Between the two nearest centres it is interpolated; above the last centre nothing is known and
    the last band is repeated.
    """
    centres = band_edges()[1:-1]
    place = np.interp(centres * factors, centres, np.arange(MELS))
    low = np.minimum(place.astype(np.int64), MELS - 2)
    matrix = np.zeros((MELS, MELS))
    matrix[low, np.arange(MELS)] = 1.0 - (place - low)
    matrix[low + 1, np.arange(MELS)] = place - low
    return matrix


def contrast_matrix(amount: float) -> NDArray[np.float64]:
    """float64 [64, 64]: hops @ matrix = hops + amount (hops - their mean over 9 bands around)."""
    around = np.abs(np.subtract.outer(np.arange(MELS), np.arange(MELS))) <= 4
    smooth = around / around.sum(axis=0)
    matrix: NDArray[np.float64] = (1.0 + amount) * np.eye(MELS) - amount * smooth
    return matrix
