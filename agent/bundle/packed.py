"""Packed model files: a .tflite whose int8 matrices are entropy-coded, inflated when it is loaded.

    content = inflate(path.read_bytes(), path.name)     # an ordinary .tflite again, bit for bit

A packed file keeps its name in the bundle. The manifest lists the SHA-256 of the file as it lies on
the disk, `sha256`, and that of what it inflates to, `unpacked_sha256`; `agent.bundle.loading`
compares both. Inflating happens in memory: nothing is cached, so that a bundle stays exactly the
files that were signed.

Layout, version 1; numbers are little-endian, a varint is that of agent.update.byte_reader, tables,
coder and extra bits are those of diffs (agent.update.frequency_table, rans and token_code):

    magic         4 bytes   "VPAK"
    version       u8        1
    length        varint    bytes of the .tflite
    matrices      varint    at most 4096, then for each
        gap       varint    bytes between the one before, or the start of the file, and its first
        rows      varint
        columns   varint
        height    varint    rows of a block; 0 if all values are coded
        width     varint    columns of a block; left out if the height is 0
    rest          packed    see agent.update.packed_bytes: all bytes that belong to no matrix
    tables                  for each matrix: of its gaps, if it has blocks, and of its values
    lanes         varint    1 ... 4096
    states        u32 for each lane
    values                  for each matrix

A matrix with blocks consists of whole ones, numbered row by row. What is coded of it is

    live     varint   how many blocks are not all zero
    gaps     chunks   how many blocks of zeros lie between each of those and the one before
    values   chunks   of the live blocks in their order, each row by row

and of any other matrix all values, row by row. A chunk is 65,536 numbers, or what is left: a
varint, the number of words of the coder, the words, u16 each, and the extra bits. A value v is the
number 2 v, or -2 v - 1 if it is negative.

Whatever the bytes are, the outcome is a file or a `BundleFileError`, after time and memory that are
bounded by the length the file announces, which is at most `LARGEST_FILE`.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from agent.bundle.schema import LARGEST_FILE
from agent.errors import BundleFileError, DiffError, MalformedDiffError
from agent.update import token_code
from agent.update.byte_reader import ByteReader
from agent.update.frequency_table import frequencies, read_levels
from agent.update.packed_bytes import Unpacker
from agent.update.rans import MOST_LANES, DecodingTable, RansDecoder
from agent.update.sparse_diff import read_numbers

MAGIC = b"VPAK"
FORMAT = 1
CHUNK = 1 << 16
"""Numbers that are decoded at a time."""

_MOST_MATRICES = 4096
_LARGEST_BLOCK = 256  # rows or columns
_STEPS = 8192
_VALUES_FOR_A_STEP = 512


class PackedMatrix(NamedTuple):
    """Where an int8 matrix lies in the inflated file, and how it is coded."""

    offset: int
    """Bytes from the start of the file."""
    rows: int
    columns: int
    height: int = 0
    """Rows of a block that is zero or not; 0: all values are coded."""
    width: int = 0

    @property
    def end(self) -> int:
        """First byte behind it."""
        return self.offset + self.rows * self.columns

    @property
    def blocks(self) -> int:
        """How many blocks there are."""
        return self.rows * self.columns // (self.height * self.width) if self.height else 0


def is_packed(content: bytes) -> bool:
    """Whether bytes begin as a packed file does."""
    return content.startswith(MAGIC)


def plain(content: bytes, name: str) -> bytes:
    """A model file as the runtime takes it: inflated if it is packed.

    Raises:
        BundleFileError: See `inflate`.
    """
    return inflate(content, name) if is_packed(content) else content


def inflate(content: bytes, name: str) -> bytes:
    """The .tflite file again.

    Args:
        content: A packed file, or anything.
        name: What messages call it.

    Raises:
        BundleFileError: It is no packed file, damaged, or of a newer version.
    """
    reader = ByteReader.over(content)
    try:
        if reader.take(len(MAGIC)) != MAGIC:
            raise BundleFileError(f"{name} is not a packed model file; restore the bundle.")
        version = reader.byte()
        if version != FORMAT:
            raise BundleFileError(
                f"{name} is packed in format {version}, this agent reads format {FORMAT}; update"
                " the agent."
            )
        return _inflate(reader)
    # The readers are those of diffs, and what they say about downloads helps nobody here.
    except DiffError as error:
        raise BundleFileError(
            f"{name} is damaged and cannot be inflated; restore the bundle."
        ) from error


def _inflate(reader: ByteReader) -> bytes:
    length = reader.varint(LARGEST_FILE, "bytes")
    matrices = _read_matrices(reader, length)
    cells = sum(matrix.end - matrix.offset for matrix in matrices)
    rest = Unpacker(reader)
    # The tables stand behind the rest, whose bytes have places only when all matrices are known.
    content = bytearray(length)
    done = 0
    for matrix in matrices:
        content[done : matrix.offset] = rest.take(matrix.offset - done)
        done = matrix.end
    content[done:] = rest.take(length - done)
    rest.finish()
    tables = [
        (_read_table(reader) if matrix.height else None, _read_table(reader)) for matrix in matrices
    ]
    lanes = reader.varint(MOST_LANES, "lanes")
    if lanes == 0:
        raise MalformedDiffError("There is no lane.")
    states = np.frombuffer(reader.take(4 * lanes), "<u4").astype(np.uint32)
    numbers = _Numbers(reader, RansDecoder(states, _STEPS + cells // _VALUES_FOR_A_STEP))
    target = np.frombuffer(content, np.int8)
    for matrix, (gaps, values) in zip(matrices, tables, strict=True):
        place = target[matrix.offset : matrix.end].reshape(matrix.rows, matrix.columns)
        if gaps is None:
            numbers.values(values, place.reshape(-1))
        else:
            _fill_blocks(matrix, gaps, values, numbers, place)
    numbers.finish()
    return bytes(content)


def _read_matrices(reader: ByteReader, length: int) -> list[PackedMatrix]:
    matrices: list[PackedMatrix] = []
    end = 0
    for _ in range(reader.varint(_MOST_MATRICES, "matrices")):
        offset = end + reader.varint(length - end, "bytes between matrices")
        rows = reader.varint(length, "rows")
        columns = reader.varint(length, "columns")
        height = reader.varint(_LARGEST_BLOCK, "rows of a block")
        width = reader.varint(_LARGEST_BLOCK, "columns of a block") if height else 0
        matrix = PackedMatrix(offset, rows, columns, height, width)
        if not rows * columns or matrix.end > length:
            raise MalformedDiffError("A matrix is empty, or reaches beyond the file.")
        if height and (not width or rows % height or columns % width):
            raise MalformedDiffError("A matrix does not consist of whole blocks.")
        matrices.append(matrix)
        end = matrix.end
    return matrices


def _read_table(reader: ByteReader) -> DecodingTable:
    return DecodingTable(frequencies(read_levels(reader, token_code.TOKENS)))


class _Numbers:
    """Coded numbers, chunk by chunk."""

    def __init__(self, reader: ByteReader, decoder: RansDecoder) -> None:
        self._reader = reader
        self._decoder = decoder

    def count(self, most: int) -> int:
        return self._reader.varint(most, "blocks")

    def numbers(self, table: DecodingTable, target: NDArray[np.int64]) -> None:
        """Fills an array with the next numbers."""
        for first in range(0, len(target), CHUNK):
            part = target[first : first + CHUNK]
            (part[:],) = read_numbers(self._reader, self._decoder, [(table, len(part))])

    def values(self, table: DecodingTable, target: NDArray[np.int8]) -> None:
        """Fills an array with the next values."""
        for first in range(0, len(target), CHUNK):
            part = target[first : first + CHUNK]
            (found,) = read_numbers(self._reader, self._decoder, [(table, len(part))])
            if found.max() > 255:
                raise MalformedDiffError("A value has more than eight bits.")
            part[:] = np.where(found & 1, -(found + 1) // 2, found // 2)

    def finish(self) -> None:
        self._decoder.finish()
        if self._reader.left:
            raise MalformedDiffError("There are more bytes than the matrices need.")


def _fill_blocks(
    matrix: PackedMatrix,
    gaps: DecodingTable,
    values: DecodingTable,
    numbers: _Numbers,
    place: NDArray[np.int8],
) -> None:
    """Fills int8 [rows, columns] of zeros with the blocks that are not all zero."""
    live = numbers.count(matrix.blocks)
    between = np.empty(live, np.int64)
    numbers.numbers(gaps, between)
    # Token codes reach 2**32: the sum of as many gaps as a file has bytes stays below 2**63.
    blocks = np.cumsum(between + 1) - 1
    if live and blocks[-1] >= matrix.blocks:
        raise MalformedDiffError("A block lies beyond its matrix.")
    found = np.empty(live * matrix.height * matrix.width, np.int8)
    numbers.values(values, found)
    across = matrix.columns // matrix.width
    grid = place.reshape(matrix.rows // matrix.height, matrix.height, across, matrix.width)
    grid[blocks // across, :, blocks % across, :] = found.reshape(live, matrix.height, matrix.width)
