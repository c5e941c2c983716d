"""From words and a speaker to trimmed 16 kHz samples.

Formants without a vocoder: the engine speaks `formant / rate` times as slowly and `pitch / formant`
times as high, then the samples are read `formant` times as fast. Tempo comes out as asked, formants
are multiplied by `formant`, pitch by `pitch`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import soxr

from converters.synthesis.errors import EngineError
from converters.synthesis.lexicon import Word
from converters.synthesis.phones import Segment, moved
from converters.synthesis.voices.engine import Engine
from converters.synthesis.voices.espeak import process_espeak
from converters.synthesis.voices.festival import Festival
from converters.synthesis.voices.flite import process_flite
from converters.synthesis.voices.speakers import Speaker

SAMPLE_RATE = 16_000
_PEAK = 0.7
_MARGIN_S = 0.1
_SPEECH_LEVEL = 0.01
"""Share of the peak above which a sample counts as speech (-40 dB)."""
_SHORTEST_S = 0.12


@dataclass(frozen=True)
class Manner:
    """How one utterance is said, on top of who says it."""

    rate: float
    pitch: float
    """Factor on the speaker's pitch."""
    pitch_range: float
    pause_after: int | None = None
    """Index of a word with a comma after it."""
    question: bool = False
    seed: int = 0


@dataclass(frozen=True)
class Speech:
    """Samples ready for a pool."""

    samples: npt.NDArray[np.int16]
    """Mono, 16 kHz, shape [n], peak 0.7, 0.1 s before and after the speech."""
    word_ends: tuple[float | None, ...]
    """Seconds from the first sample; None where the engine does not tell."""
    speech_end_s: float
    """Where the last loud sample is."""
    segments: tuple[Segment, ...] = ()
    """What is sounded when; times from the first sample."""


class Voices:
    """All engines of one process; each is loaded when first used.

    Args:
        cache: Where engines may keep data of their own.
    """

    def __init__(self, cache: Path) -> None:
        self._makers: dict[str, Callable[[], Engine]] = {
            "espeak": lambda: process_espeak(cache),
            "flite": process_flite,
            "festival": Festival,
        }
        self._engines: dict[str, Engine] = {}

    def engine(self, name: str) -> Engine:
        """The engine of that name.

        Raises:
            MissingResourceError: It is not installed.
        """
        if name not in self._engines:
            self._engines[name] = self._makers[name]()
        return self._engines[name]

    def versions(self, names: Sequence[str]) -> dict[str, str]:
        """Version of each named engine."""
        return {name: self.engine(name).version() for name in names}

    def say(self, speaker: Speaker, words: Sequence[Word], manner: Manner) -> Speech:
        """Let a speaker say words.

        Raises:
            EngineError: Nothing audible came out.
        """
        formant = speaker.formant
        raw = self.engine(speaker.engine).say(
            speaker.voice,
            words,
            stretch=formant / manner.rate,
            pitch=speaker.pitch * manner.pitch / formant,
            pitch_range=manner.pitch_range,
            pause_after=manner.pause_after,
            question=manner.question,
            seed=manner.seed,
        )
        samples = raw.samples.astype(np.float32)
        if raw.rate * formant != SAMPLE_RATE:
            samples = soxr.resample(samples, raw.rate * formant, SAMPLE_RATE)
        ends = tuple(None if end is None else end / formant for end in raw.word_ends)
        return trim(samples, ends, moved(raw.segments, 1 / formant, 0.0))

    def close(self) -> None:
        """End all engines."""
        for engine in self._engines.values():
            engine.close()
        self._engines.clear()


def trim(
    samples: npt.NDArray[np.float32],
    ends: Sequence[float | None],
    sounded: Sequence[Segment] = (),
) -> Speech:
    """Cut silence, set the level, and move the word ends along.

    Args:
        samples: Mono, 16 kHz, shape [n], any level.
        ends: Word ends in seconds from the first sample.
        sounded: Phones, with times from the first sample.

    Raises:
        EngineError: There is no speech in it.
    """
    magnitude = np.abs(samples)
    peak = float(magnitude.max(initial=0.0))
    loud = np.flatnonzero(magnitude > _SPEECH_LEVEL * peak)
    if peak < 50 or loud[-1] - loud[0] < _SHORTEST_S * SAMPLE_RATE:
        raise EngineError("The engine gave no audible speech.")
    margin = round(_MARGIN_S * SAMPLE_RATE)
    # How much silence an engine adds may depend on what it said before: the margins must not.
    start = int(loud[0]) - margin
    stop = int(loud[-1]) + 1 + margin
    padded = np.pad(samples[max(0, start) : stop], (max(0, -start), max(0, stop - len(samples))))
    cut = np.round(padded * (_PEAK * 32767 / peak)).astype(np.int16)
    last = int(loud[-1]) / SAMPLE_RATE
    word_ends = tuple(
        None if end is None else round(max(0.0, min(end, last) - start / SAMPLE_RATE), 3)
        for end in ends
    )
    heard = tuple(Segment(segment.phone, min(segment.end_s, last)) for segment in sounded)
    phones = moved(heard, 1.0, -start / SAMPLE_RATE)
    return Speech(cut, word_ends, last - start / SAMPLE_RATE, phones)
