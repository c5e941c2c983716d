"""What a recogniser of real people tells about recordings: alignments and pseudo-labels."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import soundfile
import soxr
from numpy.typing import NDArray

from agent.hearing.features import SAMPLE_RATE
from converters.asr import real_speech
from converters.asr.teacher import HeardWord, Stretch, Teacher, cut, stretches
from converters.synthesis.lexicon import Word
from converters.synthesis.phones import Segment, phones_at
from converters.synthesis.voices.flite import Flite

TEXT = "put ten minutes on the kitchen timer"


def _words(*given: tuple[str, float]) -> list[HeardWord]:
    """Words of half a second each."""
    return [HeardWord(text, i / 2, (i + 1) / 2, sure) for i, (text, sure) in enumerate(given)]


def test_stretches_end_at_doubtful_words_and_run_over_pauses():
    heard = _words(
        ("the", 0.9), ("old", 0.8), ("", 0.1), ("house", 1.0), ("umm", 0.3), ("in", 0.9), ("a", 1.0)
    )  # fmt: skip
    # "in a" is too short to be used; times are those of the words with 60 ms on either side.
    assert list(stretches(heard)) == [Stretch(0.0, 2.06, "the old house")]


def test_a_long_stretch_is_cut_where_a_word_ends():
    found = list(stretches(_words(*[("la", 1.0)] * 14)))
    # Nine half seconds reach 4.5 s; five words are left.
    assert [(s.start_s, s.end_s, len(s.text.split())) for s in found] == [
        (0.0, 4.56, 9), (4.44, 7.06, 5),
    ]  # fmt: skip


def test_nothing_comes_of_nothing():
    assert not list(stretches([]))
    assert not list(stretches(_words(("", 1.0), ("", 0.2))))


def test_a_cut_is_counted_in_samples():
    samples = np.arange(SAMPLE_RATE, dtype=np.int16)
    assert cut(samples, Stretch(0.25, 0.5, "x"))[[0, -1]].tolist() == [4000, 7999]


@pytest.fixture(scope="module")
def teacher() -> Teacher:
    return Teacher()


@pytest.fixture(scope="module")
def spoken() -> tuple[NDArray[np.int16], list[Segment]]:
    """The text, said by flite, and what flite says it sounded when."""
    engine = Flite()
    said = engine.say(
        "slt", [Word(word) for word in TEXT.split()], stretch=1.0, pitch=1.0, pitch_range=1.0,
        pause_after=None, question=False, seed=1,
    )  # fmt: skip
    engine.close()
    audio = soxr.resample(said.samples.astype(np.float32), said.rate, SAMPLE_RATE)
    return np.rint(audio).astype(np.int16), list(said.segments)


def test_phones_are_found_where_the_synthesiser_sounded_them(
    teacher: Teacher, spoken: tuple[NDArray[np.int16], list[Segment]]
):
    samples, told = spoken
    found = teacher.align(samples, TEXT)
    times = np.arange(0.0, len(samples) / SAMPLE_RATE, 0.01)
    ours, engines = (
        phones_at([s.phone or "?" for s in each], [s.end_s for s in each], times)
        for each in (found, told)
    )
    voiced = engines > 0
    # Both put a boundary a frame or two from where the other does; a shift would be far below.
    assert (ours == engines)[voiced].mean() > 0.6
    later = np.roll(engines, 8)
    assert (ours == engines)[voiced].mean() > 2 * (ours == later)[voiced].mean()


@pytest.mark.parametrize("text", ["", "set a qqzzx timer", "hadouken"])
def test_what_cannot_be_aligned_is_left_unknown(
    teacher: Teacher, spoken: tuple[NDArray[np.int16], list[Segment]], text: str
):
    assert teacher.align(spoken[0], text) == ()


def test_silence_holds_nothing_to_learn(teacher: Teacher):
    assert not list(stretches(teacher.recognise(np.zeros(8000, np.int16))))
    assert teacher.align(np.zeros(80, np.int16), TEXT) == ()


def test_a_folder_is_heard_once(tmp_path: Path, spoken: tuple[NDArray[np.int16], list[Segment]]):
    """Given words are aligned, others recognised where the teacher is sure; eval_only is not."""
    (tmp_path / "manifests").mkdir()
    lines = []
    common = {"seconds": 2.0, "split": "train", "language": "en"}
    for name, text, use in (
        ("a", TEXT, "train_ok"), ("b", None, "train_ok"), ("c", "no", "eval_only"),
    ):  # fmt: skip
        soundfile.write(tmp_path / f"{name}.flac", spoken[0], SAMPLE_RATE)
        lines.append(json.dumps(common | {"path": f"{name}.flac", "text": text, "use": use}))
    manifest = tmp_path / "manifests" / "speech_librispeech.jsonl"
    manifest.write_text("\n".join(lines))
    kept = tmp_path / "real.jsonl"
    first = list(real_speech.sources(tmp_path, kept, lambda text: True))
    written, guessed = first[0], first[1:]
    assert written.text == TEXT
    assert written.phones[0] == "sil" or written.phones[0] == "p"
    assert len(written.phones) == len(written.phone_ends_s)
    for source in guessed:
        assert set(source.text.split()) <= set(TEXT.split())
        assert len(source.samples) < len(written.samples)
    # The second time the file answers, even when the recordings' list has changed.
    manifest.write_text("")
    again = list(real_speech.sources(tmp_path, kept, lambda text: text == TEXT))
    assert [source.text for source in again] == [TEXT]
