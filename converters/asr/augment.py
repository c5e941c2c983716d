"""Augmentation of a waveform: speed, vocal tract, room, band. The rest happens on features.

What changes the samples themselves is done here, once per cached copy; noise, level,
colouring and masking are cheap on features and are drawn anew for every row (`rows.py`).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import soxr
from numpy.typing import NDArray
from scipy.signal import lfilter, oaconvolve

from agent.hearing.features import SAMPLE_RATE, log_mel_hops

Samples = NDArray[np.float32]

WARPS = tuple(float(w) for w in np.round(np.linspace(0.86, 1.16, 11), 3))
"""Vocal tract factors: a fixed set works better than a continuum and lets banks be cached."""


@dataclass(frozen=True)
class WaveformRecipe:
    """How strongly a copy is changed."""

    speed: tuple[float, float] = (0.86, 1.18)
    """Range of tempo and pitch together (Ko et al. 2015)."""
    warp_share: float = 0.75
    """Share of copies with a vocal tract other than the speaker's own (VTLP)."""
    room_share: float = 0.6
    band_share: float = 0.25
    """Share of copies that went through a narrow channel."""


def simulated_room(rng: np.random.Generator) -> Samples:
    """Impulse response of a small room: direct sound, sparse early echoes, a decaying tail.

    Exponentially decaying noise (Polack's model) after a few discrete reflections; reverberation
    times 0.1 to 0.7 s, direct-to-reverberant ratio -3 to 15 dB. float32, direct sound first.
    """
    decay_s = rng.uniform(0.1, 0.7)
    length = int(decay_s * SAMPLE_RATE)
    tail = rng.standard_normal(length) * np.exp(-6.9 * np.arange(length) / length)
    tail[: int(rng.uniform(0.001, 0.006) * SAMPLE_RATE)] = 0.0
    for delay_s in rng.uniform(0.001, 0.03, rng.integers(2, 7)):
        tail[min(int(delay_s * SAMPLE_RATE), length - 1)] += rng.normal(0.0, 4.0)
    ratio = 10.0 ** (-rng.uniform(-3.0, 15.0) / 20.0)
    response = tail * (ratio / np.sqrt(np.square(tail).sum() + 1e-12))
    response[0] = 1.0
    return response.astype(np.float32)


def _band(samples: Samples, rng: np.random.Generator) -> Samples:
    """A cheap microphone: one-pole high-pass and low-pass at random corners."""
    low = np.exp(-2 * np.pi * rng.uniform(60, 350) / SAMPLE_RATE)
    high = np.exp(-2 * np.pi * rng.uniform(2500, 7000) / SAMPLE_RATE)
    thinned = lfilter([1.0, -1.0], [1.0, -low], samples)
    return lfilter([1.0 - high], [1.0, -high], thinned).astype(np.float32)


def augmented_hops(
    samples: NDArray[np.int16], recipe: WaveformRecipe, rng: np.random.Generator
) -> tuple[NDArray[np.float32], float]:
    """Log-mel hops of one random variant of an utterance.

    Args:
        samples: int16 [n], 16 kHz.
        recipe: how strongly to change it.
        rng: the only source of chance.

    Returns:
        float32 [hops, 64], and how many times faster than before it is said.
    """
    audio = samples.astype(np.float32) / 32768.0
    speed = rng.uniform(*recipe.speed)
    audio = soxr.resample(audio, SAMPLE_RATE * speed, SAMPLE_RATE, quality="LQ")
    if rng.random() < recipe.room_share:
        # The tail rings into the pause that follows; rows add their own pauses, so it is kept.
        room = simulated_room(rng)
        peak = np.abs(audio).max() + 1e-9
        audio = oaconvolve(np.pad(audio, (0, SAMPLE_RATE // 8)), room)[: len(audio) + 2000]
        audio = audio.astype(np.float32) * (peak / (np.abs(audio).max() + 1e-9))
    if rng.random() < recipe.band_share:
        audio = _band(audio, rng)
    warp = float(rng.choice(WARPS)) if rng.random() < recipe.warp_share else 1.0
    return log_mel_hops(audio, warp), speed
