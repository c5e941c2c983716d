from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest
from numpy.typing import NDArray

from converters.evaluation.wake_peers import Told, _Peer
from converters.wake.scenes import Scene


class Loudness(_Peer):
    """An engine whose probability is how loud a block is; it counts the blocks that it hears."""

    def __init__(self, threshold: float, told: Told | None = None) -> None:
        super().__init__("loudness", "word", threshold, told)
        self.blocks = 0

    def _reset(self) -> None:
        pass

    def _probabilities(self, block: NDArray[np.int16]) -> Iterator[float]:
        self.blocks += 1
        yield float(np.abs(block).max()) / 32768


def scene(*levels: float) -> Scene:
    """A block of 40 ms at each level."""
    samples = np.repeat(np.array(levels, np.float32), 640)
    return Scene("key", "speaker", samples, None, 0.04 * len(levels))


def test_an_event_is_a_rise_above_the_threshold_after_the_refractory_time():
    loud, quiet = 0.75, 0.0
    # Up in block 2, up again 0.16 s later, which is too soon, and 1.6 s later.
    stream = scene(quiet, loud, quiet, quiet, quiet, loud, *[quiet] * 35, loud, loud)
    heard = Loudness(0.5).play(stream)
    assert [event.time_s for event in heard.events] == pytest.approx([0.08, 1.68])
    assert heard.peak == pytest.approx(0.75, abs=1e-3)
    assert Loudness(0.8).play(stream).events == []


def test_what_differs_in_the_threshold_alone_hears_a_stream_once():
    told: Told = {}
    low, high = Loudness(0.5, told), Loudness(0.8, told)
    stream = scene(0.0, 0.75, 0.0, 0.9)
    assert [len(peer.play(stream).events) for peer in (low, high)] == [1, 1]
    assert [low.blocks, high.blocks] == [4, 0]
    assert high.audio_s == 0.0
    high.play(scene(0.0, 0.6))  # another stream
    assert high.blocks == 2


def test_time_is_taken_of_what_is_heard_anew():
    peer = Loudness(0.5)
    for _ in range(2):
        peer.play(scene(0.0, 0.75))
    assert peer.blocks == 4
    assert peer.audio_s == pytest.approx(0.16)
