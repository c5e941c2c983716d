"""What a trace says about settings, with scores written by hand, and that it is what fires live."""

from __future__ import annotations

import xml.etree.ElementTree as ET

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.hearing.score_trace import ScoreTrace, crossings, other_thresholds
from agent.hearing.trace_picture import svg
from agent.hearing.wake_word import WakeSettings, WakeWord


def settings(threshold: float = 0.5, refractory: int = 3) -> WakeSettings:
    return WakeSettings("beep", threshold, 1, refractory, latency_frames=1, length_frames=2)


def trace(*scores: float, threshold: float = 0.5) -> ScoreTrace:
    levels = np.full(len(scores), -30.0, np.float32)
    return ScoreTrace(settings(threshold), np.array(scores, np.float32), levels)


def test_crossings_by_hand():
    # Fires at 1; 2 is the same word; then it comes down. 4 and 5 are one word, within four frames
    # of the first: what is still up when the deaf time ends, at 5, counts, and 7 is deaf again.
    scores = np.array([0, 0.9, 0.8, 0, 0.6, 0.7, 0, 0.9], np.float32)
    assert crossings(scores, 0.5, 4) == [1, 5]
    assert crossings(scores, 0.5, 3) == [1, 4, 7]
    assert crossings(scores, 0.95, 3) == []


class _Played:
    """A model that gives the scores it was told."""

    def __init__(self, scores: list[float]) -> None:
        self._scores = iter(scores)

    def require(self, *_: object) -> None:
        pass

    def reset(self) -> None:
        pass

    def __call__(self, _: np.ndarray) -> tuple[np.ndarray]:
        return (np.array([[next(self._scores)]], np.float32),)


@given(
    st.lists(st.sampled_from([0.0, 0.25, 0.5, 0.75, 1.0]), max_size=60),
    st.integers(1, 4),
    st.integers(0, 12),
    st.sampled_from([0.2, 0.4, 0.5, 0.9]),
)
def test_crossings_are_the_detections_of_the_wake_word(scores, smoothing, refractory, threshold):
    judged = WakeSettings("beep", threshold, smoothing, refractory, 1, 2)
    word = WakeWord(_Played(scores), judged)  # type: ignore[arg-type]
    fired, smoothed = [], []
    for number in range(len(scores)):
        if word.process(np.zeros(256, np.float32)) is not None:
            fired.append(number)
        smoothed.append(word.score)
    assert crossings(np.array(smoothed), threshold, refractory) == fired


def test_close_calls_are_the_peaks_elsewhere():
    quiet = [0.0] * 40
    found = trace(*quiet, 0.3, 0.4, 0.3, *quiet, 0.9, 0.6, *quiet, 0.2, 0.05, *quiet)
    (fired,) = found.detections()
    assert fired.score == pytest.approx(0.9)
    assert fired.time_s == pytest.approx(84 * 0.04)
    assert fired.level_dbfs == pytest.approx(-30.0)
    first, second = found.close_calls()
    # the closest first, one for each peak, not one for each frame
    assert (first.score, second.score) == (pytest.approx(0.4), pytest.approx(0.2))
    assert [each.score for each in found.close_calls(floor=0.3)] == [pytest.approx(0.4)]
    assert len(found.detections(0.35)) == 2
    assert other_thresholds(found, (0.15, 0.35, 0.95)) == [(0.15, 3), (0.35, 2), (0.95, 0)]


def test_a_score_that_only_the_refractory_time_kept_from_firing_is_no_close_call():
    found = ScoreTrace(
        settings(refractory=100),
        np.array([0.9] + [0.0] * 40 + [0.8] + [0.0] * 40, np.float32),
        np.zeros(82, np.float32),
    )
    assert len(found.detections()) == 1
    assert found.close_calls() == []


def test_the_picture_is_well_formed_and_shows_every_peak():
    scores = np.zeros(90_000, np.float32)  # an hour
    scores[[4_000, 50_001]] = 0.97, 0.4
    found = ScoreTrace(settings(), scores, np.full(90_000, -50.0, np.float32))
    drawn = svg(found, 'a & b < "c"')
    root = ET.fromstring(drawn)
    space = "{http://www.w3.org/2000/svg}"
    texts = [element.text for element in root.iter(f"{space}text")]
    assert 'a & b < "c"' in texts
    assert "0.97" in texts
    assert "0.40" in texts
    assert len(list(root.iter(f"{space}circle"))) == 2
    _, curve = root.iter(f"{space}polyline")
    heights = [float(point.split(",")[1]) for point in curve.attrib["points"].split()]
    assert len(heights) < 1000
    # 0.97 of the way up a box from 160 to 380, though 96 frames share a column
    assert min(heights) == pytest.approx(160 + 0.03 * 220, abs=0.1)
    assert ET.fromstring(svg(trace(), "empty")).tag == f"{space}svg"
