"""What else reaches the microphone: noise, a room, other people's speech.

Levels are taken over the pieces of 20 ms that are within 30 dB of the loudest, so that pauses count
neither in speech nor in noise (after ITU-T P.56, simpler). A noise's level is that of its whole
recording. What sounds is chosen by the text and its number: every model hears the very same.
"""

from __future__ import annotations

import json
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.signal import oaconvolve

from agent.hearing.features import SAMPLE_RATE
from converters.asr.corpora import read_audio
from converters.evaluation.sets import EvaluationSet, Samples, between_pauses
from converters.synthesis.pool import load_pool
from converters.wake.augmentation import trimmed_room

NOISE_DB = (20.0, 10.0, 5.0, 0.0)
OVER_DB = 5.0
CLEAN, ROOM = "clean", "room"
_SEED = 20
_PIECE = SAMPLE_RATE // 50
_RANGE_DB = 30.0
_BACKGROUND_S = 60.0

Sound = NDArray[np.float32]


def level(sound: Sound) -> float:
    """Root mean square of a sound where it is active; 0 for silence. float32 [n] to amplitude."""
    pieces = sound[: len(sound) // _PIECE * _PIECE].reshape(-1, _PIECE)
    powers = np.square(pieces, dtype=np.float64).mean(axis=1)
    loudest = float(powers.max(initial=0.0))
    active = powers[powers >= loudest * 10 ** (-_RANGE_DB / 10)]
    return float(np.sqrt(active.mean())) if loudest > 0 else 0.0


@dataclass(frozen=True)
class Condition:
    """What happens to a clip on its way to the microphone."""

    name: str
    ratio_db: float = 0.0
    """Level of the clip over that of what sounds beside it."""
    sounds: Sequence[Sound] = field(default=(), repr=False)
    """One of them sounds beside the clip, from a place of its own; none: nothing does."""
    rooms: Sequence[Sound] = field(default=(), repr=False)
    """Impulse responses from the direct sound on; the clip goes through one of them."""

    def heard(self, samples: Samples, *, key: str) -> Samples:
        """A clip between its pauses under this condition.

        Args:
            samples: the clip, int16 [n].
            key: what all choices hang on.
        """
        rng = np.random.default_rng([_SEED, zlib.crc32(f"{self.name} {key}".encode())])
        speech = level(samples.astype(np.float32))
        sound = between_pauses(samples).astype(np.float32)
        if self.rooms:
            room = self.rooms[int(rng.integers(len(self.rooms)))]
            sound = oaconvolve(sound, room)[: len(sound)].astype(np.float32)
            # Farther from the microphone, and turned up again.
            sound *= speech / max(level(sound), 1e-9)
        if self.sounds:
            beside = self.sounds[int(rng.integers(len(self.sounds)))]
            start = int(rng.integers(len(beside)))
            gain = speech / max(level(beside), 1e-9) * 10 ** (-self.ratio_db / 20)
            sound += np.float32(gain) * np.resize(np.roll(beside, -start), len(sound))
        # A microphone's preamplifier is turned down before it clips.
        sound *= min(1.0, 32_000.0 / max(float(np.abs(sound).max()), 1e-9))
        return np.rint(sound).astype(np.int16)


def noise_conditions(real: Path) -> list[Condition]:
    """Sounds of a home at falling ratios, and rooms, as far as there are recordings of them.

    The noises are the test split of ESC-10: ten kinds, eight of each, none trained on. (The music
    of our manifests is all for training.) The rooms are measured; training simulates its own.

    Args:
        real: folder with ``manifests/*.jsonl`` and recordings.
    """
    noises = _recordings(real, "aed_esc10", "test")
    rooms = [trimmed_room(response) for response in _recordings(real, "rir", "train")]
    found = [Condition(f"{ratio:g} dB", ratio, noises) for ratio in NOISE_DB] if noises else []
    return [*found, Condition(ROOM, rooms=rooms)] if rooms else found


def speech_condition(pool: Path) -> Condition:
    """Somebody else who speaks all the while, 5 dB weaker: the sentences of a pool in a row."""
    spoken = load_pool(pool)
    voices = " and ".join(sorted({item.voice for item in spoken.items}))
    streams: list[list[Sound]] = [[]]
    length = 0
    for position in range(len(spoken)):
        if length >= _BACKGROUND_S * SAMPLE_RATE:
            streams.append([])
            length = 0
        streams[-1].append(spoken.audio(position).astype(np.float32))
        length += len(streams[-1][-1])
    sounds = [np.concatenate(stream) for stream in streams if stream]
    return Condition(f"over {voices} at {OVER_DB:g} dB", OVER_DB, sounds)


def under(chosen: EvaluationSet, condition: Condition) -> EvaluationSet:
    """The same recordings under a condition."""
    items = [
        replace(item, staging=partial(condition.heard, key=f"{number} {item.text}"))
        for number, item in enumerate(chosen.items)
    ]
    name = f"{chosen.name}, {condition.name}"
    return EvaluationSet(name, items, real=chosen.real, everyday=chosen.everyday)


def _recordings(real: Path, corpus: str, split: str) -> list[Sound]:
    return [read_audio(path).astype(np.float32) for path in _paths(real, corpus, split)]


def _paths(real: Path, corpus: str, split: str) -> Iterator[Path]:
    manifest = real / "manifests" / f"{corpus}.jsonl"
    if manifest.exists():
        for line in manifest.read_text(encoding="utf-8").splitlines():
            entry = json.loads(line)
            if entry["split"] == split:
                yield real / entry["path"]
