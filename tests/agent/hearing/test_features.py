"""Features: streaming equals the whole file, and values that were worked out by hand."""

from __future__ import annotations

import numpy as np
import pytest

from agent.hearing.features import (
    BLOCK,
    FRAME_DIM,
    HOP,
    MELS,
    SAMPLE_RATE,
    LogMel,
    log_mel_frames,
    log_mel_hops,
    mel_bank,
)

# Natural logarithm of 1e-6, the power that is added to every band.
_SILENCE = -13.815511

# Frame 5 of the arithmetic signal, every 16th number, and the sum of all 256.
_GOLDEN = [
    *(-4.6663, -5.01468, -4.00054, -3.37913, -6.27586, -5.37308, -4.42896, -3.2135),
    *(-7.93745, -3.92188, -4.6343, -4.68358, -5.02752, -4.482, -4.95592, -4.09644),
]
_GOLDEN_SUM = -815.30984


def arithmetic_signal(blocks: int) -> np.ndarray:
    """Two sines and the noise of a linear congruential generator: the same on every machine."""
    n = np.arange(blocks * BLOCK)
    state, noise = 12345, np.empty(len(n))
    for k in range(len(n)):
        state = (1103515245 * state + 12345) % 2**31
        noise[k] = state / 2**31 - 0.5
    signal = 0.3 * np.sin(2 * np.pi * 440 * n / SAMPLE_RATE)
    signal += 0.1 * np.sin(2 * np.pi * 3000 * n / SAMPLE_RATE) + 0.02 * noise
    return signal.astype(np.float32)


def test_streaming_equals_the_whole_file_bit_for_bit():
    signal = arithmetic_signal(40)
    features = LogMel()
    streamed = np.stack([features.process(b) for b in signal.reshape(-1, BLOCK)])
    whole = log_mel_frames(signal)
    assert whole.dtype == streamed.dtype == np.float32
    assert np.array_equal(streamed, whole)


def test_reset_forgets_the_past():
    signal = arithmetic_signal(3)
    features = LogMel()
    first = features.process(signal[:BLOCK])
    features.process(signal[BLOCK : 2 * BLOCK])
    features.reset()
    assert np.array_equal(features.process(signal[:BLOCK]), first)


def test_nothing_looks_ahead():
    signal = arithmetic_signal(6)
    changed = signal.copy()
    changed[4 * BLOCK :] *= -0.5
    assert np.array_equal(log_mel_frames(signal)[:4], log_mel_frames(changed)[:4])


def test_silence_gives_the_floor_in_every_band():
    frame = LogMel().process(np.zeros(BLOCK, np.float32))
    assert frame.shape == (FRAME_DIM,)
    assert frame == pytest.approx(np.full(FRAME_DIM, _SILENCE), abs=1e-5)


def test_a_sine_is_where_theory_puts_it():
    # A sine of amplitude 0.5 in the middle of a bin (1000 Hz is bin 32 of 512) has the spectral
    # magnitude 0.5 * sum(Hann) / 2 = 0.5 * 200 / 2 = 50 there. The window is 400 samples and the
    # transform 512, so the neighbours 31 and 33 hold much of it too; all of them lie in the bands
    # around 1000 Hz, which is 1000 mel of a scale from 92.6 (60 Hz) to 2786 (7600 Hz) in 65 steps:
    # (1000 - 92.6) / 41.43 = 21.9, and band k peaks at step k + 1: band 21.
    n = np.arange(4 * BLOCK)
    hops = log_mel_hops((0.5 * np.sin(2 * np.pi * 1000 * n / SAMPLE_RATE)).astype(np.float32))
    hop = hops[-1]
    assert int(hop.argmax()) in (20, 21)
    # One bin alone would give log(50^2) = 7.8; the neighbours add less than a factor of 2.5.
    assert 7.0 < float(np.logaddexp(hop[20], hop[21])) < 7.8 + np.log(2.5)
    # Far away there is nothing but the window's side lobes, more than 60 dB down.
    assert hop[50] < hop.max() - 6 * np.log(10)


def test_golden_vector():
    frame = log_mel_frames(arithmetic_signal(6))[5]
    assert frame[::16] == pytest.approx(_GOLDEN, abs=1e-4)
    assert float(frame.astype(np.float64).sum()) == pytest.approx(_GOLDEN_SUM, abs=1e-2)


def test_agrees_with_the_textbook():
    # The same from the definition: a discrete Fourier sum and triangles, one band at a time.
    signal = arithmetic_signal(6).astype(np.float64)
    low, high = (2595 * np.log10(1 + hertz / 700) for hertz in (60.0, 7600.0))
    edges = 700 * (10 ** (np.linspace(low, high, MELS + 2) / 2595) - 1)
    hertz = np.arange(257) * SAMPLE_RATE / 512
    window = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(400) / 400)
    expected = []
    for hop in range(4):
        end = 5 * BLOCK + (hop + 1) * HOP
        piece = signal[end - 400 : end] * window
        waves = np.exp(-2j * np.pi * np.outer(np.arange(257), np.arange(400)) / 512)
        power = np.abs(waves @ piece) ** 2
        for left, centre, right in zip(edges, edges[1:], edges[2:], strict=False):
            rising = (hertz - left) / (centre - left)
            falling = (right - hertz) / (right - centre)
            triangle = np.clip(np.minimum(rising, falling), 0, None)
            expected.append(np.log(triangle @ power + 1e-6))
    assert log_mel_frames(arithmetic_signal(6))[5] == pytest.approx(np.array(expected), abs=1e-4)


def test_half_a_hop_is_left_out():
    assert log_mel_hops(np.zeros(HOP - 1, np.float32)).shape == (0, MELS)
    assert log_mel_frames(np.zeros(2 * BLOCK + 5, np.float32)).shape == (2, FRAME_DIM)


def test_a_block_of_another_length_is_refused():
    with pytest.raises(ValueError, match="640 samples, not 320"):
        LogMel().process(np.zeros(320, np.float32))


def test_bands_together_hold_all_power_between_their_edges():
    # A bin between two centres is shared by two bands with weights that add up to 1.
    power = np.ones((1, 257))
    bands = mel_bank().apply(power)[0]
    # Bins 2 (62.5 Hz) to 243 (7594 Hz) lie within 60 to 7600 Hz; the outermost have one band only.
    assert bands.sum() == pytest.approx(242, abs=8)
    assert bands.sum() < 242
