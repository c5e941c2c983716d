"""An utterance as somebody else says it: lengths, frequencies, phones by hand."""

from __future__ import annotations

import numpy as np
import pytest

from agent.hearing.features import band_edges
from converters.asr.shards import Clip
from converters.asr.warping import (
    contrast_matrix,
    varied,
    voices,
    warp_matrix,
    with_dynamics,
)
from converters.synthesis.phones import UNKNOWN


def test_no_variation_changes_nothing() -> None:
    rng = np.random.default_rng(0)
    hops = rng.normal(size=(20, 64)).astype(np.float16)
    phones = np.arange(20, dtype=np.int8)
    found, sounded = varied(Clip(hops, "x", 0.2, phones=phones), 0.0, 0.0, rng)
    np.testing.assert_allclose(found, hops.astype(np.float32), atol=1e-6)
    np.testing.assert_array_equal(sounded, phones)


def test_unknown_phones_stay_unknown() -> None:
    clip = Clip(np.zeros((10, 64), np.float16), "x", 0.1)
    _, sounded = varied(clip, 0.1, 1.0, np.random.default_rng(1))
    assert set(sounded) == {UNKNOWN}


def test_phones_stretch_with_the_sound() -> None:
    hops = np.zeros((100, 64), np.float16)
    hops[50:] = 4.0
    phones = np.repeat(np.array([1, 2], np.int8), 50)
    lengths = set()
    for seed in range(8):
        clip = Clip(hops, "x", 1.0, phones=phones)
        found, sounded = varied(clip, 0.2, 0.0, np.random.default_rng(seed))
        assert len(found) == len(sounded)
        # A hop half way between two may fall to either side.
        assert np.sum((found[:, 0] > 2.0) != (sounded == 2)) <= 1
        lengths.add(len(found))
    assert min(lengths) >= 80
    assert max(lengths) <= 120
    assert len(lengths) > 3


@pytest.mark.parametrize("factor", [0.85, 1.0, 1.2])
def test_a_band_takes_what_stands_at_its_warped_frequency(factor: float) -> None:
    centres = band_edges()[1:-1]
    # Bands that hold their own frequency tell where each value came from.
    found = centres @ warp_matrix(np.full(64, factor))
    wanted = np.clip(centres * factor, centres[0], centres[-1])
    np.testing.assert_allclose(found, wanted, rtol=1e-9)


def test_contrast_by_hand() -> None:
    peak = np.zeros(64)
    peak[30] = 9.0
    # The mean around a lone peak of 9 is 1 in all nine bands.
    found = peak @ contrast_matrix(0.5)
    assert found[30] == pytest.approx(9.0 + 0.5 * 8.0)
    assert found[26] == pytest.approx(-0.5)
    assert found[25] == pytest.approx(0.0)


def test_dynamics_by_hand() -> None:
    hops = np.zeros((5, 64), np.float32)
    hops[2] = 4.0
    assert with_dynamics(hops, 1.0)[:, 0].tolist() == [0.0, -1.0, 6.0, -1.0, 0.0]


def test_no_voice_changes_the_level() -> None:
    # A flat spectrum has no formants: whatever the voice, it stays as it is.
    flat = np.full((1, 64), 2.0, np.float32)
    np.testing.assert_allclose(flat @ voices(), np.full((768, 1, 64), 2.0), atol=1e-5)
