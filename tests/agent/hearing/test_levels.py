"""Levels in dBFS, clipping, dead input, and quiet against loud."""

from __future__ import annotations

import numpy as np
import pytest

from agent.hearing.features import BLOCK
from agent.hearing.levels import Activity, LevelMeter, dbfs


def _measure(meter: LevelMeter, block: np.ndarray) -> float:
    return meter.process(block, block.astype(np.float32) / np.float32(32768))


def _square(amplitude: int) -> np.ndarray:
    block = np.full(BLOCK, amplitude, np.int16)
    block[::2] *= -1
    return block


def test_levels_of_square_waves():
    # Half of full scale has a quarter of its power: 10 log10(1/4) = -6.02 dB.
    meter = LevelMeter()
    assert _measure(meter, _square(16384)) == pytest.approx(0.25)
    report = meter.report()
    assert report.rms_dbfs == pytest.approx(-6.02, abs=0.01)
    assert report.peak_dbfs == pytest.approx(-6.02, abs=0.01)
    assert (report.clipped_blocks, report.digital_silence) == (0, False)


def test_a_report_covers_the_time_since_the_last_one():
    meter = LevelMeter()
    _measure(meter, _square(32767))
    assert meter.report().clipped_blocks == 1
    _measure(meter, _square(100))
    _measure(meter, np.zeros(BLOCK, np.int16))
    report = meter.report()
    # Two blocks, one of them at 100 of 32768 and one silent: half of the power.
    assert report.rms_dbfs == pytest.approx(20 * np.log10(100 / 32768) - 3.01, abs=0.01)
    assert report.clipped_blocks == 0
    assert meter.report().rms_dbfs is None


@pytest.mark.parametrize("value", [0, 77], ids=["zeros", "a constant"])
def test_digital_silence_is_input_that_never_changes(value: int):
    meter = LevelMeter(silent_blocks=3)
    # The faintest noise of a living microphone ends it.
    blocks = [*[np.full(BLOCK, value, np.int16)] * 3, _square(1)]
    dead = []
    for block in blocks:
        _measure(meter, block)
        dead.append(meter.digital_silence)
    assert dead == [False, False, True, False]


def test_dbfs():
    assert dbfs(1.0) == 0.0
    assert dbfs(0.01) == pytest.approx(-20.0)
    assert dbfs(0.0) is None


def _power(decibels: float) -> float:
    return 10 ** (decibels / 10)


def test_speech_is_loud_and_the_room_is_quiet():
    activity = Activity()
    for _ in range(50):
        activity.quiet(_power(-60))
    assert activity.quiet(_power(-60))
    assert activity.quiet(_power(-55))  # within 9 dB of the noise
    assert not activity.quiet(_power(-30))
    assert not activity.quiet(_power(-48))
    assert activity.quiet(_power(-57))  # 27 dB below the loudest speech


def test_a_constant_noise_becomes_the_room():
    activity = Activity()
    for _ in range(50):
        activity.quiet(_power(-60))
    # A fan at -45 dBFS is switched on: 15 dB above the room, which rises by 1 dB a second.
    answers = [activity.quiet(_power(-45)) for _ in range(400)]
    assert not answers[0]
    assert answers[-1]
    assert answers.index(True) == pytest.approx(6 / 0.04, abs=2)  # 15 - 9 dB


def test_the_wake_word_sets_the_yardstick():
    activity = Activity()
    for _ in range(50):
        activity.quiet(_power(-70))
    activity.start(_power(-20))
    assert activity.quiet(_power(-47))  # loud against the room, nothing against the speaker
    activity.reset()
    activity.start(_power(-60))
    for _ in range(50):
        activity.quiet(_power(-70))
    assert not activity.quiet(_power(-47))


def test_digital_silence_is_quiet():
    activity = Activity()
    assert [activity.quiet(0.0) for _ in range(3)][-1]
