"""A microphone through ALSA, by the name that `arecord -L` shows.

The device is asked for mono at 16 kHz. What it grants is read back: another rate is resampled,
more channels are mixed down, another sample format is refused. An overrun is counted and never
taken for sound. A lost device raises an error; whoever owns the source makes a new one after a
pause (`agent.hearing.capture`).

`pyalsaaudio` is imported only here and only when a microphone is opened.
"""

from __future__ import annotations

import contextlib
import ctypes
import importlib
import time
from typing import Any

import numpy as np
from numpy.typing import NDArray

from agent.errors import AudioDeviceError
from agent.hearing.features import BLOCK, SAMPLE_RATE
from agent.hearing.resampler import Resampler, to_int16
from agent.hearing.ring_buffer import Block
from agent.hearing.sources import Delivery

_PERIODS = 8
"""Periods of 40 ms that the device buffers: how long the reader may be late."""
_MOST_CHANNELS = 16
_PAUSE_S = 0.005
# What libasound calls in place of its own printing; the object must live as long as the process.
_SAY_NOTHING = ctypes.CFUNCTYPE(
    None, ctypes.c_char_p, ctypes.c_int, ctypes.c_char_p, ctypes.c_int, ctypes.c_char_p
)(lambda *_: None)


class Microphone:
    """An open capture device; also a `agent.hearing.sources.Source`.

    Args:
        device: ALSA name, such as `default` or `plughw:CARD=Device`.

    Attributes:
        rate: Samples per second that the device granted.
        channels: Channels that it granted.

    Raises:
        AudioDeviceError: The device or `pyalsaaudio` is missing, busy, or gives something unusable.
    """

    def __init__(self, device: str) -> None:
        self.device = device
        self.delivery = Delivery.DEVICE
        self.ended = False
        self.xruns = 0
        alsa = _alsa()
        try:
            self._pcm: Any = alsa.PCM(
                alsa.PCM_CAPTURE,
                alsa.PCM_NORMAL,
                device=device,
                rate=SAMPLE_RATE,
                channels=1,
                format=alsa.PCM_FORMAT_S16_LE,
                periodsize=BLOCK,
                periods=_PERIODS,
            )
        except alsa.ALSAAudioError as error:
            raise AudioDeviceError(
                f"The microphone {device!r} cannot be opened ({_reason(error)}); see `arecord -L`"
                " for names, and whether another program uses it."
            ) from error
        self._error = alsa.ALSAAudioError
        granted = self._pcm.info()
        self.rate, self.channels = int(granted["rate"]), int(granted["channels"])
        if granted["format_name"] != "S16_LE" or not 1 <= self.channels <= _MOST_CHANNELS:
            self._pcm.close()
            raise AudioDeviceError(
                f"The microphone {device!r} gives {self.channels} channels of"
                f" {granted['format_name']}; use a `plughw:` device, which converts."
            )
        self._resampler = Resampler(self.rate)
        self._pending: NDArray[np.int16] = np.zeros(0, np.int16)

    def read(self, timeout_s: float) -> Block | None:
        """The next block; waits at least for the device's next period.

        Raises:
            AudioDeviceError: The device failed or vanished.
        """
        deadline = time.monotonic() + timeout_s
        while len(self._pending) < BLOCK:
            try:
                count, data = self._pcm.read()
            except self._error as error:
                raise AudioDeviceError(
                    f"The microphone {self.device!r} failed ({_reason(error)}); is it plugged in?"
                ) from error
            if count > 0:
                # Older bindings pad the bytes behind an incomplete period.
                self._take(data[: count * self.channels * 2])
                continue
            if count < 0:
                self.xruns += 1
            else:
                time.sleep(_PAUSE_S)
            if time.monotonic() > deadline:
                return None
        block, self._pending = self._pending[:BLOCK], self._pending[BLOCK:]
        return block

    def close(self) -> None:
        """Gives the device back."""
        self._pcm.close()

    def _take(self, data: bytes) -> None:
        samples = np.frombuffer(data, "<i2").astype(np.int16)
        if self.channels > 1 or self.rate != SAMPLE_RATE:
            frames = samples.reshape(-1, self.channels).astype(np.float32) / np.float32(32768.0)
            samples = to_int16(self._resampler.process(frames.mean(axis=1, dtype=np.float32)))
        self._pending = np.concatenate((self._pending, samples)) if len(self._pending) else samples


def _alsa() -> Any:
    try:
        module = importlib.import_module("alsaaudio")
    except ImportError as error:
        raise AudioDeviceError(
            "Microphones need pyalsaaudio; run `pip install 'voice-agent[alsa]'`"
            " (on Debian first `apt-get install libasound2-dev python3-dev gcc`)."
        ) from error
    # libasound prints several lines at each failed attempt to open a device, and a microphone that
    # is away is tried for ever. The reason arrives as an exception and is logged once.
    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL("libasound.so.2").snd_lib_error_set_handler(_SAY_NOTHING)
    return module


def _reason(error: Exception) -> str:
    return str(error).strip() or type(error).__name__
