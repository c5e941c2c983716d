"""Finds the parts of a file that already lie in another one: for everything that is not a matrix.

Text whose lines moved, a model file whose graph grew, constants of other types: the new file is put
together from stretches of the old one and from bytes that are brought along. Stretches are found by
their first 16 bytes.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from agent.update.diff_plan import Kind, Piece

_WINDOW = 16  # bytes: a shorter stretch costs nearly as much as it saves
_DENSE = 1 << 20  # bytes: a longer source is looked up at every eighth byte only
_NEAR = 6  # equal bytes between two differences that are cheaper brought along than stepped over
_MOST_STRETCHES = 20_000
_FIRST_LOOK = 256  # bytes compared at first, when a stretch is made longer


@dataclass
class Recipe:
    """Pieces under construction, and the bytes they bring along."""

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

    def matrix(self, kind: Kind, start: int, rows: int, columns: int) -> None:
        """Takes a matrix of the source, whose weights change elsewhere."""
        self.go_to(start)
        self.pieces.append(Piece(kind, rows, columns))
        self.cursor += rows * columns

    def digest(self, file: int) -> None:
        """Writes the SHA-256 of an earlier file."""
        self.pieces.append(Piece(Kind.DIGEST, file))

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

    def matched(self, old: bytes, new: bytes) -> None:
        """Builds bytes from stretches of the whole source, wherever they lie.

        Args:
            old: The source.
            new: What is to be built.
        """
        brought = 0
        for place, start, length in _stretches(old, new, self.cursor):
            gap = new[brought:place]
            self.bring(gap, instead=start == self.cursor + len(gap))
            self.copy(start, length)
            brought = place + length
        self.bring(new[brought:], instead=self.cursor + len(new) - brought <= len(old))


def _stretches(old: bytes, new: bytes, cursor: int) -> list[tuple[int, int, int]]:
    """Place in `new`, start in `old`, length; in the order of `new`, without overlap."""
    found: list[tuple[int, int, int]] = []
    keys = _keys(new)
    known = _keys(old)[:: 1 if len(old) <= _DENSE else 8]
    if not len(keys) or not len(known):
        return found
    order = np.argsort(known, kind="stable")
    rank = np.minimum(np.searchsorted(known[order], keys), len(known) - 1)
    starts = order[rank] * (1 if len(old) <= _DENSE else 8)
    places = np.flatnonzero(known[order][rank] == keys)
    before, after = np.frombuffer(old, np.uint8), np.frombuffer(new, np.uint8)
    done, shift = 0, cursor
    while len(found) < _MOST_STRETCHES:
        index = int(np.searchsorted(places, done))
        if index == len(places):
            return found
        place = int(places[index])
        start = int(starts[place])
        # Of several equal stretches the one that goes on where the last one ended is the cheapest.
        ahead = place + shift
        if ahead >= 0 and old[ahead : ahead + _WINDOW] == new[place : place + _WINDOW]:
            start = ahead
        if old[start : start + _WINDOW] != new[place : place + _WINDOW]:
            done = place + 1  # two windows with one key
            continue
        back = _common(before[:start][::-1], after[done:place][::-1])
        length = back + _common(before[start:], after[place:])
        found.append((place - back, start - back, length))
        done = place - back + length
        shift = start - place
    return []  # so many pieces would cost more than the bytes


def _keys(content: bytes) -> NDArray[np.uint64]:
    """A number for every window of the content, equal for equal windows."""
    count = len(content) - _WINDOW + 1
    if count <= 0:
        return np.zeros(0, np.uint64)
    keys = np.zeros(count, np.uint64)
    values = np.frombuffer(content, np.uint8)
    for i in range(_WINDOW):
        keys *= np.uint64(0x9E3779B97F4A7C15)  # odd and large: every byte reaches the upper bits
        keys += values[i : i + count]
    return keys


def _common(a: NDArray[np.uint8], b: NDArray[np.uint8]) -> int:
    """How many leading bytes are equal."""
    most, done, look = min(len(a), len(b)), 0, _FIRST_LOOK
    while done < most:
        end = min(done + look, most)
        differing = np.flatnonzero(a[done:end] != b[done:end])
        if len(differing):
            return done + int(differing[0])
        done, look = end, 2 * look
    return most
