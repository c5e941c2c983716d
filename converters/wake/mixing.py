"""Arithmetic on log-mel: sums, levels, filters and microphone floors without any samples.

Powers of independent sounds add, so two log-mel streams mix as log(exp a + exp b). That is exact
up to the phase between the two, which noise makes random anyway, and costs a thousandth of
mixing samples and transforming them again.
"""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray

from agent.hearing.features import MELS

Hops = NDArray[np.float32]

NEPERS_PER_DB = np.log(10.0) / 10.0
"""Features are natural logarithms of power: one dB is this much."""
SILENCE = float(np.log(1e-6))
"""What the features of digital silence are."""


_SPREAD_DB = np.linspace(4.0, 1.5, MELS)
"""A band's power over 25 ms fluctuates by 1 to 2 dB high up and by 4 dB in single bins."""
_FLUCTUATION = (
    np.random.default_rng(0).standard_normal((20_000, MELS)) * _SPREAD_DB * NEPERS_PER_DB
).astype(np.float32)
"""Drawn once: fresh normal numbers for every stream would cost more than all the rest."""


def mix(a: Hops, b: Hops) -> Hops:
    """Log-mel of the sum of two independent sounds, any equal shapes."""
    return np.log(np.exp(a) + np.exp(b))


def coloured_floor(hops: int, level_db: float, tilt_db: float, rng: np.random.Generator) -> Hops:
    """Log-mel of a steady hiss.

    Args:
        hops: length.
        level_db: power per band in dB relative to the features' zero.
        tilt_db: how much more the highest band has than the lowest.
        rng: draws the fluctuation that a band of a noise has from hop to hop.

    Returns:
        float32 [hops, 64].
    """
    slope = (level_db + np.linspace(-0.5, 0.5, MELS) * tilt_db) * NEPERS_PER_DB
    first = int(rng.integers(len(_FLUCTUATION) - hops))
    return _FLUCTUATION[first : first + hops] + slope.astype(np.float32)


def random_filter(rng: np.random.Generator) -> Hops:
    """A microphone's and a channel's frequency response, to be added: float32 [64]."""
    band = np.linspace(0.0, 1.0, MELS)
    response = rng.uniform(-8.0, 8.0) * (band - 0.5)
    for waves in (1, 2, 3):
        response += rng.normal(0.0, 1.5) * np.cos(np.pi * waves * band + rng.uniform(0, np.pi))
    if rng.random() < 0.25:
        cut = rng.uniform(0.6, 0.97)
        response -= np.maximum(0.0, band - cut) / 0.05 * rng.uniform(3.0, 12.0)
    if rng.random() < 0.25:
        cut = rng.uniform(0.03, 0.2)
        response -= np.maximum(0.0, cut - band) / 0.05 * rng.uniform(3.0, 12.0)
    return (np.maximum(response, -60.0) * NEPERS_PER_DB).astype(np.float32)


def as_float(hops: NDArray[np.floating]) -> Hops:
    """Rows in single precision; PyTorch widens those of a bank several times as fast as NumPy."""
    if hops.dtype != np.float16:
        return hops.astype(np.float32, copy=False)
    return torch.from_numpy(np.ascontiguousarray(hops)).float().numpy()


def warped(hops: NDArray[np.floating], stretch: float, scale: float, shift: float) -> Hops:
    """The same sound said more slowly and by a longer or shorter throat.

    Args:
        hops: log-mel [n, 64].
        stretch: factor on the length.
        scale: band b takes what was in band scale * b + shift.
        shift: see scale.

    Returns:
        float32 [about stretch * n, 64], interpolated linearly between hops and between bands.
    """
    count = max(2, round(len(hops) * stretch))
    hops = _interpolated(as_float(hops), np.linspace(0.0, len(hops) - 1.0, count))
    bands = np.clip(scale * np.arange(MELS) + shift, 0.0, MELS - 1.0)
    return _interpolated(np.ascontiguousarray(hops.T), bands).T


def _interpolated(rows: Hops, at: NDArray[np.float64]) -> Hops:
    """Rows at fractional places, linear between neighbours: [n, d] -> [len(at), d]."""
    below = np.minimum(at.astype(np.intp), max(len(rows) - 2, 0))
    above = np.minimum(below + 1, len(rows) - 1)
    share = (at - below).astype(np.float32)[:, None]
    return rows[below] * (1.0 - share) + rows[above] * share


def fit_length(hops: NDArray[np.floating], length: int, rng: np.random.Generator) -> Hops:
    """A random stretch of a sound, repeated where it is too short: [n, 64] -> [length, 64]."""
    if len(hops) <= length:
        repeats = -(-length // max(len(hops), 1)) + 1
        start = int(rng.integers(max(len(hops), 1)))
        return np.tile(as_float(hops), (repeats, 1))[start : start + length]
    start = int(rng.integers(len(hops) - length))
    return as_float(hops[start : start + length])
