"""The second stage: its probabilities against every alignment one by one, then in the pipeline."""

from __future__ import annotations

import dataclasses
import itertools
import json
import math
from pathlib import Path

import numpy as np
import pytest
import soundfile
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from agent.bundle.manifest import Bundle, load_bundle
from agent.config import Config, WakeConfig
from agent.errors import BundleFileError
from agent.hearing.features import BLOCK, SAMPLE_RATE
from agent.hearing.pipeline import Pipeline
from agent.hearing.resampler import to_int16
from agent.hearing.second_stage import forward
from agent.hearing.session_events import Finished, SessionEvent
from firmware_models import factory_bundle
from tests.agent import toy_bundle
from tests.agent.toy_bundle import tones

_BLANK = 0


def _log_softmax(logits: np.ndarray) -> np.ndarray:
    """Natural logarithms of probabilities, float32, over the last axis."""
    shifted = logits - logits.max(axis=-1, keepdims=True)
    rows = shifted - np.log(np.exp(shifted).sum(axis=-1, keepdims=True))
    return rows.astype(np.float32)


def _every_alignment(rows: np.ndarray, labels: list[int]) -> float:
    """Adds up the paths: in which frame each label comes, never before the one in front of it."""
    frames, count = len(rows), len(labels)
    total = 0.0
    for places in itertools.combinations_with_replacement(range(frames), count):
        log_prob = sum(
            float(rows[frame, number, labels[number]]) for number, frame in enumerate(places)
        )
        for frame in range(frames):
            done = sum(place <= frame for place in places)
            log_prob += float(rows[frame, done, _BLANK])
        total += math.exp(log_prob)
    return math.log(total)


@given(st.data(), st.integers(1, 5), st.lists(st.integers(1, 3), min_size=0, max_size=4))
def test_the_lattice_adds_up_every_alignment(data: st.DataObject, frames: int, labels: list[int]):
    shape = (frames, len(labels) + 1, 4)
    logits = data.draw(arrays.arrays(np.float32, shape, elements=st.floats(-8, 8, width=32)))
    rows = _log_softmax(logits)
    found = forward(rows, np.array(labels, np.int64), _BLANK)
    assert found == pytest.approx(_every_alignment(rows, labels), abs=1e-4)


def test_one_label_in_two_frames_by_hand():
    # The label is emitted in frame 0 or in frame 1, each frame ends with a blank.
    # 0: 0.5 * 0.75 * 0.75, 1: 0.5 * 0.25 * 0.75.
    before, after = [0.5, 0.5], [0.75, 0.25]
    first = np.log([before, after])
    second = np.log([[0.75, 0.25], after])
    found = forward(np.stack([first, second]).astype(np.float32), np.array([1]), _BLANK)
    assert math.exp(found) == pytest.approx(0.5 * 0.75 * 0.75 + 0.5 * 0.25 * 0.75)


def _hear(pipeline: Pipeline, samples: np.ndarray) -> list[SessionEvent]:
    whole = -(-len(samples) // BLOCK) * BLOCK
    events: list[SessionEvent] = []
    for block in to_int16(np.pad(samples, (0, whole - len(samples)))).reshape(-1, BLOCK):
        events += pipeline.process(block)
    return events + pipeline.finish(len(samples) / SAMPLE_RATE)


def _texts(events: list[SessionEvent]) -> list[str]:
    return [event.text for event in events if isinstance(event, Finished)]


def _own_word(folder: Path, **settings: object) -> Config:
    """A wake word that fires at the tone `*` and is said to be the letters "ab" before it."""
    (folder / "ab.tflite").write_bytes(toy_bundle.wake_word())
    entry = {"phrase": "ab", "file": "ab.tflite", "threshold": 500, "smoothing": 1, "length": 18}
    (folder / "wake.json").write_text(json.dumps(entry | settings))
    return Config(wake=WakeConfig(word_file=str(folder / "ab.tflite")))


def test_a_word_that_the_recogniser_hears_too_wakes_and_another_does_not(
    toy: Bundle, tmp_path: Path
):
    config = _own_word(tmp_path, second_stage=100)
    assert _texts(_hear(Pipeline(toy, config), tones("_ab*cd."))) == ["cd"]
    assert _texts(_hear(Pipeline(toy, config), tones("_dc*cd."))) == []
    # What was said before the word is none of its letters, and does not speak against it.
    assert _texts(_hear(Pipeline(toy, config), tones("dcdc__ab*cd."))) == ["cd"]


def test_the_command_is_the_same_with_and_without_it(toy: Bundle, tmp_path: Path):
    sound = tones("_ab*cd ab.")
    without = _hear(Pipeline(toy, _own_word(tmp_path)), sound)
    assert _hear(Pipeline(toy, _own_word(tmp_path, second_stage=100)), sound) == without


def test_a_word_that_it_rejects_leaves_the_command_alone(toy: Bundle, tmp_path: Path):
    sound = tones("_ab*cd_cd*.")
    believed = _hear(Pipeline(toy, _own_word(tmp_path)), sound)
    assert next(e.endpoint.rule for e in believed if isinstance(e, Finished)) == "wake_word"
    doubted = _hear(Pipeline(toy, _own_word(tmp_path, second_stage=100)), sound)
    assert _texts(doubted) == ["cdcd"]


def test_the_configuration_overrides_the_manifest(toy: Bundle, tmp_path: Path):
    config = _own_word(tmp_path, second_stage=100)
    off = dataclasses.replace(config, wake=dataclasses.replace(config.wake, second_stage=0.0))
    assert _texts(_hear(Pipeline(toy, off), tones("_dc*cd."))) == ["cd"]
    sure = dataclasses.replace(config, wake=dataclasses.replace(config.wake, second_stage=1.0))
    assert _texts(_hear(Pipeline(toy, sure), tones("_dc*cd."))) == []


def test_after_a_rejection_it_is_not_deaf(toy: Bundle, tmp_path: Path):
    # The refractory time is longer than the pause between the two.
    config = _own_word(tmp_path, second_stage=100, refractory=100)
    assert _texts(_hear(Pipeline(toy, config), tones("_dc*_ab*cd."))) == ["cd"]


def test_a_reset_and_a_pipeline_that_goes_on_keep_their_frames_straight(
    toy: Bundle, tmp_path: Path
):
    config = _own_word(tmp_path, second_stage=100)
    first = Pipeline(toy, config)
    _hear(first, tones("_ab*cd."))
    second = Pipeline(toy, config)
    second.take_over(first)
    assert _texts(_hear(second, tones("_ab*cd."))) == ["cd"]
    second.reset()
    assert _texts(_hear(second, tones("_ab*cd."))) == ["cd"]


def test_a_phrase_without_letters_of_the_recogniser_is_refused(toy: Bundle, tmp_path: Path):
    # The toy's recogniser writes a, b, c and d.
    config = Config(wake=WakeConfig(second_stage=0.5))
    with pytest.raises(BundleFileError, match="no letters for 'ep' in the wake word 'beep'"):
        Pipeline(toy, config)


def test_what_ships_wakes_at_the_bundled_recording_with_a_second_stage():
    bundle = load_bundle(factory_bundle())
    sound, rate = soundfile.read(bundle.directory / "demo.flac", dtype="float32")
    assert rate == SAMPLE_RATE
    alone = _hear(Pipeline(bundle, Config()), sound)
    asked = _hear(Pipeline(bundle, Config(wake=WakeConfig(second_stage=0.02))), sound)
    assert asked == alone
    assert len(_texts(alone)) == 3
    # Nobody agrees wholly: the recogniser never wrote a wake word in training.
    sure = _hear(Pipeline(bundle, Config(wake=WakeConfig(second_stage=1.0))), sound)
    assert _texts(sure) == []
