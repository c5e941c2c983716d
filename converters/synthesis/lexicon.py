"""One ARPAbet lexicon in the notations of three engines, and which word is forced to what.

An engine is told a pronunciation in its own way: espeak takes mnemonics in the text, flite and
festival look words up. The latter two get a made-up, pronounceable stand-in word with an entry of
its own, because flite spells out words that look unpronounceable ("mbappe") before it ever looks
into a lexicon.
"""

from __future__ import annotations

import random
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from converters.synthesis.dictionary import Pronunciation, pronunciations
from converters.synthesis.name_lexicon import NAME_VARIANTS

LETTER_A: Pronunciation = ("EY1",)
"""The letter; the article is left to the engine."""

_CMU_SHARE = 0.5
"""How often CMUdict is forced on a name; else the engine guesses, as real speakers differ too."""
_VARIANT_SHARE = 0.95
_FIRST_VARIANT_SHARE = 0.7

_ESPEAK = {
    "AA": "A:", "AE": "a", "AH": "V", "AH0": "@", "AO": "O:", "AW": "aU", "AY": "aI", "B": "b",
    "CH": "tS", "D": "d", "DH": "D", "EH": "E", "ER": "3:", "ER0": "3", "EY": "eI", "F": "f",
    "G": "g", "HH": "h", "IH": "I", "IY": "i:", "IY0": "i", "JH": "dZ", "K": "k", "L": "l",
    "M": "m", "N": "n", "NG": "N", "OW": "oU", "OY": "OI", "P": "p", "R": "r", "S": "s",
    "SH": "S", "T": "t", "TH": "T", "UH": "U", "UW": "u:", "V": "v", "W": "w", "Y": "j",
    "Z": "z", "ZH": "Z",
}  # fmt: skip
_SIBILANTS = frozenset("S Z SH ZH CH JH".split())
_VOICELESS = frozenset("P T K F TH".split())


@dataclass(frozen=True)
class Word:
    """A word to be said."""

    written: str
    """Lower case, a-z and apostrophes."""
    phones: Pronunciation | None = None
    """How it must sound; None leaves it to the engine."""


def _is_vowel(phone: str) -> bool:
    return phone[-1].isdigit()


def possessive(phones: Sequence[str]) -> Pronunciation:
    """The phones of a word with 's: "iz" after hissing sounds, "s" after voiceless, else "z"."""
    last = phones[-1]
    if last in _SIBILANTS:
        return (*phones, "IH0", "Z")
    return (*phones, "S" if last in _VOICELESS else "Z")


def to_espeak(phones: Iterable[str]) -> str:
    """espeak-ng mnemonics in double brackets: ("N", "IY1", "V") -> "[[n'i:v]]"."""
    out: list[str] = []
    for phone in phones:
        stress = phone[-1] if _is_vowel(phone) else ""
        bare = phone.rstrip("012")
        symbol = _ESPEAK.get(bare + "0", _ESPEAK[bare]) if stress == "0" else _ESPEAK[bare]
        if out and (out[-1] + symbol) in {"tS", "dZ"}:
            out.append("|")  # Two sounds, not one affricate.
        out.append(("'" if stress == "1" else "," if stress == "2" else "") + symbol)
    return "[[" + "".join(out) + "]]"


def to_flite(word: str, phones: Iterable[str]) -> str:
    """A line of a flite addenda file: `"niamh" nil : n iy1 v`."""
    symbols = []
    for phone in phones:
        bare = phone.rstrip("012").lower()
        if not _is_vowel(phone):
            symbols.append(bare)
        elif phone == "AH0":
            symbols.append("ax0")
        else:
            symbols.append(bare + ("0" if phone[-1] == "0" else "1"))
    return f'"{word}" nil : {" ".join(symbols)}'


def syllables(phones: Sequence[str]) -> list[tuple[tuple[str, ...], int]]:
    """Cut phones into syllables, each with its stress (0 or 1): one consonant opens a syllable."""
    cut: list[tuple[tuple[str, ...], int]] = []
    current: list[str] = []
    stress: int | None = None
    for place, phone in enumerate(phones):
        next_is_vowel = place + 1 < len(phones) and _is_vowel(phones[place + 1])
        if stress is not None and (_is_vowel(phone) or next_is_vowel):
            cut.append((tuple(current), stress))
            current, stress = [], None
        if _is_vowel(phone):
            stress = 0 if phone[-1] == "0" else 1
        current.append(phone)
    cut.append((tuple(current), stress or 0))
    return cut


def to_festival(word: str, phones: Sequence[str]) -> str:
    """A festival expression that adds the word to the lexicon of the current voice."""
    cut = " ".join(
        "(({}) {})".format(
            " ".join("ax" if p == "AH0" else p.rstrip("012").lower() for p in body), stress
        )
        for body, stress in syllables(phones)
    )
    return f'(lex.add.entry \'("{word}" nil ({cut})))'


def stand_in(number: int) -> str:
    """A pronounceable word of no language for entry `number`: "zovubaba", "zovubabe", ..."""
    consonants, vowels = "bdfgklmnprstvz", "aeiou"
    text = ""
    for _ in range(3):
        number, vowel = divmod(number, len(vowels))
        number, consonant = divmod(number, len(consonants))
        text = consonants[consonant] + vowels[vowel] + text
    return "zovu" + text


class StandIns:
    """A stand-in word for every pronunciation that may be forced on flite and festival.

    All are known before the first utterance: a lexicon that grew while the pool is made would
    slow down with every name.
    """

    def __init__(self, extra: Iterable[Pronunciation] = ()) -> None:
        wanted: dict[Pronunciation, None] = {LETTER_A: None}
        for variants in NAME_VARIANTS.values():
            wanted.update(dict.fromkeys(variants))
        wanted.update(dict.fromkeys(extra))
        self._words = {phones: stand_in(place) for place, phones in enumerate(wanted)}

    def __contains__(self, phones: object) -> bool:
        return phones in self._words

    def entries(self) -> list[tuple[str, Pronunciation]]:
        """All (stand-in word, phones)."""
        return [(word, phones) for phones, word in self._words.items()]

    def write(self, word: Word) -> str:
        """The word as the engine shall read it."""
        if word.phones is None or word.phones not in self._words:
            return word.written
        suffix = "'s" if word.written.endswith("'s") else ""
        return self._words[word.phones] + suffix


def _is_letter(word: str) -> bool:
    return len(word) == 1 and word not in "ai"


def plan_words(text: str, names: Iterable[str], rng: random.Random) -> tuple[Word, ...]:
    """Decide for each word of a sentence how it shall be pronounced.

    Args:
        text: Spoken form, words separated by single spaces.
        names: The personal names in it.
        rng: Chooses the variant of a name, and whether CMUdict is forced.

    Returns:
        One `Word` per word of the text. The phones of a possessive are those of the bare name.
    """
    written = text.split(" ")
    named = set(names)
    words: list[Word] = []
    for place, word in enumerate(written):
        bare = word.removesuffix("'s")
        near = written[max(0, place - 1) : place] + written[place + 1 : place + 2]
        phones: Pronunciation | None = None
        if word == "a" and any(_is_letter(other) for other in near):
            phones = LETTER_A
        elif bare in NAME_VARIANTS:
            variants = NAME_VARIANTS[bare]
            if rng.random() < _VARIANT_SHARE:
                usual = rng.random() < _FIRST_VARIANT_SHARE
                phones = variants[0] if usual else rng.choice(variants)
        elif bare in named and bare in pronunciations() and rng.random() < _CMU_SHARE:
            phones = pronunciations()[bare]
        words.append(Word(word, phones))
    return tuple(words)
