"""Keeps short sounds on disk, never more or longer than allowed, without ever holding up the audio.

A thread of its own writes FLAC files, each whole or not at all, and then removes the oldest ones
until both limits hold. A disk that is full or slow costs sounds, and nothing else.
"""

from __future__ import annotations

import contextlib
import logging
import os
import queue
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import soundfile
from numpy.typing import NDArray

from agent.clock import clock_ok
from agent.errors import ConfigError
from agent.hearing.features import SAMPLE_RATE

_LOGGER = logging.getLogger(__name__)

_MOST_WAITING = 4
"""Sounds that wait for the disk; more are dropped."""
_SUFFIX = ".flac"


@dataclass(frozen=True, slots=True)
class Sound:
    """Something to keep."""

    kind: str
    """Name of the folder it goes into."""
    word: str
    score: float
    samples: NDArray[np.int16]
    """int16 [n], 16 kHz; not changed any more."""


class SoundStore:
    """A folder of sounds with limits.

    Args:
        folder: Made if missing, for the user alone.
        limit_bytes: Most that all sounds take together.
        age_seconds: Age at which a sound goes, if the clock can be trusted.

    Raises:
        ConfigError: The folder cannot be made or written.
    """

    def __init__(self, folder: Path, *, limit_bytes: int, age_seconds: int) -> None:
        self.folder = folder
        self._bytes = limit_bytes
        self._seconds = age_seconds
        self._waiting: queue.Queue[Sound | None] = queue.Queue(_MOST_WAITING)
        self._failed = False
        self._count = 0
        try:
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        except OSError as error:
            raise ConfigError(
                f"keep.folder: {folder} cannot be made ({error.strerror}); name a writable one."
            ) from error
        if not os.access(folder, os.W_OK | os.X_OK):
            raise ConfigError(f"keep.folder: {folder} is not writable; name one that is.")
        self._thread = threading.Thread(target=self._work, name="sounds", daemon=True)
        self._thread.start()

    def put(self, sound: Sound) -> bool:
        """Hands a sound over; never waits.

        Returns:
            False if the disk is too slow, and the sound is lost.
        """
        try:
            self._waiting.put_nowait(sound)
        except queue.Full:
            return False
        return True

    def close(self, timeout_s: float = 2.0) -> None:
        """Writes what waits, within the time, and ends the thread."""
        with contextlib.suppress(queue.Full):
            self._waiting.put(None, timeout=timeout_s)
        self._thread.join(timeout_s)

    def _work(self) -> None:
        self._guarded(self.prune)
        while (sound := self._waiting.get()) is not None:
            self._guarded(lambda sound=sound: self._write(sound))  # type: ignore[misc]
            self._guarded(self.prune)

    def _guarded(self, act: Callable[[], None]) -> None:
        """One line when keeping fails, and one when it works again."""
        try:
            act()
        except (OSError, soundfile.SoundFileError) as error:
            if not self._failed:
                _LOGGER.warning("A sound could not be kept: %s", error)
            self._failed = True
        else:
            if self._failed:
                _LOGGER.info("Sounds are kept again.")
            self._failed = False

    def _write(self, sound: Sound) -> None:
        folder = self.folder / sound.kind
        folder.mkdir(mode=0o700, exist_ok=True)
        self._count += 1
        word = "".join(letter if letter.isalnum() else "-" for letter in sound.word)
        when = time.strftime("%Y%m%dT%H%M%S", time.gmtime())
        name = f"{when}-{self._count:04d}_{word}_{round(1000 * sound.score):04d}{_SUFFIX}"
        part = folder / f".{name}.part"
        try:
            soundfile.write(part, sound.samples, SAMPLE_RATE, format="FLAC")
            part.replace(folder / name)
        finally:
            part.unlink(missing_ok=True)

    def prune(self) -> None:
        """Removes what is too old, then the oldest until the rest is small enough."""
        found = []
        for path in self.folder.glob(f"*/*{_SUFFIX}"):
            with contextlib.suppress(FileNotFoundError):
                facts = path.stat()
                found.append((facts.st_mtime_ns, path.name, path, facts.st_size))
        found.sort(reverse=True)
        # A clock that has just jumped would make everything old at once.
        oldest_ns = time.time_ns() - self._seconds * 1_000_000_000 if clock_ok() else 0
        left = self._bytes
        for written_ns, _, path, size in found:
            left -= size
            if left < 0 or written_ns < oldest_ns:
                path.unlink(missing_ok=True)
