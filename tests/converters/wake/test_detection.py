from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.hearing.wake_word import WakeSettings, WakeWord
from converters.wake.detection import (
    THRESHOLDS,
    Curve,
    Rule,
    accepts_by_threshold,
    choose_threshold,
    events,
    hit,
    misses_by_threshold,
    smoothed,
    viable_recall,
)


def scores(*values: float) -> np.ndarray:
    return np.array(values, np.float32)


def test_smoothing_counts_what_was_before_the_start_as_zero():
    assert smoothed(scores(0.9, 0.3, 0.6), 3).tolist() == pytest.approx([0.3, 0.4, 0.6])


def test_an_event_is_the_first_frame_at_the_threshold():
    found = events(scores(0.0, 0.4, 0.6, 0.9, 0.0), Rule(0.5, smoothing=2))
    # means: 0, 0.2, 0.5, 0.75, 0.45
    assert [(e.frame, e.score) for e in found] == [(2, pytest.approx(0.5))]
    assert found[0].time_s == pytest.approx(3 * 0.04)


def test_a_score_that_stays_up_is_one_event_even_past_the_refractory_time():
    rule = Rule(0.5, smoothing=1, refractory_s=0.08)
    assert len(events(scores(*[0.9] * 50), rule)) == 1
    assert [e.frame for e in events(scores(0.9, 0.9, 0.9, 0.1, 0.9), rule)] == [0, 4]


def test_nothing_counts_within_the_refractory_time():
    rule = Rule(0.5, smoothing=1, refractory_s=0.16)  # four frames
    assert [e.frame for e in events(scores(0.9, 0.0, 0.9, 0.0, 0.9), rule)] == [0, 4]


class _Replay:
    """Stands where the .tflite runs and returns given scores."""

    def __init__(self, values):
        self._values = iter(values)

    def require(self, inputs, outputs):
        pass

    def __call__(self, frame):
        return (np.array([[next(self._values)]], np.float32),)


@given(
    st.lists(st.sampled_from([0.0, 0.3, 0.6, 1.0]), min_size=1, max_size=60),
    st.integers(1, 4),
    st.integers(0, 10),
)
def test_events_are_those_of_the_agent(values, smoothing, refractory):
    settings = WakeSettings("x", 0.5, smoothing, refractory, 0, 1)
    word = WakeWord(_Replay(values), settings)  # type: ignore[arg-type]
    theirs = [n for n in range(len(values)) if word.process(np.zeros(256, np.float32))]
    rule = Rule(0.5, smoothing, refractory * 0.04)
    assert [event.frame for event in events(scores(*values), rule)] == theirs


def test_a_hit_has_to_be_near_the_end_of_the_word():
    rule = Rule(0.5, smoothing=1)
    stream = np.zeros(100, np.float32)
    stream[50] = 1.0  # known at 2.04 s
    assert hit(stream, rule, 2.0) is not None
    assert hit(stream, rule, None) is not None
    assert hit(stream, rule, 1.2) is None  # 0.84 s late
    assert hit(stream, rule, 2.4) is None  # 0.36 s early


def test_curve_counts_misses_and_events_per_hour():
    yes = np.zeros(100, np.float32)
    yes[50] = 0.8
    no = np.zeros(90_000, np.float32)  # one hour
    no[[1000, 2000]] = 0.5
    rule = Rule(0.5, smoothing=1)
    missed = misses_by_threshold([(yes, 2.0), (yes, 2.0)], rule)
    accepted = accepts_by_threshold([no], rule, 1.0)
    below, between, above = (
        min(range(len(THRESHOLDS)), key=lambda n: abs(THRESHOLDS[n] - t)) for t in (0.3, 0.7, 0.95)
    )
    assert (missed[below], accepted[below]) == (0.0, 2.0)
    assert (missed[between], accepted[between]) == (0.0, 0.0)
    assert (missed[above], accepted[above]) == (1.0, 0.0)


def test_viable_recall_by_hand():
    # recall 0.5 from 0 events an hour on, 0.9 from 1 on: the mean over 0..2 is 0.5 on [0, 1) and
    # 0.9 on [1, 2]: 40 and 41 of 81 grid points
    measured = Curve(np.array([0.1, 0.5]), np.array([1.0, 0.0]))
    assert viable_recall(measured) == pytest.approx((40 * 0.5 + 41 * 0.9) / 81)
    assert viable_recall(Curve(np.array([0.0]), np.array([9.0]))) == 0.0


def test_the_fitted_threshold_follows_an_exponential_tail():
    # 200 peaks in one hour whose log odds fall off as exp(-x / 0.5) above -2.
    rng = np.random.default_rng(3)
    odds = -2.0 + rng.exponential(0.5, 200)
    stream = np.zeros(90_000, np.float32)
    stream[100 + 400 * np.arange(200)] = 1 / (1 + np.exp(-odds))
    found = choose_threshold([stream], Rule(0.5, smoothing=1), 1.0, 0.25, tail_events=50).threshold
    expected = -2.0 + 0.5 * math.log(200 / 0.25)  # = 1.34
    assert math.log(found / (1 - found)) == pytest.approx(expected, abs=0.5)


def test_the_threshold_is_never_below_what_the_count_allows():
    # Ten equal peaks at 0.9 in one hour and a quarter of an event allowed: above 0.9.
    stream = np.zeros(90_000, np.float32)
    stream[100 + 400 * np.arange(10)] = 0.9
    assert choose_threshold([stream], Rule(0.5, smoothing=1), 1.0, 0.25).threshold > 0.9


def test_without_any_peak_the_threshold_is_one_half():
    assert choose_threshold([np.zeros(1000, np.float32)], Rule(0.1), 1.0, 0.25).threshold == 0.5
