"""What was taken for what: stretches of words, and single letters, most frequent first."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

import jiwer

from converters.asr.text import CHARACTERS

NOTHING = "-"
"""Stands for what was left out, or was never said."""
SPACE = "_"
LETTERS = (*CHARACTERS.replace(" ", SPACE), NOTHING)
_LONGEST = 3
"""Words on either side; longer stretches hardly ever come twice."""


@dataclass(frozen=True)
class Confusions:
    """Counts over many sentences."""

    words: Counter[tuple[str, str]] = field(default_factory=Counter)
    """(said, heard) -> how often; whole stretches between words that were right."""
    letters: Counter[tuple[str, str]] = field(default_factory=Counter)
    """(said, heard) -> how often, right ones among them."""

    def frequent_words(self, count: int) -> list[tuple[tuple[str, str], int]]:
        """The most frequent ones; equals in alphabetical order."""
        return sorted(self.words.items(), key=lambda pair: (-pair[1], pair[0]))[:count]

    def frequent_letters(self, count: int) -> list[tuple[tuple[str, str], int]]:
        """The most frequent wrong ones; equals in alphabetical order."""
        wrong = [(pair, n) for pair, n in self.letters.items() if pair[0] != pair[1]]
        return sorted(wrong, key=lambda pair: (-pair[1], pair[0]))[:count]

    def as_json(self, count: int) -> dict[str, Any]:
        """The most frequent ones, as lists of what was said, what was heard, and how often."""
        return {
            "words": [[*pair, n] for pair, n in self.frequent_words(count)],
            "letters": [[*pair, n] for pair, n in self.frequent_letters(count)],
        }


def confusions(pairs: Iterable[tuple[str, str]]) -> Confusions:
    """Counts over pairs of what was said and what was heard, both normalised."""
    found = Confusions()
    for said, heard in pairs:
        if not said:
            continue
        found.words.update(_stretches(said, heard))
        found.letters.update(_letters(said, heard))
    return found


def _stretches(said: str, heard: str) -> Iterable[tuple[str, str]]:
    """Neighbouring errors are one: "kitchen" heard as "kit chin" is not two mistakes."""
    before, after = said.split(), heard.split()
    begun: tuple[int, int] | None = None
    for chunk in jiwer.process_words(said, heard).alignments[0]:
        if chunk.type == "equal":
            if begun is not None:
                yield from _stretch(
                    before[begun[0] : chunk.ref_start_idx], after[begun[1] : chunk.hyp_start_idx]
                )
            begun = None
        elif begun is None:
            begun = (chunk.ref_start_idx, chunk.hyp_start_idx)
    if begun is not None:
        yield from _stretch(before[begun[0] :], after[begun[1] :])


def _stretch(said: list[str], heard: list[str]) -> Iterable[tuple[str, str]]:
    if max(len(said), len(heard)) <= _LONGEST:
        yield " ".join(said) or NOTHING, " ".join(heard) or NOTHING


def _letters(said: str, heard: str) -> Iterable[tuple[str, str]]:
    before, after = said.replace(" ", SPACE), heard.replace(" ", SPACE)
    for chunk in jiwer.process_characters(before, after).alignments[0]:
        a = before[chunk.ref_start_idx : chunk.ref_end_idx]
        b = after[chunk.hyp_start_idx : chunk.hyp_end_idx]
        longest = max(len(a), len(b))
        yield from zip(a.ljust(longest, NOTHING), b.ljust(longest, NOTHING), strict=True)
