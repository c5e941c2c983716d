"""The coded part of a diff: hashed changes, sparse changes, or both.

Both act on the matrices of the diff: first the hashed ones on the matrices that are marked for it,
then the sparse ones on all. So a diff that was trained as a hashed one can still correct single
weights.

    layers      u8              1 sparse, 2 hashed, 3 both
    seed        u64             little-endian, if hashed
    buckets     varint          if hashed
    values      frequency table if hashed
    tables                      if sparse, see agent.update.sparse_diff.SparseTables
    lanes       varint          1 ... 4096
    states      u32 for each lane, little-endian
    values      blocks of 65,536, the last one shorter, if hashed; each is a varint, the number of
                words of the coder, then the words, u16 each, then the extra bits
    blocks      if sparse, see agent.update.sparse_diff

The value v of a bucket is coded as the number 2 v, or -2 v - 1 if it is negative.

A reader takes 8,192 steps of the coder and one more for every 512 weights, and refuses a diff that
needs more: so nobody can make a board count for hours with a few bytes.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from agent.errors import MalformedDiffError, UnsupportedDiffError
from agent.update import token_code
from agent.update.byte_reader import ByteReader
from agent.update.frequency_table import frequencies, read_levels
from agent.update.hashed_diff import MOST_BUCKETS, HashedChanges
from agent.update.rans import MOST_LANES, DecodingTable, RansDecoder
from agent.update.sparse_diff import RowMap, SparseChanges, SparseTables, read_numbers

SPARSE = 1
HASHED = 2

VALUES_IN_BLOCK = 1 << 16

_STEPS = 8192
_WEIGHTS_FOR_A_STEP = 512


class WeightChanges:
    """Changes weights one stretch after the other, in the order of the diff.

    Args:
        reader: The coded part of the diff.
        rows: All matrices of the diff.

    Raises:
        MalformedDiffError: The part is damaged.
        DiffLimitError: It announces too many lanes or buckets, or takes too long to decode.
        UnsupportedDiffError: It has layers that this agent does not know.
    """

    def __init__(self, reader: ByteReader, rows: RowMap) -> None:
        layers = reader.byte()
        if layers & ~(SPARSE | HASHED):
            raise UnsupportedDiffError(
                "The diff changes weights in a way this agent does not know; update the agent."
            )
        self._reader = reader
        self._cell = 0
        self._hashed_cell = 0
        seed, buckets, values, tables = 0, 0, None, None
        if layers & HASHED:
            seed = int.from_bytes(reader.take(8), "little")
            buckets = reader.varint(MOST_BUCKETS, "buckets")
            values = DecodingTable(frequencies(read_levels(reader, token_code.TOKENS)))
        if layers & SPARSE:
            tables = SparseTables(reader)
        lanes = reader.varint(MOST_LANES, "lanes")
        states = np.frombuffer(reader.take(4 * lanes), "<u4").astype(np.uint32)
        self._decoder = RansDecoder(states, _STEPS + rows.cells // _WEIGHTS_FOR_A_STEP)
        if layers == 0 or lanes == 0 or (values and not buckets):
            raise MalformedDiffError("The diff says that weights change and not how.")
        self._hashed = HashedChanges(seed, self._values(values, buckets)) if values else None
        self._sparse = SparseChanges(reader, tables, self._decoder, rows) if tables else None

    @property
    def hashed(self) -> bool:
        """True if there are hashed changes."""
        return self._hashed is not None

    def apply(self, weights: NDArray[np.int16], *, hashed: bool) -> None:
        """Changes the next weights in place.

        Args:
            weights: Shape (n,), int16, each in -128 ... 127, before and after.
            hashed: They belong to a matrix that is marked for hashed changes.

        Raises:
            MalformedDiffError: The next block is damaged.
            DiffLimitError: It announces more than fits in a block, or takes too long to decode.
        """
        if hashed:
            if self._hashed is None:
                raise MalformedDiffError("The diff marks a matrix for a hash that it lacks.")
            self._hashed.add(weights, self._hashed_cell)
            self._hashed_cell += len(weights)
        if self._sparse is not None:
            self._sparse.add(weights, self._cell)
        self._cell += len(weights)

    def finish(self) -> None:
        """Ends the part.

        Raises:
            MalformedDiffError: It is damaged, or longer than the matrices need.
        """
        self._decoder.finish()
        if self._reader.left:
            raise MalformedDiffError("The diff is longer than it says; download it again.")

    def _values(self, table: DecodingTable, buckets: int) -> NDArray[np.int8]:
        values = np.empty(buckets, np.int8)
        for first in range(0, buckets, VALUES_IN_BLOCK):
            part = values[first : first + VALUES_IN_BLOCK]
            (numbers,) = read_numbers(self._reader, self._decoder, [(table, len(part))])
            if (numbers > 255).any():
                raise MalformedDiffError("The diff holds a bucket beyond eight bits.")
            part[:] = np.where(numbers & 1, -(numbers + 1) // 2, numbers // 2)
        return values
