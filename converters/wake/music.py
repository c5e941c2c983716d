"""Music and signals made of sines and hiss: a word is heard through them, and they never wake.

Recorded music is scarce and full of rights, and a few pieces would be learnt by heart; what makes
a wake word mistake music for speech is tones that come and go as fast as phones. So pieces are
drawn: tunes and chords on bells, bars, strings, pipes and hummed vowels, drums, alarms, sweeps. A
piece depends on its generator alone.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from agent.hearing.features import SAMPLE_RATE
from converters.wake.recordings import Role
from converters.wake.utterances import Utterance

Samples = NDArray[np.float32]

PIECE_S = 12.0
_SCALES = ((0, 2, 4, 5, 7, 9, 11), (0, 2, 3, 5, 7, 8, 10), (0, 2, 4, 7, 9), tuple(range(12)))
_BAR = (1.0, 2.76, 5.40, 8.93)
"""Partials of a free bar (celesta, glockenspiel, marimba): Fletcher and Rossing, The Physics of
Musical Instruments, chapter 2."""
_BELL = (0.5, 1.0, 1.2, 1.5, 2.0, 2.67, 3.0, 4.0)
"""Hum, prime, tierce, quint, nominal and what is above, of a church bell."""
_VOWELS_HZ = ((730, 1090), (270, 2290), (300, 870), (570, 840), (530, 1840), (640, 1190))
"""First two formants of vowels: Peterson and Barney (1952), men."""


def music_utterances(count: int, seed: int) -> list[Utterance]:
    """Pieces as noise; another seed gives other pieces."""
    return [_utterance(seed, number) for number in range(count)]


def _utterance(seed: int, number: int) -> Utterance:
    return Utterance(
        key=f"music {seed} {number}",
        role=Role.NOISE,
        real=False,
        speaker="music",
        load=lambda: piece(np.random.default_rng([seed, number])),
    )


def piece(rng: np.random.Generator, seconds: float = PIECE_S) -> Samples:
    """One piece, float32 [seconds * 16000], peak 0.5."""
    length = int(seconds * SAMPLE_RATE)
    choice = rng.random()
    if choice < 0.15:
        sound = _signals(length, rng)
    elif choice < 0.25:
        sound = _drums(length, rng.uniform(0.12, 0.35), rng)
    else:
        beat_s = float(rng.uniform(0.09, 0.4))
        sound = _tune(length, beat_s, int(rng.integers(55, 96)), 1, rng)
        if rng.random() < 0.5:
            chords = _tune(length, 4 * beat_s, int(rng.integers(40, 65)), 3, rng)
            sound += rng.uniform(0.2, 1.0) * chords
        if rng.random() < 0.35:
            sound += rng.uniform(0.2, 1.0) * _drums(length, beat_s, rng)
    return (sound * (0.5 / max(float(np.abs(sound).max()), 1e-6))).astype(np.float32)


# -- tunes -----------------------------------------------------------------------------------


def _tune(length: int, beat_s: float, key: int, voices: int, rng: np.random.Generator) -> Samples:
    """Notes of a scale that wander by steps and leaps, ``voices`` of them at a time.

    Args:
        length: samples.
        beat_s: between the starts of notes, mostly.
        key: MIDI number of the lowest note.
        voices: notes a third apart that start together.
        rng: draws the instrument and the notes.
    """
    out = np.zeros(length, np.float32)
    note = _instrument(rng)
    scale = _SCALES[int(rng.integers(len(_SCALES)))]
    degree, at = int(rng.integers(8)), 0
    while at < length:
        steps = int(rng.choice((1, 1, 1, 2, 2, 3, 4)))
        if rng.random() < 0.85:
            held_s = beat_s * steps * rng.uniform(0.5, 1.6)
            for voice in range(voices):
                octave, place = divmod(degree + 2 * voice, len(scale))
                hz = 440.0 * 2 ** ((key + 12 * octave + scale[place] - 69) / 12)
                sound = note(min(hz, 5000.0), held_s, rng)[: length - at]
                out[at : at + len(sound)] += rng.uniform(0.4, 1.0) * sound
        degree = int(np.clip(degree + rng.integers(-3, 4), 0, 14))
        at += max(int(beat_s * steps * SAMPLE_RATE), 1)
    return out


Note = Callable[[float, float, np.random.Generator], Samples]
"""(pitch in Hz, how long it is held in seconds, generator) -> samples."""


def _instrument(rng: np.random.Generator) -> Note:
    choice = rng.random()
    if choice < 0.4:
        ratios = np.array(_BAR if rng.random() < 0.6 else _BELL) * rng.uniform(0.98, 1.02)
        return _struck(ratios, rng.uniform(0.15, 1.5), rng.uniform(0.3, 1.5))
    if choice < 0.6:
        ratios = np.arange(1, 11) * np.sqrt(1 + rng.uniform(0, 8e-4) * np.arange(1, 11) ** 2)
        return _struck(ratios, rng.uniform(0.2, 1.2), rng.uniform(0.6, 1.6))
    return _blown(rng.uniform(0.5, 2.0), rng.uniform(0.01, 0.12), hummed=rng.random() < 0.5)


def _struck(ratios: NDArray[np.float64], decay_s: float, tilt: float) -> Note:
    """Bars, bells and strings: partials that die away, the high ones first."""

    def note(hz: float, held_s: float, rng: np.random.Generator) -> Samples:
        t = np.arange(int(min(2.5 * decay_s, held_s + 1.0) * SAMPLE_RATE), dtype=np.float32)
        t /= SAMPLE_RATE
        out = np.zeros(len(t), np.float32)
        for number, ratio in enumerate(ratios, 1):
            if hz * ratio < 0.48 * SAMPLE_RATE:
                fade = np.exp(-t * np.float32(number**0.5 * 3 / decay_s))
                turn = np.float32(2 * np.pi * hz * ratio)
                out += np.float32(number**-tilt * rng.uniform(0.5, 1)) * fade * np.sin(turn * t)
        return out

    return note


def _blown(tilt: float, attack_s: float, *, hummed: bool) -> Note:
    """Pipes, bowed strings, and voices that hum from one vowel to another."""

    def note(hz: float, held_s: float, rng: np.random.Generator) -> Samples:
        count = max(int(held_s * SAMPLE_RATE), 2)
        t = np.arange(count, dtype=np.float32) / SAMPLE_RATE
        vibrato = rng.uniform(0.0, 0.02) * np.sin(2 * np.pi * rng.uniform(4.0, 7.0) * t)
        glide = np.linspace(2 ** rng.normal(0.0, 0.05), 1.0, count)
        phase = np.cumsum(2 * np.pi * hz / SAMPLE_RATE * (1 + vibrato) * glide).astype(np.float32)
        ends = [_VOWELS_HZ[int(rng.integers(len(_VOWELS_HZ)))] for _ in range(2)]
        vowel = np.linspace(ends[0], ends[1], count, dtype=np.float32)
        out = np.zeros(count, np.float32)
        for number in range(1, 13):
            if hz * number > 0.45 * SAMPLE_RATE:
                break
            gain = np.float32(number**-tilt)
            if hummed:
                apart = (hz * number - vowel) / 150.0
                out += gain * (1 / (1 + apart**2)).sum(axis=1) * np.sin(number * phase)
            else:
                out += gain * np.sin(number * phase)
        fade = np.minimum(1.0, np.minimum(t, t[::-1]) / np.float32(attack_s))
        return (out * fade).astype(np.float32)

    return note


# -- drums and signals -----------------------------------------------------------------------


def _drums(length: int, beat_s: float, rng: np.random.Generator) -> Samples:
    """A bar of eight beats of kicks, snares and cymbals, again and again."""
    out = np.zeros(length, np.float32)
    t = np.arange(SAMPLE_RATE // 3, dtype=np.float32) / SAMPLE_RATE
    kick_hz, snare_hz = rng.uniform(45, 110), rng.uniform(150, 320)
    hiss = rng.standard_normal(len(t)).astype(np.float32)
    bright = np.diff(hiss, prepend=np.float32(0))
    kick = np.sin(2 * np.pi * kick_hz * (t + 0.03 * (1 - np.exp(-t / 0.03)))) * np.exp(-t / 0.09)
    snare = 0.6 * hiss * np.exp(-t / 0.07)
    snare += np.sin(2 * np.pi * snare_hz * t) * np.exp(-t / 0.05)
    cymbal = 0.4 * bright * np.exp(-t / rng.uniform(0.01, 0.12))
    bar = rng.random((3, 8)) < np.array([[0.4], [0.3], [0.7]])
    for beat in range(int(length / SAMPLE_RATE / beat_s)):
        at = int(beat * beat_s * SAMPLE_RATE)
        for drum, struck in zip((kick, snare, cymbal), bar[:, beat % 8], strict=True):
            if struck:
                sound = drum[: length - at]
                out[at : at + len(sound)] += rng.uniform(0.5, 1.0) * sound
    return out


def _signals(length: int, rng: np.random.Generator) -> Samples:
    """Beeps of an appliance, the two tones of a siren, or sweeps."""
    t = np.arange(length) / SAMPLE_RATE
    low, high = np.sort(rng.uniform(300, 4000, 2))
    rate = rng.uniform(0.5, 8.0)
    cycle = (t * rate) % 1.0
    choice = rng.random()
    if choice < 0.4:
        hz = np.full(length, high)
        open_ = (cycle < rng.uniform(0.2, 0.7)) & ((t * rate / 4) % 1.0 < rng.uniform(0.4, 1.0))
    elif choice < 0.7:
        hz, open_ = np.where(cycle < 0.5, low, high), np.ones(length, bool)
    else:
        hz, open_ = low + (high - low) * cycle, np.ones(length, bool)
    phase = 2 * np.pi * np.cumsum(hz) / SAMPLE_RATE
    overtones = rng.uniform(0.0, 0.6, 3)
    out = np.sin(phase)
    for number, gain in enumerate(overtones, 2):
        out += gain * np.sin(number * phase) * (hz * number < 0.45 * SAMPLE_RATE)
    # Edges of 5 ms: a tone that is cut off clicks.
    edge = np.convolve(open_.astype(np.float64), np.full(80, 1 / 80), mode="same")
    return (out * edge).astype(np.float32)
