"""How often each token occurs: four bits for a token, and a rule that both sides compute alike.

A table is written as coarse *levels*, four to an octave, so that it costs half a byte for a token;
a probability is then off by less than 12 %, which costs a symbol less than 0.003 bit. From the
levels both sides derive *frequencies* that add up to exactly 2**14, in integer arithmetic:

    level 0                       the token does not occur
    level n >= 1                  weight = (4 + (n - 1) mod 4) * 2**floor((n - 1) / 4)
    frequency of a token          1 + floor(weight * (2**14 - used) / sum of all weights),
                                  where `used` counts the tokens of level >= 1
    what is missing to 2**14      is added to the largest frequency, the first of equal ones

Written, a table is the number of levels (one byte, 1 ... 255), then nibbles, the high one of a byte
first. A nibble of 0 ... 14 is the difference to the level before plus 7 (the level before the first
is 0); 15 announces a level in full, in the next two nibbles, the high one first. An odd last nibble
is followed by a zero. The last level is not 0, and no level is above 56.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from agent.errors import MalformedDiffError
from agent.update.byte_reader import ByteReader

PRECISION = 14  # bits: frequencies add up to 2**14

_HIGHEST_LEVEL = 56
_LEVELS = np.arange(1, _HIGHEST_LEVEL + 1, dtype=np.int64)
_WEIGHTS = np.concatenate([[0], (4 + (_LEVELS - 1) % 4) << (_LEVELS - 1) // 4])


def choose_levels(counts: NDArray[np.int64]) -> NDArray[np.int64]:
    """The levels that describe some counts best.

    Args:
        counts: Shape (tokens,), int64; at least one is positive, and the last one is.

    Returns:
        Levels, shape (tokens,), int64; the lowest one of a token that occurs is 1 to 4.
    """
    wanted = counts * (_WEIGHTS[-1] / counts.max())
    # The border between two weights is their geometric mean: errors matter by their ratio.
    borders = np.sqrt(_WEIGHTS[1:-1].astype(np.float64) * _WEIGHTS[2:])
    levels = 1 + np.searchsorted(borders, wanted)
    # Whole octaves less are the same frequencies, and smaller steps to the tokens of level 0.
    levels -= (int(levels[counts > 0].min()) - 1) // 4 * 4
    return np.where(counts > 0, levels, 0).astype(np.int64)


def frequencies(levels: NDArray[np.int64]) -> NDArray[np.int64]:
    """The frequencies that levels stand for.

    Args:
        levels: Shape (tokens,), int64, at least one above 0.

    Returns:
        Shape (tokens,), int64, their sum is 2**14.
    """
    weights = _WEIGHTS[levels]
    used = weights > 0
    spare = (1 << PRECISION) - int(np.count_nonzero(used))
    frequency = np.where(used, 1 + weights * spare // int(weights.sum()), 0)
    frequency[int(np.argmax(frequency))] += (1 << PRECISION) - int(frequency.sum())
    return frequency


def write_levels(levels: NDArray[np.int64]) -> bytes:
    """A table as bytes."""
    nibbles: list[int] = []
    before = 0
    for level in levels.tolist():
        if -7 <= level - before <= 7:
            nibbles.append(level - before + 7)
        else:
            nibbles += [15, level >> 4, level & 15]
        before = level
    nibbles += [0] * (len(nibbles) % 2)
    pairs = zip(nibbles[::2], nibbles[1::2], strict=True)
    return bytes([len(levels), *(high << 4 | low for high, low in pairs)])


def read_levels(reader: ByteReader, most: int) -> NDArray[np.int64]:
    """Reads a table.

    Args:
        reader: Stands at the table, and after it when this returns.
        most: Tokens that the alphabet has.

    Returns:
        Levels, shape (tokens,), int64.

    Raises:
        MalformedDiffError: It is no table, or of a larger alphabet.
    """
    count = reader.byte()
    nibbles = _Nibbles(reader)
    levels: list[int] = []
    before = 0
    for _ in range(count):
        nibble = nibbles.next()
        level = nibbles.next() << 4 | nibbles.next() if nibble == 15 else before + nibble - 7
        if not 0 <= level <= _HIGHEST_LEVEL:
            raise MalformedDiffError("A frequency table of the diff has an impossible level.")
        levels.append(level)
        before = level
    if not 1 <= count <= most or levels[-1] == 0 or nibbles.unused:
        raise MalformedDiffError("A frequency table of the diff does not fit its alphabet.")
    return np.array(levels, np.int64)


class _Nibbles:
    def __init__(self, reader: ByteReader) -> None:
        self._reader = reader
        self._low: int | None = None

    @property
    def unused(self) -> bool:
        """True if the low half of the last byte says something that nobody read."""
        return bool(self._low)

    def next(self) -> int:
        if self._low is None:
            byte = self._reader.byte()
            self._low = byte & 15
            return byte >> 4
        low, self._low = self._low, None
        return low
