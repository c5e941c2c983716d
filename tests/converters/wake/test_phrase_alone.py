"""A model from nothing but a phrase: speech made by the real engines, on a tiny budget."""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import pytest

from agent.hearing.wake_word import own_word
from converters.commands import train_wake
from converters.synthesis.errors import SynthesisError
from converters.wake import own_pools
from converters.wake.warm_start import config_of
from converters.wake.whole_run import schedule_for, start_of
from tests.converters.wake.test_command import parsed


def test_a_phrase_needs_pools_of_two_kinds_of_voices_and_shares_two_more():
    own = own_pools.orders("hey pepper", 800, 5)
    assert [(o.name, o.recipe.split, o.count) for o in own] == [
        ("words", "train", 800), ("words_dev", "dev", 50),
    ]  # fmt: skip
    assert {o.recipe.phrase for o in own} == {"hey pepper"}
    shared = own_pools.shared_orders(2.0, 5)
    assert [(o.name, o.recipe.split, o.hours) for o in shared] == [
        ("speech_5", "train", 2.0), ("speech_dev_5", "dev", 0.5),
    ]  # fmt: skip
    assert {o.recipe.phrase for o in shared} == {""}


def test_a_new_word_begins_with_the_bundled_model():
    args = argparse.Namespace(start=None, from_scratch=False)
    file, phrase = start_of(args)
    assert file is not None
    assert config_of(file).channels == 64
    assert phrase == "computer"
    args.from_scratch = True
    assert start_of(args) == (None, "")


def test_how_fast_a_run_learns():
    assert schedule_for(8000, fresh=True, same=False, rate=None).peak_rate == 3e-3
    other = schedule_for(800, fresh=False, same=False, rate=None)
    same = schedule_for(2000, fresh=False, same=True, rate=None)
    # A trained word is changed gently and mined from the start; a new one has nothing to mine yet.
    assert other.peak_rate > same.peak_rate
    assert (other.mine_from, same.mine_from) == (0.3, 0.0)
    assert schedule_for(800, fresh=False, same=True, rate=1e-3).peak_rate == 1e-3


def test_a_word_that_no_dictionary_knows_is_refused_before_anything_is_made():
    with pytest.raises(SynthesisError, match="xyzzyx"):
        own_pools.orders("hey xyzzyx", 100, 1)


@pytest.mark.slow
def test_a_phrase_alone_gives_a_model_and_its_report(tmp_path: Path):
    words = (
        *("--phrase", "Hey Pepper", "--out", tmp_path, "--words", 32, "--steps", 16),
        *("--negatives-hours", 0.02, "--music", 8, "--jobs", 1, "--cache", tmp_path / "shared"),
    )
    assert train_wake.main(parsed(train_wake, *words)) == 0
    entry = own_word(tmp_path / "hey_pepper.tflite")
    assert entry.phrase == "hey pepper"
    assert (tmp_path / "report.md").read_text().startswith('# "hey pepper"')
    report = json.loads((tmp_path / "report.json").read_text())
    assert report["tuning"]["misses"]["synthetic, clean"]["n"] == 10
    pools = {path: path.stat().st_size for path in tmp_path.rglob("audio.i16")}
    assert len(pools) == 4
    model = (tmp_path / "hey_pepper.tflite").read_bytes()
    # Repeated, it finds everything done and writes the same again.
    assert train_wake.main(parsed(train_wake, *words)) == 0
    assert (tmp_path / "hey_pepper.tflite").read_bytes() == model
    assert pools == {path: path.stat().st_size for path in tmp_path.rglob("audio.i16")}
    # Another phrase finds what serves any phrase.
    other = ("--phrase", "smart mirror", "--out", tmp_path / "other", *words[4:])
    assert train_wake.main(parsed(train_wake, *other)) == 0
    made = set(tmp_path.rglob("audio.i16")) - set(pools)
    assert sorted(path.parent.name for path in made) == ["words", "words_dev"]
