"""Microphones: through ALSA itself, and by script where a real device would have to misbehave."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from agent.errors import AudioDeviceError
from agent.hearing.features import BLOCK
from agent.hearing.microphone import Microphone
from agent.hearing.sources import Delivery
from tests.agent.alsa_pipe import Voice, define_microphone

pytest.importorskip("alsaaudio", reason="pyalsaaudio is not installed; `pip install '.[alsa]'`")


@pytest.fixture
def pipe(tmp_path: Path) -> Path:
    """The pipe behind the device `mic`."""
    return define_microphone(tmp_path)


def _in_a_process_of_its_own(code: str) -> None:
    """ALSA reads its configuration once in a process, so a changed one needs another."""
    subprocess.run(
        [sys.executable, "-c", code],
        check=True,
        timeout=120,
        env=os.environ | {"PYTHONPATH": str(Path(__file__).parents[3])},
    )


def test_what_is_said_arrives_unchanged(pipe: Path):
    samples = (np.arange(50 * BLOCK) % 30000).astype(np.int16)
    voice = Voice(pipe, samples)
    try:
        _in_a_process_of_its_own(
            f"""
import numpy as np
from agent.hearing.microphone import Microphone
microphone = Microphone("mic")
assert (microphone.rate, microphone.channels) == (16000, 1)
blocks = []
while len(blocks) < 25:
    block = microphone.read(5.0)
    assert block is not None and block.shape == ({BLOCK},) and block.dtype == np.int16
    blocks.append(block)
heard = np.concatenate(blocks)
expected = np.arange({50 * BLOCK}) % 30000
# The device may take a period or two before the first read.
(start,) = np.flatnonzero(expected == heard[0])[:1]
assert np.array_equal(heard, expected[start : start + len(heard)]), heard[:10]
assert microphone.xruns == 0
microphone.close()
""",
        )
    finally:
        voice.stop()


def test_a_device_that_does_not_exist_is_named():
    with pytest.raises(AudioDeviceError, match=r"'nowhere' cannot be opened .*arecord -L"):
        Microphone("nowhere")


def test_without_the_binding_the_error_says_what_to_install(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setitem(sys.modules, "alsaaudio", None)
    with pytest.raises(AudioDeviceError, match=r"pip install 'voice-agent\[alsa\]'"):
        Microphone("default")


class ScriptedDevice:
    """Plays the answers of a device that grants something else and has trouble."""

    PCM_CAPTURE = PCM_NORMAL = PCM_FORMAT_S16_LE = 0

    class ALSAAudioError(Exception):
        """As in the binding."""

    def __init__(self, answers: list[tuple[int, bytes] | None], **granted: object) -> None:
        self._answers = answers
        self._granted = {"rate": 16000, "channels": 1, "format_name": "S16_LE"} | granted
        self.closed = False

    def PCM(self, *args: object, **asked: object) -> ScriptedDevice:  # noqa: N802
        assert asked["rate"] == 16000
        return self

    def info(self) -> dict[str, object]:
        return self._granted

    def read(self) -> tuple[int, bytes]:
        answer = self._answers.pop(0)
        if answer is None:
            raise self.ALSAAudioError("No such device [mic]")
        return answer

    def close(self) -> None:
        self.closed = True


def _open(monkeypatch: pytest.MonkeyPatch, device: ScriptedDevice) -> Microphone:
    monkeypatch.setitem(sys.modules, "alsaaudio", device)
    return Microphone("mic")


def _period(value: int, samples: int = BLOCK) -> tuple[int, bytes]:
    return samples, np.full(samples, value, "<i2").tobytes()


def test_an_overrun_is_counted_and_never_taken_for_sound(monkeypatch: pytest.MonkeyPatch):
    rubbish = (-32, b"\x01\x02\x03")
    padded = (320, _period(5, 320)[1] + b"\x7f" * 640)
    microphone = _open(
        monkeypatch, ScriptedDevice([_period(1), rubbish, _period(2), padded, padded])
    )
    blocks = [microphone.read(5.0) for _ in range(3)]
    assert [set(block.tolist()) for block in blocks if block is not None] == [{1}, {2}, {5}]
    assert (microphone.xruns, microphone.delivery) == (1, Delivery.DEVICE)


def test_a_device_without_sound_is_not_waited_for_ever(monkeypatch: pytest.MonkeyPatch):
    microphone = _open(monkeypatch, ScriptedDevice([(0, b"")] * 100_000))
    assert microphone.read(0.05) is None


def test_another_rate_and_two_channels_are_converted(monkeypatch: pytest.MonkeyPatch):
    stereo = np.tile(np.array([1000, 3000], "<i2"), 48000).tobytes()
    device = ScriptedDevice([(48000, stereo)] * 2, rate=48000, channels=2)
    microphone = _open(monkeypatch, device)
    heard = np.concatenate([b for _ in range(20) if (b := microphone.read(5.0)) is not None])
    assert len(heard) == 20 * BLOCK
    assert set(heard[2000:].tolist()) <= {1999, 2000, 2001}


def test_another_sample_format_is_refused(monkeypatch: pytest.MonkeyPatch):
    device = ScriptedDevice([], format_name="S32_LE")
    with pytest.raises(AudioDeviceError, match="use a `plughw:` device"):
        _open(monkeypatch, device)
    assert device.closed


def test_a_device_that_vanishes_raises_its_error(monkeypatch: pytest.MonkeyPatch):
    device = ScriptedDevice([_period(1), None])
    microphone = _open(monkeypatch, device)
    assert microphone.read(1.0) is not None
    with pytest.raises(AudioDeviceError, match=r"'mic' failed \(No such device .* plugged in"):
        microphone.read(1.0)
    microphone.close()
    assert device.closed
