from __future__ import annotations

import numpy as np
import pytest

from converters.wake.targets import frame_targets


def test_one_word_by_hand():
    # The word ends at hop 20. Frame t ends at hop 4 (t + 1), so its delay is 4 t - 16:
    # t      0   1   2   3   4   5   6   7   8   9  10  11  12  13  14  15
    # delay -16 -12 -8  -4   0   4   8  12  16  20  24  28  32  36  40  44
    target, weight = frame_targets(16, [20.0])
    assert target.tolist() == [0] * 6 + [1] * 6 + [0] * 4
    assert weight.tolist() == [1, 1, 0, 0, 0, 0, 1, 1, 1, 1, 1, 1, 0, 0, 0, 1]


def test_no_word_means_no_everywhere():
    target, weight = frame_targets(6, [])
    assert not target.any()
    assert weight.all()


def test_yes_beats_the_early_zone_of_the_next_word():
    # Second word ends 12 hops after the first: its early frames are still the first one's yes.
    target, weight = frame_targets(20, [20.0, 32.0])
    assert target[6:12].tolist() == [1] * 6
    assert weight[6:12].all()
    # and its own yes frames run on: delay 8..32 after hop 32 are frames 9..14
    assert target[9:15].all()
    assert not target[15:].any()


@pytest.mark.parametrize("phase", [0.0, 1.0, 2.0, 3.0])
def test_every_phase_of_the_word_in_a_frame_has_six_yes_frames(phase):
    target, _ = frame_targets(40, [40.0 + phase])
    assert target.sum() == 6


def test_a_word_that_ends_with_the_stream_has_no_yes_yet():
    target, weight = frame_targets(5, [19.5])
    assert not target.any()
    assert weight.tolist() == [1, 1, 0, 0, 0]
    assert target.dtype == weight.dtype == np.float32
