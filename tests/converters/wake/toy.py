"""A toy language for tests: words are chords of two tones, the wake word is low then high."""

from __future__ import annotations

import functools

import numpy as np

from converters.wake.recordings import Role
from converters.wake.utterances import Utterance

RATE = 16_000


def tone(hertz: float, seconds: float) -> np.ndarray:
    time = np.arange(int(seconds * RATE)) / RATE
    return (0.2 * np.sin(2 * np.pi * hertz * time)).astype(np.float32)


def rest(seconds: float) -> np.ndarray:
    return np.zeros(int(seconds * RATE), np.float32)


def wake_word(shift: float = 1.0) -> np.ndarray:
    """0.2 s of silence, 0.25 s low, 0.25 s high, 0.3 s of silence: it ends at 0.7 s."""
    return np.concatenate((rest(0.2), tone(400 * shift, 0.25), tone(1600 * shift, 0.25), rest(0.3)))


def other_word(shift: float = 1.0) -> np.ndarray:
    """High then low."""
    return np.concatenate((rest(0.2), tone(1600 * shift, 0.25), tone(400 * shift, 0.25), rest(0.3)))


def utterances(count: int, prefix: str = "toy") -> list[Utterance]:
    """Real-looking positives and negatives of a few speakers, and one noise."""
    rng = np.random.default_rng(len(prefix))
    found = []
    for number in range(count):
        shift = float(rng.uniform(0.85, 1.15))
        speaker = f"speaker {number % 4}"
        found.append(
            Utterance(
                f"{prefix} yes {number}",
                Role.POSITIVE,
                True,
                speaker,
                functools.partial(wake_word, shift),
            )
        )
        long = [other_word(shift), tone(400 * shift, 0.4), rest(0.1), tone(1600 * shift, 0.4)]
        found.append(
            Utterance(
                f"{prefix} no {number}",
                Role.SPEECH,
                True,
                speaker,
                functools.partial(np.concatenate, long),
            )
        )
    hiss = 0.01 * rng.standard_normal(RATE * 3).astype(np.float32)
    found.append(Utterance(f"{prefix} hiss", Role.NOISE, True, "nobody", lambda: hiss))
    return found
