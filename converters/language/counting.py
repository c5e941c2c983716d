"""Counts of n-grams of labels, by sorting integers: five bits per label, oldest first."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
from numpy.typing import NDArray

from agent.hearing.language_model import BITS, END

Keys = NDArray[np.uint64]
Counts = dict[int, tuple[Keys, NDArray[np.int64]]]
"""Order -> n-grams, ascending, and how often each was seen."""


def label_stream(utterances: Iterable[Sequence[int]], order: int) -> NDArray[np.uint64]:
    """The labels of all utterances, each after ``order - 1`` zeros and before one `END`."""
    pad = [0] * (order - 1)
    labels: list[int] = []
    for utterance in utterances:
        labels += pad
        labels += utterance
        labels.append(END)
    return np.array(labels, np.uint64)


def count(stream: Keys, order: int) -> Counts:
    """How often each n-gram of 1 to ``order`` labels ends in a label that is spoken or an end.

    Args:
        stream: see `label_stream`, made for the same order.
        order: longest n-gram.
    """
    counts: Counts = {}
    keys = stream.copy()
    spoken = stream != 0
    for n in range(1, order + 1):
        if n > 1:
            shifted = np.concatenate((np.zeros(n - 1, np.uint64), stream[: -(n - 1)]))
            keys = keys | (shifted << np.uint64(BITS * (n - 1)))
        # The start of an utterance is a history, too: it is kept as if it had been said once.
        counts[n] = np.unique(np.append(keys[spoken], np.uint64(0)), return_counts=True)
    return counts


def merged(parts: Iterable[Counts]) -> Counts:
    """The sum of counts that were made in parts, to keep memory small."""
    total: Counts = {}
    for part in parts:
        for n, (keys, counts) in part.items():
            if n not in total:
                total[n] = (keys, counts)
                continue
            every = np.concatenate((total[n][0], keys))
            weights = np.concatenate((total[n][1], counts))
            order = np.argsort(every, kind="stable")
            every, weights = every[order], weights[order]
            first = np.flatnonzero(np.concatenate(([True], every[1:] != every[:-1])))
            total[n] = (every[first], np.add.reduceat(weights, first))
    return total
