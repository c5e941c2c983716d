"""Which set an utterance of a test pool belongs to, and the pauses around clips."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import soundfile

from converters.evaluation.sets import Item, pool_sets, real_sets
from converters.synthesis.pool import PoolItem, PoolWriter

ITEMS = [
    ("template-seen", "lights on", (), {}, "commands"),
    ("template-held", "call zoe", ("zoe",), {"contact": "zoe"}, "commands with held names"),
    ("template-seen", "play big cat", (), {"title": "big cat"}, "commands with titles and words"),
    ("free-seen", "a cat and a hat", (), {"word": "cat"}, "free text, no names"),
    ("free-held", "zoe likes cats", ("zoe",), {"first": "zoe"}, "free text, held names"),
]


def _pool(path: Path, kind: str) -> Path:
    with PoolWriter(path, {"kind": kind}) as writer:
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
                kind=kind,
                cell=cell,
                intent="x",
                names=names,
                slots=slots,
            )
            writer.append(item, np.full(1600, index, np.int16))
    return path


@pytest.fixture
def pool(tmp_path: Path) -> Path:
    return _pool(tmp_path / "pool", "test")


def test_sets_tell_open_vocabulary_apart(pool: Path) -> None:
    found = {chosen.name: [item.text for item in chosen.items] for chosen in pool_sets(pool)}
    assert found == {f"flite/rms: {name}": [text] for _, text, _, _, name in ITEMS}


def test_plain_commands_alone_are_everyday(pool: Path) -> None:
    assert [s.name for s in pool_sets(pool) if s.everyday] == ["flite/rms: commands"]
    assert not any(s.real for s in pool_sets(pool))


def test_frozen_cells_have_names_of_their_own(tmp_path: Path) -> None:
    found = {s.name: len(s.items) for s in pool_sets(_pool(tmp_path / "pool", "cells"))}
    assert found == {
        "flite/rms: cell commands, seen names": 2,
        "flite/rms: cell commands, held names": 1,
        "flite/rms: cell free text, seen names": 1,
        "flite/rms: cell free text, held names": 1,
    }


def _manifest(real: Path, corpus: str, lines: list[dict[str, object]]) -> None:
    (real / "manifests").mkdir(parents=True, exist_ok=True)
    written = []
    for number, line in enumerate(lines):
        name = f"{corpus}{number}.wav"
        soundfile.write(real / name, np.zeros(16_000, np.int16), 16_000)
        written.append({"path": name, "seconds": 1.0, "language": "en", "use": "eval_only", **line})
    text = "".join(json.dumps(line) + "\n" for line in written)
    (real / "manifests" / f"{corpus}.jsonl").write_text(text)


def test_real_sets_are_known_corpora_and_whatever_holds_commands(tmp_path: Path) -> None:
    intent = {"intent": "setTimer", "slots": {"minutes": "10"}}
    _manifest(tmp_path, "speech_librispeech", [
        {"split": "test", "text": "Chapter 2.", "speaker": "a"},
        {"split": "dev", "text": "chapter three", "speaker": "b"},
    ])  # fmt: skip
    _manifest(tmp_path, "household", [
        {"split": "test", "text": "Set a timer for 10 minutes", "label": intent, "speaker": "c"},
        {"split": "test", "text": None, "label": intent, "speaker": "c"},
    ])  # fmt: skip
    _manifest(tmp_path, "wake_words", [{"split": "test", "text": "alexa", "label": "alexa"}])
    books, commands = real_sets(tmp_path, {"test"})
    assert (books.name, books.real, books.everyday) == ("LibriSpeech (test)", True, False)
    assert [item.text for item in books.items] == ["chapter two"]
    assert (commands.name, commands.everyday) == ("household (test)", True)
    # One normaliser: what is looked for in a slot is written as what is heard.
    (item,) = commands.items
    assert item.text == "set a timer for ten minutes"
    assert item.slots == {"minutes": "ten"}


def test_first_keeps_everything_but_the_rest(pool: Path) -> None:
    (plain,) = (s for s in pool_sets(pool) if s.everyday)
    none = plain.first(0)
    assert (none.name, none.everyday, none.items) == (plain.name, True, [])
    assert plain.first(9).items == plain.items


def test_limit_holds_for_each_set(pool: Path) -> None:
    assert all(len(chosen.items) == 1 for chosen in pool_sets(pool, limit=1))


def test_clips_stand_between_the_same_pauses_for_every_model() -> None:
    item = Item(np.full(16000, 500, np.int16), "x", "s")
    padded = item.padded()
    assert len(padded) == 4800 + 16000 + 9600
    assert (padded[4800:20800] == 500).all()
    assert 1 < np.abs(padded[:4800]).mean() < 8
    np.testing.assert_array_equal(padded, item.padded())
