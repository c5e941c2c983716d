"""Hashed diffs: every weight changes by one of a few shared values, which a hash picks.

A hashed diff has n *buckets*, each with an int8 value, and a 64-bit seed. Weight i (counted from 0
over all matrices that the diff hashes, in their order in the diff, row by row) changes by the value
of one bucket or by its negative:

    z = seed + (i + 1) * 0x9E3779B97F4A7C15      all arithmetic modulo 2**64
    z = (z xor (z >> 30)) * 0xBF58476D1CE4E5B9
    z = (z xor (z >> 27)) * 0x94D049BB133111EB
    h = z xor (z >> 31)

    bucket = ((h >> 32) * n) >> 32               the upper half of h, scaled to 0 ... n - 1
    change = value[bucket] if h is even, -value[bucket] if h is odd
    weight = clip(weight + change, -128, 127)

h is the output i of the generator splitmix64 (Steele, Lea, Flood 2014) started with the seed; any
of them is computed without the ones before. The whole diff of three million weights is a seed and a
few hundred to a few thousand values (HashedNets, Chen et al. 2015, applied to a change of weights).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

MOST_BUCKETS = 1 << 20

_STEP = np.uint64(0x9E3779B97F4A7C15)
_FIRST_FACTOR = np.uint64(0xBF58476D1CE4E5B9)
_SECOND_FACTOR = np.uint64(0x94D049BB133111EB)
_SPAN = 1 << 16  # weights hashed at a time: the temporaries stay in the processor's cache


def splitmix64(seed: int, first: int, count: int) -> NDArray[np.uint64]:
    """Outputs `first` to `first + count - 1` of splitmix64.

    Args:
        seed: 0 <= seed < 2**64.
        first: Index of the first output, from 0.
        count: How many.

    Returns:
        Shape (count,), uint64.
    """
    # Arrays wrap around silently; numpy warns about scalars that do, hence the Python sum.
    start = (seed + (first + 1) * int(_STEP)) % (1 << 64)
    z = np.arange(count, dtype=np.uint64)
    z *= _STEP
    z += np.uint64(start)
    z ^= z >> np.uint64(30)
    z *= _FIRST_FACTOR
    z ^= z >> np.uint64(27)
    z *= _SECOND_FACTOR
    z ^= z >> np.uint64(31)
    return z


class HashedChanges:
    """The changes that buckets and a seed stand for.

    Args:
        seed: 0 <= seed < 2**64.
        values: Shape (buckets,), int8; 1 to `MOST_BUCKETS` of them.
    """

    def __init__(self, seed: int, values: NDArray[np.int8]) -> None:
        self._seed = seed
        self._buckets = np.uint64(len(values))
        # Bucket b of an odd hash is entry b + n.
        wide = values.astype(np.int16)
        self._signed = np.concatenate([wide, -wide])

    def add(self, weights: NDArray[np.int16], first: int) -> None:
        """Changes weights in place.

        Args:
            weights: Shape (n,), int16, each in -128 ... 127, before and after.
            first: Index of the first of them among all hashed weights.
        """
        for start in range(0, len(weights), _SPAN):
            part = weights[start : start + _SPAN]
            hashes = splitmix64(self._seed, first + start, len(part))
            bucket = (hashes >> np.uint64(32)) * self._buckets >> np.uint64(32)
            bucket += (hashes & np.uint64(1)) * self._buckets
            part += self._signed.take(bucket.astype(np.intp))
            np.clip(part, -128, 127, out=part)
