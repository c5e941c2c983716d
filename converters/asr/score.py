"""Word and character error rates of a list of hypotheses."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import jiwer


@dataclass(frozen=True)
class ErrorCounts:
    """Edit operations against the reference."""

    errors: int
    """Substitutions, deletions and insertions."""
    length: int
    """Words or characters of the reference."""

    @property
    def rate(self) -> float:
        """Errors per reference unit; may exceed 1."""
        return self.errors / max(1, self.length)

    def __add__(self, other: ErrorCounts) -> ErrorCounts:
        return ErrorCounts(self.errors + other.errors, self.length + other.length)


def word_errors(reference: str, hypothesis: str) -> ErrorCounts:
    """Word edit operations between two normalised texts."""
    if not reference:
        words = len(hypothesis.split())
        return ErrorCounts(words, 0)
    found = jiwer.process_words(reference, hypothesis)
    return ErrorCounts(
        found.substitutions + found.deletions + found.insertions, len(reference.split())
    )


def character_errors(reference: str, hypothesis: str) -> ErrorCounts:
    """Character edit operations, spaces included."""
    if not reference:
        return ErrorCounts(len(hypothesis), 0)
    found = jiwer.process_characters(reference, hypothesis)
    return ErrorCounts(
        found.substitutions + found.deletions + found.insertions, len(reference)
    )


def total(counts: Sequence[ErrorCounts]) -> ErrorCounts:
    """Sum over utterances: rates weigh utterances by their length."""
    return sum(counts, ErrorCounts(0, 0))
