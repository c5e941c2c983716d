"""The pronouncing dictionary and the word list that texts are drawn from.

CMUdict 0.4 as packaged for festival (Debian `festlex-cmu`, BSD-like licence) gives each word's
phones with stress and syllables; `/usr/share/dict/words` (Debian `wamerican`, SCOWL, public domain
and similar) keeps the drawn words ordinary. Only words found in both are used in titles and
free text, so that every engine can say them.
"""

from __future__ import annotations

import functools
import re
from pathlib import Path

from converters.synthesis.errors import MissingResourceError

_CMUDICT = Path("/usr/share/festival/dicts/cmu/cmudict-0.4.out")
_WORD_LISTS = (Path("/usr/share/dict/words"), Path("/usr/share/dict/american-english"))
_ENTRY = re.compile(r'^\("([a-z\']+)" (\S+) \((.*)\)\)$')
_SYLLABLE = re.compile(r"\(\(([a-z ]+)\) ([01])\)")
_VOWELS = frozenset("aa ae ah ao aw ax ay eh er ey ih iy ow oy uh uw".split())

Pronunciation = tuple[str, ...]
"""ARPAbet phones, upper case; vowels end in 0 (no stress) or 1: ("HH", "AH0", "L", "OW1")."""


def _phones(syllables: str) -> Pronunciation:
    phones: list[str] = []
    for body, stress in _SYLLABLE.findall(syllables):
        for phone in body.split():
            arpa = "AH" if phone == "ax" else phone.upper()
            phones.append(arpa + stress if phone in _VOWELS else arpa)
    return tuple(phones)


@functools.cache
def pronunciations() -> dict[str, Pronunciation]:
    """The first pronunciation of every word of CMUdict.

    Raises:
        MissingResourceError: The dictionary is not installed.
    """
    try:
        lines = _CMUDICT.read_text(encoding="latin-1").splitlines()
    except OSError as error:
        raise MissingResourceError(
            f"The pronouncing dictionary {_CMUDICT} is missing: install the package festlex-cmu."
        ) from error
    found: dict[str, Pronunciation] = {}
    for line in lines:
        entry = _ENTRY.match(line)
        if entry and entry[1] not in found:
            phones = _phones(entry[3])
            if phones:
                found[entry[1]] = phones
    return found


@functools.cache
def ordinary_words() -> tuple[str, ...]:
    """Lower-case words of 2 to 11 letters with a known pronunciation, sorted.

    Raises:
        MissingResourceError: Neither word list nor dictionary is installed.
    """
    for path in _WORD_LISTS:
        if path.exists():
            listed = path.read_text(encoding="utf-8").split()
            break
    else:
        raise MissingResourceError(
            f"The word list {_WORD_LISTS[0]} is missing: install the package wamerican."
        )
    known = pronunciations()
    return tuple(
        sorted(
            {w for w in listed if w.isalpha() and w.islower() and 2 <= len(w) <= 11 and w in known}
        )
    )
