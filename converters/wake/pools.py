"""Synthetic speech from pools, as utterances.

In a pool of kind "wake" every utterance either begins with the phrase, and says where it ends, or
is made to be mistaken for it; in any other pool everything is speech without the phrase. An
utterance that holds the phrase in its text or sounds like it ("come pewter") is left out: nobody
could learn to tell the two apart, and trying would cost true wake words.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from converters.synthesis.errors import SynthesisError
from converters.synthesis.phones import SILENCE
from converters.synthesis.pool import Pool, PoolItem, load_pool
from converters.synthesis.wake_texts import bare_phones
from converters.wake.recordings import Role
from converters.wake.utterances import Samples, Utterance

_VOWELS = frozenset("aa ae ah ao aw ay eh er ey ih iy ow oy uh uw".split())


def says(phones: Sequence[str], phrase: Sequence[str]) -> bool:
    """Whether the phones of a phrase come in a row, but for one vowel at most.

    Args:
        phones: what is sounded, silences left out.
        phrase: the phones of the phrase.
    """
    for first in range(len(phones) - len(phrase) + 1):
        vowels = 0
        for heard, wanted in zip(phones[first : first + len(phrase)], phrase, strict=True):
            if heard == wanted:
                continue
            vowels += 1
            if vowels > 1 or heard not in _VOWELS or wanted not in _VOWELS:
                break
        else:
            return True
    return False


def _role(item: PoolItem, phrase: str, phones: Sequence[str]) -> Role:
    if item.phrase_end_s is not None:
        return Role.POSITIVE
    if phrase and phrase.replace(" ", "") in item.text.lower().replace(" ", ""):
        return Role.LEFT_OUT
    if phones and says([p for p in item.phones.split() if p != SILENCE], phones):
        return Role.LEFT_OUT
    if item.kind == "wake" and not item.cell.endswith("-command"):
        return Role.CONFUSABLE
    return Role.SPEECH


def _phones(phrase: str) -> tuple[str, ...]:
    """The phones of a phrase; none where the dictionary does not know a word of it."""
    try:
        return tuple(phone.lower() for phone in bare_phones(phrase.lower()))
    except SynthesisError:
        return ()


def left_out_of_pool(folder: Path, phrase: str) -> list[str]:
    """The texts of a pool that are neither the phrase nor certainly something else.

    Raises:
        PoolError: there is no pool, or it is damaged.
    """
    phones = _phones(phrase)
    items = load_pool(folder).items
    return [item.text for item in items if _role(item, phrase, phones) is Role.LEFT_OUT]


def pool_split(folder: Path) -> str:
    """The split that a pool's voices belong to.

    Raises:
        PoolError: there is no pool, or it is damaged.
    """
    return str(load_pool(folder).definition.get("split", "?"))


def pool_utterances(folder: Path, phrase: str, hours: float = float("inf")) -> Iterator[Utterance]:
    """The utterances of a pool that serve a wake phrase.

    Args:
        folder: the pool.
        phrase: the wake phrase; may be empty.
        hours: stop after so much, so that a pool that grows gives the same utterances again.

    Raises:
        PoolError: there is no pool, or it is damaged.
    """
    pool = load_pool(folder)
    kind, seed = pool.definition.get("kind", "?"), pool.definition.get("seed", "?")
    split = pool.definition.get("split", "?")
    left_s = hours * 3600
    phones = _phones(phrase)
    for position, item in enumerate(pool.items):
        left_s -= item.seconds
        if left_s < 0:
            return
        role = _role(item, phrase, phones)
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
