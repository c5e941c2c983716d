"""Which names and sentences belong to the tests: a hash decides, so no list can drift.

The hash is taken modulo 100. Names below 15 and sentences below 5 are for the tests alone; the
next band is for the dev set alone; the rest is for training. A sentence without any slot ("volume
up") has nothing that could be held out: it is trained on and never appears in a test.
"""

from __future__ import annotations

import hashlib
from typing import Literal

Split = Literal["train", "dev", "test"]
SPLITS: tuple[Split, ...] = ("train", "dev", "test")

_NAME_BANDS = (15, 20)
_SENTENCE_BANDS = (5, 7)


def bucket(text: str) -> int:
    """md5 of the text modulo 100."""
    return int(hashlib.md5(text.encode(), usedforsecurity=False).hexdigest(), 16) % 100


def _split_of(text: str, bands: tuple[int, int]) -> Split:
    place = bucket(text)
    return "test" if place < bands[0] else "dev" if place < bands[1] else "train"


def name_split(name: str) -> Split:
    """The split to which a single name (one word) belongs."""
    return _split_of(name, _NAME_BANDS)


def sentence_split(text: str) -> Split:
    """The split to which a sentence with slots belongs."""
    return _split_of(text, _SENTENCE_BANDS)
