"""Writes the coded part of a diff: the counterpart of `agent.update.weight_changes`.

How rows are sorted into classes is decided here, by trying: all rows in one class, the changed rows
in one class, or the changed rows in two to four classes by density. What each would cost follows
from the histograms of its tokens, so only the cheapest is coded.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from agent.update import token_code
from agent.update.byte_reader import varint
from agent.update.frequency_table import choose_levels, frequencies, write_levels
from agent.update.rans import MOST_LANES, Segment, encode
from agent.update.sparse_diff import MOST_CHANGES, RowMap
from agent.update.weight_changes import HASHED, SPARSE, VALUES_IN_BLOCK

_CLASSES_TRIED = (1, 2, 3, 4)
# Three bytes of each lane carry nothing: this bounds the loss to a quarter of a percent. Fewer
# lanes would hardly make diffs smaller, and boards slower.
_BYTES_PER_LANE = 1200
# Symbols that are nearly certain cost no bytes and still take time.
_SYMBOLS_PER_LANE = 4096


@dataclass(frozen=True)
class Changes:
    """Which weights change, and by how much."""

    shapes: Sequence[tuple[int, int]]
    """Rows and columns of each matrix, in the order of the diff."""
    cells: NDArray[np.int64]
    """Shape (changes,), int64, rising: index of the weight over all matrices, row by row."""
    amounts: NDArray[np.int16]
    """Shape (changes,), int16, -255 ... 255, never 0."""


@dataclass(frozen=True)
class Buckets:
    """A hashed diff; see `agent.update.hashed_diff`."""

    seed: int
    values: NDArray[np.int8]
    """Shape (buckets,), int8."""


@dataclass
class _Stream:
    """All numbers that share a frequency table, block by block."""

    blocks: list[NDArray[np.int64]] = field(default_factory=list)

    def table(self) -> tuple[bytes, NDArray[np.int64]]:
        """The table as bytes, and its frequencies."""
        counts = np.bincount(token_code.tokenise(np.concatenate(self.blocks))[0])
        # A table needs a token even if there is nothing to code.
        levels = choose_levels(counts) if len(counts) else np.ones(1, np.int64)
        return write_levels(levels), frequencies(levels)


@dataclass(frozen=True)
class _Block:
    head: bytes
    streams: list[_Stream]
    """Those that its segments belong to, in coding order."""


def write_weights(changes: Changes | None, buckets: Buckets | None = None) -> bytes:
    """The coded part.

    Args:
        changes: Sparse changes; None or empty for none.
        buckets: Hashed changes; None for none.

    Returns:
        Bytes that `agent.update.weight_changes.WeightChanges` reads; empty if nothing changes.
    """
    head, blocks = b"", []
    if buckets is not None:
        values = _Stream()
        wide = buckets.values.astype(np.int64)
        numbers = np.where(wide < 0, -2 * wide - 1, 2 * wide)
        for first in range(0, len(numbers), VALUES_IN_BLOCK):
            values.blocks.append(numbers[first : first + VALUES_IN_BLOCK])
            blocks.append(_Block(b"", [values]))
        head += buckets.seed.to_bytes(8, "little") + varint(len(wide)) + values.table()[0]
    layers = HASHED if buckets is not None else 0
    if changes is not None and len(changes.cells):
        layers |= SPARSE
        sorting = _best_classes(changes)
        tables, sparse = _sparse_blocks(changes, sorting)
        head += bytes([sorting.count]) + b"".join(table.table()[0] for table in tables)
        blocks += sparse
    return bytes([layers]) + head + _code(blocks) if layers else b""


def _code(blocks: Sequence[_Block]) -> bytes:
    """Lanes, states and blocks."""
    tables: dict[int, NDArray[np.int64]] = {}
    taken: dict[int, int] = {}
    segments: list[Segment] = []
    extras: list[bytes] = []
    bits = 0.0
    for block in blocks:
        parts = []
        for stream in block.streams:
            key = id(stream)
            if key not in tables:
                tables[key] = stream.table()[1]
            numbers = stream.blocks[taken.get(key, 0)]
            taken[key] = taken.get(key, 0) + 1
            parts.append(token_code.tokenise(numbers))
            segments.append(Segment(parts[-1][0], tables[key]))
            bits += token_cost(np.bincount(parts[-1][0]))
        widths = np.concatenate([part[1] for part in parts])
        extras.append(token_code.pack_bits(np.concatenate([part[2] for part in parts]), widths))
    symbols = sum(len(segment.symbols) for segment in segments)
    wanted = max(int(bits / 8 / _BYTES_PER_LANE), -(-symbols // _SYMBOLS_PER_LANE), 1)
    lanes = min(wanted, MOST_LANES)
    states, words = encode(segments, lanes)
    coded = [varint(lanes), states.astype("<u4").tobytes()]
    start = 0
    for block, extra in zip(blocks, extras, strict=True):
        end = start + len(block.streams)
        joined = np.concatenate(words[start:end]).astype("<u2")
        coded += [block.head, varint(len(joined)), joined.tobytes(), extra]
        start = end
    return b"".join(coded)


@dataclass(frozen=True)
class _Sorting:
    """Which class each row belongs to."""

    count: int
    """Classes; 0 if nothing is said about rows."""
    classes: NDArray[np.int64]
    """Shape (rows,), int64; -1 for rows of no class."""


def _best_classes(changes: Changes) -> _Sorting:
    rows = RowMap(changes.shapes)
    first_cells, columns = rows.locate(np.arange(rows.rows))
    ends = np.searchsorted(changes.cells, first_cells + columns)
    counts = np.diff(ends, prepend=0)
    best = _Sorting(0, np.zeros(rows.rows, np.int64))
    least = _cost(changes, best)
    density = np.log(np.maximum(counts, 0.5) / columns)
    used = counts > 0
    low, high = density[used].min(), density[used].max()
    for tried in _CLASSES_TRIED:
        share = (density - low) / max(high - low, 1e-9)
        kinds = np.where(used, np.minimum(share * tried, tried - 1).astype(np.int64), -1)
        # Classes that no row falls into would only cost tables.
        present, classes = np.unique(kinds, return_inverse=True)
        classes = classes.reshape(-1) - int(present[0] == -1)
        sorting = _Sorting(int(classes.max()) + 1, classes.astype(np.int64))
        cost = _cost(changes, sorting)
        if cost < least:
            best, least = sorting, cost
    return best


def _cost(changes: Changes, sorting: _Sorting) -> float:
    """Bits that a sorting costs, nearly: entropies, extra bits and tables."""
    bits = 0.0
    for stream in _sparse_blocks(changes, sorting)[0]:
        tokens, widths, _ = token_code.tokenise(np.concatenate(stream.blocks))
        counts = np.bincount(tokens)
        bits += token_cost(counts) + float(widths.sum()) + 4.5 * len(counts)
    return bits


def token_cost(counts: NDArray[np.int64]) -> float:
    """Entropy of symbols that occur so often, in bits for all of them together."""
    present = counts[counts > 0]
    return float(present @ np.log2(present.sum() / present)) if len(present) else 0.0


def _sparse_blocks(changes: Changes, sorting: _Sorting) -> tuple[list[_Stream], list[_Block]]:
    """Everything that is to be coded: streams in the order of their tables, and blocks."""
    rows = RowMap(changes.shapes)
    kinds = max(1, sorting.count)
    choice = [_Stream() for _ in range(min(sorting.count, 2))]
    streams = [_Stream() for _ in range(2 * kinds)]
    blocks = []
    for first_row, last_row, first, last in _split(changes, rows):
        cells = changes.cells[first:last]
        amounts = changes.amounts[first:last].astype(np.int64)
        numbers = np.where(amounts > 0, 2 * amounts - 2, -2 * amounts - 1)
        head = varint(last_row - first_row)
        start = rows.start(first_row)
        if not sorting.count:
            head += varint(len(cells))
            streams[0].blocks.append(np.diff(cells, prepend=start - 1) - 1)
            streams[1].blocks.append(numbers)
        else:
            chosen = first_row + np.flatnonzero(sorting.classes[first_row:last_row] >= 0)
            of_row = sorting.classes[chosen]
            choice[0].blocks.append(np.diff(chosen, prepend=first_row - 1) - 1)
            if sorting.count > 1:
                choice[1].blocks.append(of_row)
            origins, columns = rows.locate(chosen)
            head += varint(len(chosen))
            row = np.searchsorted(origins, cells, side="right") - 1
            for kind in range(kinds):
                inside = np.cumsum(np.where(of_row == kind, columns, 0)) - columns
                members = of_row[row] == kind
                owner = row[members]
                positions = inside[owner] + cells[members] - origins[owner]
                streams[2 * kind].blocks.append(np.diff(positions, prepend=-1) - 1)
                streams[2 * kind + 1].blocks.append(numbers[members])
                head += varint(len(positions))
        blocks.append(_Block(head, [*choice, *streams]))
    return [*choice, *streams], blocks


def _split(changes: Changes, rows: RowMap) -> Iterator[tuple[int, int, int, int]]:
    """Blocks as first and last row, first and last change."""
    first_cells, columns = rows.locate(np.arange(rows.rows))
    ends = np.searchsorted(changes.cells, first_cells + columns)
    row = change = 0
    while row < rows.rows:
        last = int(np.searchsorted(ends, change + MOST_CHANGES, side="right"))
        yield row, last, change, int(ends[last - 1])
        row, change = last, int(ends[last - 1])
