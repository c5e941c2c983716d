"""Recordings of any rate, channels and format that libsndfile reads, as blocks.

A file is streamed: memory does not depend on its length, so an hour is as welcome as a second.

    for block in AudioFile(path): ...       # int16 [640] each, the last filled up with silence
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import soundfile
from numpy.typing import NDArray

from agent.errors import AudioError, UnreadableAudioError
from agent.hearing.features import BLOCK, SAMPLE_RATE
from agent.hearing.resampler import Resampler, to_int16
from agent.hearing.ring_buffer import Block
from agent.hearing.sources import Delivery

_MOST_CHANNELS = 64
_READ_SECONDS = 0.5
_EMPTY = np.zeros(0, np.int16)


class AudioFile:
    """A recording; also a `agent.hearing.sources.Source`.

    Args:
        path: The file.

    Attributes:
        samples: Samples at 16 kHz that were delivered so far, without the final filling.

    Raises:
        UnreadableAudioError: It is missing, is not audio, or holds no sound.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.delivery = Delivery.RECORDING
        self.ended = False
        self.xruns = 0
        self.samples = 0
        self._rest = _EMPTY
        self._exhausted = False
        if not path.is_file():
            # A pipe or device by that name could block for ever; `-` is there for streams.
            reason = "is not a regular file" if path.exists() else "does not exist"
            raise UnreadableAudioError(f"{path} {reason}; name a recording.")
        try:
            self._file = soundfile.SoundFile(path)
        except (soundfile.LibsndfileError, OSError, ValueError, TypeError) as error:
            raise UnreadableAudioError(
                f"{path} is not audio that can be read ({_reason(error)});"
                " convert it to WAV or FLAC."
            ) from error
        try:
            if not 1 <= self._file.channels <= _MOST_CHANNELS:
                raise UnreadableAudioError(
                    f"{path} has {self._file.channels} channels; use at most {_MOST_CHANNELS}."
                )
            self._resampler = Resampler(self._file.samplerate)
        except AudioError as error:
            self._file.close()
            raise UnreadableAudioError(f"{path}: {error}") from error
        self._chunk = max(BLOCK, int(self._file.samplerate * _READ_SECONDS))

    @property
    def seconds(self) -> float:
        """Length of what was delivered so far."""
        return self.samples / SAMPLE_RATE

    def __iter__(self) -> Iterator[Block]:
        """All blocks; the file is closed behind the last one."""
        try:
            while (block := self.read(0.0)) is not None:
                yield block
        finally:
            self.close()

    def read(self, timeout_s: float) -> Block | None:  # noqa: ARG002 - a file never keeps waiting
        """The next block, or None at the end.

        Raises:
            UnreadableAudioError: The file breaks off, holds no sound, or holds samples that are no
                numbers.
        """
        pieces, have = [self._rest], len(self._rest)
        while have < BLOCK and not self._exhausted:
            piece = self._next_piece()
            pieces.append(piece)
            have += len(piece)
        joined = np.concatenate(pieces)
        block, self._rest = joined[:BLOCK], joined[BLOCK:]
        self.samples += len(block)
        if self._exhausted and not len(self._rest):
            self.ended = True
        if not len(block):
            if not self.samples:
                raise UnreadableAudioError(f"{self.path} holds no sound; record it again.")
            return None
        return np.pad(block, (0, BLOCK - len(block))) if len(block) < BLOCK else block

    def close(self) -> None:
        """Closes the file."""
        self._file.close()

    def _next_piece(self) -> Block:
        try:
            samples: NDArray[np.float32] = self._file.read(
                self._chunk, dtype="float32", always_2d=True
            )
        except (soundfile.LibsndfileError, OSError) as error:
            raise UnreadableAudioError(
                f"{self.path} is broken after {self.seconds:.1f} s ({_reason(error)});"
                " record or convert it again."
            ) from error
        self._exhausted = len(samples) < self._chunk
        mono = samples[:, 0] if samples.shape[1] == 1 else samples.mean(axis=1, dtype=np.float32)
        if not np.isfinite(mono).all():
            raise UnreadableAudioError(
                f"{self.path} holds samples that are no numbers; convert it again."
            )
        resampled = self._resampler.process(np.ascontiguousarray(mono), last=self._exhausted)
        return to_int16(resampled)


def _reason(error: Exception) -> str:
    return str(getattr(error, "error_string", error)).strip().rstrip(".") or type(error).__name__
