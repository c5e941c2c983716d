"""One utterance becomes many: what other mouths, rooms and microphones would make of it.

Everything that needs samples happens here (speed, room, distortion) and in the mel bank (vocal
tract); noise, level, pauses and neighbours are added to features later, stream by stream, where
they cost almost nothing. Positives and negatives, real and synthetic, all take this same road:
otherwise the network would learn to tell the roads apart and not the words.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.signal import oaconvolve

from agent.hearing.features import HOP, SAMPLE_RATE, WINDOW, log_mel_hops

Samples = NDArray[np.float32]

REFERENCE_DBFS = -20.0
"""Level of speech after augmentation; streams give it its final level."""
WARPS = tuple(round(0.85 + 0.025 * k, 3) for k in range(13))
"""Vocal tract factors 0.85..1.15: a fixed set, so that mel banks are made once."""
LONGEST_ROOM_S = 1.0


@dataclass(frozen=True)
class Drawn:
    """One copy of an utterance: hops, and where its word lies in them."""

    hops: NDArray[np.float16]
    """Log-mel [n, 64] with speech at the reference level."""
    start_hop: float
    end_hop: float
    times_s: NDArray[np.float64]
    """Where the centre of each hop lies in the utterance it was made from, seconds [n]."""


def simulated_room(rng: np.random.Generator) -> Samples:
    """An impulse response: the direct sound, a few early echoes and a decaying tail."""
    n = int(rng.uniform(0.08, 0.7) * SAMPLE_RATE)
    tail = rng.standard_normal(n) * np.exp(-6.9 * np.arange(n) / n)
    direct_to_tail_db = rng.uniform(-4.0, 20.0)
    tail *= np.sqrt(10 ** (-direct_to_tail_db / 10) / np.sum(tail**2))
    response = tail.astype(np.float32)
    for _ in range(rng.integers(0, 6)):
        response[rng.integers(1, 400)] += rng.uniform(-0.5, 0.5)
    response[0] = 1.0
    return response


def trimmed_room(response: Samples) -> Samples:
    """A measured impulse response from its direct sound on, at unit peak, at most 1 s long."""
    first = int(np.argmax(np.abs(response)))
    response = response[first : first + int(LONGEST_ROOM_S * SAMPLE_RATE)]
    return response / max(float(np.abs(response[0])), 1e-6)


def _centres_s(count: int) -> NDArray[np.float64]:
    return (HOP * np.arange(1, count + 1) - WINDOW / 2) / SAMPLE_RATE


def to_reference_level(samples: Samples, start: int, end: int) -> Samples:
    """Scales so that samples[start:end] have the reference level."""
    span = samples[max(start, 0) : max(end, start + 1)]
    rms = float(np.sqrt(np.mean(np.square(span, dtype=np.float64)))) if len(span) else 0.0
    return (samples * (10 ** (REFERENCE_DBFS / 20) / max(rms, 1e-5))).astype(np.float32)


class Augmenter:
    """Draws copies of utterances; a copy depends on the generator alone.

    Args:
        rooms: measured impulse responses, float32 [n] each; simulated ones need none.
    """

    def __init__(self, rooms: Sequence[Samples] = ()) -> None:
        self._rooms = [trimmed_room(room) for room in rooms]

    def _room(self, rng: np.random.Generator) -> Samples | None:
        choice = rng.random()
        if choice < 0.4:
            return None
        if choice < 0.6 and self._rooms:
            return self._rooms[rng.integers(len(self._rooms))]
        return simulated_room(rng)

    def draw(
        self, samples: Samples, start_hop: float, end_hop: float, rng: np.random.Generator
    ) -> Drawn:
        """One random copy.

        Args:
            samples: float32 [n], 16 kHz.
            start_hop: start of the speech in hops.
            end_hop: end of the word (or of the speech).
            rng: the source of all choices.
        """
        speed = float(np.clip(rng.normal(1.0, 0.11), 0.78, 1.3))
        count = int(len(samples) / speed)
        x = np.interp(np.arange(count) * speed, np.arange(len(samples)), samples)
        x = x.astype(np.float32)
        start, end = start_hop / speed, end_hop / speed
        room = self._room(rng)
        if room is not None:
            x = oaconvolve(x, room)[: count + SAMPLE_RATE // 5].astype(np.float32)
        x = to_reference_level(x, int(start * HOP), int(end * HOP))
        if rng.random() < 0.1:
            drive = rng.uniform(2.0, 8.0)
            x = (np.tanh(drive * x) / drive).astype(np.float32)
        offset = int(rng.integers(HOP))
        x = np.concatenate((np.zeros(offset, np.float32), x))
        shift = offset / HOP
        warp = float(rng.choice(WARPS)) if rng.random() < 0.75 else 1.0
        hops = log_mel_hops(x, warp).astype(np.float16)
        times_s = (_centres_s(len(hops)) - offset / SAMPLE_RATE) * speed
        return Drawn(hops, start + shift, min(end + shift, float(len(hops))), times_s)

    def plain(self, samples: Samples, start_hop: float, end_hop: float) -> Drawn:
        """The utterance as it is, at the reference level."""
        x = to_reference_level(samples, int(start_hop * HOP), int(end_hop * HOP))
        hops = log_mel_hops(x).astype(np.float16)
        return Drawn(hops, start_hop, end_hop, _centres_s(len(hops)))
