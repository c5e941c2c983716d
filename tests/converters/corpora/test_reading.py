"""The sound of utterances, whatever it is stored as."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import soundfile
from lhotse import Recording, RecordingSet, SupervisionSegment, SupervisionSet

from converters.corpora.catalogue import named_split
from converters.corpora.errors import RecordingError
from converters.corpora.index import build
from converters.corpora.reading import samples, sources
from tests.converters.corpora.tiny import RATE, tone


def _pitch(sound: np.ndarray) -> float:
    """Hertz of the strongest component."""
    spectrum = np.abs(np.fft.rfft(sound * np.hanning(len(sound))))
    return float(np.argmax(spectrum)) * RATE / len(sound)


def _index(folder: Path, recordings: list[Recording], said: list[SupervisionSegment]):
    RecordingSet.from_recordings(recordings).to_file(folder / "x_recordings_train.jsonl.gz")
    SupervisionSet.from_segments(said).to_file(folder / "x_supervisions_train.jsonl.gz")
    return build(named_split(f"lhotse:{folder}:train"), folder / "index")


@pytest.mark.parametrize(
    ("name", "rate", "options"),
    [
        ("clip.flac", 16_000, {}),
        ("clip.mp3", 48_000, {"format": "MP3"}),  # as Common Voice has them
        ("clip.wav", 44_100, {"subtype": "FLOAT"}),
        ("clip.ogg", 8_000, {"format": "OGG", "subtype": "VORBIS"}),
    ],
)
def test_formats_and_rates(tmp_path: Path, name: str, rate: int, options: dict[str, str]):
    soundfile.write(tmp_path / name, tone(2.0, 500.0, rate), rate, **options)
    recording = Recording.from_file(tmp_path / name)
    said = SupervisionSegment("a", "clip", 0.0, recording.duration, text="words")
    (entry,) = _index(tmp_path, [recording], [said]).sample()
    sound = samples(entry)
    assert sound.dtype == np.int16
    assert abs(len(sound) - 2 * RATE) < 0.1 * RATE
    assert _pitch(sound[RATE // 2 : -RATE // 2]) == pytest.approx(500.0, abs=2.0)
    assert np.abs(sound).max() == pytest.approx(0.3 * 32768, rel=0.1)


def test_a_stretch_of_one_channel_of_a_long_recording(tmp_path: Path):
    left = np.concatenate([tone(3.0, hertz, RATE) for hertz in (300.0, 600.0, 900.0)])
    both = np.stack([left, np.zeros_like(left)], axis=1)
    soundfile.write(tmp_path / "talk.flac", both, RATE)
    recording = Recording.from_file(tmp_path / "talk.flac")
    said = [
        SupervisionSegment("left", "talk", 3.5, 2.0, channel=0, text="words"),
        SupervisionSegment("right", "talk", 3.5, 2.0, channel=1, text="words"),
        SupervisionSegment("both", "talk", 6.5, 2.0, channel=[0, 1], text="words"),
    ]
    sounds = {entry.id: samples(entry) for entry in _index(tmp_path, [recording], said).sample()}
    assert {len(sound) for sound in sounds.values()} == {2 * RATE}
    assert _pitch(sounds["left"]) == pytest.approx(600.0, abs=2.0)
    assert not sounds["right"].any()
    assert _pitch(sounds["both"]) == pytest.approx(900.0, abs=2.0)
    assert np.abs(sounds["both"]).max() == pytest.approx(0.15 * 32768, rel=0.01)


def _four(folder: Path) -> Path:
    for number in range(4):
        soundfile.write(folder / f"r{number}.flac", tone(1.0, 400.0, RATE), RATE)
    recordings = [Recording.from_file(folder / f"r{number}.flac") for number in range(4)]
    said = [SupervisionSegment(f"s{n}", f"r{n}", 0.0, 1.0, text="words") for n in range(4)]
    _index(folder, recordings, said)
    return folder


def test_single_recordings_that_cannot_be_read_are_left_out_and_listed(tmp_path: Path):
    index = build(named_split(f"lhotse:{_four(tmp_path)}:train"), tmp_path / "index")
    (tmp_path / "r1.flac").unlink()
    (tmp_path / "r3.flac").write_bytes(b"fLaC, but nothing after it")
    assert len(list(sources(index, 0, tmp_path / "0.unread"))) == 2
    listed = (tmp_path / "0.unread").read_text().splitlines()
    assert sorted(line.split()[0] for line in listed) == ["s1", "s3"]


def test_a_corpus_whose_sound_is_gone_is_an_error(tmp_path: Path):
    index = build(named_split(f"lhotse:{_four(tmp_path)}:train"), tmp_path / "index")
    for number in range(3):
        (tmp_path / f"r{number}.flac").unlink()
    with pytest.raises(RecordingError, match=r"^3 of 4 recordings of train of .* cannot be read"):
        list(sources(index, 0, tmp_path / "0.unread"))
