"""From scores to events, from events to misses and false accepts, from both to a threshold.

The same arithmetic as on the board: the mean of the last few scores reaches the threshold, which
is an event; then nothing counts for the refractory time, nor until the mean has come down once.
Pure functions over arrays.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from agent.hearing.features import FRAME_SECONDS

Scores = NDArray[np.float32]

THRESHOLDS = tuple(float(t) for t in 1.0 / (1.0 + np.exp(-np.arange(-3.0, 7.01, 0.1))))
"""Where curves are evaluated: 0.047 to 0.999, evenly in log odds."""
ALLOWED_EARLY_S, ALLOWED_LATE_S = 0.3, 0.8
"""An event this long before or after a word's end still belongs to the word."""


@dataclass(frozen=True)
class Rule:
    """How scores become events."""

    threshold: float
    smoothing: int = 2
    """Scores in the mean."""
    refractory_s: float = 1.5

    @property
    def refractory_frames(self) -> int:
        """The refractory time in frames."""
        return round(self.refractory_s / FRAME_SECONDS)


@dataclass(frozen=True)
class Event:
    """One detection."""

    frame: int
    """Frame after which it is known."""
    score: float

    @property
    def time_s(self) -> float:
        """End of its frame in seconds of audio."""
        return (self.frame + 1) * FRAME_SECONDS


def smoothed(scores: Scores, smoothing: int) -> Scores:
    """Mean over the last ``smoothing`` scores; those before the first count as 0."""
    padded = np.concatenate((np.zeros(smoothing - 1, np.float32), scores))
    sums = np.convolve(padded, np.ones(smoothing, np.float32), mode="valid")
    return (sums / smoothing).astype(np.float32)


def events(scores: Scores, rule: Rule) -> list[Event]:
    """All events in a stream of raw scores [frames]."""
    return _crossings(smoothed(scores, rule.smoothing), rule.threshold, rule.refractory_frames)


def _crossings(mean: Scores, threshold: float, refractory: int) -> list[Event]:
    """All events in a stream of mean scores."""
    found: list[Event] = []
    ready, run, before = 0, -1, -2
    for frame in np.flatnonzero(mean >= threshold).tolist():
        if frame != before + 1:
            run = frame
        before = frame
        # A score that stays up is one word, however long: it has to come down in between.
        if frame >= ready and (not found or run > found[-1].frame):
            found.append(Event(frame, float(mean[frame])))
            ready = frame + refractory
    return found


def hit(scores: Scores, rule: Rule, word_end_s: float | None) -> Event | None:
    """The event that a stream with one wake word owes, or None if it is missed.

    Args:
        scores: raw scores [frames] of the stream.
        rule: how scores become events.
        word_end_s: end of the word; None where it is unknown, then any event counts.
    """
    return _owed(events(scores, rule), word_end_s)


def _owed(found: Sequence[Event], word_end_s: float | None) -> Event | None:
    for event in found:
        if word_end_s is None:
            return event
        if word_end_s - ALLOWED_EARLY_S <= event.time_s <= word_end_s + ALLOWED_LATE_S:
            return event
    return None


@dataclass(frozen=True)
class Curve:
    """Misses and false accepts over `THRESHOLDS`."""

    misses: NDArray[np.float64]
    """Share of positives missed."""
    false_accepts: NDArray[np.float64]
    """Events per hour of negatives."""


def misses_by_threshold(
    positives: Sequence[tuple[Scores, float | None]], rule: Rule
) -> NDArray[np.float64]:
    """Share of streams with one wake word each (and its end in seconds) missed at `THRESHOLDS`."""
    hits = np.zeros(len(THRESHOLDS))
    for scores, end in positives:
        mean = smoothed(scores, rule.smoothing)
        peak = float(mean.max(initial=0.0))
        for number, threshold in enumerate(THRESHOLDS):
            if threshold > peak:
                break
            hits[number] += (
                _owed(_crossings(mean, threshold, rule.refractory_frames), end) is not None
            )
    return 1.0 - hits / max(len(positives), 1)


def accepts_by_threshold(
    negatives: Sequence[Scores], rule: Rule, hours: float
) -> NDArray[np.float64]:
    """Events per hour of streams without a wake word at `THRESHOLDS`."""
    counts = np.zeros(len(THRESHOLDS))
    for scores in negatives:
        mean = smoothed(scores, rule.smoothing)
        peak = float(mean.max(initial=0.0))
        for number, threshold in enumerate(THRESHOLDS):
            if threshold > peak:
                break
            counts[number] += len(_crossings(mean, threshold, rule.refractory_frames))
    return counts / max(hours, 1e-9)


def viable_recall(measured: Curve, most_per_hour: float = 2.0) -> float:
    """Mean recall over 0 to ``most_per_hour`` false accepts an hour; 1 is perfect.

    One number for the whole useful part of the curve, so that a checkpoint is not chosen for
    luck at one threshold.
    """
    order = np.argsort(measured.false_accepts, kind="stable")
    rates = measured.false_accepts[order]
    recall = np.maximum.accumulate(1.0 - measured.misses[order])
    grid = np.linspace(0.0, most_per_hour, 81)
    steps = np.searchsorted(rates, grid, side="right") - 1
    return float(np.where(steps >= 0, recall[np.maximum(steps, 0)], 0.0).mean())


@dataclass(frozen=True)
class Chosen:
    """A threshold and what it rests on."""

    threshold: float
    fitted: float
    """What the fitted tail alone would say."""
    peaks: int
    """Peaks of the negatives that the fit rests on."""
    hours: float
    most_per_hour: float
    overruled: bool
    """More events were counted at the fitted threshold than chance explains."""


def choose_threshold(
    negatives: Sequence[Scores],
    rule: Rule,
    hours: float,
    most_per_hour: float,
    tail_events: int = 12,
) -> Chosen:
    """The lowest threshold that keeps false accepts rare, by a fitted tail.

    Counting alone would hang on one or two events. So the highest peaks of the negatives, in log
    odds, are taken to fall off exponentially, and the threshold is where that fit predicts
    ``most_per_hour``. The count has a say only where it contradicts the fit: never are so many
    events accepted that chance would give them in less than one case of twenty.

    Args:
        negatives: scores of streams without the wake word, never trained on.
        rule: smoothing and refractory time; its threshold is not used.
        hours: how long they are, without the pauses around clips.
        most_per_hour: the rate to stay below.
        tail_events: how many of the highest peaks the fit rests on.
    """
    peaks: list[float] = []
    for scores in negatives:
        low = Rule(0.02, rule.smoothing, rule.refractory_s)
        mean = smoothed(scores, rule.smoothing)
        span = rule.refractory_frames
        peaks += [float(mean[e.frame : e.frame + span].max()) for e in events(scores, low)]
    if len(peaks) <= 2:
        return Chosen(0.5, 0.5, len(peaks), hours, most_per_hour, overruled=False)
    odds = np.sort(_log_odds(np.array(peaks)))[::-1]
    used = odds[: min(tail_events, len(odds))]
    scale = max(float(np.mean(used[:-1] - used[-1])), 1e-3)
    # Expected peaks an hour above t: (n / hours) exp(-(t - lowest used) / scale).
    rate = len(used) / max(hours, 1e-9)
    fitted = float(used[-1] + scale * np.log(max(rate / most_per_hour, 1.0)))
    allowed = int(stats.poisson.ppf(0.95, most_per_hour * hours))
    counted = float(odds[allowed]) + 0.05 if allowed < len(odds) else -np.inf
    return Chosen(
        threshold=_probability(max(fitted, counted)),
        fitted=_probability(fitted),
        peaks=len(used),
        hours=hours,
        most_per_hour=most_per_hour,
        overruled=counted > fitted,
    )


def _probability(odds: float) -> float:
    return float(1.0 / (1.0 + np.exp(-np.clip(odds, -1.0, 6.0))))


def _log_odds(p: NDArray[np.float64]) -> NDArray[np.float64]:
    p = np.clip(p, 1e-6, 1.0 - 1e-6)
    return np.log(p / (1.0 - p))
