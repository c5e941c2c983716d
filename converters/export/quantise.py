"""Weights as the board holds them: integers per row, one float32 scale a row.

Eight bits span each row's own largest magnitude. Four bits, -7 to 7, are too few for that: there
each row gets the scale of least squared error, which cuts off its few largest weights (Max 1960,
"Quantizing for minimum distortion"). They are kept in int8 matrices too, so that every runtime
multiplies them; what is gained is the size of a packed file (`converters.export.packing`).
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

LARGEST = {8: 127, 4: 7}
"""Largest integer by bits; the grid is symmetric."""

_SHARES = np.linspace(1.0, 0.4, 25)
"""Of the scale that spans a row: those among which the best is chosen."""

Arrays = dict[str, NDArray[Any]]


def quantise_rows(
    weight: NDArray[Any], scales: NDArray[np.float32] | None = None
) -> tuple[NDArray[np.int8], NDArray[np.float32]]:
    """Symmetric int8 quantisation of each row.

    Args:
        weight: float [rows, columns].
        scales: float32 [rows], of weights that lie on a grid already; by default each row's
            largest magnitude / 127.

    Returns:
        Integers int8 [rows, columns] in -127..127 and scales float32 [rows], so that
        ``integers * scales[:, None]`` is within half a scale of ``weight``. A row of zeros
        gets scale 1, so that scales are always usable as divisors.
    """
    if scales is None:
        peak = np.abs(weight).max(axis=1)
        scales = np.where(peak > 0, peak / 127.0, 1.0).astype(np.float32)
    integers = np.clip(np.rint(weight / scales[:, None]), -127, 127).astype(np.int8)
    return integers, scales


def dequantise_rows(integers: NDArray[np.int8], scales: NDArray[np.float32]) -> NDArray[np.float32]:
    """The float32 weights [rows, columns] that int8 rows and their scales stand for."""
    return integers.astype(np.float32) * scales[:, None]


def best_scales(weight: NDArray[Any], bits: int) -> NDArray[np.float32]:
    """The scale of each row that leaves the least squared error.

    Args:
        weight: float [rows, columns].
        bits: 4 or 8.

    Returns:
        float32 [rows]; 1 for a row of zeros.
    """
    largest = LARGEST[bits]
    whole = np.abs(weight).max(axis=1) / np.float32(largest)
    whole = np.where(whole > 0, whole, np.float32(1.0)).astype(np.float32)
    best, least = whole, np.full(len(weight), np.inf)
    for share in _SHARES.astype(np.float32):
        scales = whole * share
        error = np.square(on_grid(weight, scales, bits) - weight).sum(axis=1)
        better = error < least
        best, least = np.where(better, scales, best), np.where(better, error, least)
    return best


def on_grid(weight: NDArray[Any], scales: NDArray[np.float32], bits: int) -> NDArray[Any]:
    """The nearest weights [rows, columns] that so many bits and these scales can stand for."""
    steps = np.rint(weight / scales[:, None])
    return np.clip(steps, -LARGEST[bits], LARGEST[bits]) * scales[:, None]


def is_coarse(name: str) -> bool:
    """Whether four bits are enough for a parameter: the matrices of the encoder's LSTM layers.

    They are nine tenths of all weights. The first and the last matrices cost accuracy when they
    are made coarse, and little space when they are not.
    """
    return name.startswith("encoder.cells.") and ".weight_" in name


def four_bits(weights: Arrays, scales: Arrays | None = None) -> Arrays:
    """A recogniser whose coarse matrices lie on grids of four bits.

    Args:
        weights: by parameter name.
        scales: float32 [rows] by parameter name, as training left them; those of least error for
            weights that were trained without.

    Returns:
        The same parameters, and under ``<name>.scales`` the scales of each coarse one.
    """
    found = dict(weights)
    for name in filter(is_coarse, weights):
        chosen = scales[name] if scales else best_scales(weights[name], 4)
        found[name] = on_grid(weights[name], chosen, 4)
        found[f"{name}.scales"] = chosen
    return found
