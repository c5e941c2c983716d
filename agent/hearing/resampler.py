"""Any sampling rate to 16 kHz, piece by piece; soxr on the board and in training alike."""

from __future__ import annotations

import importlib
from typing import Any

import numpy as np
from numpy.typing import NDArray

from agent.errors import AudioError
from agent.hearing.features import SAMPLE_RATE

LOWEST_RATE, HIGHEST_RATE = 2_000, 768_000
_QUALITY = "HQ"


class Resampler:
    """Streams mono sound to 16 kHz.

    Args:
        rate: Samples per second of what comes in.

    Raises:
        AudioError: The rate is absurd, or soxr is needed and not installed.
    """

    def __init__(self, rate: int) -> None:
        if not LOWEST_RATE <= rate <= HIGHEST_RATE:
            raise AudioError(
                f"A sampling rate of {rate} Hz cannot be used; it must be between {LOWEST_RATE}"
                f" and {HIGHEST_RATE} Hz."
            )
        self.rate = rate
        self._stream: Any = None
        if rate != SAMPLE_RATE:
            try:
                soxr = importlib.import_module("soxr")
            except ImportError as error:
                raise AudioError(
                    f"Sound at {rate} Hz needs a resampler; run `pip install soxr`, or deliver"
                    f" {SAMPLE_RATE} Hz."
                ) from error
            self._stream = soxr.ResampleStream(
                rate, SAMPLE_RATE, 1, dtype="float32", quality=_QUALITY
            )

    def process(self, samples: NDArray[np.float32], *, last: bool = False) -> NDArray[np.float32]:
        """Resamples the next piece.

        Args:
            samples: float32 [n] at `rate`.
            last: Nothing follows: what is still inside the filter comes out.

        Returns:
            float32 [m] at 16 kHz; m varies from piece to piece.
        """
        if self._stream is None:
            return samples
        resampled: NDArray[np.float32] = self._stream.resample_chunk(samples, last=last)
        return resampled


def to_int16(samples: NDArray[np.float32]) -> NDArray[np.int16]:
    """Samples in [-1, 1) as int16, rounded, louder ones clipped."""
    scaled: NDArray[np.float32] = np.rint(samples * np.float32(32768.0))
    return np.clip(scaled, -32768, 32767).astype(np.int16)
