"""An utterance as somebody else says it: lengths, frequencies, phones by hand."""

from __future__ import annotations

import numpy as np
import pytest

from agent.hearing.features import band_edges
from converters.asr.shards import UNKNOWN, Clip
from converters.asr.warping import varied, warp_matrix


def test_no_variation_changes_nothing() -> None:
    rng = np.random.default_rng(0)
    hops = rng.normal(size=(20, 64)).astype(np.float16)
    phones = np.arange(20, dtype=np.int8)
    found, sounded = varied(Clip(hops, "x", 0.2, phones=phones), 0.0, 0.0, rng)
    np.testing.assert_allclose(found, hops.astype(np.float32), atol=1e-6)
    np.testing.assert_array_equal(sounded, phones)


def test_unknown_phones_stay_unknown() -> None:
    _, sounded = varied(
        Clip(np.zeros((10, 64), np.float16), "x", 0.1), 0.1, 0.1, np.random.default_rng(1)
    )
    assert set(sounded) == {UNKNOWN}


def test_phones_stretch_with_the_sound() -> None:
    hops = np.zeros((100, 64), np.float16)
    hops[50:] = 4.0
    phones = np.repeat(np.array([1, 2], np.int8), 50)
    lengths = set()
    for seed in range(8):
        found, sounded = varied(
            Clip(hops, "x", 1.0, phones=phones), 0.2, 0.0, np.random.default_rng(seed)
        )
        assert len(found) == len(sounded)
        np.testing.assert_array_equal(found[:, 0] > 2.0, sounded == 2)
        lengths.add(len(found))
    assert min(lengths) >= 80
    assert max(lengths) <= 120
    assert len(lengths) > 3


@pytest.mark.parametrize("factor", [0.85, 1.0, 1.2])
def test_a_band_takes_what_stands_at_its_warped_frequency(factor: float) -> None:
    centres = band_edges()[1:-1]
    # Bands that hold their own frequency tell where each value came from.
    found = centres.astype(np.float32) @ warp_matrix(factor)
    wanted = np.clip(centres * factor, centres[0], centres[-1])
    np.testing.assert_allclose(found, wanted, rtol=1e-3)
