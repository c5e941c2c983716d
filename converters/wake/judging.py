"""Judges the file that ships, not the network it came from: int8 scores on the tuning set.

Chooses the threshold, and measures how late the word is known and how long it lasts, which is
what the agent needs to say where the command begins.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from agent.bundle.runtime import Model
from agent.hearing.features import FRAME_SECONDS, log_mel_frames
from converters.evaluation.intervals import rate, share
from converters.wake.detection import (
    THRESHOLDS,
    Chosen,
    Rule,
    Scores,
    accepts_by_threshold,
    choose_threshold,
    events,
    hit,
    misses_by_threshold,
)
from converters.wake.scenes import CLEAN, scene
from converters.wake.tuning_set import CONDITIONS, TuningSet
from converters.wake.utterances import Utterance

_SEED = 0
"""Of the microphone's hiss in pauses."""

MOST_PER_HOUR = 0.1
"""False accepts that the threshold aims at on the tuning set. Its voices are few and speak clearly;
life has more of both kinds, so this is a tenth of what a user may be bothered with."""


@dataclass(frozen=True)
class Judged:
    """What the tuning set says about a file."""

    rule: Rule
    chosen: Chosen
    latency_frames: int
    """From a word's end to the frame in which the mean score crosses, typically."""
    figures: dict[str, Any]


def file_scores(model: Model, frames: NDArray[np.floating]) -> Scores:
    """Raw scores of one stream that starts after a reset: [n, 256] -> [n]."""
    model.reset()
    found = np.zeros(len(frames), np.float32)
    for number, frame in enumerate(frames):
        (score,) = model(frame.astype(np.float32)[None])
        found[number] = score[0, 0]
    return found


def delays(positives: Sequence[tuple[Scores, float | None]], rule: Rule) -> NDArray[np.float64]:
    """Seconds from the known ends of the detected words to their events."""
    found = []
    for scores, end in positives:
        event = hit(scores, rule, end)
        if event is not None and end is not None:
            found.append(event.time_s - end)
    return np.array(found)


def judge(model: Model, tuning: TuningSet, rule: Rule, further: Iterable[Utterance] = ()) -> Judged:
    """Chooses the threshold by the negatives, then counts everything at it.

    Args:
        model: the .tflite file.
        tuning: dev recordings and synthesis of other seeds.
        rule: smoothing and refractory time; its threshold is not used.
        further: more that holds no wake word and was never trained on, for the threshold; it is
            heard once and not kept, so that it can be days.
    """
    found = [file_scores(model, track.frames) for track in tuning.tracks]
    negatives = tuning.negatives(found)
    hours = tuning.hours
    for utterance in further:
        heard = scene(utterance, CLEAN, (), _SEED)
        negatives.append(file_scores(model, log_mel_frames(heard.samples)))
        hours += heard.clip_s / 3600
    chosen = choose_threshold(negatives, rule, hours, MOST_PER_HOUR)
    rule = Rule(chosen.threshold, rule.smoothing, rule.refractory_s)
    accepted = sum(len(events(scores, rule)) for scores in negatives)
    near = tuning.confusables(found)
    fooled = sum(bool(events(scores, rule)) for scores in near)
    figures: dict[str, Any] = {
        "false_accepts": vars(rate(accepted, hours)),
        "near_misses_accepted": vars(share(fooled, len(near))),
        "misses": {},
    }
    curves: dict[str, Any] = {
        "thresholds": list(THRESHOLDS),
        "false_accepts_per_hour": accepts_by_threshold(negatives, rule, hours).tolist(),
    }
    for real in (True, False):
        for condition in CONDITIONS:
            positives = tuning.positives(found, real=real, condition=condition.name)
            if not positives:
                continue
            missed = sum(hit(scores, rule, end) is None for scores, end in positives)
            name = f"{'real' if real else 'synthetic'}, {condition.name}"
            figures["misses"][name] = vars(share(missed, len(positives)))
            curves[name] = misses_by_threshold(positives, rule).tolist()
    # Synthesis knows its ends to the millisecond; energy, on real clips, to a hop or two.
    synthetic = tuning.positives(found, real=False)
    late = delays(synthetic or tuning.positives(found, real=True), rule)
    latency = round(float(np.median(late)) / FRAME_SECONDS) if len(late) else 2
    if len(late):
        error = late - latency * FRAME_SECONDS
        figures["delay_s"] = {
            "median": float(np.median(late)),
            "p95": float(np.percentile(late, 95)),
            "of": "synthetic" if synthetic else "real",
        }
        figures["word_end_error_s"] = {
            "median": float(np.median(error)),
            "p95_absolute": float(np.percentile(np.abs(error), 95)),
        }
    return Judged(rule, chosen, min(max(latency, 0), 15), figures | {"curves": curves})
