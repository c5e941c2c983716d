"""Which shards are made of pools, full, small and growing."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from converters.asr import prepare
from converters.asr.prepare import Plan
from converters.asr.shards import ShardFolder
from converters.synthesis.pool import PoolItem, PoolWriter


def _plan(tmp_path: Path, copies: int = 1) -> Plan:
    return Plan(
        folder=tmp_path / "features", pools=(tmp_path / "pool",), wake_pools=(), real=None,
        wake_phrase="computer", copies=copies,
    )  # fmt: skip


def _grow(tmp_path: Path, count: int) -> None:
    """Makes the pool `count` utterances long; each says its number."""
    noise = np.random.default_rng(1).normal(0, 900, 8000).astype(np.int16)
    with PoolWriter(tmp_path / "pool", {"version": 0}) as writer:
        for index in range(writer.next_index, count):
            item = PoolItem(
                index=index, offset=0, samples=0, seconds=0.0, text=f"word {index}", speaker="s",
                engine="e", voice="v", split="train", kind="command", cell="template", intent="x",
            )  # fmt: skip
            writer.append(item, noise)


def _texts(tmp_path: Path) -> list[str]:
    folder = ShardFolder(tmp_path / "features" / "synthetic")
    folder.rescan()
    return [clip.text for clip in folder.clips]


def test_a_pool_smaller_than_a_shard_is_used_whole(tmp_path: Path):
    _grow(tmp_path, 3)
    assert prepare.prepare(_plan(tmp_path)) == 1
    assert _texts(tmp_path) == ["word 0", "word 1", "word 2"]
    assert prepare.prepare(_plan(tmp_path)) == 0


def test_what_a_pool_grows_by_is_found_later(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(prepare, "SPAN", 2)
    _grow(tmp_path, 5)
    plan = _plan(tmp_path, copies=2)
    # Two full spans, two copies each; the fifth utterance waits for a sixth.
    assert prepare.prepare(plan) == 4
    assert prepare.prepare(plan) == 0
    _grow(tmp_path, 6)
    assert prepare.prepare(plan) == 2
    assert sorted(_texts(tmp_path)) == sorted(2 * [f"word {i}" for i in range(6)])


def test_copies_differ(tmp_path: Path):
    _grow(tmp_path, 2)
    prepare.prepare(_plan(tmp_path, copies=2))
    paths = sorted((tmp_path / "features" / "synthetic").glob("*.npy"))
    first, second = (np.load(path) for path in paths)
    assert first.shape != second.shape or not np.array_equal(first, second)
    for path in paths:
        entries = json.loads(path.with_suffix(".json").read_text())
        assert [entry[2] for entry in entries] == ["word 0", "word 1"]


class _Gone:
    """A training that was killed."""

    def is_alive(self) -> bool:
        return False


def test_nothing_is_made_for_a_training_that_is_gone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    _grow(tmp_path, 3)
    monkeypatch.setattr("os.nice", lambda _: 0)
    monkeypatch.setattr("multiprocessing.parent_process", _Gone)
    prepare.run_quietly(_plan(tmp_path))
    assert _texts(tmp_path) == []
