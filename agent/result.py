"""The parts of a recognition result, as `transcribe --json` prints them and a `final` carries them.

Times are seconds of audio since the start of the source. Posteriors and scores are probabilities in
[0, 1]; `log_prob` is the natural logarithm of the hypothesis's unnormalised probability.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True, slots=True)
class WakeMark:
    """Where the wake word ended."""

    time_s: float
    score: float


@dataclass(frozen=True, kw_only=True, slots=True)
class Utterance:
    """A stretch of speech between two end-points."""

    text: str
    start_s: float
    end_s: float


@dataclass(frozen=True, kw_only=True, slots=True)
class Word:
    """A recognised word with its times and its probability given the audio."""

    word: str
    start_s: float
    end_s: float
    posterior: float | None = None
    contact: str | None = None
    """Id of the contact that this word belongs to."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Hypothesis:
    """One entry of the n-best list."""

    text: str
    log_prob: float
    posterior: float | None = None
    words: tuple[Word, ...] = ()


@dataclass(frozen=True, kw_only=True, slots=True)
class Endpoint:
    """When the end was assumed and when it was certain, and the rule that decided."""

    speculative_s: float | None = None
    final_s: float | None = None
    rule: str | None = None
    reset: bool | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Routing:
    """How much each encoder worked."""

    slow_frames: int | None = None
    fast_frames: int | None = None
    macs_per_frame: float | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Timing:
    """Seconds of audio decoded and CPU seconds of the process spent on them."""

    audio_s: float | None = None
    compute_s: float | None = None
