"""The rings: order, wrapping, being overtaken, and frames by number."""

from __future__ import annotations

import threading

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.hearing.features import BLOCK, FRAME_DIM
from agent.hearing.ring_buffer import FrameRing, RingReader, SampleRing


def _counting(start: int, count: int) -> np.ndarray:
    return (np.arange(start, start + count) % 30000).astype(np.int16)


def test_blocks_come_out_as_they_went_in():
    ring = SampleRing(4 * BLOCK)
    reader = RingReader(ring)
    assert reader.read() is None
    for number in range(10):
        ring.write(_counting(number * BLOCK, BLOCK))
        block = reader.read()
        assert block is not None
        assert np.array_equal(block, _counting(number * BLOCK, BLOCK))
        assert reader.read() is None
    assert (reader.overruns, reader.lost_samples) == (0, 0)


@given(st.lists(st.integers(0, 700), max_size=60))
def test_pieces_of_any_length_come_out_in_order(lengths: list[int]):
    ring = SampleRing(3 * BLOCK)
    reader = RingReader(ring)
    position = 0
    heard = []
    for length in lengths:
        ring.write(_counting(position, length))
        position += length
        while (block := reader.read()) is not None:
            heard.append(block.copy())
    assert len(heard) == position // BLOCK
    if heard:
        assert np.array_equal(np.concatenate(heard), _counting(0, len(heard) * BLOCK))
    assert reader.waiting == position % BLOCK


def test_a_reader_that_was_overtaken_goes_on_with_recent_sound():
    ring = SampleRing(4 * BLOCK)
    reader = RingReader(ring)
    for number in range(10):
        ring.write(_counting(number * BLOCK, BLOCK))
    # Ten blocks were written and four are kept; the reader goes on two blocks behind the writer,
    # so it has lost the blocks 0 to 7.
    block = reader.read()
    assert block is not None
    assert block[0] == 8 * BLOCK
    assert (reader.overruns, reader.lost_samples) == (1, 8 * BLOCK)
    assert reader.read() is not None
    assert reader.read() is None
    assert reader.overruns == 1


def test_a_full_ring_is_still_whole():
    ring = SampleRing(4 * BLOCK)
    reader = RingReader(ring)
    for number in range(4):
        ring.write(_counting(number * BLOCK, BLOCK))
    block = reader.read()
    assert block is not None
    assert block[0] == 0
    assert reader.overruns == 0


def test_a_write_that_is_under_way_spoils_a_copy():
    ring = SampleRing(4 * BLOCK)
    for number in range(4):
        ring.write(_counting(number * BLOCK, BLOCK))
    out = np.zeros(BLOCK, np.int16)
    assert ring.copy(0, out)
    ring._claimed += 1  # the writer has begun to overwrite the oldest sample
    assert not ring.copy(0, out)
    assert ring.copy(1, out)


def test_two_threads_lose_nothing_and_mix_nothing():
    ring = SampleRing(50 * BLOCK)
    reader = RingReader(ring)
    blocks = 2000
    go_on = threading.Semaphore(40)

    def write() -> None:
        for number in range(blocks):
            go_on.acquire()
            ring.write(_counting(number * BLOCK, BLOCK))

    writer = threading.Thread(target=write)
    writer.start()
    for number in range(blocks):
        while (block := reader.read()) is None:
            pass
        assert np.array_equal(block, _counting(number * BLOCK, BLOCK))
        go_on.release()
    writer.join()
    assert reader.overruns == 0


def test_a_ring_that_is_too_small_is_refused():
    with pytest.raises(ValueError, match="two blocks"):
        SampleRing(BLOCK)


def test_frames_are_found_by_number_while_they_are_kept():
    ring = FrameRing(3)
    for number in range(5):
        assert ring.append(np.full(FRAME_DIM, number, np.float32)) == number
    assert (ring.oldest, ring.next) == (2, 5)
    assert [ring[number][0] for number in (2, 3, 4)] == [2, 3, 4]
    for gone in (1, 5, -1):
        with pytest.raises(IndexError):
            ring[gone]
    ring.reset()
    assert (ring.oldest, ring.next) == (0, 0)
