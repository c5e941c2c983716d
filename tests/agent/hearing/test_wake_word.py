"""The wake word: smoothing, threshold, refractory time, and where the word is placed.

The model is a real one that answers with the first number of the frame.
"""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from agent.bundle.runtime import Model
from agent.bundle.schema import WakeEntry
from agent.config import WakeConfig
from agent.errors import BundleFileError
from agent.hearing.features import FRAME_DIM
from agent.hearing.wake_word import Detection, WakeSettings, WakeWord, own_word, wake_settings
from converters.export.authoring import GraphAuthor
from tests.agent import toy_bundle


def _echo() -> bytes:
    graph = GraphAuthor("echo")
    frame = graph.input("frame", [1, FRAME_DIM])
    first = graph.slice("first", frame, [0, 0], [1, 1])
    zero = graph.constant("zero", np.zeros(1, np.float32))
    graph.output("score", graph.add(first, zero))
    return graph.bytes()


def _settings(**changes: float) -> WakeSettings:
    values = {"threshold": 0.5, "smoothing_frames": 3, "refractory_frames": 6}
    values |= {"latency_frames": 2, "length_frames": 4}
    return WakeSettings(phrase="hey", **(values | changes))  # type: ignore[arg-type]


def _detections(scores: list[float], **changes: float) -> dict[int, Detection]:
    """Detections by the frame in which they came."""
    word = WakeWord(Model(_echo()), _settings(**changes))
    found = {}
    for number, score in enumerate(scores):
        detection = word.process(np.full(FRAME_DIM, score, np.float32))
        if detection is not None:
            found[number] = detection
    return found


def test_the_mean_of_the_last_scores_crosses():
    # Means of three: 0, 0, 0, .3, .6: frame 7 is the first at or above one half. The word has
    # ended two frames before the end of that frame, so before frame 6, and lasted four.
    scores = [0.0] * 6 + [0.9] * 4
    (frame,) = found = _detections(scores)
    assert frame == 7
    assert found[7].score == pytest.approx(0.6)
    assert (found[7].start_frame, found[7].end_frame) == (2, 6)


def test_a_single_high_score_is_not_enough():
    assert not _detections([0.0, 1.0, 0.0, 0.0, 1.0, 0.0])


def test_without_smoothing_it_is():
    assert list(_detections([0.0, 1.0], smoothing_frames=1)) == [1]


def test_a_score_that_stays_up_is_one_word():
    assert list(_detections([1.0] * 40, smoothing_frames=1)) == [0]


def test_the_same_word_again_needs_the_refractory_time():
    up, down = [1.0], [0.0]
    # Detected in frame 0; deaf until frame 6, so the crossings in 2 and 4 do not count. The one in
    # 6 does.
    assert list(_detections((up + down) * 4, smoothing_frames=1)) == [0, 6]
    eager = _detections((up + down) * 4, smoothing_frames=1, refractory_frames=0)
    assert list(eager) == [0, 2, 4, 6]


def test_nothing_begins_before_the_sound():
    (detection,) = _detections([1.0], smoothing_frames=1).values()
    assert (detection.start_frame, detection.end_frame) == (0, 0)


def test_reset_goes_back_to_the_start():
    word = WakeWord(Model(toy_bundle.wake_word()), _settings(smoothing_frames=1))
    loud = np.full(FRAME_DIM, 5.0, np.float32)

    def frames_until_heard() -> int:
        return next(n for n in range(100) if word.process(loud) is not None)

    first = frames_until_heard()
    word.reset()
    assert word.score == 0.0
    assert frames_until_heard() == first


def test_another_model_is_refused():
    with pytest.raises(BundleFileError):
        WakeWord(Model(toy_bundle.encoder()), _settings())


def test_the_configuration_overrides_the_manifest():
    entry = WakeEntry(phrase="beep", file="wake/beep.tflite", threshold=870, smoothing=2)
    settings = wake_settings(entry, WakeConfig())
    assert settings == WakeSettings("beep", 0.87, 2, 25, 2, 15)
    config = WakeConfig(threshold=0.25, smoothing_frames=5, refractory_seconds=2.0)
    changed = wake_settings(entry, config)
    assert changed == WakeSettings("beep", 0.25, 5, 50, 2, 15)
    # Zero is a setting and not the absence of one.
    zero = WakeConfig(threshold=0.0, refractory_seconds=0.0)
    assert wake_settings(entry, zero) == WakeSettings("beep", 0.0, 2, 0, 2, 15)


def test_an_own_word_has_the_settings_that_lie_beside_it(tmp_path: Path):
    entry = {"phrase": "hey pepper", "file": "wake/hey_pepper.tflite", "threshold": 640}
    (tmp_path / "wake.json").write_text(json.dumps(entry))
    wanted = WakeEntry(phrase="hey pepper", file="wake/hey_pepper.tflite", threshold=640)
    assert own_word(tmp_path / "hey_pepper.tflite") == wanted
    # those of another file are none of its
    assert own_word(tmp_path / "robot.tflite").threshold == 500
    for broken in ("{", "[1]", '{"phrase": 3}', '{"phrase": "a", "file": "b", "threshold": 2000}'):
        (tmp_path / "wake.json").write_text(broken)
        with pytest.raises(BundleFileError, match=r"wake\.json does not describe"):
            own_word(tmp_path / "robot.tflite")


def test_an_own_word_is_called_like_its_file():
    entry = own_word(Path("words/Hey_Robot.tflite"))
    assert (entry.phrase, entry.threshold) == ("hey robot", 500)
