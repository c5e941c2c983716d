"""Sparse diffs: which weights change, and by how much, as entropy-coded gaps.

All matrices that a diff changes are numbered through: their rows from 0, in their order in the
diff, and their weights (*cells*) from 0, row by row. Changes often cluster in rows. So rows are
sorted into up to seven *classes*, whose rows change about equally densely; a row of no class does
not change at all. The cells of a class's rows, put end to end, are run through by gaps: how many
cells stay between two that change. Where each cell changes with the same probability, gaps cost
exactly the entropy of the bitmap, at any density, and take one symbol for a change instead of one
for a cell.

A *block* covers some rows, holds at most 32,768 changes, and is decoded on its own; the memory for
applying a diff is that of one block. It consists of

    rows          varint   that it covers, at least 1
    chosen        varint   of them that belong to a class; left out if `classes` is 0
    changes       varint   for each class
    words         varint   16-bit words of the coder
    words         u16 each
    extra bits             see agent.update.token_code

and codes, as segments of one rANS coder (agent.update.rans):

    rows    of the chosen rows: how many rows lie between it and the one before    if `classes` > 0
    classes of the chosen rows: class - 1                                          if `classes` > 1
    then for each class:
    gaps    of its changes: how many cells of the class lie between it and the one before
    changes 2 d - 2 for a change d > 0, -2 d - 1 for d < 0, where 0 < abs(d) <= 255

All of them are tokens; their extra bits follow in the same order. If `classes` is 0, every row is
of class 1 and nothing is said about rows. A weight becomes clip(weight + d, -128, 127).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from agent.errors import MalformedDiffError
from agent.update import token_code
from agent.update.byte_reader import ByteReader
from agent.update.frequency_table import frequencies, read_levels
from agent.update.rans import DecodingTable, RansDecoder

MOST_CLASSES = 7
MOST_CHANGES = 1 << 15  # in a block; as many rows can be chosen

_LARGEST_CHANGE = 255  # from -128 to 127


class RowMap:
    """Where the rows of all matrices lie among the cells.

    Args:
        shapes: Rows and columns of each matrix; at least one of each.
    """

    def __init__(self, shapes: Sequence[tuple[int, int]]) -> None:
        rows = np.array([rows for rows, _ in shapes], np.int64)
        self._columns = np.array([columns for _, columns in shapes], np.int64)
        self._last_rows = np.cumsum(rows)
        self._first_rows = self._last_rows - rows
        cells = rows * self._columns
        self._first_cells = np.cumsum(cells) - cells
        self.rows = int(rows.sum())
        self.cells = int(cells.sum())

    def locate(self, rows: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """First cell and columns of rows; all of shape (n,), int64."""
        matrix = np.searchsorted(self._last_rows, rows, side="right")
        columns = self._columns[matrix]
        return self._first_cells[matrix] + (rows - self._first_rows[matrix]) * columns, columns

    def start(self, row: int) -> int:
        """First cell of a row, or the number of cells if there is no such row."""
        if row >= self.rows:
            return self.cells
        return int(self.locate(np.array([row]))[0][0])


@dataclass(frozen=True)
class _ClassTables:
    gaps: DecodingTable
    changes: DecodingTable


class SparseTables:
    """The tables in front of a sparse diff.

        classes   u8      0 ... 7
        rows              frequency table, if `classes` > 0
        classes           frequency table, if `classes` > 1
        gaps, changes     two frequency tables for each class; for one class if `classes` is 0

    Args:
        reader: Stands at the tables, and behind them afterwards.

    Raises:
        MalformedDiffError: They are damaged.
    """

    def __init__(self, reader: ByteReader) -> None:
        self.choosing = reader.byte()
        if self.choosing > MOST_CLASSES:
            raise MalformedDiffError("The diff has an impossible number of row classes.")
        self.rows = _read_table(reader) if self.choosing else None
        self.kinds = _read_table(reader, self.choosing) if self.choosing > 1 else None
        self.classes = [
            _ClassTables(_read_table(reader), _read_table(reader))
            for _ in range(max(1, self.choosing))
        ]


class SparseChanges:
    """Reads blocks as they are needed and adds their changes to weights.

    Args:
        reader: Stands at the first block.
        tables: From the same diff.
        decoder: The coder, shared with whatever was coded before.
        rows: All matrices of the diff.
    """

    def __init__(
        self, reader: ByteReader, tables: SparseTables, decoder: RansDecoder, rows: RowMap
    ) -> None:
        self._reader = reader
        self._tables = tables
        self._decoder = decoder
        self._map = rows
        self._row = 0
        self._end = 0  # cell behind the current block
        self._cells = np.zeros(0, np.int64)
        self._changes = np.zeros(0, np.int16)

    def add(self, weights: NDArray[np.int16], first: int) -> None:
        """Changes weights in place; to be called in the order of the cells.

        Args:
            weights: Shape (n,), int16, each in -128 ... 127, before and after.
            first: Cell of the first of them.

        Raises:
            MalformedDiffError: The next block is damaged.
            DiffLimitError: It announces more than fits in a block.
        """
        end = first + len(weights)
        while True:
            low, high = np.searchsorted(self._cells, [first, end])
            touched = self._cells[low:high] - first
            weights[touched] = np.clip(weights[touched] + self._changes[low:high], -128, 127)
            if self._end >= end:
                return
            self._next_block()

    def _next_block(self) -> None:
        reader, tables = self._reader, self._tables
        rows = reader.varint(self._map.rows - self._row, "rows")
        if rows == 0:
            raise MalformedDiffError("The diff has an empty block.")
        chosen = reader.varint(min(rows, MOST_CHANGES), "changed rows") if tables.rows else 0
        counts: list[int] = []
        for _ in tables.classes:
            counts.append(reader.varint(MOST_CHANGES - sum(counts), "changes in a block"))
        segments = [(tables.rows, chosen)] if tables.rows else []
        segments += [(tables.kinds, chosen)] if tables.kinds else []
        for table, count in zip(tables.classes, counts, strict=True):
            segments += [(table.gaps, count), (table.changes, count)]
        numbers = read_numbers(reader, self._decoder, segments)
        start, self._end = self._map.start(self._row), self._map.start(self._row + rows)
        if tables.rows:
            gaps = numbers.pop(0)
            kinds = numbers.pop(0) if tables.kinds else np.zeros_like(gaps)
            self._collect(_positions(gaps, rows) + self._row, kinds, numbers)
        else:
            self._cells = _positions(numbers[0], self._end - start) + start
            self._changes = _signed(numbers[1])
        self._row += rows

    def _collect(
        self, rows: NDArray[np.int64], kinds: NDArray[np.int64], numbers: list[NDArray[np.int64]]
    ) -> None:
        cells, changes = [], []
        first_cells, columns = self._map.locate(rows)
        for kind in range(len(self._tables.classes)):
            members = kinds == kind
            ends = np.cumsum(columns[members])
            positions = _positions(numbers[2 * kind], int(ends[-1]) if len(ends) else 0)
            row = np.searchsorted(ends, positions, side="right")
            origin = first_cells[members] - (ends - columns[members])
            cells.append(origin[row] + positions)
            changes.append(_signed(numbers[2 * kind + 1]))
        self._cells, self._changes = np.concatenate(cells), np.concatenate(changes)
        if len(cells) > 1:
            order = np.argsort(self._cells, kind="stable")
            self._cells, self._changes = self._cells[order], self._changes[order]


def read_numbers(
    reader: ByteReader, decoder: RansDecoder, segments: list[tuple[DecodingTable, int]]
) -> list[NDArray[np.int64]]:
    """Reads numbers that were coded as tokens and extra bits.

    Args:
        reader: Stands at the count of words (a varint), which the words and the extra bits follow.
        decoder: The coder.
        segments: Table and count of each segment.

    Returns:
        The numbers of each segment, shape (count,), int64.

    Raises:
        MalformedDiffError: They are damaged.
        DiffLimitError: More words are announced than the tokens can have.
    """
    count = sum(count for _, count in segments)
    words = np.frombuffer(reader.take(2 * reader.varint(count, "coded words")), "<u2")
    tokens = decoder.decode(segments, words)
    everything = np.concatenate(tokens)
    total = int(token_code.extra_bits(everything).sum())
    numbers = token_code.join(everything, reader.take((total + 7) // 8))
    return np.split(numbers, np.cumsum([len(part) for part in tokens])[:-1])


def _read_table(reader: ByteReader, most: int = token_code.TOKENS) -> DecodingTable:
    return DecodingTable(frequencies(read_levels(reader, most)))


def _positions(gaps: NDArray[np.int64], end: int) -> NDArray[np.int64]:
    positions = np.cumsum(gaps + 1) - 1
    if len(positions) and positions[-1] >= end:
        raise MalformedDiffError("The diff changes a weight that does not exist.")
    return positions


def _signed(numbers: NDArray[np.int64]) -> NDArray[np.int16]:
    if len(numbers) and numbers.max() >= 2 * _LARGEST_CHANGE:
        raise MalformedDiffError("The diff changes a weight by more than weights can differ.")
    return np.where(numbers & 1, -(numbers + 1) // 2, (numbers + 2) // 2).astype(np.int16)
