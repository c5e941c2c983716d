"""Finds what the model wrongly takes for the wake word, so that it meets more of it."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch

from agent.hearing.features import FRAME_DIM, HOPS_PER_FRAME, MELS
from converters.wake.feature_bank import Entry
from converters.wake.mixing import SILENCE
from converters.wake.model import WakeModel, scores
from converters.wake.recordings import Role
from converters.wake.streams import Mined

_BATCH_FRAMES = 40_000


def mine(
    model: WakeModel,
    entries: Sequence[Entry],
    *,
    at_least: float = 0.05,
    at_most: int = 3000,
    confusable_share: float = 0.25,
) -> list[Mined]:
    """The worst places among the negatives of a bank.

    Args:
        model: judged as it stands.
        entries: the bank; its positives are passed over.
        at_least: lower scores are no news.
        at_most: how many places to keep, the highest scores first.
        confusable_share: at most so much of them are near misses of the phrase. Some of those
            stay high for ever, rightly, and they would crowd out all everyday speech.

    Returns:
        At most one place per entry, its highest score, in descending order of score.
    """
    numbers = [n for n, entry in enumerate(entries) if entry.role is not Role.POSITIVE]
    numbers.sort(key=lambda n: (len(entries[n].hops), n))
    found: list[tuple[float, Mined]] = []
    at = 0
    while at < len(numbers):
        longest = len(entries[numbers[at]].hops) // HOPS_PER_FRAME + 8
        count = max(1, _BATCH_FRAMES // longest)
        group = numbers[at : at + count]
        longest = max(len(entries[n].hops) for n in group) // HOPS_PER_FRAME + 8
        batch = np.full((len(group), longest * HOPS_PER_FRAME, MELS), SILENCE, np.float32)
        for row, number in enumerate(group):
            hops = entries[number].hops
            batch[row, : len(hops)] = hops
        frames = batch.reshape(len(group), longest, FRAME_DIM)
        # Half precision does: a place that is found by a hair more or less is no loss.
        with torch.autocast("cpu", dtype=torch.bfloat16):
            answered = scores(model, torch.from_numpy(frames)).float().numpy()
        for row, number in enumerate(group):
            frame = int(answered[row].argmax())
            score = float(answered[row, frame])
            if score >= at_least:
                found.append((score, Mined(number, (frame + 1) * HOPS_PER_FRAME)))
        at += count
    found.sort(key=lambda pair: (-pair[0], pair[1].entry))
    kept, left = [], round(at_most * confusable_share)
    for _, place in found:
        near = entries[place.entry].role is Role.CONFUSABLE
        if near and left == 0:
            continue
        left -= near
        kept.append(place)
    return kept[:at_most]
