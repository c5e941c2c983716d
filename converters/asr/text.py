"""Labels and the one text normaliser: training targets, scoring and the board agree on it."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable

from num2words import num2words

BLANK = 0
"""Label that the transducer emits to move to the next frame."""
CHARACTERS = " 'abcdefghijklmnopqrstuvwxyz"
VOCABULARY = 1 + len(CHARACTERS)

_LABEL = {character: 1 + i for i, character in enumerate(CHARACTERS)}
_NUMBER = re.compile(r"\d+")
_FOREIGN = re.compile(r"[^a-z' ]")
_SPACES = re.compile(r" +")
_LONGEST_NUMBER = 12


def _spoken(match: re.Match[str]) -> str:
    digits = match.group()
    if len(digits) > _LONGEST_NUMBER:
        return " ".join(num2words(int(digit)) for digit in digits)
    return f" {num2words(int(digits))} "


def normalise(text: str) -> str:
    """Spoken form in the 28 characters that the recogniser knows.

    Digits become words, accents are dropped, hyphens and other marks become spaces.

    >>> normalise("Set  A Timer for 20-two minutes, Zoë!")
    'set a timer for twenty two minutes zoe'
    """
    text = _NUMBER.sub(_spoken, text.lower().replace("\u2019", "'"))
    text = unicodedata.normalize("NFKD", text)
    text = "".join(c for c in text if not unicodedata.combining(c))
    return _SPACES.sub(" ", _FOREIGN.sub(" ", text)).strip()


def encode(text: str) -> list[int]:
    """Labels of a normalised text; raises KeyError on a character outside `CHARACTERS`."""
    return [_LABEL[character] for character in text]


def decode(labels: Iterable[int]) -> str:
    """Text of labels; blanks are skipped, runs of spaces collapse."""
    joined = "".join(CHARACTERS[label - 1] for label in labels if label != BLANK)
    return _SPACES.sub(" ", joined).strip()


def token_lines() -> list[str]:
    """The lines of a bundle's tokens.txt: line 0 is the blank, space is spelled out."""
    return ["<blank>", *("<space>" if c == " " else c for c in CHARACTERS)]
