"""Names of sources, raw samples from a pipe, and the resampler."""

from __future__ import annotations

import contextlib
import os
import sys
import threading

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.errors import AudioError, ConfigError
from agent.hearing.features import BLOCK
from agent.hearing.resampler import Resampler, to_int16
from agent.hearing.sources import BLOCK_BYTES, Delivery, RawStream, SourceName, parse_source


@pytest.mark.parametrize(
    ("text", "kind", "name"),
    [
        ("-", "stdin", ""),
        ("file:a.wav", "file", "a.wav"),
        ("file:/tmp/with:colon.wav", "file", "/tmp/with:colon.wav"),
        ("alsa:default", "alsa", "default"),
        ("alsa:plughw:CARD=Device,DEV=0", "alsa", "plughw:CARD=Device,DEV=0"),
    ],
)
def test_names(text: str, kind: str, name: str):
    assert parse_source(text) == SourceName(kind, name)


@pytest.mark.parametrize("text", ["", "default", "file:", "alsa:", "pulse:x", "file:a\0b", "--"])
def test_other_names_are_refused(text: str):
    with pytest.raises(ConfigError, match=r"is none of alsa:NAME, file:PATH and -"):
        parse_source(text)


@pytest.fixture
def pipe():
    reading, writing = os.pipe()
    yield reading, writing
    for descriptor in (reading, writing):
        with contextlib.suppress(OSError):  # the test may have closed it
            os.close(descriptor)


def test_a_stream_in_pieces(pipe: tuple[int, int]):
    reading, writing = pipe
    stream = RawStream(reading)
    samples = np.arange(2 * BLOCK, dtype="<i2")
    content = samples.tobytes()
    assert stream.read(0.0) is None
    os.write(writing, content[:100])
    assert stream.read(0.0) is None  # and the hundred bytes are not lost
    os.write(writing, content[100:])
    for wanted in (samples[:BLOCK], samples[BLOCK:]):
        block = stream.read(0.0)
        assert block is not None
        assert np.array_equal(block, wanted)
    assert (stream.ended, stream.delivery) == (False, Delivery.STREAM)


def test_a_stream_that_drips_keeps_nobody_waiting(pipe: tuple[int, int]):
    """The deadline is the block's, not that of each of its bytes."""
    reading, writing = pipe
    stream = RawStream(reading)
    done = threading.Event()

    def drip() -> None:
        while not done.wait(0.05):
            os.write(writing, b"\x01")

    thread = threading.Thread(target=drip)
    thread.start()
    try:
        assert stream.read(0.3) is None
    finally:
        done.set()
        thread.join()


@pytest.mark.parametrize("extra", [0, 1, 2, 101, BLOCK_BYTES - 1])
def test_the_end_of_a_stream_is_filled_up(pipe: tuple[int, int], extra: int):
    reading, writing = pipe
    stream = RawStream(reading)
    os.write(writing, b"\x01" * (BLOCK_BYTES + extra))
    os.close(writing)
    blocks: list[np.ndarray] = []
    while not stream.ended or len(blocks) < 1:
        if (block := stream.read(0.1)) is not None:
            blocks.append(block.copy())
    assert len(blocks) == (2 if extra else 1)
    heard = np.concatenate(blocks).tobytes().rstrip(b"\0")
    assert len(heard) == BLOCK_BYTES + extra
    assert stream.read(0.0) is None


@given(st.lists(st.integers(0, 3000), min_size=1, max_size=8), st.sampled_from([8000, 44100]))
def test_pieces_of_any_length_resample_as_a_whole(lengths: list[int], rate: int):
    samples = np.sin(np.arange(sum(lengths)) * 0.05).astype(np.float32)
    pieces, position = [], 0
    resampler = Resampler(rate)
    for number, length in enumerate(lengths, 1):
        piece = samples[position : position + length]
        pieces.append(resampler.process(piece, last=number == len(lengths)))
        position += length
    whole = Resampler(rate).process(samples, last=True)
    joined = np.concatenate(pieces)
    assert len(joined) == len(whole)
    assert np.allclose(joined, whole, atol=1e-5)


def test_sixteen_kilohertz_need_no_resampler(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setitem(sys.modules, "soxr", None)  # as on a 32-bit board
    samples = np.ones(10, np.float32)
    assert Resampler(16000).process(samples) is samples
    with pytest.raises(AudioError, match="pip install soxr"):
        Resampler(44100)


@pytest.mark.parametrize("rate", [0, 1999, 768_001])
def test_absurd_rates_are_refused(rate: int):
    with pytest.raises(AudioError, match=f"{rate} Hz"):
        Resampler(rate)


def test_samples_become_integers():
    samples = np.array([0.0, 0.5, -1.0, 1.0, -7.0, 1e-5, 2e-5], np.float32)
    assert to_int16(samples).tolist() == [0, 16384, -32768, 32767, -32768, 0, 1]
