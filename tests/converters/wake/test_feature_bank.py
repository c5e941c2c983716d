from __future__ import annotations

import numpy as np
import pytest

from converters.wake import feature_bank
from converters.wake.augmentation import Augmenter
from converters.wake.feature_bank import Planned, bank_folder, build_bank, read_bank
from converters.wake.recordings import Role
from converters.wake.utterances import Utterance
from tests.converters.wake.toy import tone, utterances


@pytest.fixture
def plan():
    return [Planned(u, 2) for u in utterances(6)]


def contents(folder):
    return [
        (e.role, e.real, e.source, e.hops.tobytes(), e.word_start, e.word_end)
        for e in read_bank(folder)
    ]


def test_copies_differ_and_words_lie_inside_them(tmp_path, plan):
    build_bank(tmp_path, plan, Augmenter(), 1)
    entries = read_bank(tmp_path)
    assert len(entries) == 2 * len(plan)
    assert entries[0].hops.tobytes() != entries[1].hops.tobytes()
    for entry in entries:
        assert 0 <= entry.word_start < entry.word_end <= len(entry.hops)
        assert entry.hops.shape[1] == 64
        assert np.isfinite(entry.hops).all()


def test_an_interrupted_build_goes_on_to_the_same_bank(tmp_path, plan, monkeypatch):
    monkeypatch.setattr(feature_bank, "_SHARD_UTTERANCES", 4)
    build_bank(tmp_path / "whole", plan, Augmenter(), 1)

    calls = []

    def stop_after_two(done, _of):
        calls.append(done)
        if len(calls) == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        build_bank(tmp_path / "cut", plan, Augmenter(), 1, stop_after_two)
    assert len(list((tmp_path / "cut").glob("*.npz"))) == 2
    # a shard that was being written when the power failed has no index yet
    (tmp_path / "cut" / "0002.f16.part").write_bytes(b"half")
    build_bank(tmp_path / "cut", plan, Augmenter(), 1)
    assert contents(tmp_path / "cut") == contents(tmp_path / "whole")


def test_two_processes_write_the_same_bank(tmp_path, plan, monkeypatch):
    monkeypatch.setattr(feature_bank, "_SHARD_UTTERANCES", 4)
    calls = []
    build_bank(tmp_path / "one", plan, Augmenter(), 1)
    build_bank(tmp_path / "two", plan, Augmenter(), 1, lambda *call: calls.append(call), jobs=2)
    assert contents(tmp_path / "two") == contents(tmp_path / "one")
    assert calls[-1] == (len(plan), len(plan))


def test_the_folder_tells_the_content(tmp_path, plan):
    one = bank_folder(tmp_path, plan, 1)
    assert bank_folder(tmp_path, plan, 1) == one
    assert bank_folder(tmp_path, plan, 2) != one
    assert bank_folder(tmp_path, plan[:-1], 1) != one


def test_long_speech_is_cut_into_pieces_and_words_never_are(tmp_path):
    long = tone(500, 40.0)
    speech = Utterance("long", Role.SPEECH, True, "s", lambda: long)
    word = Utterance("word", Role.POSITIVE, True, "s", lambda: long)
    build_bank(tmp_path, [Planned(speech, 1), Planned(word, 1)], Augmenter(), 1)
    roles = [e.role for e in read_bank(tmp_path)]
    assert roles == [Role.SPEECH] * 3 + [Role.POSITIVE]


def test_speech_has_the_reference_level_whatever_it_was_recorded_at(tmp_path):
    quiet = np.float32(0.01) * tone(500, 1.0)
    loud = np.float32(4.0) * tone(500, 1.0)
    augmenter = Augmenter()
    a = augmenter.plain(quiet, 0, 100).hops
    b = augmenter.plain(loud, 0, 100).hops
    assert np.abs(a.astype(np.float32) - b.astype(np.float32)).max() < 0.05
