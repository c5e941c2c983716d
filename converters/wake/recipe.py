"""What goes into a bank, how often, and what is kept back to choose by.

Copies are dealt so that each kind of sound fills its hours: few real positives get many copies,
long recordings few. Utterances of the tuning set never reach the bank.
"""

from __future__ import annotations

import zlib
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from converters.wake.augmentation import Augmenter
from converters.wake.feature_bank import Entry, Planned
from converters.wake.recordings import Recording, Role
from converters.wake.utterances import Utterance, read_audio, real_utterances

_MOST_COPIES = 60
_COPY_BUDGET = {
    # (role, real): utterances that the copies should add up to
    (Role.POSITIVE, True): 5000,
    (Role.POSITIVE, False): 6000,
    (Role.CONFUSABLE, True): 4000,
    (Role.CONFUSABLE, False): 4000,
    (Role.WORD, True): 6000,
    (Role.WORD, False): 6000,
    (Role.SPEECH, True): 3000,
    (Role.SPEECH, False): 16000,
    (Role.NOISE, True): 800,
    (Role.NOISE, False): 1200,
}
_WORDS_BUDGET = {(Role.SPEECH, False): 2000}
_HELD_BACK = 12
"""Without pools of other seeds, one synthetic utterance in so many chooses instead of training."""
_MOST_TUNING_NEGATIVES = 4000
"""Synthetic negatives in the tuning set: about 5 h with pauses; each evaluation hears them."""


@dataclass(frozen=True)
class Material:
    """Utterances to train on and utterances to choose by."""

    training: list[Utterance]
    tuning: list[Utterance]


def held_back(key: str) -> bool:
    """Whether a synthetic utterance belongs to the tuning set when no pool was made for it."""
    return zlib.crc32(f"tuning {key}".encode()) % _HELD_BACK == 0


def gather(
    recordings: Sequence[Recording],
    pools: Iterable[Utterance],
    tuning_pools: Iterable[Utterance],
) -> Material:
    """Deals recordings and synthetic utterances.

    Args:
        recordings: all splits; only trainable ones of train and dev are used, and test never is.
        pools: synthetic utterances.
        tuning_pools: synthetic utterances of other seeds or voices, to choose by; without any,
            a part of ``pools`` is held back.
    """
    usable = [r for r in recordings if r.trainable]
    training = list(real_utterances(r for r in usable if r.split == "train"))
    tuning = list(real_utterances(r for r in usable if r.split == "dev"))
    others = list(tuning_pools)
    for utterance in pools:
        if not others and held_back(utterance.key):
            tuning.append(utterance)
        else:
            training.append(utterance)
    tuning += others
    return Material(training, _thinned(tuning))


def _thinned(tuning: list[Utterance]) -> list[Utterance]:
    """Keeps at most so many synthetic negatives, chosen by the hash of their keys."""
    synthetic = [u for u in tuning if not u.real and u.role is not Role.POSITIVE]
    if len(synthetic) <= _MOST_TUNING_NEGATIVES:
        return tuning
    synthetic.sort(key=lambda u: zlib.crc32(u.key.encode()))
    dropped = {u.key for u in synthetic[_MOST_TUNING_NEGATIVES:]}
    return [u for u in tuning if u.real or u.key not in dropped]


def plan_bank(training: Sequence[Utterance], *, words: bool = False) -> list[Planned]:
    """How many copies of each utterance the bank holds.

    Args:
        training: what is in it.
        words: it is a phrase's own bank, whose everyday speech is few sentences beside many.
    """
    budget = _COPY_BUDGET | (_WORDS_BUDGET if words else {})
    spoken: Counter[tuple[Role, bool, str]] = Counter()
    for utterance in training:
        spoken[utterance.role, utterance.real, utterance.speaker] += 1
    # A speaker counts by the square root of what he said: who recorded a thousand sentences
    # would otherwise drown all the others, and it is voices that a small network lacks.
    weights = [spoken[u.role, u.real, u.speaker] ** -0.5 for u in training]
    totals: dict[tuple[Role, bool], float] = {}
    for utterance, weight in zip(training, weights, strict=True):
        kind = (utterance.role, utterance.real)
        totals[kind] = totals.get(kind, 0.0) + weight
    plan = []
    for utterance, weight in zip(training, weights, strict=True):
        kind = (utterance.role, utterance.real)
        copies = round(budget.get(kind, 0) * weight / totals[kind])
        plan.append(Planned(utterance, min(max(copies, 1), _MOST_COPIES)))
    return plan


def augmenter_with_rooms(recordings: Sequence[Recording]) -> Augmenter:
    """The augmenter with the measured rooms of the data folder."""
    return Augmenter(
        [
            read_audio(r.path)
            for r in recordings
            if r.role is Role.ROOM and r.trainable and r.split == "train"
        ]
    )


def word_length_frames(entries: Sequence[Entry]) -> int:
    """Typical length of the wake word in frames of four hops."""
    lengths = [e.word_end - e.word_start for e in entries if e.role is Role.POSITIVE]
    return min(max(round(float(np.median(lengths)) / 4), 1), 60)
