"""Hears the wake word: a small model's score, smoothed, compared with a threshold.

The model says, frame by frame, how probable it is that the word has just ended. The mean of the
last few scores is compared with the threshold; the frame in which it first crosses is the
detection. The peak is not waited for: it would come two or three frames later and tell nothing that
matters.

The end of the word is the crossing less the model's typical latency, its start is the end less the
word's typical length; both lengths come from the manifest. A few frames of error do no harm: the
encoder starts half a second before the word anyway, and what it makes of the word's tail is
dropped by the session.

Where a second stage is asked for, a crossing that the recogniser contradicts is no detection; see
`second_stage`.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from agent.bundle.runtime import Model
from agent.bundle.schema import WakeEntry
from agent.config import WakeConfig
from agent.errors import BundleFileError
from agent.hearing.features import FRAME_DIM, FRAME_SECONDS
from agent.hearing.ring_buffer import FrameRing
from agent.hearing.second_stage import SecondStage
from agent.records import RecordError, read_record

_LARGEST_ENTRY = 64 * 1024  # bytes
_OWN_WORD = {"threshold": 500, "smoothing": 3, "refractory": 25, "latency": 2, "length": 15}


@dataclass(frozen=True, slots=True)
class WakeSettings:
    """How the scores of one wake word are judged."""

    phrase: str
    threshold: float
    """Smoothed score that counts as heard."""
    smoothing_frames: int
    refractory_frames: int
    """Frames after a detection in which there is no other."""
    latency_frames: int
    length_frames: int
    second_stage: float = 0.0
    """Least agreement of the recogniser; 0: it is not asked."""


@dataclass(frozen=True, slots=True)
class Detection:
    """The wake word was heard."""

    word: str
    score: float
    """Smoothed score at the crossing."""
    start_frame: int
    """First frame of the word, estimated."""
    end_frame: int
    """First frame after the word, estimated."""
    agreement: float | None = None
    """Of the second stage; None: it was not asked."""


def wake_settings(entry: WakeEntry, config: WakeConfig) -> WakeSettings:
    """The manifest's settings of a word, where the configuration does not override them."""
    threshold = entry.threshold / 1000 if config.threshold is None else config.threshold
    refractory = entry.refractory
    if config.refractory_seconds is not None:
        refractory = round(config.refractory_seconds / FRAME_SECONDS)
    return WakeSettings(
        phrase=entry.phrase,
        threshold=threshold,
        smoothing_frames=config.smoothing_frames or entry.smoothing,
        refractory_frames=refractory,
        latency_frames=entry.latency,
        length_frames=entry.length,
        second_stage=(
            (entry.second_stage or 0) / 1000 if config.second_stage is None else config.second_stage
        ),
    )


def own_word(file: Path) -> WakeEntry:
    """The entry of a .tflite file outside the bundle.

    Args:
        file: With the `wake.json` beside it that `train-wake` wrote; where there is none, or one of
            another file, the file's name is the phrase and the settings are middling ones.

    Raises:
        BundleFileError: The `wake.json` cannot be used.
    """
    described = file.with_name("wake.json")
    try:
        with described.open("rb") as stream:
            content = stream.read(_LARGEST_ENTRY)
    except FileNotFoundError:
        content = b""
    except OSError as error:
        raise BundleFileError(f"{described} cannot be read ({error.strerror}).") from error
    if content:
        try:
            entry = read_record(WakeEntry, json.loads(content))
        except (ValueError, RecursionError, RecordError) as error:
            raise BundleFileError(
                f"{described} does not describe a wake word ({error}); copy it again, or remove it."
            ) from error
        if Path(entry.file).name == file.name:
            return entry
    phrase = file.stem.replace("_", " ").lower()
    return WakeEntry(phrase=phrase, file=file.name, **_OWN_WORD)


class WakeWord:
    """Watches for one wake word.

    Args:
        model: Input `frame` [1, 256], output `score` [1, 1], and states.
        settings: How its scores are judged.
        second_stage: Asked about every crossing; None: none is doubted.

    Raises:
        BundleFileError: The model is not a wake word's.
    """

    def __init__(
        self, model: Model, settings: WakeSettings, second_stage: SecondStage | None = None
    ) -> None:
        model.require({"frame": (1, FRAME_DIM)}, {"score": (1, 1)})
        self._model = model
        self.settings = settings
        self._second_stage = second_stage
        self._recent = [0.0] * settings.smoothing_frames
        self._score = 0.0
        self._next = 0
        self._armed = True
        self._deaf_until = 0

    @property
    def score(self) -> float:
        """The smoothed score of the last frame."""
        return self._score

    def process(self, frame: NDArray[np.float32]) -> Detection | None:
        """Judges the next frame.

        Args:
            frame: float32 [256].

        Returns:
            A detection in the one frame in which the smoothed score crosses the threshold, unless
            the second stage contradicts it.
        """
        if self._second_stage is not None:
            self._second_stage.hear(frame)
        (score,) = self._model(frame.reshape(1, FRAME_DIM))
        number = self._next
        self._next = number + 1
        recent = self._recent
        recent[number % len(recent)] = float(score[0, 0])
        self._score = smoothed = sum(recent) / len(recent)
        if smoothed < self.settings.threshold:
            # Only a score that has come down can cross again: a model stuck at 1 wakes once.
            self._armed = True
            return None
        if not self._armed or number < self._deaf_until:
            return None
        self._armed = False
        end = max(0, number + 1 - self.settings.latency_frames)
        start = max(0, end - self.settings.length_frames)
        agreement = None
        if self._second_stage is not None:
            agreement = self._second_stage.agreement(number + 1 - start)
            if agreement < self.settings.second_stage:
                return None
        self._deaf_until = number + self.settings.refractory_frames
        return Detection(self.settings.phrase, smoothed, start, end, agreement)

    def catch_up(self, frames: FrameRing) -> None:
        """Hears what is still in memory, so that a word which is just being said is not missed.

        What would have been detected in it was up to whoever heard it then.

        Args:
            frames: The last frames; the next one that is processed follows them.
        """
        self.reset()
        self._next = frames.oldest
        for number in range(frames.oldest, frames.next):
            self.process(frames[number])

    def reset(self) -> None:
        """Goes back to the state after construction; frames count from 0 again."""
        self._model.reset()
        if self._second_stage is not None:
            self._second_stage.reset()
        self._recent[:] = [0.0] * len(self._recent)
        self._score = 0.0
        self._next = 0
        self._armed = True
        self._deaf_until = 0
