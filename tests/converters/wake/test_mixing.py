from __future__ import annotations

import numpy as np
import pytest

from agent.hearing.features import log_mel_hops
from converters.wake.mixing import (
    NEPERS_PER_DB,
    SILENCE,
    coloured_floor,
    fit_length,
    mix,
    random_filter,
    warped,
)


def test_equal_powers_add_three_decibels():
    level = np.zeros((2, 64), np.float32)
    assert mix(level, level) / NEPERS_PER_DB == pytest.approx(np.full((2, 64), 3.0103), abs=1e-3)


def test_silence_adds_nothing_that_can_be_heard():
    loud = np.full((1, 64), 2.0, np.float32)
    assert mix(loud, np.full((1, 64), SILENCE, np.float32)) == pytest.approx(loud, abs=1e-5)


def test_mixing_features_is_mixing_samples_up_to_phase():
    rng = np.random.default_rng(0)
    a = 0.1 * rng.standard_normal(16_000).astype(np.float32)
    b = 0.03 * rng.standard_normal(16_000).astype(np.float32)
    ours = mix(log_mel_hops(a), log_mel_hops(b))
    true = log_mel_hops(a + b)
    # single hops differ by the phase; the mean over a second of each band must agree
    difference = (ours - true)[3:].mean(axis=0) / NEPERS_PER_DB
    assert np.abs(difference).max() < 1.5
    assert abs(difference.mean()) < 0.5


def test_the_floor_has_the_level_and_the_tilt_asked_for():
    floor = coloured_floor(4000, -50.0, -10.0, np.random.default_rng(1)).mean(0) / NEPERS_PER_DB
    assert floor[0] == pytest.approx(-45.0, abs=1.0)
    assert floor[-1] == pytest.approx(-55.0, abs=1.0)


def test_filters_never_lift_a_band_far_or_reach_infinity():
    for seed in range(200):
        response = random_filter(np.random.default_rng(seed)) / NEPERS_PER_DB
        assert response.max() < 30.0
        assert response.min() >= -60.0 - 1e-3


@pytest.mark.parametrize("length", [1, 5, 12, 40])
def test_sounds_are_cut_or_repeated_to_length(length):
    sound = np.arange(12, dtype=np.float16)[:, None] * np.ones((1, 64), np.float16)
    fitted = fit_length(sound, length, np.random.default_rng(2))
    assert fitted.shape == (length, 64)
    steps = np.diff(fitted[:, 0])
    assert set(steps.tolist()) <= {1.0, -11.0}  # consecutive, or wrapped around


def test_warping_stretches_time_and_moves_bands():
    hops = np.zeros((10, 64), np.float16)
    hops[:, 20] = 8.0
    same = warped(hops, 1.0, 1.0, 0.0)
    assert np.array_equal(same, hops.astype(np.float32))
    slow = warped(hops, 1.5, 1.0, 0.0)
    assert slow.shape == (15, 64)
    assert slow[:, 20] == pytest.approx(np.full(15, 8.0))
    # band 19 takes what was in band 20, band 18.5 would take half of it
    moved = warped(hops, 1.0, 1.0, 1.0)
    assert moved[:, 19] == pytest.approx(np.full(10, 8.0))
    half = warped(hops, 1.0, 1.0, 0.5)
    assert half[0, [19, 20]] == pytest.approx([4.0, 4.0])


def test_warping_keeps_times_in_proportion():
    ramp = np.arange(20, dtype=np.float16)[:, None] * np.ones((1, 64), np.float16)
    fast = warped(ramp, 0.5, 1.0, 0.0)
    assert fast.shape == (10, 64)
    assert fast[:, 0] == pytest.approx(np.linspace(0, 19, 10))
