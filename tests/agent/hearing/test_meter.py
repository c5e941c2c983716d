"""Readings and advice, from tones through the real features and the toy's wake word."""

from __future__ import annotations

import numpy as np
import pytest

from agent.bundle.manifest import Bundle
from agent.config import Config
from agent.hearing.meter import Meter, Reading, Summary
from agent.hearing.pipeline import load_wake_words
from tests.agent.toy_bundle import tones


def measured(bundle: Bundle, samples: np.ndarray) -> tuple[list[Reading], Summary]:
    meter, summary = Meter(load_wake_words(bundle, Config())), Summary()
    pcm = np.clip(samples * 32768, -32768, 32767).astype(np.int16)
    readings = []
    for block in pcm[: len(pcm) // 640 * 640].reshape(-1, 640):
        reading = meter.accept(block)
        if reading is not None:
            readings.append(reading)
            summary.add(reading)
    return readings, summary


def test_a_tone_is_measured_and_heard(toy: Bundle):
    readings, summary = measured(toy, tones("._*.", silence=1e-3))
    assert [r.time_s for r in readings[:3]] == [0.2, 0.4, 0.6]
    # A sine of amplitude 0.3 has 0.3^2 / 2 = 0.045: -13.5 dBFS; noise of 0.001 is -60 dBFS.
    assert summary.loudest_dbfs == pytest.approx(-13.5, abs=0.2)
    assert summary.quietest_dbfs == pytest.approx(-60.0, abs=0.3)
    assert summary.detections == 1
    assert sum(len(r.detections) for r in readings) == 1
    assert summary.best_score > 0.5
    assert summary.advice() == []


def test_clipping_is_said(toy: Bundle):
    readings, summary = measured(toy, tones("_aaaaaa_", amplitude=1.5, silence=1e-3))
    assert any(r.clipped_blocks for r in readings)
    assert "clips" in " ".join(summary.advice())


def test_a_quiet_microphone_is_said(toy: Bundle):
    _, summary = measured(toy, tones("_*_", amplitude=0.003, silence=1e-4))
    assert "raise the capture volume" in " ".join(summary.advice())


def test_a_noisy_one_is_said(toy: Bundle):
    _, summary = measured(toy, tones("..", silence=0.05))
    assert "never below -26 dBFS" in " ".join(summary.advice())


def test_a_dead_one_is_said_and_nothing_else(toy: Bundle):
    readings, summary = measured(toy, np.zeros(16000 * 3))
    assert readings[-1].digital_silence
    assert readings[-1].rms_dbfs is None
    assert summary.advice() == [
        "Only digital silence: the microphone is muted, unplugged or the wrong one."
    ]


def test_no_sound_at_all_is_said():
    assert "No sound" in Summary().advice()[0]
