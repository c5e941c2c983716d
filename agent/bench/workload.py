"""The sound that is measured: a quiet room, alone and with commands spoken in it.

The room is faint noise, because digital silence would flatter the models: some kernels skip zeros.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from agent.bundle.manifest import Bundle
from agent.hearing.audio_file import AudioFile
from agent.hearing.features import BLOCK, SAMPLE_RATE

Blocks = NDArray[np.int16]
"""Samples int16 [n, 640]."""

PAUSE_S = 4.0
"""Of room between two commands."""
_ROOM_RMS = 12.0  # of 32768: -69 dBFS, the noise of a good microphone in a quiet room
_MOST_CLIPS = 100


@dataclass(frozen=True)
class Workload:
    """Sound of one kind.

    Attributes:
        name: `pipeline` or `idle`.
        blocks: int16 [n, 640].
    """

    name: str
    blocks: Blocks

    @property
    def seconds(self) -> float:
        """Length."""
        return len(self.blocks) * BLOCK / SAMPLE_RATE


def room(seconds: float, seed: int = 0) -> Blocks:
    """Faint noise, the same for the same seed."""
    count = round(seconds * SAMPLE_RATE / BLOCK)
    noise = np.random.default_rng(seed).standard_normal((count, BLOCK), np.float32)
    blocks: Blocks = np.rint(noise * np.float32(_ROOM_RMS)).astype(np.int16)
    return blocks


def commands(bundle: Bundle, seconds: float) -> Blocks | None:
    """The bundle's own recordings, one after the other with a pause behind each, over and over.

    Args:
        bundle: Its self-test is played; recordings without the wake word are left out.
        seconds: At least so long.

    Returns:
        int16 [n, 640], or None if the bundle has no recordings.
    """
    clips = [
        np.stack(list(AudioFile(bundle.directory / entry.path)))
        for entry in bundle.manifest.selftest[:_MOST_CLIPS]
        if entry.wake is not None
    ]
    if not clips:
        return None
    wanted, have, parts = round(seconds * SAMPLE_RATE / BLOCK), 0, []
    while have < wanted:
        for number, clip in enumerate(clips):
            parts += [clip, room(PAUSE_S, seed=number)]
            have += len(parts[-2]) + len(parts[-1])
            if have >= wanted:
                break
    return np.concatenate(parts)
