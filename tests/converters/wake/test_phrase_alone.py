"""A model from nothing but a phrase: speech made by the real engines, on a tiny budget."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from agent.hearing.wake_word import own_word
from converters.commands import train_wake
from converters.synthesis.errors import SynthesisError
from converters.wake import own_pools
from tests.converters.wake.test_command import parsed


def test_a_phrase_needs_four_pools_of_two_kinds_of_voices():
    found = {order.name: order for order in own_pools.orders("hey pepper", 800, 2.0, 5)}
    assert list(found) == ["words", "speech", "words_dev", "speech_dev"]
    assert found["words"].recipe.phrase == found["words_dev"].recipe.phrase == "hey pepper"
    assert [o.recipe.split for o in found.values()] == ["train", "train", "dev", "dev"]
    assert (found["words"].count, found["words_dev"].count) == (800, 50)
    assert (found["speech"].hours, found["speech_dev"].hours) == (2.0, 0.5)


def test_a_word_that_no_dictionary_knows_is_refused_before_anything_is_made():
    with pytest.raises(SynthesisError, match="xyzzyx"):
        own_pools.orders("hey xyzzyx", 100, 1.0, 1)


@pytest.mark.slow
def test_a_phrase_alone_gives_a_model_and_its_report(tmp_path: Path):
    words = (
        *("--phrase", "Hey Pepper", "--out", tmp_path, "--words", 32, "--steps", 16),
        *("--negatives-hours", 0.02, "--jobs", 1),
    )
    assert train_wake.main(parsed(train_wake, *words)) == 0
    entry = own_word(tmp_path / "hey_pepper.tflite")
    assert entry.phrase == "hey pepper"
    assert (tmp_path / "report.md").read_text().startswith('# "hey pepper"')
    report = json.loads((tmp_path / "report.json").read_text())
    assert report["tuning"]["misses"]["synthetic, clean"]["n"] == 10
    pools = {path: path.stat().st_size for path in tmp_path.glob("pools/*/audio.i16")}
    assert len(pools) == 4
    model = (tmp_path / "hey_pepper.tflite").read_bytes()
    # Repeated, it finds everything done and writes the same again.
    assert train_wake.main(parsed(train_wake, *words)) == 0
    assert (tmp_path / "hey_pepper.tflite").read_bytes() == model
    assert pools == {path: path.stat().st_size for path in tmp_path.glob("pools/*/audio.i16")}
