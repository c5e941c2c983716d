"""When to stop: every recording is held out once, and adapting must help those unheard ones.

The recordings are dealt into folds. For each fold the bundle is adapted to the others, and the
held-out ones are recognised every few steps. The number of steps with the fewest errors over all
folds is what the final adaptation, on all recordings, is given.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch

from converters.adaptation.recordings import Recording
from converters.adaptation.tuning import Tuner
from converters.asr.development import padded_frames, recognise
from converters.asr.model import Recogniser
from converters.asr.rows import RowBuilder
from converters.asr.score import ErrorCounts, character_errors, total, word_errors

FOLDS = 3


@dataclass(frozen=True)
class Heard:
    """Errors on some recordings."""

    words: ErrorCounts
    characters: ErrorCounts

    def __add__(self, other: Heard) -> Heard:
        return Heard(self.words + other.words, self.characters + other.characters)


NOTHING = Heard(ErrorCounts(0, 0), ErrorCounts(0, 0))


@dataclass(frozen=True)
class Choice:
    """What holding out recordings has shown."""

    steps: int
    """How long to adapt; 0 if it never helped."""
    before: Heard
    """All recordings, by the bundle as it is."""
    after: Heard
    """All recordings, each by an adaptation to others, after `steps`."""
    curve: dict[int, Heard]
    """The same for every number of steps that was looked at."""


@torch.no_grad()
def heard(model: Recogniser, recordings: Sequence[Recording]) -> Heard:
    """Errors of the best label in every frame, without a language model."""
    texts = recognise(model, [padded_frames(recording.samples) for recording in recordings])
    pairs = list(zip((recording.text for recording in recordings), texts, strict=True))
    return Heard(
        total([word_errors(*pair) for pair in pairs]),
        total([character_errors(*pair) for pair in pairs]),
    )


def choose(
    base: Recogniser,
    recordings: Sequence[Recording],
    new_tuner: Callable[[], Tuner],
    rows_of: Callable[[Sequence[Recording]], RowBuilder],
    *,
    on_look: Callable[[], None] = lambda: None,
) -> Choice:
    """Finds how long to adapt.

    Args:
        base: the bundle's recogniser.
        recordings: at least `FOLDS`.
        new_tuner: makes a fresh adaptation of the base.
        rows_of: makes batches of some recordings.
        on_look: called whenever held-out recordings have been recognised.
    """
    curve: dict[int, Heard] = {}
    for fold in range(FOLDS):
        held_out = recordings[fold::FOLDS]
        others = [r for i, r in enumerate(recordings) if i % FOLDS != fold]
        for step, model in new_tuner().run(rows_of(others)):
            curve[step] = curve.get(step, NOTHING) + heard(model, held_out)
            on_look()
    return decide(heard(base, recordings), curve)


def decide(before: Heard, curve: dict[int, Heard]) -> Choice:
    """The number of steps with the fewest errors, and 0 if none has fewer than before.

    Characters decide: there are several times as many of them as of words, so that a few
    recordings tell more. Words must not be lost over them.
    """
    usable = {s: h for s, h in curve.items() if h.words.errors <= before.words.errors}
    best = min(usable, key=lambda s: (usable[s].characters.errors, s), default=0)
    if not best or usable[best].characters.errors >= before.characters.errors:
        return Choice(0, before, before, curve)
    return Choice(best, before, usable[best], curve)
