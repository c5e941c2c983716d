"""Interleaved static rANS: an entropy coder that numpy runs many lanes of at once.

rANS (range asymmetric numeral systems, Duda 2013) keeps a state x; coding a symbol of frequency f
out of 2**14, above the frequencies c of the symbols before it, turns x into

    x' = floor(x / f) * 2**14 + c + x mod f

and decoding turns it back, in reverse order:

    slot = x' mod 2**14, which tells the symbol;   x = f * floor(x' / 2**14) + slot - c

States are in [2**16, 2**32). After a symbol is decoded, a lane whose state fell below 2**16 shifts
in one 16-bit word; with f >= 1 one word always suffices. Symbols are dealt to the lanes in turn: a
*segment* of n symbols under one table goes in steps of one symbol for each lane, and the last step
uses the first lanes only. Words are read in the order of the steps, within a step in the order of
the lanes, as u16, little-endian. The states go on from segment to segment.

The encoder starts all lanes at 2**16. The decoder must therefore end there, which costs nothing and
reveals most damage.

All arithmetic is on unsigned integers below 2**32 here, so every processor gets the same symbols.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from agent.errors import DiffLimitError, MalformedDiffError
from agent.update.frequency_table import PRECISION

MOST_LANES = 4096

_START = 1 << 16
_WORD_BITS = np.uint32(16)
_SLOT_BITS = np.uint32(PRECISION)
_SLOTS = np.uint32((1 << PRECISION) - 1)


class DecodingTable:
    """What the decoder looks up by slot.

    Args:
        frequencies: Shape (symbols,), int64, adding up to 2**14.
    """

    def __init__(self, frequencies: NDArray[np.int64]) -> None:
        starts = np.cumsum(frequencies) - frequencies
        self.symbols = np.repeat(np.arange(len(frequencies)), frequencies)
        self.factors = frequencies[self.symbols].astype(np.uint32)
        self.offsets = (np.arange(1 << PRECISION) - starts[self.symbols]).astype(np.uint32)


class RansDecoder:
    """Decodes segments one after the other.

    Args:
        states: Shape (lanes,), uint32, as the encoder left them.
        most_steps: How many it may take. A symbol that is certain costs no byte, so a few bytes can
            stand for any number of symbols; what costs time are the steps.

    Raises:
        MalformedDiffError: A state is too small to be one.
    """

    def __init__(self, states: NDArray[np.uint32], most_steps: int) -> None:
        if (states < _START).any():
            raise MalformedDiffError("The diff starts with an impossible state.")
        self._states = states
        self._steps_left = most_steps

    def decode(
        self, segments: Sequence[tuple[DecodingTable, int]], words: NDArray[Any]
    ) -> list[NDArray[np.int64]]:
        """Decodes some segments.

        Args:
            segments: Table and count of symbols of each.
            words: Shape (words,), uint16; exactly those of these segments.

        Returns:
            For each segment its symbols, shape (count,), int64.

        Raises:
            MalformedDiffError: The words are too few or too many.
            DiffLimitError: The steps are too many.
        """
        lanes, position = len(self._states), 0
        self._steps_left -= sum(-(-count // lanes) for _, count in segments)
        if self._steps_left < 0:
            raise DiffLimitError("The diff takes longer to decode than its weights are worth.")
        words = words.astype(np.uint32)
        decoded = []
        for table, count in segments:
            slots = np.empty(count, np.intp)
            for first in range(0, count, lanes):
                slot = slots[first : first + lanes]
                state = self._states[: len(slot)]
                np.bitwise_and(state, _SLOTS, out=slot, casting="unsafe")
                state >>= _SLOT_BITS
                state *= table.factors.take(slot)
                state += table.offsets.take(slot)
                hungry = (state < _START).nonzero()[0]
                if len(hungry):
                    end = position + len(hungry)
                    if end > len(words):
                        raise MalformedDiffError("The diff's coded part is too short.")
                    state[hungry] = state[hungry] << _WORD_BITS | words[position:end]
                    position = end
            decoded.append(table.symbols[slots])
        if position != len(words):
            raise MalformedDiffError("The diff's coded part is too long.")
        return decoded

    def finish(self) -> None:
        """Ends decoding.

        Raises:
            MalformedDiffError: The states are not those that the encoder started from.
        """
        if (self._states != _START).any():
            raise MalformedDiffError("The diff's coded part is damaged; download it again.")


@dataclass(frozen=True)
class Segment:
    """Symbols that share a table, for the encoder."""

    symbols: NDArray[np.int64]
    """Shape (n,), int64; their frequencies are positive."""
    frequencies: NDArray[np.int64]
    """Shape (alphabet,), int64, adding up to 2**14."""


def encode(
    segments: Sequence[Segment], lanes: int
) -> tuple[NDArray[np.uint32], list[NDArray[np.uint16]]]:
    """Codes segments, in the order in which they will be decoded.

    Args:
        segments: The symbols.
        lanes: 1 to `MOST_LANES`. Each costs four bytes, about three of which carry nothing; half
            as many lanes take the decoder nearly twice the time.

    Returns:
        The states for the decoder, shape (lanes,), uint32, and the words of each segment, uint16.
    """
    states = np.full(lanes, _START, np.uint64)
    precision = np.uint64(PRECISION)
    coded: list[NDArray[np.uint16]] = []
    for segment in reversed(segments):
        starts = np.cumsum(segment.frequencies) - segment.frequencies
        factors = segment.frequencies.astype(np.uint64)[segment.symbols]
        offsets = starts.astype(np.uint64)[segment.symbols]
        # A larger state would not fit 32 bits after the symbol.
        limits = factors << np.uint64(32 - PRECISION)
        pieces: list[NDArray[np.uint16]] = []
        for first in range((len(factors) - 1) // lanes * lanes, -1, -lanes):
            factor = factors[first : first + lanes]
            state = states[: len(factor)]
            full = (state >= limits[first : first + lanes]).nonzero()[0]
            if len(full):
                pieces.append(state[full].astype(np.uint16))
                state[full] >>= np.uint64(16)
            quotient, remainder = np.divmod(state, factor)
            states[: len(factor)] = (quotient << precision) + remainder
            state += offsets[first : first + lanes]
        pieces.append(np.zeros(0, np.uint16))
        coded.append(np.concatenate(pieces[-2::-1] + pieces[-1:]))
    return states.astype(np.uint32), coded[::-1]
