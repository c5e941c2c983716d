"""Plays streams through the wake word of the agent and counts what it makes of them.

Every stream goes block by block through `LogMel` and `WakeWord`, the very classes of the daemon,
after passing through int16 as from a microphone.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from agent.bundle.runtime import Model
from agent.bundle.schema import WakeEntry
from agent.config import WakeConfig
from agent.hearing.features import BLOCK, FRAME_SECONDS, LogMel
from agent.hearing.wake_word import Detection, WakeWord, wake_settings
from converters.evaluation.intervals import Rate, Share, rate, share
from converters.wake.detection import ALLOWED_EARLY_S, ALLOWED_LATE_S
from converters.wake.scenes import Scene


@dataclass(frozen=True)
class Heard:
    """One stream after it has been played."""

    scene: Scene
    detections: list[Detection]
    peak: float
    """Highest smoothed score."""


class Listener:
    """A wake word as the daemon runs it."""

    def __init__(self, model: Path, entry: WakeEntry) -> None:
        self.entry = entry
        self._word = WakeWord(Model(model), wake_settings(entry, WakeConfig()))
        self._features = LogMel()

    def play(self, stream: Scene) -> Heard:
        """Plays a stream after a reset; samples pass through int16 as from a microphone."""
        self._features.reset()
        self._word.reset()
        pcm = np.clip(np.rint(stream.samples * 32768.0), -32768, 32767).astype(np.int16)
        blocks = (pcm[: len(pcm) // BLOCK * BLOCK].astype(np.float32) / 32768.0).reshape(-1, BLOCK)
        found, peak = [], 0.0
        for block in blocks:
            detection = self._word.process(self._features.process(block))
            peak = max(peak, self._word.score)
            if detection is not None:
                found.append(detection)
        return Heard(stream, found, peak)

    def event_s(self, detection: Detection) -> float:
        """When a detection was known, in seconds of audio."""
        return (detection.end_frame + self.entry.latency) * FRAME_SECONDS


@dataclass(frozen=True)
class Positives:
    """Counts of one group of streams with the wake word."""

    name: str
    missed: Share
    speakers: dict[str, Share]
    delay_s: tuple[float, float] | None
    """Median and 95th percentile from the word's end to the event."""
    end_error_s: tuple[float, float] | None
    """Median error and 95th percentile of the absolute error of the word end as reported."""
    missed_keys: list[str]

    @property
    def worst_tenth(self) -> Share:
        """The tenth of the speakers (at least one) with the most misses, together."""
        worst = sorted(self.speakers.values(), key=lambda s: (-s.value, -s.n))
        worst = worst[: max(1, round(len(worst) / 10))]
        return share(sum(s.k for s in worst), sum(s.n for s in worst))


def _belongs(listener: Listener, heard: Heard) -> Detection | None:
    end = heard.scene.word_end_s
    for detection in heard.detections:
        if end is None:
            return detection
        if end - ALLOWED_EARLY_S <= listener.event_s(detection) <= end + ALLOWED_LATE_S:
            return detection
    return None


def count_positives(listener: Listener, name: str, streams: Iterable[Scene]) -> Positives:
    """Plays streams that each hold the wake word once."""
    by_speaker: dict[str, list[bool]] = {}
    delays, errors, missed = [], [], []
    for stream in streams:
        heard = listener.play(stream)
        detection = _belongs(listener, heard)
        by_speaker.setdefault(stream.speaker, []).append(detection is None)
        if detection is None:
            missed.append(stream.key)
        elif stream.word_end_s is not None:
            delays.append(listener.event_s(detection) - stream.word_end_s)
            errors.append(detection.end_frame * FRAME_SECONDS - stream.word_end_s)
    flags = [flag for each in by_speaker.values() for flag in each]
    return Positives(
        name=name,
        missed=share(sum(flags), len(flags)),
        speakers={who: share(sum(f), len(f)) for who, f in sorted(by_speaker.items())},
        delay_s=_median_and_95(delays, delays),
        end_error_s=_median_and_95(errors, np.abs(errors).tolist()),
        missed_keys=missed,
    )


def _median_and_95(middle: Sequence[float], spread: Sequence[float]) -> tuple[float, float] | None:
    if not middle:
        return None
    return float(np.median(middle)), float(np.percentile(spread, 95))


@dataclass(frozen=True)
class Negatives:
    """False accepts of one group of streams without the wake word."""

    name: str
    accepted: Rate
    utterances: Share
    """Utterances with at least one event; what counts for hard negatives."""
    accepted_keys: list[str]


def count_negatives(listener: Listener, name: str, streams: Iterable[Scene]) -> Negatives:
    """Plays streams that never hold the wake word; the pauses around clips are not counted."""
    count, seconds, n, fired = 0, 0.0, 0, []
    for stream in streams:
        heard = listener.play(stream)
        seconds += stream.clip_s
        n += 1
        count += len(heard.detections)
        if heard.detections:
            fired.append(stream.key)
    return Negatives(name, rate(count, seconds / 3600), share(len(fired), n), fired)
