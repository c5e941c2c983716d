from __future__ import annotations

import dataclasses
import json
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
import soundfile

from firmware_models import factory_bundle
from tests.agent.mqtt.broker import Broker
from tests.agent.toy_bundle import tones, write_sound, write_toy_bundle
from tests.system.stack import Heard, Stack, Voice


@pytest.fixture(scope="session")
def tone_voice(tmp_path_factory: pytest.TempPathFactory) -> Voice:
    """Tones, and models that understand them without any doubt."""
    folder = tmp_path_factory.mktemp("tones")
    samples = tones(".*_ab a..", silence=0.001)
    return Voice(
        bundle=write_toy_bundle(folder / "bundle"),
        sound=(samples * 32767).astype("<i2").tobytes(),
        recording=write_sound(folder / "tones.wav", samples),
        texts=["ab a"],
    )


@pytest.fixture(scope="session")
def shipped_voice(tmp_path_factory: pytest.TempPathFactory) -> Voice:
    """The recording that ships, and the models that ship."""
    bundle = factory_bundle()
    recording = bundle / "demo.flac"
    if not (bundle / "manifest.json").exists() or not recording.exists():
        pytest.skip(f"the bundle that ships is not built yet: {bundle}")
    samples, rate = soundfile.read(recording, dtype="int16")
    assert (rate, samples.ndim) == (16000, 1)
    voice = Voice(
        bundle=bundle, sound=samples.tobytes() + bytes(2 * 16000 * 3), recording=recording, texts=[]
    )
    # What a play gives when nothing is killed: the tests ask that killing changes nothing.
    stack = Stack(tmp_path_factory.mktemp("shipped"), voice, port=None)
    try:
        link = stack.link(stdout=subprocess.PIPE)
        listen = stack.start("listen", "--fast", "--source", f"file:{recording}")
        assert listen.wait() == 0, listen.log
        link.terminate()
        assert link.process.stdout is not None
        results = [json.loads(line) for line in link.process.stdout]
    finally:
        stack.close()
    assert any(result["text"] for result in results)
    return dataclasses.replace(voice, texts=[result["text"] for result in results])


@pytest.fixture(params=["tones", "shipped"])
def voice(request: pytest.FixtureRequest) -> Voice:
    chosen: Voice = request.getfixturevalue(
        "tone_voice" if request.param == "tones" else "shipped_voice"
    )
    return chosen


@pytest.fixture
def heard(broker: Broker) -> Iterator[Heard]:
    heard = Heard(broker)
    yield heard
    heard.close()


@pytest.fixture
def stack(tmp_path: Path, voice: Voice, broker: Broker) -> Iterator[Stack]:
    """With the broker; for both voices."""
    stack = Stack(tmp_path, voice, broker.port)
    yield stack
    stack.close()


@pytest.fixture
def tone_stack(tmp_path: Path, tone_voice: Voice, broker: Broker) -> Iterator[Stack]:
    """With the broker; for tests where it does not matter what is said."""
    stack = Stack(tmp_path, tone_voice, broker.port)
    yield stack
    stack.close()
