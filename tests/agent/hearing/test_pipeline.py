"""The whole pipeline on real models: tones go in, text comes out."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import pytest

from agent.bundle.manifest import Bundle, load_bundle
from agent.config import Config, SessionConfig, WakeConfig
from agent.errors import BundleFileError
from agent.hearing.features import BLOCK
from agent.hearing.pipeline import Pipeline
from agent.hearing.resampler import to_int16
from agent.hearing.session_events import Finished, SessionEvent, State, Woken
from tests.agent import toy_bundle
from tests.agent.toy_bundle import tones, write_toy_bundle, write_toy_manifest


def _blocks(samples: np.ndarray) -> np.ndarray:
    whole = -(-len(samples) // BLOCK) * BLOCK
    return to_int16(np.pad(samples, (0, whole - len(samples)))).reshape(-1, BLOCK)


def _hear(pipeline: Pipeline, samples: np.ndarray) -> list[SessionEvent]:
    events: list[SessionEvent] = []
    for block in _blocks(samples):
        events += pipeline.process(block)
    return events + pipeline.finish(len(samples) / 16000)


def _texts(events: Iterable[SessionEvent]) -> list[str]:
    return [event.text for event in events if isinstance(event, Finished)]


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        ("_*ab.", ["ab"]),
        ("_*_ab.", ["ab"]),
        ("_*ab cd ab.", ["ab cd ab"]),
        ("_*ab", ["ab"]),
        ("_*ab.._*cd.", ["ab", "cd"]),
        ("_*ab_*cd.", ["ab", "cd"]),
        ("_*.....", [""]),
        ("_*", [""]),
        ("_ab cd.", []),
        ("....", []),
    ],
    ids=[
        "in one breath",
        "after a pause",
        "several words",
        "until the last sample",
        "two commands",
        "corrected",
        "nothing said",
        "nothing follows",
        "no wake word",
        "silence",
    ],
)
def test_what_is_understood(toy: Bundle, said: str, expected: list[str]):
    assert _texts(_hear(Pipeline(toy, Config()), tones(said))) == expected


@pytest.mark.parametrize("amplitude", [0.03, 0.9], ids=["quiet", "loud"])
def test_the_volume_does_not_matter(toy: Bundle, amplitude: float):
    sound = tones("._*ab cd.", amplitude=amplitude, silence=0.0003)
    assert _texts(_hear(Pipeline(toy, Config()), sound)) == ["ab cd"]


def test_idle_never_runs_the_encoder(toy: Bundle):
    pipeline = Pipeline(toy, Config())
    for block in _blocks(tones("ab cd_" * 10)):
        assert not pipeline.process(block)
    assert pipeline.frames > 150
    assert pipeline.encoder.frames == 0


def test_every_wake_word_gets_one_result(toy: Bundle):
    events = _hear(Pipeline(toy, Config()), tones("_*ab..*_*dc...*"))
    wakes = [event for event in events if isinstance(event, Woken)]
    assert len(wakes) == len(_texts(events)) == 4


def test_no_time_lies_beyond_the_recording(toy: Bundle):
    sound = tones("_*ab")
    length = len(sound) / 16000
    (final,) = [e for e in _hear(Pipeline(toy, Config()), sound) if isinstance(e, Finished)]
    assert final.time_s <= length
    assert final.endpoint.final_s is not None
    assert final.endpoint.final_s <= length
    assert all(word.end_s <= length for word in final.nbest[0].words)


def test_reset_makes_it_as_new(toy: Bundle):
    pipeline = Pipeline(toy, Config())
    first = _hear(pipeline, tones("_*ab cd."))
    _hear(pipeline, tones("*abc"))
    pipeline.reset()
    assert pipeline.session.state is State.IDLE
    assert _hear(pipeline, tones("_*ab cd.")) == first


def test_a_gap_ends_a_command_and_time_goes_on(toy: Bundle):
    pipeline = Pipeline(toy, Config())
    events: list[SessionEvent] = []
    for block in _blocks(tones("_*ab")):
        events += pipeline.process(block)
    assert not _texts(events)
    heard = pipeline.frames
    events = list(pipeline.restart(lost_frames=100))
    assert _texts(events) == ["ab"]
    assert pipeline.frames == heard + 100
    assert not pipeline.restart()
    (final,) = [e for e in _hear(pipeline, tones("_*cd.")) if isinstance(e, Finished)]
    assert final.text == "cd"
    assert final.wake is not None
    assert final.wake.time_s == pytest.approx((heard + 100) * 0.04 + 0.4, abs=0.1)


def test_without_wake_word_everything_is_decoded(toy: Bundle):
    pipeline = Pipeline(toy, Config(), wake=False)
    pipeline.open()
    (text,) = _texts(_hear(pipeline, tones("ab..cd")))
    assert text == "abcd"
    assert pipeline.words == []


def test_settings_reach_the_stages(toy: Bundle, tmp_path: Path):
    deaf = Config(wake=WakeConfig(threshold=1.0))
    assert _texts(_hear(Pipeline(toy, deaf), tones("_*ab."))) == []
    hasty = Config(session=SessionConfig(trailing_silence_seconds=0.2))
    # A pause of 0.4 s ends the command where 0.2 s are enough, and does not where 0.8 s are asked.
    assert _texts(_hear(Pipeline(toy, hasty), tones("_*ab__cd."))) == ["ab"]
    assert _texts(_hear(Pipeline(toy, Config()), tones("_*ab__cd."))) == ["abcd"]
    own = tmp_path / "My_Tone.tflite"
    own.write_bytes(toy_bundle.wake_word())
    pipeline = Pipeline(toy, Config(wake=WakeConfig(word_file=str(own))))
    assert [word.settings.phrase for word in pipeline.words] == ["my tone"]


def test_a_bundle_without_wake_word_needs_none(tmp_path: Path):
    bundle = load_bundle(write_toy_bundle(tmp_path / "toy", wake=False))
    with pytest.raises(BundleFileError, match="has no wake word"):
        Pipeline(bundle, Config())
    Pipeline(bundle, Config(), wake=False)


def test_tokens_that_do_not_fit_are_refused(tmp_path: Path):
    directory = write_toy_bundle(tmp_path / "toy")
    with (directory / "tokens.txt").open("a") as stream:
        stream.write("e\n")
    write_toy_manifest(directory)
    with pytest.raises(BundleFileError, match="6 labels and there are 7 tokens"):
        Pipeline(load_bundle(directory), Config(), wake=False)


def test_a_missing_own_word_is_named(toy: Bundle, tmp_path: Path):
    config = Config(wake=dataclasses.replace(WakeConfig(), word_file=str(tmp_path / "x.tflite")))
    with pytest.raises(BundleFileError, match=r"x.tflite cannot be read"):
        Pipeline(toy, config)
