"""How one file of the new bundle is put together: pieces under construction.

The pieces are those of `agent.update.diff_plan`; what they bring along is collected beside them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from agent.update.diff_base import Matrix
from agent.update.diff_plan import Kind, Piece

SUM = 64  # bytes of a SHA-256 in hexadecimal digits

_NEAR = 6  # equal bytes between two differences that are cheaper brought along than stepped over


@dataclass
class Recipe:
    """The pieces of one file, and the bytes they bring along."""

    path: str
    source: str | None
    """Path of the base file that it is made of, if any."""
    pieces: list[Piece] = field(default_factory=list)
    literals: bytearray = field(default_factory=bytearray)
    cursor: int = 0
    """Byte of the source that the next piece starts at."""

    def copy(self, start: int, length: int) -> None:
        """Copies a stretch of the source."""
        if not length:
            return
        self.go_to(start)
        if self.pieces and self.pieces[-1].kind is Kind.COPY:
            self.pieces[-1] = Piece(Kind.COPY, self.pieces[-1].amount + length)
        else:
            self.pieces.append(Piece(Kind.COPY, length))
        self.cursor += length

    def bring(self, content: bytes, *, instead: bool) -> None:
        """Brings bytes along, instead of as many bytes of the source or beside it."""
        if not content:
            return
        self.pieces.append(Piece(Kind.REPLACE if instead else Kind.INSERT, len(content)))
        self.literals += content
        self.cursor += len(content) if instead else 0

    def matrix(self, kind: Kind, matrix: Matrix) -> None:
        """Takes a matrix of the source; how its weights change is said elsewhere."""
        self.go_to(matrix.offset)
        self.pieces.append(Piece(kind, matrix.rows, matrix.columns))
        self.cursor = matrix.end

    def digest(self, file: int) -> None:
        """Writes the SHA-256 of an earlier file in the place of an old one."""
        self.pieces.append(Piece(Kind.DIGEST, file))
        self.cursor += SUM

    def go_to(self, start: int) -> None:
        """Moves the cursor."""
        if start != self.cursor:
            self.pieces.append(Piece(Kind.SEEK, start - self.cursor))
            self.cursor = start

    def positional(self, old: bytes, new: bytes, start: int) -> None:
        """Rebuilds a stretch from the one at the same place.

        Args:
            old: The stretch of the source.
            new: What it becomes; as long.
            start: Where the stretch starts in the source.
        """
        before, after = np.frombuffer(old, np.uint8), np.frombuffer(new, np.uint8)
        differing = np.flatnonzero(before != after)
        if not len(differing):
            self.copy(start, len(old))
            return
        apart = np.flatnonzero(np.diff(differing) > _NEAR)
        firsts = differing[np.concatenate([[0], apart + 1])]
        lasts = differing[np.concatenate([apart, [len(differing) - 1]])] + 1
        done = 0
        for first, last in zip(firsts.tolist(), lasts.tolist(), strict=True):
            self.copy(start + done, first - done)
            self.go_to(start + first)
            self.bring(new[first:last], instead=True)
            done = last
        self.copy(start + done, len(old) - done)

    def shorten(self, listed: Sequence[Matrix]) -> None:
        """Leaves out what the base's manifest says about matrices.

        Args:
            listed: The matrices of the source, in the order of their offsets.
        """
        shorter: list[Piece] = []
        cursor = done = 0
        while done < len(self.pieces):
            meant = _meant(listed, cursor)
            taken = self.pieces[done : done + len(meant)]
            if meant and taken == meant:
                before = shorter.pop() if shorter and shorter[-1].kind is Kind.LISTED else None
                shorter.append(Piece(Kind.LISTED, 1 + (before.amount if before else 0)))
            else:
                taken = self.pieces[done : done + 1]
                shorter += taken
            done += len(taken)
            cursor += sum(piece.moved for piece in taken)
        self.pieces = shorter


def _meant(listed: Sequence[Matrix], cursor: int) -> list[Piece]:
    """What a piece for one listed matrix would stand for."""
    for matrix in listed:
        if matrix.offset >= cursor:
            copy = [Piece(Kind.COPY, matrix.offset - cursor)] if matrix.offset > cursor else []
            return [*copy, Piece(Kind.SPARSE, matrix.rows, matrix.columns)]
    return []
