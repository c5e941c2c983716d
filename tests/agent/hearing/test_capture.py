"""The capture thread: pacing, waiting for the reader, lost devices, and the end."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from agent.errors import AudioDeviceError, UnreadableAudioError
from agent.hearing.audio_file import AudioFile
from agent.hearing.capture import Capture
from agent.hearing.features import BLOCK
from agent.hearing.ring_buffer import Block, RingReader, SampleRing
from agent.hearing.sources import Delivery
from tests.agent.toy_bundle import write_sound

_PATIENCE_S = 30.0


def _until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + _PATIENCE_S
    while not condition():
        assert time.monotonic() < deadline, "waited too long"
        time.sleep(0.005)


class Device:
    """A microphone that gives some blocks, numbered, and then fails."""

    def __init__(self, blocks: int, xruns: int = 0) -> None:
        self.delivery = Delivery.DEVICE
        self.ended = False
        self.xruns = xruns
        self.closed = False
        self._left = blocks

    def read(self, timeout_s: float) -> Block | None:
        if not self._left:
            raise AudioDeviceError("The microphone 'test' failed (No such device).")
        self._left -= 1
        time.sleep(0.001)
        return np.full(BLOCK, self._left, np.int16)

    def close(self) -> None:
        self.closed = True


def _reading(capture: Capture, reader: RingReader) -> list[np.ndarray]:
    """Reads until the source has ended."""
    blocks: list[np.ndarray] = []

    def done() -> bool:
        finished = capture.finished.is_set()
        while (block := reader.read()) is not None:
            blocks.append(block.copy())
        return finished and not reader.waiting

    _until(done)
    return blocks


def test_a_recording_that_is_not_paced_loses_nothing(tmp_path: Path):
    samples = np.random.default_rng(0).uniform(-0.5, 0.5, 400 * BLOCK).astype(np.float32)
    path = write_sound(tmp_path / "a.wav", samples)
    ring = SampleRing(8 * BLOCK)
    reader = RingReader(ring)
    capture = Capture(lambda: AudioFile(path), ring, paced=False, waiting=lambda: reader.waiting)
    capture.start()
    heard = np.concatenate(_reading(capture, reader))
    assert np.array_equal(heard, np.concatenate(list(AudioFile(path))))
    assert (reader.overruns, capture.blocks, capture.failure) == (0, 400, None)


def test_a_recording_is_paced(tmp_path: Path):
    path = write_sound(tmp_path / "a.wav", np.zeros(20 * BLOCK, np.float32))
    ring = SampleRing(30 * BLOCK)
    capture = Capture(lambda: AudioFile(path), ring)
    began = time.monotonic()
    capture.start()
    assert capture.finished.wait(_PATIENCE_S)
    assert time.monotonic() - began >= 20 * 0.04


def test_a_lost_device_is_opened_again():
    devices = [Device(3, xruns=2), Device(0), Device(40, xruns=1)]
    opened: list[Device] = []

    def open_device() -> Device:
        if len(opened) == len(devices):
            raise AudioDeviceError("The microphone 'test' cannot be opened.")
        opened.append(devices[len(opened)])
        return opened[-1]

    ring = SampleRing(100 * BLOCK)
    capture = Capture(open_device, ring, reopen_seconds=(0.001, 0.01))
    capture.start()
    _until(lambda: capture.blocks == 43)
    _until(lambda: capture.failure is not None and "cannot be opened" in capture.failure)
    assert (len(opened), capture.reopened) == (3, 2)
    assert all(device.closed for device in opened)
    assert capture.xruns == 3
    assert not capture.finished.is_set()
    capture.stop()
    assert capture.finished.is_set()


def test_a_device_that_is_missing_at_the_start_is_waited_for():
    missing = iter([True, True, False])

    def open_device() -> Device:
        if next(missing):
            raise AudioDeviceError("The microphone 'test' cannot be opened.")
        return Device(1000)

    capture = Capture(open_device, SampleRing(4 * BLOCK), reopen_seconds=(0.001, 0.01))
    capture.start()
    _until(lambda: capture.blocks > 0)
    assert (capture.failure, capture.is_device) == (None, True)
    capture.stop()


def test_a_missing_recording_is_no_reason_to_wait(tmp_path: Path):
    capture = Capture(lambda: AudioFile(tmp_path / "x.wav"), SampleRing(4 * BLOCK))
    with pytest.raises(UnreadableAudioError, match="does not exist"):
        capture.start()


def test_a_recording_that_breaks_ends_the_source():
    class Broken(Device):
        def read(self, timeout_s: float) -> Block | None:
            raise UnreadableAudioError("a.flac is broken after 1.0 s.")

    capture = Capture(lambda: Broken(0), SampleRing(4 * BLOCK))
    capture.start()
    assert capture.finished.wait(_PATIENCE_S)
    assert capture.failure == "a.flac is broken after 1.0 s."


def test_what_nobody_expected_does_not_end_the_thread():
    class Odd(Device):
        def read(self, timeout_s: float) -> Block | None:
            raise ZeroDivisionError

    sources = [Odd(0), Device(1000)]
    capture = Capture(lambda: sources.pop(0), SampleRing(4 * BLOCK), reopen_seconds=(0.001, 0.01))
    capture.start()
    _until(lambda: capture.blocks > 0)
    capture.stop()
