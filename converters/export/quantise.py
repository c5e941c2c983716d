"""Weights as the board holds them: int8 per row, one float32 scale a row."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray


def quantise_rows(weight: NDArray[Any]) -> tuple[NDArray[np.int8], NDArray[np.float32]]:
    """Symmetric int8 quantisation of each row to its own largest magnitude.

    Args:
        weight: float [rows, columns].

    Returns:
        Integers int8 [rows, columns] in -127..127 and scales float32 [rows], so that
        ``integers * scales[:, None]`` is within half a scale of ``weight``. A row of zeros
        gets scale 1, so that scales are always usable as divisors.
    """
    peak = np.abs(weight).max(axis=1)
    scales = np.where(peak > 0, peak / 127.0, 1.0).astype(np.float32)
    integers = np.clip(np.rint(weight / scales[:, None]), -127, 127).astype(np.int8)
    return integers, scales


def dequantise_rows(
    integers: NDArray[np.int8], scales: NDArray[np.float32]
) -> NDArray[np.float32]:
    """The float32 weights [rows, columns] that int8 rows and their scales stand for."""
    return integers.astype(np.float32) * scales[:, None]
