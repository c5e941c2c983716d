from __future__ import annotations

import numpy as np
import pytest

from agent.hearing.features import SAMPLE_RATE, log_mel_hops
from converters.wake.music import PIECE_S, music_utterances, piece
from converters.wake.recordings import Role


def test_pieces_fill_their_time_and_never_clip():
    for seed in range(12):
        sound = piece(np.random.default_rng(seed), 2.0)
        assert sound.shape == (2 * SAMPLE_RATE,)
        assert sound.dtype == np.float32
        assert np.abs(sound).max() == pytest.approx(0.5, abs=1e-4)


def test_a_piece_depends_on_its_seed_and_number_alone():
    one, other = music_utterances(2, 7)
    assert (one.key, one.role, one.real) == ("music 7 0", Role.NOISE, False)
    assert len(one.load()) == PIECE_S * SAMPLE_RATE
    assert np.array_equal(one.load(), music_utterances(1, 7)[0].load())
    assert not np.array_equal(one.load(), other.load())
    assert not np.array_equal(one.load(), music_utterances(1, 8)[0].load())


def test_pieces_change_as_fast_as_speech_does_and_differ_from_each_other():
    """A steady hum would teach nothing: the spectrum of most pieces moves within a fifth of a
    second by several dB."""
    moving = 0
    for seed in range(20):
        hops = log_mel_hops(piece(np.random.default_rng(seed), 3.0))
        moving += float(np.abs(hops[20:] - hops[:-20]).mean()) > 0.5
    assert moving >= 15
