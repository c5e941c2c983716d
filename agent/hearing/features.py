"""Log-mel features: the one implementation that the board and the training share.

A block of 640 samples (40 ms) becomes one frame: four hops of 10 ms, each the log power of 64
triangular mel bands over a 25 ms Hann window that ends where the hop ends. Nothing looks ahead.

Streaming equals the whole file bit for bit, which a matrix product would not guarantee (BLAS
sums in an order that depends on the number of rows). So every band is the sum of a contiguous
run of weighted bins, taken row by row with ``np.add.reduceat``: a bin lies on the rising edge
of one band and on the falling edge of the band below, so two reductions make all bands.

The Fourier transform runs in float64: NumPy 1 has no float32 transform and NumPy 2 has, and
their results would otherwise differ in quiet bands by more than training noise.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

SAMPLE_RATE = 16_000
"""Samples per second of everything after the resampler."""
BLOCK = 640
"""Samples that a source delivers at once: 40 ms."""
FRAME_SECONDS = BLOCK / SAMPLE_RATE
HOP = 160
"""Samples between two feature vectors: 10 ms."""
WINDOW = 400
"""Samples under one analysis window: 25 ms."""
MELS = 64
HOPS_PER_FRAME = BLOCK // HOP
FRAME_DIM = HOPS_PER_FRAME * MELS
FEATURES_VERSION = 1
"""Raised whenever the same samples would give other features: models depend on it."""

_FFT = 512
_LOW_HZ, _HIGH_HZ = 60.0, 7600.0
_POWER_FLOOR = 1e-6
"""Added to every band's power; about the self-noise of 16-bit samples."""
_HISTORY = WINDOW - HOP

Samples = NDArray[np.float32]
Hops = NDArray[np.float32]


def _mel(hertz: NDArray[np.float64]) -> NDArray[np.float64]:
    return 2595.0 * np.log10(1.0 + hertz / 700.0)


def _hertz(mel: NDArray[np.float64]) -> NDArray[np.float64]:
    return 700.0 * (10.0 ** (mel / 2595.0) - 1.0)


def band_edges() -> NDArray[np.float64]:
    """Corners of the bands in hertz, float64 [66]: band i rises from i, peaks at i + 1."""
    lowest, highest = _mel(np.array([_LOW_HZ, _HIGH_HZ]))
    return _hertz(np.linspace(lowest, highest, MELS + 2))


class MelBank:
    """64 triangular mel bands, optionally warped as another vocal tract would.

    Args:
        warp: factor on the band edges in hertz; 1 on the board. Training draws it at random
            (vocal tract length perturbation, Jaitly and Hinton 2013).
    """

    def __init__(self, warp: float = 1.0) -> None:
        edges = np.minimum(band_edges() * warp, SAMPLE_RATE / 2 - 1.0)
        bins = np.arange(_FFT // 2 + 1) * (SAMPLE_RATE / _FFT)
        # Interval i spans edges[i]..edges[i+1]: rising edge of band i, falling edge of band i-1.
        interval = np.searchsorted(edges, bins, side="right") - 1
        inside = (interval >= 0) & (interval <= MELS)
        first = int(np.argmax(inside))
        self._bins = slice(first, first + int(inside.sum()))
        owner = interval[self._bins]
        left, right = edges[owner], edges[owner + 1]
        self._rise = (bins[self._bins] - left) / np.maximum(right - left, 1e-9)
        # Narrow low bands may hold no bin at all: reduceat would repeat a neighbour there.
        counts = np.bincount(owner, minlength=MELS + 1)
        self._starts = np.concatenate(([0], np.cumsum(counts)[:-1]))
        self._starts = np.minimum(self._starts, len(owner) - 1)
        self._empty = counts == 0

    def apply(self, power: NDArray[np.float64]) -> NDArray[np.float64]:
        """Sums bin powers [n, 257] into band powers [n, 64]."""
        chosen = power[:, self._bins]
        rising = np.add.reduceat(chosen * self._rise, self._starts, axis=1)
        every = np.add.reduceat(chosen, self._starts, axis=1)
        rising[:, self._empty] = 0.0
        every[:, self._empty] = 0.0
        falling = every - rising
        bands: NDArray[np.float64] = rising[:, :MELS] + falling[:, 1:]
        return bands


@lru_cache(maxsize=64)
def mel_bank(warp: float = 1.0) -> MelBank:
    """The bank for a warp factor, made once."""
    return MelBank(warp)


_HANN = (0.5 - 0.5 * np.cos(2.0 * np.pi * np.arange(WINDOW) / WINDOW)).astype(np.float64)


def _windows(padded: Samples) -> Samples:
    """A view on samples that carry their 240 samples of history: [240 + 160 n] -> [n, 400]."""
    return np.lib.stride_tricks.sliding_window_view(padded, WINDOW)[::HOP]


def _hops(windows: Samples, bank: MelBank) -> Hops:
    """Log-mel of windows: [n, 400] -> [n, 64]."""
    spectrum = np.fft.rfft(windows * _HANN, _FFT, axis=1)
    power = np.square(spectrum.real) + np.square(spectrum.imag)
    return np.log(bank.apply(power) + _POWER_FLOOR).astype(np.float32)


def log_mel_hops(samples: Samples, warp: float = 1.0) -> Hops:
    """Log-mel of a whole signal that starts in silence.

    Args:
        samples: float32 [n] in [-1, 1), 16 kHz.
        warp: see `MelBank`.

    Returns:
        float32 [n // 160, 64], natural logarithm of band power.
    """
    whole = len(samples) // HOP * HOP
    if whole == 0:
        return np.zeros((0, MELS), np.float32)
    padded = np.concatenate((np.zeros(_HISTORY, np.float32), samples[:whole]))
    return _hops(_windows(padded), mel_bank(warp))


def log_mel_frames(samples: Samples) -> NDArray[np.float32]:
    """Frames of a whole signal: float32 [n] -> float32 [n // 640, 256], hop after hop."""
    whole = len(samples) // BLOCK * BLOCK
    return log_mel_hops(samples[:whole]).reshape(-1, FRAME_DIM)


class LogMel:
    """Streaming features: one block in, one frame out, 240 samples of memory."""

    def __init__(self) -> None:
        self._padded = np.zeros(_HISTORY + BLOCK, np.float32)
        # Made once: the view costs a quarter of the time that a block may take.
        self._windows = _windows(self._padded)
        self._bank = mel_bank()

    def process(self, block: Samples) -> NDArray[np.float32]:
        """Turns the next block, float32 [640] in [-1, 1), into its frame, float32 [256].

        Raises:
            ValueError: the block does not hold 640 samples.
        """
        if len(block) != BLOCK:
            raise ValueError(f"a block holds {BLOCK} samples, not {len(block)}")
        self._padded[:_HISTORY] = self._padded[BLOCK:]
        self._padded[_HISTORY:] = block
        return _hops(self._windows, self._bank).reshape(FRAME_DIM)

    def reset(self) -> None:
        """Forgets the past: the next block starts after silence."""
        self._padded[:] = 0.0
