"""Features that serve any phrase are made once, and hold nothing of the phrase in hand."""

from __future__ import annotations

import json

import pytest
import soundfile

from converters.wake.augmentation import Augmenter
from converters.wake.banks import Sources, build_banks
from converters.wake.music import music_utterances
from converters.wake.recipe import gather
from converters.wake.recordings import Role, read_manifests
from tests.converters.wake.toy import RATE, other_word, wake_word


@pytest.fixture
def data(tmp_path):
    folder = tmp_path / "data"
    (folder / "manifests").mkdir(parents=True)
    lines = []
    for number, (text, samples) in enumerate(
        (("beep", wake_word()), ("boop", other_word()), ("hello beep boop", other_word(1.1)))
    ):
        soundfile.write(folder / f"{number}.wav", samples, RATE)
        lines.append(
            {"path": f"{number}.wav", "seconds": 1.0, "split": "train", "text": text,
             "speaker": f"s{number}", "use": "train_ok"}
        )  # fmt: skip
    text = "".join(json.dumps(line) + "\n" for line in lines)
    (folder / "manifests" / "toy.jsonl").write_text(text)
    return folder


def banks(data, tmp_path, phrase):
    sources = Sources(data, (), 1.0, 2, 1)
    training = gather(list(read_manifests(data, phrase)), [], []).training
    return build_banks(
        training + music_utterances(2, 1),
        sources,
        Augmenter(),
        tmp_path / "shared",
        tmp_path / phrase,
        lambda _name: lambda _done, _all: None,
    )


def test_the_next_phrase_finds_what_serves_any(data, tmp_path):
    beep = banks(data, tmp_path, "beep")
    made = {path: path.stat().st_mtime_ns for path in (tmp_path / "shared").rglob("*.f16")}
    assert len(made) == 2  # recordings and music
    boop = banks(data, tmp_path, "boop")
    assert made == {path: path.stat().st_mtime_ns for path in (tmp_path / "shared").rglob("*.f16")}
    # "boop" is a word to the one and the phrase of the other; the same copies of it are a negative
    # there and passed over here.
    for entries in (beep, boop):
        assert {e.role for e in entries} == {Role.POSITIVE, Role.WORD, Role.NOISE}


def test_what_holds_the_phrase_is_no_negative(data, tmp_path):
    """Of three clips, "beep" is one and another holds it: one is left for a negative."""
    first = banks(data, tmp_path, "beep")
    second = banks(data, tmp_path, "nothing of the kind")
    count = {entry.source for entry in second if entry.role is Role.WORD}
    assert len(count) == 3
    assert len({entry.source for entry in first if entry.role is Role.WORD}) == 1
