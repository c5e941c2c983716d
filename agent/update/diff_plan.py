"""The plan of a diff: how each file of the result is put together.

A result file is a row of *pieces*. They walk along one file of the base, the *source*, with a
cursor that starts at 0; a piece is a varint of kind + 8 * amount, two of them with a second varint:

    0 copy      amount bytes of the source; the cursor moves behind them
    1 replace   amount bytes that the diff brings along, in the place of as many in the source
    2 insert    amount bytes that the diff brings along; the cursor stays
    3 seek      the cursor moves by amount / 2 bytes, or by -(amount + 1) / 2 if amount is odd
    4 sparse    amount rows of int8 weights, then columns; changed by the sparse changes
    5 hashed    the same, changed by the hashed changes first
    6 digest    the SHA-256, as 64 hexadecimal digits, of the result file of index amount, which
                must come earlier in the plan, in the place of as many bytes of the source; so a
                manifest that only lists new sums costs next to nothing
    7 listed    the next amount matrices that the base's manifest lists for the source (see
                agent.update.diff_base), each a copy of the bytes before it and a sparse piece

The plan itself is

    removed   varint, then so many paths
    files     varint, then for each
        path
        source    u8   0 none, 1 the base file of the same path, 2 another one, whose path follows
        pieces    varint, then so many pieces

A path is a varint n: n > 0 is file n of the base, counted from 1 in the order of their paths; 0 is
followed by another varint, the path's length, and the path in ASCII. Base files that are neither
removed nor made anew are copied as they are; they cost nothing. Matrices are addressed as (offset,
rows, columns) through the cursor, so nobody who applies a diff needs to understand a model file.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import IntEnum
from pathlib import PurePosixPath
from typing import NamedTuple

from agent.bundle.schema import LARGEST_BUNDLE, LARGEST_FILE, MOST_FILES, safe_path
from agent.errors import BaseMismatchError, DiffLimitError, MalformedDiffError
from agent.update.byte_reader import ByteReader
from agent.update.diff_base import MOST_COLUMNS, Base

LARGEST_PLAN = 256 * 1024  # bytes
MOST_MATRICES = 4096

_LONGEST_PATH = 200
_HEX_DIGITS = 64  # of a SHA-256


class Kind(IntEnum):
    """What a piece does."""

    COPY = 0
    REPLACE = 1
    INSERT = 2
    SEEK = 3
    SPARSE = 4
    HASHED = 5
    DIGEST = 6
    LISTED = 7


class Piece(NamedTuple):
    """One step of a result file."""

    kind: Kind
    amount: int
    """Bytes; signed bytes to move by; rows; index of a file; matrices."""
    columns: int = 0
    """Of a matrix."""

    @property
    def is_matrix(self) -> bool:
        """True if it is made of weights."""
        return self.kind in (Kind.SPARSE, Kind.HASHED)

    @property
    def made(self) -> int:
        """Bytes that it adds to the result; `listed` pieces have become others before."""
        if self.is_matrix:
            return self.amount * self.columns
        if self.kind is Kind.DIGEST:
            return _HEX_DIGITS
        return 0 if self.kind is Kind.SEEK else self.amount

    @property
    def moved(self) -> int:
        """Bytes that the cursor moves by."""
        return 0 if self.kind is Kind.INSERT else self.made or self.amount


@dataclass(frozen=True)
class FilePlan:
    """How one result file is made."""

    path: str
    source: str | None
    """Path in the base; None if it is made of what the diff brings along alone."""


class Plan:
    """A plan that was read; consistent in itself, and with the base after `check`.

    Args:
        content: The plan.
        base: What it starts from.

    Attributes:
        removed: Paths of base files that the result does not have.
        files: What is made anew, without the pieces.

    Raises:
        MalformedDiffError: It is damaged.
        DiffLimitError: It makes more than a bundle may hold.
    """

    def __init__(self, content: bytes, base: Base) -> None:
        reader = ByteReader.over(content)
        self._content = content
        self._base = base
        self._starts: list[int] = []
        self.removed = [self._path(reader) for _ in range(reader.varint(MOST_FILES, "files"))]
        self.files: list[FilePlan] = []
        for _ in range(reader.varint(MOST_FILES, "files")):
            path, origin = self._path(reader), reader.byte()
            if origin > 2:
                raise MalformedDiffError("The plan of the diff names an impossible source.")
            source = (None, path, None)[origin] if origin < 2 else self._path(reader)
            self.files.append(FilePlan(path, source))
            self._starts.append(reader.position)
            for _ in _read_pieces(reader):
                pass
        if reader.left:
            raise MalformedDiffError("The plan of the diff is longer than it says.")
        named = [*self.removed, *(file.path for file in self.files)]
        if len(set(named)) != len(named):
            raise MalformedDiffError("The plan of the diff names a file twice.")

    def pieces(self, index: int) -> Iterator[Piece]:
        """The pieces of a file, read as they are asked for.

        Raises:
            MalformedDiffError: The base's manifest lists fewer matrices.
        """
        reader = ByteReader.over(self._content)
        reader.position = self._starts[index]
        cursor = 0
        for piece in _read_pieces(reader):
            whole = [piece]
            if piece.kind is Kind.LISTED:
                whole = self._listed(self.files[index].source, cursor, piece.amount)
            cursor += sum(part.moved for part in whole)
            yield from whole

    def check(self) -> list[tuple[int, int]]:
        """Compares the plan with the base.

        Returns:
            Rows and columns of all matrices, in the order of the plan.

        Raises:
            BaseMismatchError: A file that is used or removed does not exist.
            MalformedDiffError: A piece reaches beyond its file, or a file is also a folder.
            DiffLimitError: The result has too many, too large files or too many matrices.
        """
        base = self._base.lengths
        made = {file.path for file in self.files}
        gone = made.union(self.removed)
        for path in [*self.removed, *(file.source for file in self.files if file.source)]:
            if path not in base:
                raise BaseMismatchError(f"The base lacks {path}; use the release before this one.")
        kept = [length for path, length in base.items() if path not in gone]
        total = sum(kept)
        if len(kept) + len(made) > MOST_FILES:
            raise DiffLimitError(f"The diff makes more than {MOST_FILES} files.")
        result = made.union(base.keys() - gone)
        for path in result:
            if any(str(parent) in result for parent in PurePosixPath(path).parents):
                raise MalformedDiffError(f"The diff puts {path} below another file.")
        matrices: list[tuple[int, int]] = []
        for index, file in enumerate(self.files):
            total += self._check_file(index, base[file.source] if file.source else 0, matrices)
            if total > LARGEST_BUNDLE:
                raise DiffLimitError(f"The diff makes more than {LARGEST_BUNDLE} bytes.")
        return matrices

    def _check_file(self, index: int, source: int, matrices: list[tuple[int, int]]) -> int:
        cursor = length = 0
        for piece in self.pieces(index):
            cursor += piece.moved
            length += piece.made
            if not 0 <= cursor <= source:
                raise MalformedDiffError(
                    f"The diff reaches beyond the end of what {self.files[index].path} is made of."
                )
            if piece.kind is Kind.DIGEST and piece.amount >= index:
                raise MalformedDiffError("The diff wants the sum of a file that is not made yet.")
            if piece.is_matrix:
                matrices.append((piece.amount, piece.columns))
            if length > LARGEST_FILE or len(matrices) > MOST_MATRICES:
                raise DiffLimitError(f"The diff makes {self.files[index].path} too large.")
        return length

    def _listed(self, source: str | None, cursor: int, count: int) -> list[Piece]:
        following = self._base.listed(source or "", cursor)
        if not 0 < count <= len(following):
            raise MalformedDiffError("The diff counts on matrices that the base does not list.")
        pieces = []
        for matrix in following[:count]:
            pieces += [Piece(Kind.COPY, matrix.offset - cursor), Piece(Kind.SPARSE, *matrix[1:])]
            cursor = matrix.end
        return pieces

    def _path(self, reader: ByteReader) -> str:
        number = reader.varint(len(self._base.paths), "files of the base")
        if number:
            return self._base.paths[number - 1]
        encoded = reader.take(reader.varint(_LONGEST_PATH, "bytes in a path"))
        path = encoded.decode("ascii", "replace")
        if not safe_path(path):
            raise MalformedDiffError("The diff names a file outside the bundle.")
        return path


def _read_pieces(reader: ByteReader) -> Iterator[Piece]:
    for _ in range(reader.varint(LARGEST_PLAN, "pieces")):
        number = reader.varint(8 * LARGEST_FILE * 2, "bytes in a piece")
        amount = number >> 3
        kind = Kind(number & 7)
        columns = 0
        if kind is Kind.SEEK:
            amount = -(amount + 1) // 2 if amount & 1 else amount // 2
        if kind in (Kind.SPARSE, Kind.HASHED):
            columns = reader.varint(MOST_COLUMNS, "columns")
            if not amount * columns:
                raise MalformedDiffError("The diff has a matrix without weights.")
        yield Piece(kind, amount, columns)
