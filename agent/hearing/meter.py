"""Level, clipping and the live score of the wake word, in readings of a fraction of a second.

The meter decides nothing about commands; it answers the three questions of whoever sets up a
microphone: does sound arrive, is it loud enough without clipping, and how sure is the wake word.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from agent.hearing.features import FRAME_SECONDS, LogMel
from agent.hearing.levels import SILENT_DBFS, LevelMeter
from agent.hearing.ring_buffer import Block
from agent.hearing.wake_word import Detection, WakeWord

_QUIET_DBFS = -45.0
"""Speech that never gets louder than this, over 0.2 s, is hardly above the noise."""
_CLIPPED_SHARE = 0.002
_NOISY_DBFS = -40.0


@dataclass(frozen=True, slots=True)
class Reading:
    """What a few blocks sounded like."""

    time_s: float
    """End of the last block, seconds since the start."""
    rms_dbfs: float | None
    """None for digital silence."""
    peak_dbfs: float | None
    clipped_blocks: int
    digital_silence: bool
    score: float
    """Highest smoothed score, of any wake word."""
    detections: tuple[Detection, ...]


class Meter:
    """Measures blocks.

    Args:
        words: The wake words.
        blocks: Blocks in a reading; 5 are 0.2 s.
    """

    def __init__(self, words: Sequence[WakeWord], blocks: int = 5) -> None:
        self._words = words
        self._blocks = blocks
        self._levels = LevelMeter()
        self._features = LogMel()
        self._heard = 0
        self._score = 0.0
        self._detections: list[Detection] = []

    def accept(self, block: Block) -> Reading | None:
        """Hears a block.

        Args:
            block: int16 [640].

        Returns:
            A reading after every so many blocks, else None.
        """
        samples = block.astype(np.float32) / np.float32(32768.0)
        self._levels.process(block, samples)
        frame = self._features.process(samples)
        for word in self._words:
            found = word.process(frame)
            self._score = max(self._score, word.score)
            if found is not None:
                self._detections.append(found)
        self._heard += 1
        return self._reading() if self._heard % self._blocks == 0 else None

    def _reading(self) -> Reading:
        report = self._levels.report()
        reading = Reading(
            time_s=round(self._heard * FRAME_SECONDS, 3),
            rms_dbfs=report.rms_dbfs,
            peak_dbfs=report.peak_dbfs,
            clipped_blocks=report.clipped_blocks,
            digital_silence=report.digital_silence,
            score=self._score,
            detections=tuple(self._detections),
        )
        self._score, self._detections = 0.0, []
        return reading


@dataclass
class Summary:
    """Everything since the meter began, and what to do about it."""

    readings: int = 0
    clipped_readings: int = 0
    loudest_dbfs: float = SILENT_DBFS
    """Highest level of a reading."""
    quietest_dbfs: float = 0.0
    """Lowest level of a reading: the noise of the room and of the microphone."""
    best_score: float = 0.0
    detections: int = 0
    dead: bool = False
    """Nothing but digital silence at the end."""

    def add(self, reading: Reading) -> None:
        """Counts a reading in."""
        level = SILENT_DBFS if reading.rms_dbfs is None else reading.rms_dbfs
        self.readings += 1
        self.clipped_readings += reading.clipped_blocks > 0
        self.loudest_dbfs = max(self.loudest_dbfs, level)
        self.quietest_dbfs = min(self.quietest_dbfs, level)
        self.best_score = max(self.best_score, reading.score)
        self.detections += len(reading.detections)
        self.dead = reading.digital_silence

    def advice(self) -> list[str]:
        """What is wrong with the sound, one sentence each, each saying what to change."""
        if not self.readings:
            return ["No sound came; name another source."]
        if self.dead and self.loudest_dbfs <= SILENT_DBFS:
            return ["Only digital silence: the microphone is muted, unplugged or the wrong one."]
        found = []
        if self.clipped_readings > max(1, _CLIPPED_SHARE * self.readings):
            found.append(
                "It clips: lower the capture volume (alsamixer, F4) by 6 dB and try again."
            )
        if self.loudest_dbfs < _QUIET_DBFS:
            found.append(
                f"The loudest sound was {self.loudest_dbfs:.0f} dBFS: raise the capture volume"
                f" until speech from where you sit comes above {_QUIET_DBFS:.0f}."
            )
        if self.quietest_dbfs > _NOISY_DBFS:
            found.append(
                f"It is never below {self.quietest_dbfs:.0f} dBFS: a fan, a hum or too much gain;"
                " move the microphone away from it or lower the capture volume."
            )
        return found
