"""What a wake word thought of a recording, frame by frame, and what other thresholds would do.

A trace is kept so that a question about a setting needs no second hearing: where did it fire, how
close did it come elsewhere, and how often would it have fired at another threshold?
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from agent.hearing.features import FRAME_SECONDS
from agent.hearing.wake_word import WakeSettings

FLOOR = 0.1
"""Scores below this are no close calls: speech without the word stays there nearly always."""
_APART_FRAMES = 25
"""Two high scores within a second belong to one word."""


@dataclass(frozen=True, slots=True)
class Moment:
    """A place in a recording and how sure the wake word was there."""

    time_s: float
    """End of the frame, seconds from the start of the recording."""
    score: float
    """Smoothed score."""
    level_dbfs: float
    """Level over the word's typical length up to there."""


@dataclass(frozen=True)
class ScoreTrace:
    """One wake word and one recording."""

    settings: WakeSettings
    scores: NDArray[np.float32]
    """Smoothed scores [frames]."""
    levels_dbfs: NDArray[np.float32]
    """Level of each frame [frames]; digital silence is -100."""

    @property
    def seconds(self) -> float:
        """Length of the recording."""
        return len(self.scores) * FRAME_SECONDS

    def detections(self, threshold: float | None = None) -> list[Moment]:
        """Where it fires.

        Args:
            threshold: Another one than the settings'.
        """
        if threshold is None:
            threshold = self.settings.threshold
        frames = crossings(self.scores, threshold, self.settings.refractory_frames)
        return [self._moment(frame) for frame in frames]

    def close_calls(self, threshold: float | None = None, floor: float = FLOOR) -> list[Moment]:
        """The highest scores elsewhere, one a second at most, the closest first.

        Args:
            threshold: Another one than the settings'.
            floor: Lower scores are no close calls.
        """
        if threshold is None:
            threshold = self.settings.threshold
        fired = crossings(self.scores, threshold, self.settings.refractory_frames)
        left = self.scores.astype(np.float64)
        for frame in fired:
            # What belongs to a detection: its rise, its peak, and its fall.
            left[max(0, frame - _APART_FRAMES) : frame + _APART_FRAMES] = 0.0
        left[left >= threshold] = 0.0  # kept from firing by the refractory time
        found = []
        while len(left) and left.max() >= floor:
            frame = int(left.argmax())
            found.append(self._moment(frame))
            left[max(0, frame - _APART_FRAMES) : frame + _APART_FRAMES] = 0.0
        return found

    def _moment(self, frame: int) -> Moment:
        first = max(0, frame + 1 - self.settings.length_frames - self.settings.latency_frames)
        power = np.mean(10.0 ** (self.levels_dbfs[first : frame + 1].astype(np.float64) / 10.0))
        return Moment(
            round((frame + 1) * FRAME_SECONDS, 3),
            round(float(self.scores[frame]), 4),
            round(10.0 * float(np.log10(power)), 1),
        )


def crossings(scores: NDArray[np.float32], threshold: float, refractory_frames: int) -> list[int]:
    """Frames in which `WakeWord` fires, from its smoothed scores.

    Args:
        scores: Smoothed scores [frames].
        threshold: What they are compared with.
        refractory_frames: Frames after a detection without another.
    """
    above = scores >= threshold
    found: list[int] = []
    armed, deaf_until = True, 0
    for frame, high in enumerate(above.tolist()):
        if not high:
            armed = True
        elif armed and frame >= deaf_until:
            armed = False
            deaf_until = frame + refractory_frames
            found.append(frame)
    return found


def other_thresholds(trace: ScoreTrace, thresholds: Sequence[float]) -> list[tuple[float, int]]:
    """How often the word would have fired at each threshold."""
    return [(value, len(trace.detections(value))) for value in thresholds]
