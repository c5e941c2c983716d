"""What is played to wake words: pools by role, loops that can be looked into, nothing twice."""

from __future__ import annotations

import numpy as np
import pytest
import soundfile

from converters.evaluation.wake_audio import Sources, WakeAudio
from converters.synthesis.pool import PoolItem, PoolWriter
from converters.wake.recordings import Recording, Role


def item(index, text, cell, kind="wake", end=None):
    return PoolItem(
        index=index, offset=0, samples=0, seconds=0.0, text=text, speaker="v", engine="e",
        voice="v", split="test", kind=kind, cell=cell, intent="", phrase_end_s=end,
    )  # fmt: skip


@pytest.fixture
def pool(tmp_path):
    folder = tmp_path / "rms"
    with PoolWriter(folder, {"kind": "wake", "seed": 4, "split": "test"}) as writer:
        second = np.full(16_000, 1000, np.int16)
        writer.append(item(0, "computer", "positive-alone", end=0.9), second)
        writer.append(item(1, "commuter", "negative-near"), second[:8000])
        writer.append(item(2, "stop the music", "negative-command"), second)
        writer.append(item(3, "play computer love", "negative-command"), second)
    return folder


def test_speech_and_near_misses_of_a_pool_are_counted_apart(pool):
    audio = WakeAudio(Sources(negatives_pools=[pool]), "computer")
    groups = {group.name: (group.count, list(group.streams)) for group in audio.negatives()}
    assert list(groups) == ["(b) speech of rms", "(c) near misses of rms"]
    for (count, streams), seconds in zip(groups.values(), (1.0, 0.5), strict=True):
        assert count == len(streams) == 1
        # The pauses around it give a late event time, and are no time without the wake word.
        assert streams[0].clip_s == seconds
        assert len(streams[0].samples) == (seconds + 1.0) * 16_000
    assert audio.left_out == ["rms: play computer love"]
    assert not list(audio.positives())  # only --positives-pool says that its words count


def test_words_of_a_pool_in_every_condition_that_needs_no_noise(pool):
    audio = WakeAudio(Sources(positives_pools=[pool]), "computer")
    groups = {group.name: group.count for group in audio.positives()}
    assert groups == {"synthetic rms: clean": 1, "synthetic rms: room": 1}


def noise(folder, name, split):
    sound = 0.1 * np.random.default_rng(len(name)).standard_normal(16_000)
    soundfile.write(folder / name, sound, 16_000, subtype="PCM_16")
    return Recording(folder / name, name, 1.0, split, True, Role.NOISE, "", "n")


def test_only_noise_that_was_never_trained_on_is_looped(tmp_path):
    recordings = [noise(tmp_path, "a.wav", "test"), noise(tmp_path, "bb.wav", "train")]
    audio = WakeAudio(Sources(recordings, noise_hours=2 / 60), "computer")
    (group,) = audio.negatives()
    streams = list(group.streams)
    assert (group.count, len(streams)) == (2, 2)
    assert audio.loops == ["a.wav"]
    for minute, stream in enumerate(streams):
        # What was heard is in the key, so that a false accept can be looked into.
        assert stream.key == f"loop {minute}: a.wav with a.wav"
        assert (stream.clip_s, len(stream.samples)) == (60.0, 60 * 16_000)
        assert 0.0 < np.abs(stream.samples).max() <= 1.0
    assert np.array_equal(streams[1].samples, list(next(audio.negatives()).streams)[1].samples)
