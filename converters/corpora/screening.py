"""Which transcribed utterances can be learnt from, and why the others cannot.

Decisions only; what is left out is counted by reason, because a corpus that silently shrinks
gives a model that nobody can explain.
"""

from __future__ import annotations

import enum
import unicodedata

from converters.asr.corpora import LONGEST_S, SHORTEST_S
from converters.asr.text import CHARACTERS, normalise

MOST_LETTERS_PER_S = 25.0
"""Nobody speaks faster; more letters than frames means that text and sound do not belong
together."""


class Reason(enum.Enum):
    """Why an utterance is left out."""

    NO_TEXT = "without text"
    TAGS = "with <tags> or [tags] in the text"
    LETTERS = "with letters other than a to z"
    SHORT = "too short"
    LONG = "too long"
    FAST = "with more text than the time allows"
    NO_RECORDING = "whose recording is not in the manifests"
    NO_FILE = "whose sound is in no file of its own (a command, an address, an archive)"


def screen(
    text: str | None, seconds: float, longest_s: float = LONGEST_S
) -> tuple[str, Reason | None]:
    """The normalised text of an utterance, and why it is left out if it is.

    Accents are dropped by the normaliser; letters that it would lose (those of other alphabets)
    would leave a wrong transcript, as would tags that nobody says.

    Args:
        text: as the corpus has it.
        seconds: of sound.
        longest_s: what is longer is left out.
    """
    if not text or not text.strip():
        return "", Reason.NO_TEXT
    if any(mark in text for mark in "<>[]"):
        return "", Reason.TAGS
    if any(_lost(character) for character in unicodedata.normalize("NFKD", text.lower())):
        return "", Reason.LETTERS
    normal = normalise(text)
    if not normal:
        return "", Reason.NO_TEXT
    # Written so that a duration that is not a number is refused.
    if not seconds >= SHORTEST_S:
        return normal, Reason.SHORT
    if not seconds <= longest_s:
        return normal, Reason.LONG
    if len(normal) > MOST_LETTERS_PER_S * seconds:
        return normal, Reason.FAST
    return normal, None


def _lost(character: str) -> bool:
    return character.isalpha() and character not in CHARACTERS
