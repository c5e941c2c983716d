"""Word, character and slot errors of a set, and what chance makes of them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from converters.asr.score import ErrorCounts, character_errors, total, word_errors
from converters.evaluation.intervals import Share, share
from converters.evaluation.sets import EvaluationSet, Item

_RESAMPLES = 1000
_FEWEST_SPEAKERS = 5
"""Below this, speakers cannot be resampled and utterances are."""

Recognise = Callable[[Sequence[Item]], list[str]]
"""From recordings to normalised texts."""


@dataclass(frozen=True)
class SetResult:
    """What one recogniser made of one set."""

    name: str
    words: ErrorCounts
    characters: ErrorCounts
    interval: tuple[float, float]
    """95 % bootstrap interval of the word error rate, over speakers where there are enough."""
    resampled: str
    """What the bootstrap drew: speakers or utterances."""
    sentences: Share
    """Exactly right."""
    slots: Share | None
    """All labelled slots right; None where there are no labels."""
    worst_tenth: float
    """Word error rate of the worst tenth of the speakers (at least one)."""
    by_speaker: dict[str, ErrorCounts]
    per_utterance: list[ErrorCounts]
    texts: list[str]

    def as_json(self) -> dict[str, Any]:
        """Figures only."""
        return {
            "set": self.name,
            "word_errors": {"k": self.words.errors, "n": self.words.length,
                            "rate": self.words.rate, "interval": list(self.interval),
                            "resampled": self.resampled},
            "character_errors": {"k": self.characters.errors, "n": self.characters.length,
                                 "rate": self.characters.rate},
            "sentences_right": vars(self.sentences),
            "slots_right": None if self.slots is None else vars(self.slots),
            "worst_tenth": self.worst_tenth,
            "by_speaker": {s: [c.errors, c.length] for s, c in sorted(self.by_speaker.items())},
        }  # fmt: skip


def slots_right(slots: Sequence[str], hypothesis: str) -> bool:
    """Whether every slot's words stand in the hypothesis, next to each other."""
    return all(f" {slot} " in f" {hypothesis} " for slot in slots)


def evaluate_set(chosen: EvaluationSet, recognise: Recognise) -> SetResult:
    """Runs a recogniser over a set and counts."""
    return score_set(chosen, recognise(chosen.items))


def score_set(chosen: EvaluationSet, texts: Sequence[str]) -> SetResult:
    """Counts what stands in the texts that a recogniser has given for a set."""
    pairs = list(zip(chosen.items, texts, strict=True))
    words = [word_errors(item.text, text) for item, text in pairs]
    by_speaker: dict[str, ErrorCounts] = defaultdict(lambda: ErrorCounts(0, 0))
    for (item, _), counts in zip(pairs, words, strict=True):
        by_speaker[item.speaker] += counts
    labelled = [(item, text) for item, text in pairs if item.slots]
    right = sum(slots_right(list(item.slots.values()), text) for item, text in labelled)
    speakers = len(by_speaker) >= _FEWEST_SPEAKERS
    groups = list(by_speaker.values()) if speakers else words
    rates = sorted((counts.rate for counts in by_speaker.values()), reverse=True)
    worst = rates[: max(1, len(rates) // 10)]
    return SetResult(
        name=chosen.name,
        words=total(words),
        characters=total([character_errors(item.text, text) for item, text in pairs]),
        interval=bootstrap_interval(groups),
        resampled="speakers" if speakers else "utterances",
        sentences=share(sum(item.text == text for item, text in pairs), len(pairs)),
        slots=share(right, len(labelled)) if labelled else None,
        worst_tenth=sum(worst) / len(worst),
        by_speaker=dict(by_speaker),
        per_utterance=words,
        texts=list(texts),
    )


def bootstrap_interval(groups: Sequence[ErrorCounts]) -> tuple[float, float]:
    """95 % percentile interval of the pooled error rate when groups are drawn anew."""
    counts = np.array([(g.errors, g.length) for g in groups], np.float64)
    draws = np.random.default_rng(0).integers(0, len(counts), (_RESAMPLES, len(counts)))
    sums = counts[draws].sum(axis=1)
    low, high = np.percentile(sums[:, 0] / np.maximum(sums[:, 1], 1), [2.5, 97.5])
    return float(low), float(high)


def paired_change(
    reference: Sequence[ErrorCounts], other: Sequence[ErrorCounts]
) -> tuple[float, float, float]:
    """Relative change of the error rate from one recogniser to another on the same utterances.

    Args:
        reference: errors of the first, by utterance.
        other: errors of the second, in the same order.

    Returns:
        The change (0.02 is two percent more errors) and its 95 % bootstrap interval over
        utterances.
    """
    errors = np.array(
        [(a.errors, b.errors) for a, b in zip(reference, other, strict=True)], np.float64
    )
    draws = np.random.default_rng(0).integers(0, len(errors), (_RESAMPLES, len(errors)))
    sums = errors[draws].sum(axis=1)
    changes = sums[:, 1] / np.maximum(sums[:, 0], 1) - 1.0
    low, high = np.percentile(changes, [2.5, 97.5])
    whole = errors.sum(axis=0)
    return float(whole[1] / max(whole[0], 1) - 1.0), float(low), float(high)


def real_to_synthetic(
    sets: Sequence[EvaluationSet], results: Sequence[SetResult]
) -> dict[str, float]:
    """How many times the word errors of the synthetic everyday commands each real set has.

    Returns:
        Name of a set of real everyday commands -> ratio; empty where either kind is missing or
        the synthetic commands are all right.
    """
    pairs = [pair for pair in zip(sets, results, strict=True) if pair[0].everyday]
    synthetic = total([result.words for chosen, result in pairs if not chosen.real])
    if synthetic.errors == 0:
        return {}
    return {
        result.name: result.words.rate / synthetic.rate for chosen, result in pairs if chosen.real
    }
