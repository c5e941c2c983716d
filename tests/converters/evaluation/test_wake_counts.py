from __future__ import annotations

from typing import cast

import numpy as np
import pytest

from agent.bundle.runtime import Model
from agent.bundle.schema import WakeEntry
from agent.config import WakeConfig
from agent.hearing.wake_word import WakeWord, wake_settings
from converters.evaluation.intervals import share
from converters.evaluation.wake_audio import never_trained, real_positives
from converters.evaluation.wake_counts import (
    Event,
    Heard,
    Listener,
    Positives,
    count_negatives,
    count_positives,
    together,
)
from converters.evaluation.wake_cpu import measure
from converters.wake.recordings import Recording, Role
from converters.wake.scenes import Scene


class _Loudness:
    """Stands where the .tflite runs: the score is 1 while a frame is loud."""

    def require(self, inputs, outputs):
        pass

    def reset(self):
        pass

    def __call__(self, frame):
        return (np.array([[float(frame.mean() > 0.0)]], np.float32),)


@pytest.fixture
def listener():
    entry = WakeEntry(
        phrase="beep", file="wake/beep.tflite", threshold=500, smoothing=1, refractory=25,
        latency=2, length=5,
    )  # fmt: skip
    return Listener(WakeWord(cast("Model", _Loudness()), wake_settings(entry, WakeConfig())), entry)


def burst(at_s, seconds=4.0, speaker="s", key="k", end=None):
    """Silence with 40 ms of loud noise that begins with a frame."""
    samples = np.zeros(int(seconds * 16_000), np.float32)
    first = int(at_s * 16_000)
    samples[first : first + 640] = 0.5 * np.random.default_rng(0).standard_normal(640)
    return Scene(key, speaker, samples, end, seconds)


def test_hits_delays_and_word_ends_by_hand(listener):
    # Loud frame 50 spans 2.00..2.04 s: the event is known at 2.04 s. The word ended at 1.90 s, so
    # the delay is 0.14 s; the agent puts the end two frames before 2.04 s, at 1.96 s: 0.06 s off.
    found = count_positives(listener, "x", [burst(2.0, end=1.9)])
    assert (found.missed.k, found.missed.n) == (0, 1)
    assert found.delay_s == pytest.approx((0.14, 0.14))
    assert found.end_error_s == pytest.approx((0.06, 0.06))


def test_an_event_far_from_the_word_is_a_miss(listener):
    streams = [burst(2.0, end=0.5, key="late"), burst(1.0, end=1.0, key="fine")]
    found = count_positives(listener, "x", streams)
    assert found.missed_keys == ["late"]


def test_an_unknown_word_end_takes_any_event_and_gives_no_delay(listener):
    found = count_positives(listener, "x", [burst(3.0)])
    assert found.missed.k == 0
    assert found.delay_s is None


def test_false_accepts_per_hour_and_per_utterance(listener):
    two = burst(1.0, key="two")
    two.samples[48_000:48_640] = two.samples[16_000:16_640]
    found = count_negatives(
        listener, "x", [two, Scene("none", "s", np.zeros(64_000, "f4"), None, 3.0)]
    )
    assert found.accepted.events == 2
    assert found.accepted.hours == pytest.approx(7.0 / 3600)
    assert (found.utterances.k, found.utterances.n) == (1, 2)
    assert found.accepted_keys == ["two"]


def test_groups_together_are_counted_as_one(listener):
    quiet = Scene("none", "s", np.zeros(64_000, "f4"), None, 3.0)
    groups = [count_negatives(listener, "x", [burst(1.0)]), count_negatives(listener, "y", [quiet])]
    found = together("both", groups)
    assert (found.accepted.events, found.utterances.k, found.utterances.n) == (1, 1, 2)
    assert found.accepted.hours == pytest.approx(7.0 / 3600)
    assert found.accepted_keys == ["k"]


def test_streams_do_not_hear_each_other(listener):
    first = listener.play(burst(3.9, seconds=4.0))
    again = listener.play(burst(0.0, seconds=4.0))
    assert len(first.events) == len(again.events) == 1


def test_an_engine_that_does_not_say_where_the_word_ends_has_no_error(listener):
    class Other:
        name, cpu_s, audio_s = "other", 0.0, 0.0

        def play(self, stream):
            return Heard(stream, [Event(2.04)], 1.0)

    found = count_positives(Other(), "x", [burst(2.0, end=1.9)])
    assert found.delay_s == pytest.approx((0.14, 0.14))
    assert found.end_error_s is None


def test_cpu_is_measured_in_turn_over_the_same_sound():
    class Clock:
        def __init__(self, name, costs):
            self.name, self.cpu_s, self.audio_s = name, 0.0, 0.0
            self._costs = iter(costs)
            self.keys = []

        def play(self, stream):
            self.keys.append(stream.key)
            self.cpu_s += next(self._costs)
            self.audio_s += len(stream.samples) / 16_000
            return Heard(stream, [], 0.0)

    # Two minutes are two streams; three rounds cost 3, 9 and 6 s of 120: the median is 0.05.
    one = Clock("one", [1, 2, 4, 5, 3, 3])
    other = Clock("other", [1] * 6)
    costs = measure([one, other], [burst(1.0, seconds=50.0)], minutes=2.0, rounds=3)
    assert [cost.seconds_per_second for cost in costs] == [6 / 120, 2 / 120]
    assert (costs[0].lowest, costs[0].highest, costs[0].minutes) == (3 / 120, 9 / 120, 2.0)
    assert one.keys == other.keys == ["cpu 0", "cpu 960000"] * 3


def test_the_worst_tenth_is_at_least_one_speaker_and_the_one_with_most_misses():
    speakers = {"a": share(0, 10), "b": share(5, 10), "c": share(1, 1)}
    group = Positives("x", share(6, 21), speakers, None, None, [])
    assert (group.worst_tenth.k, group.worst_tenth.n) == (1, 1)
    many = {f"s{n}": share(n % 4 == 3, 1) for n in range(20)}
    group = Positives("x", share(5, 20), many, None, None, [])
    assert (group.worst_tenth.k, group.worst_tenth.n) == (2, 2)  # a tenth of 20 speakers


def recording(tmp_path, role, split="test", text="", *, trainable=True):
    return Recording(tmp_path, "k", 1.0, split, trainable, role, text, "s")


def test_longer_phrases_are_counted_apart(tmp_path):
    bare = recording(tmp_path, Role.POSITIVE, text="computer / computer")
    longer = recording(tmp_path, Role.POSITIVE, text="hey computer / hey computer")
    groups = real_positives([bare, longer], "computer")
    assert groups == {"test": [bare], "test, within a longer phrase": [longer]}


def test_what_training_may_see_counts_no_false_accepts(tmp_path):
    unseen = [
        recording(tmp_path, Role.SPEECH, "dev"),
        recording(tmp_path, Role.NOISE, "test"),
        recording(tmp_path, Role.WORD, "train", trainable=False),
    ]
    seen = [recording(tmp_path, Role.SPEECH, "train"), recording(tmp_path, Role.POSITIVE)]
    assert never_trained([*unseen, *seen]) == unseen
