"""What must not wake: near misses of a phrase found by sound, parts of it, plain commands.

Near misses come from the pronouncing dictionary: words whose phones are a few edits away. Words
that sound the same, or that contain the phrase ("computers"), are no negatives and are left out.
"""

from __future__ import annotations

import functools
import random
from collections import Counter

from converters.synthesis.dictionary import ordinary_words, pronunciations
from converters.synthesis.errors import SynthesisError
from converters.synthesis.text import TextGenerator

_CLASSES = ("P B M F V W", "T D N S Z TH DH L", "K G NG HH", "CH JH SH ZH Y R")
_CLASS_OF = {phone: number for number, row in enumerate(_CLASSES) for phone in row.split()}
_NEAR_COST = 0.6
"""Cost of exchanging two vowels, or two consonants made at about the same place."""
_SAME_SOUND = 1.0
"""Below this distance a word would be taken for the phrase by people too."""
_NEIGHBOURS = 250


def bare_phones(text: str) -> tuple[str, ...]:
    """Phones of a phrase without stress.

    Raises:
        SynthesisError: A word is not in the dictionary.
    """
    phones: list[str] = []
    for word in text.split():
        if word not in pronunciations():
            raise SynthesisError(f"The word {word!r} is not in the pronouncing dictionary.")
        phones += [phone.rstrip("012") for phone in pronunciations()[word]]
    return tuple(phones)


def _exchange(one: str, other: str) -> float:
    if one == other:
        return 0.0
    near = _CLASS_OF.get(one) == _CLASS_OF.get(other)  # None for vowels: all of one class.
    return _NEAR_COST if near else 1.0


def distance(one: tuple[str, ...], other: tuple[str, ...]) -> float:
    """Weighted edit distance between two phone sequences."""
    row = [float(j) for j in range(len(other) + 1)]
    for i, phone in enumerate(one, 1):
        diagonal, row[0] = row[0], float(i)
        for j, against in enumerate(other, 1):
            best = min(row[j] + 1, row[j - 1] + 1, diagonal + _exchange(phone, against))
            diagonal, row[j] = row[j], best
    return row[-1]


def _contains(whole: tuple[str, ...], part: tuple[str, ...]) -> bool:
    return any(whole[i : i + len(part)] == part for i in range(len(whole) - len(part) + 1))


@functools.cache
def neighbours(phrase: str) -> tuple[str, ...]:
    """Words that sound almost like the phrase, the nearest first."""
    target = bare_phones(phrase)
    bag = Counter(target)
    ranked: list[tuple[float, str]] = []
    for word in ordinary_words():
        phones = bare_phones(word)
        if abs(len(phones) - len(target)) > 3 or _contains(phones, target):
            continue
        if (bag & Counter(phones)).total() * 2 < len(target):
            continue
        apart = distance(target, phones)
        if apart >= _SAME_SOUND:
            ranked.append((apart, word))
    return tuple(word for _, word in sorted(ranked)[:_NEIGHBOURS])


@functools.cache
def parts(phrase: str) -> tuple[str, ...]:
    """Words that sound like a piece of the phrase: two phones or more, but not all of it."""
    target = bare_phones(phrase)
    found = [
        word
        for word in ordinary_words()
        if 2 <= len(bare_phones(word)) < len(target) - 1 and _contains(target, bare_phones(word))
    ]
    return tuple(found) + (tuple(phrase.split()) if " " in phrase else ())


class NegativeTexts:
    """Texts that must not wake anything.

    Args:
        phrase: The wake phrase.
        seed: Seed of the stream.
    """

    def __init__(self, phrase: str, seed: int) -> None:
        self._rng = random.Random(seed)
        self._phrase = phrase
        self._sentences = TextGenerator(seed + 1, "train")

    def _command(self) -> str:
        return self._sentences.sentence().text

    def _near(self) -> str:
        near = neighbours(self._phrase)
        return near[int(len(near) * self._rng.random() ** 2)]

    def _pieces(self) -> str:
        rng = self._rng
        pieces = parts(self._phrase)
        chosen = [rng.choice(pieces or neighbours(self._phrase)) for _ in range(rng.randint(1, 3))]
        if distance(bare_phones(" ".join(chosen)), bare_phones(self._phrase)) < _SAME_SOUND:
            chosen.reverse()
        return " ".join(chosen)

    def text(self) -> tuple[str, str]:
        """A text and its kind: near, near_command, pieces, pieces_command or command."""
        while True:
            kind, text = self._draw()
            spaced = f" {text} "
            if self._phrase not in spaced:
                return text, kind

    def _draw(self) -> tuple[str, str]:
        chance = self._rng.random()
        if chance < 0.35:
            return "near", self._near()
        if chance < 0.55:
            return "near_command", f"{self._near()} {self._command()}"
        if chance < 0.65:
            return "pieces", self._pieces()
        if chance < 0.75:
            return "pieces_command", f"{self._pieces()} {self._command()}"
        return "command", self._command()
