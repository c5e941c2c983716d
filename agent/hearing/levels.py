"""How loud it is: level, clipping, dead input, and whether a frame is quiet.

Levels are in dBFS: 0 is a full-scale square wave. A frame is quiet when it is close to the noise of
the room or far below the loudest speech of the command. Both follow the sound, so that neither a
fan nor a soft voice needs a setting.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from agent.hearing.ring_buffer import Block

SILENT_DBFS = -100.0
"""What digital silence counts as in comparisons; 16-bit noise is louder."""

_SILENT_POWER = 1e-10  # SILENT_DBFS as a mean square
_FULL_SCALE = 32768.0


@dataclass(frozen=True, slots=True)
class LevelReport:
    """Levels over some time."""

    rms_dbfs: float | None
    """None for digital silence."""
    peak_dbfs: float | None
    clipped_blocks: int
    digital_silence: bool
    """Not one sample changed over the last second or more: the microphone is dead or muted."""


def dbfs(mean_square: float) -> float | None:
    """Level of a mean square of samples in [-1, 1); None for 0."""
    return 10.0 * math.log10(mean_square) if mean_square > 0 else None


def _level(mean_square: float) -> float:
    return 10.0 * math.log10(mean_square + _SILENT_POWER)


class LevelMeter:
    """Measures blocks; made for every block of the day, so that nothing here is slow.

    Args:
        silent_blocks: Blocks without any change that count as digital silence.
    """

    def __init__(self, silent_blocks: int = 25) -> None:
        self._silent_blocks = silent_blocks
        self._dead = 0
        self._sum = 0.0
        self._count = 0
        self._peak = 0
        self._clipped = 0

    def process(self, block: Block, samples: NDArray[np.float32]) -> float:
        """Measures a block.

        Args:
            block: int16 [640].
            samples: The same as float32 [640] in [-1, 1).

        Returns:
            Mean square of the block.
        """
        mean_square = float(np.dot(samples, samples)) / len(samples)
        high, low = int(block.max()), int(block.min())
        self._dead = self._dead + 1 if high == low else 0
        if high >= 32767 or low <= -32768:
            self._clipped += 1
        self._peak = max(self._peak, high, -low)
        self._sum += mean_square
        self._count += 1
        return mean_square

    @property
    def digital_silence(self) -> bool:
        """Nothing has changed for a while: no real microphone is that quiet."""
        return self._dead >= self._silent_blocks

    def report(self) -> LevelReport:
        """Levels since the last report."""
        mean_square = self._sum / self._count if self._count else 0.0
        report = LevelReport(
            dbfs(mean_square),
            dbfs((self._peak / _FULL_SCALE) ** 2),
            self._clipped,
            self.digital_silence,
        )
        self._sum, self._count, self._peak, self._clipped = 0.0, 0, 0, 0
        return report


class Activity:
    """Tells quiet frames from loud ones.

    The noise floor follows the quietest frames: down at once, up slowly, so that speech does not
    lift it. `start` begins a command: from then on the loudest frame counts as well.
    """

    _RISE_DB = 0.04  # per frame: 1 dB a second
    _ABOVE_NOISE_DB = 9.0
    _BELOW_SPEECH_DB = 26.0

    def __init__(self) -> None:
        self._floor = 0.0
        self._loudest = SILENT_DBFS

    def start(self, mean_square: float) -> None:
        """A command begins; ``mean_square`` is that of the wake word's loudest frame."""
        self._loudest = _level(mean_square)

    def quiet(self, mean_square: float) -> bool:
        """True if a frame with this mean square holds no speech worth waiting for."""
        level = _level(mean_square)
        if level < self._floor:
            # The very first frames decide at once; later a single dip moves it only half the way.
            self._floor += 0.5 * (level - self._floor)
        else:
            self._floor = min(self._floor + self._RISE_DB, level)
        self._loudest = max(self._loudest, level)
        return (
            level < self._floor + self._ABOVE_NOISE_DB
            or level < self._loudest - self._BELOW_SPEECH_DB
        )

    def reset(self) -> None:
        """Forgets room and speech."""
        self._floor = 0.0
        self._loudest = SILENT_DBFS
