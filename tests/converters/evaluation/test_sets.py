"""Which set an utterance of a test pool belongs to, and the pauses around clips."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from converters.evaluation.sets import Item, pool_sets
from converters.synthesis.pool import PoolItem, PoolWriter

ITEMS = [
    ("template-seen", "lights on", (), {}, "commands"),
    ("template-held", "call zoe", ("zoe",), {"contact": "zoe"}, "commands with held names"),
    ("template-seen", "play big cat", (), {"title": "big cat"}, "commands with titles and words"),
    ("free-seen", "a cat and a hat", (), {"word": "cat"}, "free text, no names"),
    ("free-held", "zoe likes cats", ("zoe",), {"first": "zoe"}, "free text, held names"),
]


@pytest.fixture
def pool(tmp_path: Path) -> Path:
    with PoolWriter(tmp_path / "pool", {"kind": "test"}) as writer:
        for index, (cell, text, names, slots, _) in enumerate(ITEMS):
            item = PoolItem(
                index=index,
                offset=0,
                samples=0,
                seconds=0.0,
                text=text,
                speaker="s",
                engine="flite",
                voice="rms",
                split="test",
                kind="test",
                cell=cell,
                intent="x",
                names=names,
                slots=slots,
            )
            writer.append(item, np.full(1600, index, np.int16))
    return tmp_path / "pool"


def test_sets_tell_open_vocabulary_apart(pool: Path) -> None:
    found = {chosen.name: [item.text for item in chosen.items] for chosen in pool_sets(pool)}
    assert found == {f"flite/rms: {name}": [text] for _, text, _, _, name in ITEMS}


def test_limit_holds_for_each_set(pool: Path) -> None:
    assert all(len(chosen.items) == 1 for chosen in pool_sets(pool, limit=1))


def test_clips_stand_between_the_same_pauses_for_every_model() -> None:
    item = Item(np.full(16000, 500, np.int16), "x", "s")
    padded = item.padded()
    assert len(padded) == 4800 + 16000 + 9600
    assert (padded[4800:20800] == 500).all()
    assert 1 < np.abs(padded[:4800]).mean() < 8
    np.testing.assert_array_equal(padded, item.padded())
