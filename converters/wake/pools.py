"""Synthetic speech from pools, as utterances.

In a pool of kind "wake" every utterance either begins with the phrase, and says where it ends, or
is made to be mistaken for it; in any other pool everything is speech without the phrase, and an
utterance whose text happens to hold it is left out.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from converters.synthesis.pool import Pool, PoolItem, load_pool
from converters.wake.recordings import Role
from converters.wake.utterances import Samples, Utterance


def _role(item: PoolItem, phrase: str) -> Role:
    if item.phrase_end_s is not None:
        return Role.POSITIVE
    if phrase.replace(" ", "") in item.text.lower().replace(" ", ""):
        return Role.LEFT_OUT
    if item.kind == "wake" and not item.cell.endswith("-command"):
        return Role.CONFUSABLE
    return Role.SPEECH


def pool_utterances(folder: Path, phrase: str, hours: float = float("inf")) -> Iterator[Utterance]:
    """The utterances of a pool that serve a wake phrase.

    Args:
        folder: the pool.
        phrase: the wake phrase.
        hours: stop after so much, so that a pool that grows gives the same utterances again.

    Raises:
        PoolError: there is no pool, or it is damaged.
    """
    pool = load_pool(folder)
    kind, seed = pool.definition.get("kind", "?"), pool.definition.get("seed", "?")
    split = pool.definition.get("split", "?")
    left_s = hours * 3600
    for position, item in enumerate(pool.items):
        left_s -= item.seconds
        if left_s < 0:
            return
        role = _role(item, phrase)
        if role is Role.LEFT_OUT:
            continue

        def load(pool: Pool = pool, position: int = position) -> Samples:
            return pool.audio(position).astype(np.float32) / np.float32(32768)

        yield Utterance(
            key=f"pool {kind} {split} {seed} {item.index}",
            role=role,
            real=False,
            speaker=item.speaker,
            load=load,
            word_end_s=item.phrase_end_s,
            phones=tuple(item.phones.split()),
            phone_ends_s=tuple(end / 1000 for end in item.phone_ends_ms),
        )
