"""One set of phones for all engines, and who says which phone when.

The set is CMUdict's 39 phones without stress, and silence. An engine's own symbols are translated
here, so that an utterance carries the same labels whoever said it. They are the targets from which
the recogniser's encoder first learns to hear (see `converters.asr.model`).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

SILENCE = "sil"
PHONES = (
    SILENCE,
    *"aa ae ah ao aw ay b ch d dh eh er ey f g hh ih iy jh k l m n ng ow oy p r s sh t th uh uw v"
    " w y z zh".split(),
)
"""Index 0 is silence."""
PHONE_INDEX = {phone: index for index, phone in enumerate(PHONES)}
UNKNOWN = -1
"""In place of an index: nobody knows what is sounded here."""

_RADIO = {
    "ax": "ah", "axr": "er", "dx": "t", "el": "ah l", "em": "ah m", "en": "ah n", "hv": "hh",
    "nx": "n", "pau": SILENCE, "h#": SILENCE, "brth": SILENCE, "ssil": SILENCE,
}  # fmt: skip
"""Symbols of flite and festival that are not the set's own."""

_ESPEAK = {
    "a": "ae", "aa": "ae", "a#": "ah", "@": "ah", "@2": "ah", "@5": "ah", "@-": "ah", "V": "ah",
    "A:": "aa", "0": "aa", "A@": "aa r", "O:": "ao", "O2": "ao", "O": "ao", "O@": "ao r",
    "o@": "ao r", "E": "eh", "E2": "eh", "e@": "eh r", "3": "er", "3:": "er", "I": "ih",
    "I2": "ih", "I#": "ih", "i": "iy", "i:": "iy", "i@": "iy ah", "i@3": "ih r", "U": "uh",
    "U@": "uh r", "u:": "uw", "u": "uw", "aI": "ay", "aI3": "ay er", "aI@": "ay er", "aU": "aw",
    "aU@": "aw er", "eI": "ey", "oU": "ow", "OI": "oy", "@L": "ah l",
    "b": "b", "d": "d", "d#": "d", "dZ": "jh", "D": "dh", "f": "f", "g": "g", "h": "hh", "j": "y",
    "k": "k", "l": "l", "l#": "l", "m": "m", "m-": "m", "n": "n", "n-": "n", "N": "ng", "p": "p",
    "r": "r", "r-": "r", "s": "s", "S": "sh", "t": "t", "t#": "t", "t2": "t", "?": "t",
    "tS": "ch", "T": "th", "v": "v", "w": "w", "w#": "w", "x": "k", "z": "z", "z#": "z",
    "Z": "zh", "_": SILENCE, "_:": SILENCE, "_!": SILENCE, "_|": SILENCE, "__": SILENCE,
    "|": SILENCE,
}  # fmt: skip


@dataclass(frozen=True)
class Segment:
    """A phone and where it ends."""

    phone: str
    """One of `PHONES`, or "" where an engine's symbol has no translation."""
    end_s: float
    """Seconds from the first sample; it begins where the segment before it ends."""


def radio_phones(symbol: str) -> str:
    """flite's or festival's symbol in our set; some are two phones, separated by a space."""
    return symbol if symbol in PHONE_INDEX else _RADIO.get(symbol, "")


def espeak_phones(mnemonic: str) -> str:
    """espeak-ng's mnemonic in our set; some are two phones, separated by a space."""
    return _ESPEAK.get(mnemonic, "")


def segments(translated: Iterable[tuple[str, float]]) -> tuple[Segment, ...]:
    """Segments from (translation, end in seconds); a translation of two phones is cut in half."""
    cut: list[Segment] = []
    begin = 0.0
    for phones, end in translated:
        parts = phones.split(" ")
        for place, phone in enumerate(parts, 1):
            cut.append(Segment(phone, begin + (end - begin) * place / len(parts)))
        begin = end
    return tuple(cut)


def phones_at(
    phones: Sequence[str], ends_s: Sequence[float], times_s: NDArray[np.floating]
) -> NDArray[np.int8]:
    """Index into `PHONES` of what is sounded at each time.

    Args:
        phones: one after the other; "?" where that is not known. Empty: nothing is known.
        ends_s: their ends in seconds. What comes after the last one is its echo, then silence.
        times_s: seconds, float [n].

    Returns:
        int8 [n], `UNKNOWN` where it is not known.
    """
    if not phones:
        return np.full(len(times_s), UNKNOWN, np.int8)
    labels = [PHONE_INDEX.get(phone, UNKNOWN) for phone in (*phones, SILENCE)]
    found = np.searchsorted(np.asarray(ends_s), times_s, side="right")
    return np.asarray(labels, np.int8)[found]


def moved(given: Sequence[Segment], scale: float, shift_s: float) -> tuple[Segment, ...]:
    """The segments with their times scaled, then shifted, and no time before zero."""
    return tuple(
        Segment(s.phone, round(max(0.0, s.end_s * scale + shift_s), 3)) for s in given
    )
