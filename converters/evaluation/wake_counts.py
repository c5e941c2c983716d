"""Plays streams to a wake word and counts what it makes of them.

Every stream goes block by block through `LogMel` and `WakeWord`, the very classes of the daemon,
after passing through int16 as from a microphone. Other engines are counted by the same rules.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from agent.bundle.schema import WakeEntry
from agent.hearing.features import BLOCK, FRAME_SECONDS, SAMPLE_RATE, LogMel
from agent.hearing.wake_word import WakeWord
from converters.evaluation.intervals import Rate, Share, rate, share
from converters.wake.detection import ALLOWED_EARLY_S, ALLOWED_LATE_S
from converters.wake.scenes import Scene


@dataclass(frozen=True)
class Event:
    """One detection of any engine."""

    time_s: float
    """When it was known."""
    word_end_s: float | None = None
    """Where it places the end of the word; None: it does not say."""
    agreement: float | None = None
    """What the second stage thinks of it, if there is one."""


@dataclass(frozen=True)
class Heard:
    """One stream after it has been played."""

    scene: Scene
    events: list[Event]
    peak: float
    """Highest smoothed score."""


class Player(Protocol):
    """An engine that streams can be played to."""

    name: str
    cpu_s: float
    """Processor time spent in `play` so far, features included."""
    audio_s: float
    """Length of what was played."""

    def play(self, stream: Scene) -> Heard:
        """Plays a stream after a reset."""


def microphone(samples: NDArray[np.float32]) -> NDArray[np.int16]:
    """Samples as a microphone would deliver them: int16 [blocks, 640]."""
    pcm = np.clip(np.rint(samples * 32768.0), -32768, 32767).astype(np.int16)
    return pcm[: len(pcm) // BLOCK * BLOCK].reshape(-1, BLOCK)


class Listener:
    """A wake word as the daemon runs it.

    Args:
        word: the wake word.
        entry: how it is judged.
    """

    def __init__(self, word: WakeWord, entry: WakeEntry) -> None:
        self.name = "voice-agent"
        self.entry = entry
        self.cpu_s = self.audio_s = 0.0
        self._word = word
        self._features = LogMel()

    def play(self, stream: Scene) -> Heard:
        """Plays a stream after a reset; samples pass through int16 as from a microphone."""
        blocks = microphone(stream.samples)
        began = time.process_time()
        self._features.reset()
        self._word.reset()
        found, peak = [], 0.0
        for block in blocks:
            samples = block.astype(np.float32) / np.float32(32768.0)
            detection = self._word.process(self._features.process(samples))
            peak = max(peak, self._word.score)
            if detection is not None:
                end = detection.end_frame * FRAME_SECONDS
                known = end + self.entry.latency * FRAME_SECONDS
                found.append(Event(known, end, detection.agreement))
        self.cpu_s += time.process_time() - began
        self.audio_s += blocks.size / SAMPLE_RATE
        return Heard(stream, found, peak)


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


def owed(heard: Heard) -> Event | None:
    """The event that a stream with one wake word owes; None if it is missed."""
    end = heard.scene.word_end_s
    for event in heard.events:
        if end is None or end - ALLOWED_EARLY_S <= event.time_s <= end + ALLOWED_LATE_S:
            return event
    return None


def count_positives(player: Player, name: str, streams: Iterable[Scene]) -> Positives:
    """Plays streams that each hold the wake word once."""
    by_speaker: dict[str, list[bool]] = {}
    delays, errors, missed = [], [], []
    for stream in streams:
        event = owed(player.play(stream))
        by_speaker.setdefault(stream.speaker, []).append(event is None)
        if event is None:
            missed.append(stream.key)
        elif stream.word_end_s is not None:
            delays.append(event.time_s - stream.word_end_s)
            if event.word_end_s is not None:
                errors.append(event.word_end_s - stream.word_end_s)
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


def count_negatives(player: Player, name: str, streams: Iterable[Scene]) -> Negatives:
    """Plays streams that never hold the wake word; the pauses around clips are not counted."""
    count, seconds, n, fired = 0, 0.0, 0, []
    for stream in streams:
        heard = player.play(stream)
        seconds += stream.clip_s
        n += 1
        count += len(heard.events)
        if heard.events:
            fired.append(stream.key)
    return Negatives(name, rate(count, seconds / 3600), share(len(fired), n), fired)


def together(name: str, groups: Sequence[Negatives]) -> Negatives:
    """Several groups as one."""
    return Negatives(
        name,
        rate(sum(g.accepted.events for g in groups), sum(g.accepted.hours for g in groups)),
        share(sum(g.utterances.k for g in groups), sum(g.utterances.n for g in groups)),
        [key for group in groups for key in group.accepted_keys],
    )


@dataclass(frozen=True)
class Result:
    """What an engine made of everything."""

    engine: str
    positives: list[Positives]
    negatives: list[Negatives]
