"""One kind of record for everything that can be heard: real clips and pools of synthesis.

Samples are read only when asked for, one utterance at a time: a day of speech never has to fit
into memory.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import soundfile
import soxr
from numpy.typing import NDArray

from agent.errors import UnreadableAudioError
from agent.hearing.features import HOP, SAMPLE_RATE, log_mel_hops
from converters.wake.recordings import Recording, Role
from converters.wake.speech_bounds import speech_bounds

Samples = NDArray[np.float32]


@dataclass(frozen=True)
class Utterance:
    """Something to hear, with what is known about it."""

    key: str
    """Unique and stable name; seeds its augmentation."""
    role: Role
    real: bool
    """Recorded rather than synthesised."""
    speaker: str
    load: Callable[[], Samples]
    """Reads float32 samples at 16 kHz in [-1, 1)."""
    word_end_s: float | None = None
    """Known end of the wake phrase; None in a positive means: where its speech ends."""
    phones: tuple[str, ...] = ()
    """What is sounded, where that is known; see `phones_at`."""
    phone_ends_s: tuple[float, ...] = ()


def read_audio(path: Path) -> Samples:
    """Any file that libsndfile reads, first channel, at 16 kHz.

    Raises:
        UnreadableAudioError: the file is missing or is not audio.
    """
    try:
        samples, rate = soundfile.read(path, dtype="float32", always_2d=True)
    except (soundfile.LibsndfileError, OSError) as error:
        raise UnreadableAudioError(f"{path} cannot be read as audio: {error}") from error
    mono = np.ascontiguousarray(samples[:, 0])
    if rate != SAMPLE_RATE:
        mono = soxr.resample(mono, rate, SAMPLE_RATE)
    return np.asarray(mono, np.float32)


def real_utterances(recordings: Iterable[Recording]) -> Iterator[Utterance]:
    """Recordings of any split as utterances; rooms and left-out clips are passed over."""
    for recording in recordings:
        if recording.role in {Role.ROOM, Role.LEFT_OUT}:
            continue
        yield Utterance(
            key=recording.key,
            role=recording.role,
            real=True,
            speaker=recording.speaker,
            load=lambda path=recording.path: read_audio(path),  # type: ignore[misc]
        )


def word_bounds(utterance: Utterance, samples: Samples) -> tuple[float, float]:
    """Start and end of an utterance's word (or of all its speech) in hops.

    The end is the known end of the phrase where there is one; otherwise both come from the
    energy of the clip.
    """
    if len(samples) < HOP:
        raise UnreadableAudioError(f"{utterance.key} is shorter than 10 ms; remove it")
    start, end = speech_bounds(log_mel_hops(samples))
    if utterance.word_end_s is not None:
        return float(min(start, utterance.word_end_s * 100 - 1)), utterance.word_end_s * 100
    return float(start), float(end)
