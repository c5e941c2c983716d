"""Test streams: an utterance between pauses, clean, in noise, or in a room.

These are made from samples, not features, so that what is measured is what a board would hear:
the same streams serve the choice of checkpoints and the final evaluation.
"""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.signal import oaconvolve

from agent.hearing.features import HOP, SAMPLE_RATE
from converters.wake.augmentation import simulated_room
from converters.wake.recordings import Role
from converters.wake.utterances import Utterance, word_bounds

Samples = NDArray[np.float32]

PAUSE_BEFORE_S, PAUSE_AFTER_S = 2.0, 1.0
_PAUSE_LEVEL = 3.0 / 32768.0
"""Standard deviation of the noise in pauses: a very quiet microphone."""


@dataclass(frozen=True)
class Condition:
    """What is done to an utterance before it is played."""

    name: str
    noise_db: float | None = None
    """Signal-to-noise ratio over the whole clip, or None for no noise."""
    room: bool = False


CLEAN = Condition("clean")
ROOM = Condition("room", room=True)


def in_noise(ratio_db: float) -> Condition:
    """Noise and music at a signal-to-noise ratio."""
    return Condition(f"{ratio_db:g} dB", noise_db=ratio_db)


@dataclass(frozen=True)
class Scene:
    """One stream to play."""

    key: str
    speaker: str
    samples: Samples
    word_end_s: float | None
    """End of the wake word in the stream; None if it holds none."""
    clip_s: float
    """Length of the utterance without the pauses: what counts as time without the wake word."""


def _noise(noises: Sequence[Samples], length: int, rng: np.random.Generator) -> Samples:
    noise = noises[int(rng.integers(len(noises)))]
    return np.resize(np.roll(noise, -int(rng.integers(len(noise)))), length)


def scene(
    utterance: Utterance,
    condition: Condition,
    noises: Sequence[Samples],
    seed: int,
) -> Scene:
    """An utterance between two pauses; chance depends on its key, the condition and the seed.

    Args:
        utterance: what is played.
        condition: what happens to it.
        noises: float32 noise recordings; needed where the condition asks for noise.
        seed: for the noise, its place and the room.
    """
    name = zlib.crc32(f"{utterance.key} {condition.name}".encode())
    rng = np.random.default_rng([seed, name])
    clip = utterance.load()
    end_s = None
    if utterance.role is Role.POSITIVE:
        end_s = PAUSE_BEFORE_S + word_bounds(utterance, clip)[1] * HOP / SAMPLE_RATE
    level = float(np.sqrt(np.mean(np.square(clip, dtype=np.float64)))) if len(clip) else 0.0
    clip_s = len(clip) / SAMPLE_RATE
    if condition.room:
        clip = oaconvolve(clip, simulated_room(rng)).astype(np.float32)
    before = np.zeros(int(PAUSE_BEFORE_S * SAMPLE_RATE), np.float32)
    after = np.zeros(int(PAUSE_AFTER_S * SAMPLE_RATE), np.float32)
    stream = np.concatenate((before, clip, after))
    stream += _PAUSE_LEVEL * rng.standard_normal(len(stream), np.float32)
    if condition.noise_db is not None:
        noise = _noise(noises, len(stream), rng)
        power = float(np.sqrt(np.mean(np.square(noise, dtype=np.float64))))
        stream += noise * (level / max(power, 1e-9) * 10 ** (-condition.noise_db / 20))
    peak = float(np.abs(stream).max())
    if peak >= 1.0:
        stream *= 0.999 / peak
    return Scene(utterance.key, utterance.speaker, stream, end_s, clip_s)
