"""Folders of recordings as people leave them, and sentences to read."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import soundfile

from converters.adaptation.errors import RecordingsError
from converters.adaptation.recordings import prompts, read_recordings
from converters.asr.text import normalise
from converters.cli import main


def record(path: Path, seconds: float = 1.0, rate: int = 16_000) -> None:
    samples = np.random.default_rng(0).normal(0.0, 0.1, (int(seconds * rate), 2))
    soundfile.write(path, samples, rate)


def test_printed_prompts_are_the_texts_of_what_is_recorded(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["adapt", "--print-prompts", "12"]) == 0
    printed = capsys.readouterr().out
    (tmp_path / "prompts.tsv").write_text(printed, encoding="utf-8")
    sentences = [line.split("\t")[1] for line in printed.splitlines()]
    assert sentences == prompts(12, 1)
    assert len(set(sentences)) == 12
    # The third and the eleventh have been recorded so far, with another device.
    record(tmp_path / "003.wav", rate=44_100)
    record(tmp_path / "011.flac", 2.0)
    found = read_recordings(tmp_path)
    assert [r.name for r in found] == ["003", "011"]
    assert [r.text for r in found] == [sentences[2], sentences[10]]
    assert found[0].seconds == pytest.approx(1.0, abs=0.01)
    assert found[1].samples.dtype == np.int16


def test_another_seed_gives_other_sentences() -> None:
    assert not set(prompts(20, 1)) & set(prompts(20, 2))
    assert all(text == normalise(text) for text in prompts(20, 1))


def test_a_text_beside_a_recording_says_what_was_really_said(tmp_path: Path) -> None:
    (tmp_path / "prompts.tsv").write_text("a.wav\tturn left\n\nb\tturn right\n")
    (tmp_path / "b.txt").write_text("\ufeffTurn  20 times\n", encoding="utf-8")
    record(tmp_path / "a.wav")
    record(tmp_path / "b.wav")
    assert [r.text for r in read_recordings(tmp_path)] == ["turn left", "turn twenty times"]


@pytest.mark.parametrize(
    ("files", "message"),
    [
        ({}, "holds no recordings"),
        ({"a.wav": 1.0}, "Nothing tells what is said in .*a.wav: write it into a.txt"),
        ({"a.wav": 1.0, "a.txt": b"!?"}, "Nothing tells what is said"),
        ({"a.wav": 0.1, "a.txt": b"on"}, "lasts 0.1 s; record one sentence"),
        ({"a.wav": 17.0, "a.txt": b"on"}, "lasts 17.0 s; record one sentence"),
        ({"a.wav": b"no sound", "a.txt": b"on"}, "cannot be read .*; record it again"),
        ({"a.wav": 1.0, "a.txt": b"\xff\xfe"}, "no readable UTF-8"),
        ({"a.wav": 1.0, "prompts.tsv": b"a turn left"}, "Line 1 of .* has no tab"),
        ({"a.wav": 1.0, "a.txt": b"a" * (1 << 20) + b"a"}, "larger than 1048576 bytes"),
    ],
    ids=["empty", "no text", "no words", "short", "long", "no sound", "encoding", "tab", "large"],
)
def test_what_cannot_be_used_is_refused_in_one_sentence(
    tmp_path: Path, files: dict[str, float | bytes], message: str
) -> None:
    for name, content in files.items():
        if isinstance(content, float):
            record(tmp_path / name, content)
        else:
            (tmp_path / name).write_bytes(content)
    with pytest.raises(RecordingsError, match=message):
        read_recordings(tmp_path)


def test_a_folder_that_is_not_there(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    missing = str(tmp_path / "missing")
    assert main(["adapt", "--recordings", missing, "--out", str(tmp_path / "o")]) == 1
    assert "missing is no folder" in capsys.readouterr().err
    assert main(["adapt", "--recordings", missing]) == 2
