"""Units other than letters: what they write can be read again."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from converters.asr.decoding import greedy
from converters.asr.model import Recogniser
from converters.asr.rows import Material, RowBuilder
from converters.asr.shards import Clip
from converters.asr.units import LETTERS, Pieces, Sounds, chosen_units, find_pieces
from tests.converters.asr.test_rows import QUIET, clip
from tests.converters.asr.test_training import SMALL

TEXTS = ["turn on the light", "turn off the light", "call anna's brother", "set a timer"] * 20


@pytest.fixture(scope="module")
def pieces() -> Pieces:
    return Pieces(find_pieces(TEXTS, 60))


@pytest.fixture(scope="module")
def sounds(dictionary: None) -> Sounds:
    return Sounds(["write their letter to anna's aunt", "write it"])


@given(st.text("abcdeghilmnorstuv' ", max_size=30))
def test_pieces_write_any_text_of_known_letters(pieces: Pieces, text: str) -> None:
    tidy = " ".join(text.split())
    labels = pieces.encode(tidy)
    assert labels is not None
    assert all(0 < label < pieces.count for label in labels)
    assert pieces.decode([0, *labels, 0]) == tidy


def test_frequent_words_are_single_pieces(pieces: Pieces) -> None:
    labels = pieces.encode("the timer")
    assert labels is not None
    assert len(labels) < len("the timer") / 2


def test_sounds_are_spelled_by_the_most_frequent_word(sounds: Sounds) -> None:
    assert sounds.count == 41
    for said, written in (("right there", "write their"), ("anna's letter", "anna's letter")):
        labels = sounds.encode(said)
        assert labels is not None
        assert labels.count(1) == 2
        assert sounds.decode(labels) == written


def test_what_is_no_word_is_spelled_by_the_nearest(sounds: Sounds) -> None:
    labels = sounds.encode("letter")
    assert labels is not None
    assert sounds.decode([label for label in labels if label != labels[1]]) != ""
    longer = [*labels[:-1], labels[0], 1]  # "letterl"
    assert sounds.decode(longer) == "letter"


def test_utterances_without_a_pronunciation_are_left_out(sounds: Sounds) -> None:
    said: list[Clip] = [clip("letter", 60), clip("zzyzzx", 60)]
    material = Material(synthetic=said, real=[], wake=[], noise=[])
    batch = RowBuilder(material, QUIET, 1, sounds).batch(0)
    for row, count in zip(batch.targets, batch.labels, strict=True):
        assert set(sounds.decode(row[:count]).split()) <= {"letter"}


def test_a_recogniser_of_other_units_writes_them(pieces: Pieces) -> None:
    model = Recogniser(dataclasses.replace(SMALL, labels=pieces.count)).eval()
    frames = torch.randn(2, 20, 256)
    texts = greedy(model, frames, torch.tensor([20, 15]), pieces)
    assert len(texts) == 2


def test_pieces_are_kept_with_the_run(tmp_path: Path) -> None:
    assert chosen_units("letters", [], tmp_path) is LETTERS
    first = chosen_units("pieces:40", TEXTS, tmp_path / "run")
    again = chosen_units("pieces:40", ["other texts"], tmp_path / "run")
    assert first.encode("turn on") == again.encode("turn on")
