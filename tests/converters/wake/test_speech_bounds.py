from __future__ import annotations

import numpy as np
import pytest

from agent.hearing.features import log_mel_hops
from converters.wake.speech_bounds import speech_bounds
from tests.converters.wake.toy import rest, tone, wake_word


def test_the_word_is_found_to_within_two_hops():
    # 0.2 s of silence and 0.5 s of tones: hops 20 to 70
    start, end = speech_bounds(log_mel_hops(wake_word()))
    assert abs(start - 20) <= 2
    assert abs(end - 70) <= 3


def test_faint_noise_around_the_word_does_not_move_its_bounds():
    rng = np.random.default_rng(0)
    noisy = wake_word() + 0.002 * rng.standard_normal(len(wake_word())).astype(np.float32)
    start, end = speech_bounds(log_mel_hops(noisy))
    assert abs(start - 20) <= 2
    assert abs(end - 70) <= 3


def test_a_short_dip_inside_the_word_does_not_end_it():
    sound = np.concatenate((rest(0.2), tone(500, 0.2), rest(0.08), tone(900, 0.2), rest(0.3)))
    start, end = speech_bounds(log_mel_hops(sound))
    assert abs(start - 20) <= 2
    assert abs(end - 68) <= 3


def test_sound_without_pauses_is_speech_throughout():
    assert speech_bounds(log_mel_hops(tone(700, 0.5)))[1] == 50


def test_no_hops_have_no_bounds():
    with pytest.raises(ValueError, match="without a single hop"):
        speech_bounds(np.zeros((0, 64), np.float32))
