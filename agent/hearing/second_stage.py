"""The second stage of the wake word: does the recogniser hear it as well?

When the wake word fires, the encoder hears the last second again, from half a second before the
word up to this moment, and the transducer is asked how probable the letters of the phrase are,
summed over all their alignments to the frames of the word (Graves 2012, equation 16). They stand
against what the transducer itself would write there, step by step the likeliest, or against
nothing, which it learnt to write where a wake word is said:

    agreement = (p(letters of the phrase) / max(p(written), p(nothing))) ^ (1 / letters), at most 1

A wake word's letters are each some six times less probable; those of most other words are much
less, because the transducer knows better.

Nothing waits for it. It has an encoder of its own, so that a word it rejects leaves a command that
is under way alone. Between detections it only keeps frames.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from agent.bundle.loading import load_model
from agent.bundle.manifest import Bundle
from agent.errors import BundleFileError
from agent.hearing.encoder import Encoder
from agent.hearing.joint import Joint, Pair
from agent.hearing.ring_buffer import FrameRing
from agent.hearing.transducer import Transducer

_CONTEXT_FRAMES = 13
"""Frames before the word for the encoder to find its feet, as in the session by default."""
_EARLY_FRAMES = 3
"""The word may begin so much before its estimated start, which is one of typical words."""
_LONGEST_FRAMES = 70
"""Of a wake word with the delay of its detection; the manifest allows no more."""


class SecondStage:
    """Asks the recogniser about a wake word.

    Args:
        encoder: Nobody else's: it starts afresh for every question.
        joint: Predictor and joiner.
        labels: The phrase, one label for each letter, at least one.
    """

    def __init__(self, encoder: Encoder, joint: Joint, labels: Sequence[int]) -> None:
        self._encoder, self._joint = encoder, joint
        self._reader = Transducer(joint)
        self._labels = np.array(labels)
        before = [joint.blank, joint.blank, *labels]
        self._pairs: list[Pair] = [(before[n], before[n + 1]) for n in range(len(labels) + 1)]
        self._frames = FrameRing(_CONTEXT_FRAMES + _LONGEST_FRAMES)

    def hear(self, frame: NDArray[np.float32]) -> None:
        """Keeps the next frame, float32 [256]."""
        self._frames.append(frame)

    def agreement(self, length: int) -> float:
        """How much the recogniser hears the phrase in the last frames, 0 to 1.

        Args:
            length: Frames since the word's beginning.
        """
        frames, blank = self._frames, self._joint.blank
        start = frames.next - length
        rows = []
        self._encoder.reset()
        self._reader.reset()
        for number in range(max(frames.oldest, start - _CONTEXT_FRAMES), frames.next):
            encoding = self._encoder.process(frames[number])
            # What was said before the word must not speak against it.
            if number >= start - _EARLY_FRAMES:
                rows.append(self._joint(encoding, self._pairs))
                self._reader.process(encoding, number)
        stacked = np.stack(rows)
        nothing = float(stacked[:, 0, blank].sum())
        rival = max(nothing, self._reader.log_prob)
        ratio = (forward(stacked, self._labels, blank) - rival) / len(self._labels)
        return math.exp(min(ratio, 0.0))

    def reset(self) -> None:
        """Forgets what was heard."""
        self._frames.reset()


def load_second_stage(bundle: Bundle, phrase: str) -> SecondStage:
    """The recogniser of a bundle, to be asked about a phrase.

    Raises:
        BundleFileError: A model is missing, or the phrase has a letter that the recogniser lacks.
    """
    tokens = {token: label for label, token in enumerate(bundle.tokens())}
    missing = sorted(set(phrase) - set(tokens))
    if missing or not phrase:
        raise BundleFileError(
            f"The recogniser has no letters for {''.join(missing)!r} in the wake word {phrase!r};"
            " set wake.second_stage to 0."
        )
    joint = Joint(
        load_model(bundle, bundle.file("predictor")),
        load_model(bundle, bundle.file("joiner")),
        blank=bundle.manifest.tokens.blank,
    )
    encoder = Encoder(load_model(bundle, bundle.file("encoder_slow")))
    return SecondStage(encoder, joint, [tokens[letter] for letter in phrase])


def forward(rows: NDArray[np.float32], labels: NDArray[np.int64], blank: int) -> float:
    """Log-probability of labels, summed over all alignments to the frames.

    Graves 2012, equation 16, with one step over all labels for each frame: within a frame

        alpha(u) = log(exp(before(u)) + exp(alpha(u - 1) + label(u - 1)))

    is, relative to the sum of the labels up to u, a running sum of exponentials.

    Args:
        rows: Natural logarithms of probabilities, float32 [frames, labels + 1, all labels]: what
            may come next in a frame, after so many labels of the phrase.
        labels: The phrase, int [labels].
        blank: Index of the blank.

    Returns:
        The natural logarithm of the probability of these labels and no others.
    """
    count = len(labels)
    reached = np.full(count + 1, -np.inf)
    reached[0] = 0.0
    emitted = np.zeros(count + 1)
    for row in rows.astype(np.float64):
        emitted[1:] = np.cumsum(row[np.arange(count), labels])
        reached = np.logaddexp.accumulate(reached - emitted) + emitted + row[:, blank]
    return float(reached[-1])
