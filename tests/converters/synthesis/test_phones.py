"""Phones of three engines in one alphabet, at the right time."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from converters.synthesis.errors import MissingResourceError
from converters.synthesis.lexicon import Word
from converters.synthesis.phones import (
    PHONES,
    Segment,
    espeak_phones,
    moved,
    radio_phones,
    segments,
)
from converters.synthesis.rendering import Manner, Voices
from converters.synthesis.voices.speakers import Speaker


def test_an_engine_symbol_that_means_two_phones_is_cut_in_half():
    assert segments([("b", 0.1), ("ah l", 0.3), ("", 0.4)]) == (
        Segment("b", 0.1), Segment("ah", 0.2), Segment("l", 0.3), Segment("", 0.4),
    )  # fmt: skip


def test_segments_are_scaled_then_shifted_and_never_before_zero():
    given = [Segment("sil", 0.1), Segment("k", 0.4)]
    assert moved(given, 0.5, -0.1) == (Segment("sil", 0.0), Segment("k", 0.1))


@pytest.mark.parametrize(
    ("radio", "espeak", "expected"),
    [("ax", "@", "ah"), ("hv", "h", "hh"), ("pau", "_:", "sil"), ("el", "@L", "ah l"),
     ("zz", "#!", "")],
)  # fmt: skip
def test_translations(radio: str, espeak: str, expected: str):
    assert radio_phones(radio) == espeak_phones(espeak) == expected


@pytest.mark.parametrize(
    ("engine", "voice"),
    [("espeak", "en-us+own3"), ("flite", "slt"), ("festival", "kal"), ("festival", "slt_hts")],
)
def test_every_engine_tells_its_phones(engine: str, voice: str, tmp_path: Path):
    voices = Voices(tmp_path)
    speaker = Speaker(engine, voice, "plain", formant=0.9)
    words = [Word("stop"), Word("the"), Word("music")]
    try:
        speech = voices.say(speaker, words, Manner(1.0, 1.0, 1.0))
    except MissingResourceError as error:
        pytest.skip(str(error))
    finally:
        voices.close()
    said = [segment.phone for segment in speech.segments if segment.phone != "sil"]
    assert set(said) <= set(PHONES)
    vowel = said[2]
    assert said[:2] + said[3:6] == ["s", "t", "p", "dh", "ah"]
    assert vowel == "aa"
    assert said[6] == "m"
    assert said[-1] == "k"
    # The vowel of "stop" is louder than the closure of its p: the times are right.
    begins = [0.0, *(segment.end_s for segment in speech.segments)]
    loudness: dict[str, float] = {}
    for begin, segment in zip(begins, speech.segments, strict=False):
        part = speech.samples[int(begin * 16_000) : int(segment.end_s * 16_000)].astype(float)
        loudness.setdefault(segment.phone, float(np.mean(part**2)) if len(part) else 0.0)
    assert loudness["aa"] > 3 * loudness["p"]
