"""Whole numbers as a token, which is entropy-coded, and extra bits, which are not.

Below 16 a number is its own token. From there on every octave [2**e, 2**(e+1)) has four tokens,
which tell e and the two bits after the leading one; the remaining e - 2 bits of the number follow
as they are. Within one token the numbers are nearly equally likely, so that coding their low bits
would gain next to nothing (measured: below 0.1 % of a diff), and 128 tokens reach 2**32.

    number        0 ... 15   16 ... 19   20 ... 23   24 ... 27   28 ... 31   32 ... 39   ...
    token         0 ... 15          16          17          18          19          20   ...
    extra bits           0           2           2           2           2           3   ...

Extra bits stand in the order of the numbers, the highest bit of each first, in bytes that are
filled from their highest bit; the unused bits of the last byte are zero.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from agent.errors import MalformedDiffError

TOKENS = 16 + 4 * 28

_DIRECT = 16


def _token_table() -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    token = np.arange(TOKENS, dtype=np.int64)
    octave, quarter = divmod(token - _DIRECT, 4)
    bits = np.where(token < _DIRECT, 0, octave + 2)
    first = np.where(token < _DIRECT, token, (4 + quarter) << bits)
    return first, bits


_FIRST, _BITS = _token_table()


def tokenise(
    numbers: NDArray[np.int64],
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
    """Splits numbers.

    Args:
        numbers: Shape (n,), int64, 0 <= number < 2**32.

    Returns:
        Tokens, counts of extra bits, extra bits; each of shape (n,), int64.
    """
    tokens = np.searchsorted(_FIRST, numbers, side="right") - 1
    return tokens, _BITS[tokens], numbers - _FIRST[tokens]


def extra_bits(tokens: NDArray[np.int64]) -> NDArray[np.int64]:
    """How many extra bits each token asks for; same shape, int64."""
    return _BITS[tokens]


def pack_bits(values: NDArray[np.int64], bits: NDArray[np.int64]) -> bytes:
    """Packs values of different widths.

    Args:
        values: Shape (n,), int64.
        bits: Shape (n,), int64, width of each value.

    Returns:
        ceil(sum of bits / 8) bytes.
    """
    owner = np.repeat(np.arange(len(bits)), bits)
    shift = np.repeat(np.cumsum(bits), bits) - 1 - np.arange(len(owner))
    return np.packbits(((values[owner] >> shift) & 1).astype(np.uint8)).tobytes()


def join(tokens: NDArray[np.int64], packed: bytes) -> NDArray[np.int64]:
    """The numbers again.

    Args:
        tokens: Shape (n,), int64, each below `TOKENS`.
        packed: Exactly the bytes that hold their extra bits.

    Returns:
        Shape (n,), int64.

    Raises:
        MalformedDiffError: There are too few or too many bytes, or an unused bit is set.
    """
    bits = _BITS[tokens]
    ends = np.cumsum(bits)
    total = int(ends[-1]) if len(ends) else 0
    if len(packed) != (total + 7) // 8 or (total % 8 and packed[-1] << total % 8 & 0xFF):
        raise MalformedDiffError("The extra bits of the diff do not fit its tokens.")
    # Each value lies within the eight bytes that start where its first bit is.
    padded = np.frombuffer(packed + bytes(8), np.uint8)
    starts = ends - bits
    first_byte = starts >> 3
    window = np.zeros(len(tokens), np.uint64)
    for i in range(5):  # 7 bits before the value and at most 30 of it
        window = window << np.uint64(8) | padded[first_byte + i]
    shift = (40 - (starts & 7) - bits).astype(np.uint64)
    mask = (np.uint64(1) << bits.astype(np.uint64)) - np.uint64(1)
    return _FIRST[tokens] + ((window >> shift) & mask).astype(np.int64)
