"""What is kept of the sound is enough: the wake word itself would do the same at every pair."""

from __future__ import annotations

import dataclasses
import itertools

import numpy as np
import pytest
import soundfile

from agent.bundle.manifest import load_bundle
from agent.bundle.runtime import Model
from agent.config import WakeConfig
from agent.hearing.second_stage import load_second_stage
from agent.hearing.wake_word import WakeWord, wake_settings
from converters.evaluation.wake_audio import Group, Sources
from converters.evaluation.wake_counts import Listener
from converters.evaluation.wake_excerpts import FirstStage, folder_for, kept
from converters.evaluation.wake_questions import Pair, ask
from converters.wake.scenes import Scene
from firmware_models import factory_bundle


@pytest.fixture(scope="module")
def bundle():
    return load_bundle(factory_bundle())


@pytest.fixture(scope="module")
def streams(bundle):
    """Three calls: as they are, in noise, and with what is left of them backwards."""
    sound, rate = soundfile.read(bundle.directory / "demo.flac", dtype="float32")
    assert rate == 16_000
    noise = np.random.default_rng(0).standard_normal(len(sound)).astype(np.float32)
    sounds = {"plain": sound, "noisy": sound + 0.05 * noise, "backwards": sound[::-1]}
    return [Scene(key, "s", s, None, len(s) / 16_000) for key, s in sounds.items()]


@pytest.fixture(scope="module")
def settings(bundle):
    return wake_settings(bundle.manifest.wake[0], WakeConfig())


@pytest.fixture
def first(bundle, settings):
    model = Model(bundle.directory / bundle.manifest.wake[0].file)
    return FirstStage(WakeWord(model, settings))


def test_any_pair_gives_the_events_of_the_wake_word(bundle, streams, settings, first):
    entry = bundle.manifest.wake[0]
    model = Model(bundle.directory / entry.file)
    second = load_second_stage(bundle, entry.phrase)
    answers = ask(second, settings, first.hear(Group("g", len(streams), streams)))
    assert (answers.streams, len(answers.asked)) == (3, 2)  # backwards is like nothing
    counts = set()
    for threshold, limit in itertools.product((0.35, 0.7, 0.95), (0.0, 0.1, 0.2, 1.0)):
        own = dataclasses.replace(settings, threshold=threshold, second_stage=limit)
        listener = Listener(WakeWord(model, own, second), entry)
        for asked, stream in zip(answers.asked, streams, strict=False):
            # `Event.time_s` is the end of the frame of the crossing, and so is what is read off.
            expected = [event.time_s for event in listener.play(stream).events]
            found = asked.events(Pair(threshold, limit), answers.refractory_s)
            assert found == pytest.approx(expected)
            counts.add(len(found))
    assert {0, 3} <= counts


def test_what_is_kept_is_heard_again_without_the_sound(tmp_path, bundle, streams, settings, first):
    file = bundle.directory / bundle.manifest.wake[0].file
    folder = folder_for(tmp_path, file, settings, Sources())
    heard = kept(folder, 0, lambda: first.hear(Group("g", len(streams), streams)))
    again = kept(folder, 0, lambda: pytest.fail("it is there"))
    assert [each.key for each in again.found] == ["plain", "noisy"]
    assert (again.name, again.streams, again.hours) == (heard.name, heard.streams, heard.hours)
    for one, other in zip(heard.found, again.found, strict=True):
        assert one.rises == other.rises
        assert one.first == other.first
        assert np.array_equal(one.frames, other.frames)
    nothing = kept(folder, 1, lambda: first.hear(Group("silence", 0, [])))
    assert kept(folder, 1, lambda: pytest.fail("it is there")) == nothing


def test_other_sound_and_other_settings_are_kept_elsewhere(tmp_path, bundle, settings):
    file = bundle.directory / bundle.manifest.wake[0].file
    here = folder_for(tmp_path, file, settings, Sources(noise_hours=1.0))
    assert folder_for(None, file, settings, Sources()) is None
    assert here != folder_for(tmp_path, file, settings, Sources(noise_hours=2.0))
    longer = dataclasses.replace(settings, length_frames=settings.length_frames + 1)
    assert here != folder_for(tmp_path, file, longer, Sources(noise_hours=1.0))
    # Its threshold decides nothing: each is read off.
    other = dataclasses.replace(settings, threshold=0.1)
    assert here == folder_for(tmp_path, file, other, Sources(noise_hours=1.0))
