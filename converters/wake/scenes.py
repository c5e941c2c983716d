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
STREAM_S = 6.0
_COMMAND_GAP_S = (0.05, 0.5)
"""Between the wake word and the command behind it."""
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
    samples = staged(clip, PAUSE_BEFORE_S, PAUSE_AFTER_S, _level(clip), condition, noises, rng)
    return Scene(utterance.key, utterance.speaker, samples, end_s, len(clip) / SAMPLE_RATE)


def stream(
    utterance: Utterance,
    condition: Condition,
    noises: Sequence[Samples],
    seed: int,
    command: Utterance | None = None,
) -> Scene:
    """A wake word somewhere in six seconds, alone or with a command close behind it.

    Args:
        utterance: a positive.
        condition: what happens to all of it.
        noises: float32 noise recordings; needed where the condition asks for noise.
        seed: for places, gaps, the noise and the room.
        command: what is said next, at the level of the word; the stream grows if it is long.
    """
    follows = "" if command is None else command.key
    name = zlib.crc32(f"{utterance.key} {condition.name} {follows}".encode())
    rng = np.random.default_rng([seed, name])
    clip = utterance.load()
    level = _level(clip)
    end = word_bounds(utterance, clip)[1] * HOP
    if command is not None:
        gap = np.zeros(int(rng.uniform(*_COMMAND_GAP_S) * SAMPLE_RATE), np.float32)
        clip = np.concatenate((clip[: int(end)], gap, _spoken(command, level)))
    free_s = max(STREAM_S - len(clip) / SAMPLE_RATE, PAUSE_AFTER_S + 0.5)
    before_s = float(rng.uniform(0.5, free_s - PAUSE_AFTER_S))
    samples = staged(clip, before_s, free_s - before_s, level, condition, noises, rng)
    end_s = int(before_s * SAMPLE_RATE) / SAMPLE_RATE + end / SAMPLE_RATE
    return Scene(utterance.key, utterance.speaker, samples, end_s, len(clip) / SAMPLE_RATE)


def _spoken(command: Utterance, level: float) -> Samples:
    """The speech of a command without its pauses, at a level."""
    samples = command.load()
    start, end = (int(bound * HOP) for bound in word_bounds(command, samples))
    samples = samples[max(0, start - HOP) : end + 10 * HOP]
    return (samples * (level / max(_level(samples), 1e-5))).astype(np.float32)


def _level(samples: Samples) -> float:
    return float(np.sqrt(np.mean(np.square(samples, dtype=np.float64)))) if len(samples) else 0.0


def staged(
    clip: Samples,
    before_s: float,
    after_s: float,
    level: float,
    condition: Condition,
    noises: Sequence[Samples],
    rng: np.random.Generator,
) -> Samples:
    """A clip between pauses under a condition.

    Args:
        clip: float32 [n].
        before_s: pause before it.
        after_s: pause behind it.
        level: root mean square of the speech, which noise is measured against.
        condition: room and noise.
        noises: where the noise is taken from.
        rng: the source of all choices.
    """
    if condition.room:
        clip = oaconvolve(clip, simulated_room(rng)).astype(np.float32)
    before = np.zeros(int(before_s * SAMPLE_RATE), np.float32)
    after = np.zeros(int(after_s * SAMPLE_RATE), np.float32)
    samples = np.concatenate((before, clip, after))
    samples += _PAUSE_LEVEL * rng.standard_normal(len(samples), np.float32)
    if condition.noise_db is not None:
        noise = _noise(noises, len(samples), rng)
        samples += noise * (level / max(_level(noise), 1e-9) * 10 ** (-condition.noise_db / 20))
    peak = float(np.abs(samples).max())
    if peak >= 1.0:
        samples *= 0.999 / peak
    return samples
