"""Recordings: everything that libsndfile reads, in blocks, and everything that is broken."""

from __future__ import annotations

import io
import os
import tracemalloc
from pathlib import Path

import numpy as np
import pytest
import soundfile
from hypothesis import given
from hypothesis import strategies as st

from agent.errors import UnreadableAudioError
from agent.hearing.audio_file import AudioFile
from agent.hearing.features import BLOCK, SAMPLE_RATE
from agent.hearing.sources import Delivery


def _sine(seconds: float, rate: int, hertz: float = 400.0) -> np.ndarray:
    return 0.5 * np.sin(2 * np.pi * hertz * np.arange(round(seconds * rate)) / rate)


def _write(path: Path, samples: np.ndarray, rate: int = SAMPLE_RATE, **how: str) -> Path:
    soundfile.write(path, samples, rate, **how)
    return path


def _read(path: Path) -> tuple[np.ndarray, AudioFile]:
    file = AudioFile(path)
    return np.concatenate(list(file)), file


def test_sixteen_bits_at_sixteen_kilohertz_come_out_unchanged(tmp_path: Path):
    samples = np.random.default_rng(0).integers(-32768, 32768, 10 * BLOCK + 7).astype(np.int16)
    heard, file = _read(_write(tmp_path / "a.wav", samples))
    assert np.array_equal(heard[: len(samples)], samples)
    # The last block is filled up with silence, which does not count.
    assert len(heard) == 11 * BLOCK
    assert not heard[len(samples) :].any()
    assert (file.samples, file.ended) == (len(samples), True)
    assert file.seconds == len(samples) / SAMPLE_RATE
    assert file.delivery is Delivery.RECORDING


@pytest.mark.parametrize("rate", [8000, 11025, 22050, 44100, 48000, 96000])
@pytest.mark.parametrize("channels", [1, 2, 6])
def test_any_rate_and_channels(tmp_path: Path, rate: int, channels: int):
    sound = np.stack([_sine(1.3, rate)] * channels, axis=1)
    heard, file = _read(_write(tmp_path / "a.wav", sound, rate))
    assert file.seconds == pytest.approx(1.3, abs=0.002)
    expected = _sine(1.3, SAMPLE_RATE) * 32768
    # Away from the ends, where the filter knows nothing, it is the same sine: 1 % of its amplitude.
    middle = slice(1600, 19200)
    assert np.abs(heard[middle] - expected[middle]).max() < 164


def test_channels_are_averaged(tmp_path: Path):
    left = np.full(2 * BLOCK, 1000, np.int16)
    heard, _ = _read(_write(tmp_path / "a.wav", np.stack([left, left * 3], axis=1)))
    assert set(heard) == {2000}


@pytest.mark.parametrize(
    ("name", "subtype"),
    [
        ("a.wav", "PCM_U8"),
        ("a.wav", "PCM_24"),
        ("a.wav", "FLOAT"),
        ("a.wav", "ULAW"),
        ("a.flac", "PCM_16"),
        ("a.ogg", "VORBIS"),
        ("a.aiff", "PCM_16"),
    ],
)
def test_any_format(tmp_path: Path, name: str, subtype: str):
    heard, file = _read(_write(tmp_path / name, _sine(1.0, SAMPLE_RATE), subtype=subtype))
    assert file.seconds == pytest.approx(1.0, abs=0.05)
    # 8 bits are a 128th of full scale apart; lossy formats are better than that.
    error = heard[1600:14400] - _sine(1.0, SAMPLE_RATE)[1600:14400] * 32768
    assert np.sqrt(np.mean(error**2)) < 400


def test_too_loud_is_clipped(tmp_path: Path):
    loud = np.array([2.0, -2.0] * BLOCK)
    heard, _ = _read(_write(tmp_path / "a.wav", loud, subtype="FLOAT"))
    assert set(heard) == {32767, -32768}


def test_silence_is_a_recording_like_any_other(tmp_path: Path):
    heard, file = _read(_write(tmp_path / "a.wav", np.zeros(SAMPLE_RATE)))
    assert (file.seconds, int(np.abs(heard).max())) == (1.0, 0)


def test_less_than_a_block_is_a_block(tmp_path: Path):
    heard, file = _read(_write(tmp_path / "a.wav", np.full(10, 0.5)))
    assert (len(heard), file.samples) == (BLOCK, 10)


def _not_a_number(position: int) -> np.ndarray:
    samples = _sine(2.0, SAMPLE_RATE)
    samples[position] = np.nan
    return samples


_BROKEN = {
    "missing": (lambda path: None, "does not exist"),
    "empty": (lambda path: path.write_bytes(b""), "not audio that can be read"),
    "text": (lambda path: path.write_text("hello"), "not audio that can be read"),
    "only a header": (lambda path: _write(path, np.zeros(0)), "holds no sound"),
    "not a number at once": (
        lambda path: _write(path, _not_a_number(0), subtype="FLOAT"),
        "samples that are no numbers",
    ),
    "not a number later": (
        lambda path: _write(path, _not_a_number(20_000), subtype="DOUBLE"),
        "samples that are no numbers",
    ),
    "infinite": (
        lambda path: _write(path, np.array([np.inf] * 900), subtype="FLOAT"),
        "samples that are no numbers",
    ),
    "a directory": (lambda path: path.mkdir(), "not a regular file"),
    "a pipe": (os.mkfifo, "not a regular file"),
    "an absurd rate": (lambda path: _write(path, np.zeros(900), 50), "sampling rate of 50 Hz"),
}


@pytest.mark.parametrize(("make", "message"), _BROKEN.values(), ids=_BROKEN)
def test_what_is_broken_is_named(tmp_path: Path, make, message: str):
    path = tmp_path / "broken.wav"
    make(path)
    with pytest.raises(UnreadableAudioError, match=rf"broken.wav.* {message}"):
        list(AudioFile(path))


def test_a_file_that_breaks_off_gives_what_it_has_or_its_error(tmp_path: Path):
    whole = _write(tmp_path / "a.flac", np.random.default_rng(0).normal(0, 0.1, 80_000))
    cut = tmp_path / "cut.flac"
    cut.write_bytes(whole.read_bytes()[: whole.stat().st_size // 2])
    blocks: list[np.ndarray] = []
    with pytest.raises(UnreadableAudioError, match=r"cut.flac"):
        blocks.extend(AudioFile(cut))


def test_an_hour_is_streamed_in_little_memory(tmp_path: Path):
    path = tmp_path / "hour.wav"
    with soundfile.SoundFile(path, "w", 44100, 2, "PCM_16") as file:
        minute = np.stack([_sine(60.0, 44100)] * 2, axis=1).astype(np.float32)
        for _ in range(6):  # six minutes of 63 MB are enough to see whether it is streamed
            file.write(minute)
    tracemalloc.start()
    blocks = sum(1 for _ in AudioFile(path))
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert blocks == 360 * 25
    assert peak < 4e6


@given(st.binary(max_size=600), st.booleans())
def test_any_bytes_are_sound_or_an_error(content: bytes, header: bool):
    if header:
        buffer = io.BytesIO()
        soundfile.write(buffer, np.zeros(100), SAMPLE_RATE, format="WAV")
        content = buffer.getvalue()[:44] + content
    path = Path(os.environ["HOME"]) / "any.wav"
    path.write_bytes(content)
    try:
        for block in AudioFile(path):
            assert block.shape == (BLOCK,)
            assert block.dtype == np.int16
    except UnreadableAudioError:
        pass
