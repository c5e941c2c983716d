"""Packs model files: the counterpart of `agent.bundle.packed`.

How a matrix is coded is decided here, by its cost: all values, or a map of the blocks that are not
all zero and the values in them, for several sizes of blocks. The same file always gives the same
bytes.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from agent.bundle.packed import CHUNK, FORMAT, MAGIC, PackedMatrix, inflate
from agent.bundle.schema import LayoutEntry
from agent.update import token_code
from agent.update.byte_reader import varint
from agent.update.frequency_table import choose_levels, frequencies, write_levels
from agent.update.packed_bytes import pack
from agent.update.rans import MOST_LANES, Segment, encode
from converters.updates.weights_writer import token_cost

_BLOCKS = ((1, 1), (1, 4), (1, 8), (4, 1), (4, 4), (8, 8))
_BYTES_PER_LANE = 1200
"""Three bytes of each lane carry nothing: this bounds the loss to a quarter of a percent."""


@dataclass(frozen=True)
class Packed:
    """What packing made of a file."""

    path: str
    bytes: int
    packed: int


def pack_models(directory: Path, layout: Sequence[LayoutEntry]) -> list[Packed]:
    """Packs every file of a bundle that has int8 matrices, in place.

    Args:
        directory: the bundle; its manifest must be written afterwards.
        layout: where the matrices lie.
    """
    done = []
    for path in sorted({entry.file for entry in layout}):
        content = (directory / path).read_bytes()
        matrices = [entry for entry in layout if entry.file == path]
        packed = pack_model(content, matrices)
        (directory / path).write_bytes(packed)
        done.append(Packed(path, len(content), len(packed)))
    return done


def pack_model(content: bytes, layout: Sequence[LayoutEntry]) -> bytes:
    """Packs one .tflite file.

    Args:
        content: the file.
        layout: its int8 matrices, in the order of their offsets, without overlap.

    Returns:
        Bytes that `agent.bundle.packed.inflate` turns into the same file.
    """
    head = [MAGIC, bytes([FORMAT]), varint(len(content)), varint(len(layout))]
    rest, codings, done = [], [], 0
    for entry in layout:
        end = entry.offset + entry.rows * entry.cols
        values = np.frombuffer(content, np.int8)[entry.offset : end]
        coding = _cheapest(values.reshape(entry.rows, entry.cols), entry.offset)
        codings.append(coding)
        matrix = coding.matrix
        head += [varint(matrix.offset - done), varint(matrix.rows), varint(matrix.columns)]
        head += [varint(matrix.height), varint(matrix.width)] if matrix.height else [varint(0)]
        rest.append(content[done : matrix.offset])
        done = end
    rest.append(content[done:])
    packed = b"".join(head) + pack(b"".join(rest)) + _coded(codings)
    if inflate(packed, "the packed file") != content:
        raise AssertionError("a packed model inflates to other bytes than it was made from")
    return packed


@dataclass(frozen=True)
class _Coding:
    """The numbers that stand for a matrix."""

    matrix: PackedMatrix
    gaps: NDArray[np.int64]
    """int64 [live blocks]; empty without blocks."""
    values: NDArray[np.int64]
    """int64 [coded values]."""

    @property
    def cost(self) -> float:
        """Bits, nearly: entropies, extra bits and tables."""
        bits = 0.0
        for numbers in (self.gaps, self.values):
            tokens, widths, _ = token_code.tokenise(numbers)
            counts = np.bincount(tokens)
            bits += token_cost(counts) + float(widths.sum()) + 4.5 * len(counts)
        return bits


def _cheapest(values: NDArray[np.int8], offset: int) -> _Coding:
    rows, columns = values.shape
    whole = PackedMatrix(offset, rows, columns)
    found = [_Coding(whole, np.zeros(0, np.int64), _numbers(values.reshape(-1)))]
    for height, width in _BLOCKS:
        if rows % height == 0 and columns % width == 0:
            matrix = PackedMatrix(offset, rows, columns, height, width)
            grid = values.reshape(rows // height, height, columns // width, width)
            blocks = grid.transpose(0, 2, 1, 3).reshape(-1, height * width)
            live = np.flatnonzero(blocks.any(axis=1))
            gaps = np.diff(live, prepend=-1) - 1
            found.append(_Coding(matrix, gaps, _numbers(blocks[live].reshape(-1))))
    return min(found, key=lambda coding: coding.cost)


def _numbers(values: NDArray[np.int8]) -> NDArray[np.int64]:
    wide = values.astype(np.int64)
    return np.where(wide < 0, -2 * wide - 1, 2 * wide)


def _coded(codings: Sequence[_Coding]) -> bytes:
    """Tables, lanes, states and numbers."""
    tables: list[bytes] = []
    segments: list[Segment] = []
    # What stands before each segment's words, and behind them.
    heads: list[bytes] = []
    extras: list[bytes] = []
    head = b""
    for coding in codings:
        parts = [coding.gaps, coding.values] if coding.matrix.height else [coding.values]
        head += varint(len(coding.gaps)) if coding.matrix.height else b""
        for numbers in parts:
            tokens, widths, bits = token_code.tokenise(numbers)
            # A table needs a token even if there is nothing to code.
            levels = choose_levels(np.bincount(tokens)) if len(tokens) else np.ones(1, np.int64)
            tables.append(write_levels(levels))
            frequency = frequencies(levels)
            for first in range(0, len(numbers), CHUNK):
                chunk = slice(first, first + CHUNK)
                segments.append(Segment(tokens[chunk], frequency))
                extras.append(token_code.pack_bits(bits[chunk], widths[chunk]))
                heads.append(head)
                head = b""
    cost = sum(coding.cost for coding in codings)
    lanes = min(max(int(cost / 8 / _BYTES_PER_LANE), 1), MOST_LANES)
    states, words = encode(segments, lanes)
    coded = [*tables, varint(lanes), states.astype("<u4").tobytes()]
    for before, word, extra in zip(heads, words, extras, strict=True):
        coded += [before, varint(len(word)), word.astype("<u2").tobytes(), extra]
    return b"".join([*coded, head])
