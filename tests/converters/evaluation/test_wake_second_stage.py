"""What a second stage saves and costs, by hand."""

from __future__ import annotations

import numpy as np
import pytest

from converters.evaluation.wake_audio import Group
from converters.evaluation.wake_counts import Event, Heard
from converters.evaluation.wake_second_stage import (
    Detected,
    Trade,
    accepts,
    misses,
    seen_or_dev,
    trade,
)
from converters.wake.recordings import Recording, Role
from converters.wake.scenes import Scene


def words(agreements, streams):
    return Detected("words", tuple(agreements), streams, 0.1)


def others(agreements):
    return Detected("others", tuple(agreements), 100, 2.0)


def test_the_limit_costs_one_word_of_two_hundred():
    # One of 200 may be lost: the second lowest agreement is the highest limit that keeps the rest.
    heard = [0.02, 0.05, 0.07, *[0.3] * 196]  # 199: the first stage missed one
    found = Trade([words(heard, 200)], [others([0.01, 0.02, 0.04, 0.06, 0.2])])
    assert found.limit == 0.05
    assert (misses(found.positives[0], 0.0).k, misses(found.positives[0], found.limit).k) == (1, 2)
    events = accepts(found.negatives[0], found.limit)
    assert (events.events, events.hours) == (2, 2.0)
    assert found.worth_it  # three of five are saved
    assert not Trade(found.positives, [others([0.01, 0.06, 0.2])]).worth_it  # one of three


def test_few_words_allow_no_miss():
    found = Trade([words([0.1, 0.4], 2)], [others([0.05])])
    assert found.limit == 0.1
    assert misses(found.positives[0], found.limit).k == 0


def test_without_words_or_events_nothing_is_worth_it():
    assert Trade([], [others([0.1])]).limit == 0.0
    assert not Trade([words([0.5], 1)], []).worth_it


def scene(key, end):
    return Scene(key, "s", np.zeros(640, np.float32), end, 3600.0)


class Scripted:
    """An engine that says what it is told, whatever it hears."""

    name, cpu_s, audio_s = "scripted", 0.0, 0.0

    def __init__(self, events):
        self._events = events

    def play(self, stream):
        return Heard(stream, self._events[stream.key], 1.0)


def test_a_word_counts_once_and_every_false_accept_counts():
    player = Scripted({
        # The first event is far from the word, and the second belongs to it.
        "word": [Event(0.1, 0.0, 0.01), Event(1.1, 1.0, 0.3)],
        "missed": [],
        "speech": [Event(1.0, 0.9, 0.02), Event(3.0, 2.9, 0.04)],
    })  # fmt: skip
    found = trade(
        player,
        [Group("words", 2, [scene("word", 1.0), scene("missed", 1.0)])],
        [Group("speech", 1, [scene("speech", None)])],
    )
    assert found.positives == [Detected("words", (0.3,), 2, 2.0)]
    assert found.negatives == [Detected("speech", (0.02, 0.04), 1, 1.0)]
    assert found.as_json()["limit"] == pytest.approx(0.3)


def test_the_test_split_never_chooses(tmp_path):
    def one(role, split):
        return Recording(tmp_path, "k", 1.0, split, True, role, "", "s")

    kept = [one(Role.SPEECH, "train"), one(Role.NOISE, "dev")]
    assert seen_or_dev([*kept, one(Role.WORD, "test"), one(Role.POSITIVE, "dev")]) == kept
