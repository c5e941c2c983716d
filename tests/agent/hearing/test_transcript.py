"""Text, words, times and probabilities of labels, by hand."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.hearing.transcript import (
    Timeline,
    Vocabulary,
    confidence,
    hypothesis,
    nbest,
    utterance,
)
from agent.hearing.transducer import Path, Token
from agent.result import Word

_LETTERS = ("<blank>", " ", "a", "b", "'")
_VOCABULARY = Vocabulary(_LETTERS)


def _tokens(text: str, start: int = 0, probability: float = 0.5) -> list[Token]:
    """One letter in each frame."""
    return [
        Token(_LETTERS.index(letter), frame, math.log(probability))
        for frame, letter in enumerate(text, start)
    ]


def test_words_with_times_and_probabilities():
    entry = hypothesis(_VOCABULARY, _tokens("ab  a'b", start=25), -7.5, Timeline())
    assert entry.text == "ab a'b"
    first, second = entry.words
    # Letters in the frames 25 and 26: from 1.00 s to the end of frame 26, 1.08 s.
    assert first == Word(word="ab", start_s=1.0, end_s=1.08, posterior=0.25)
    assert second == Word(word="a'b", start_s=1.16, end_s=1.28, posterior=0.125)
    assert (entry.log_prob, entry.posterior) == (-7.5, None)
    (stretch,) = utterance(entry)
    assert (stretch.text, stretch.start_s, stretch.end_s) == ("ab a'b", 1.0, 1.28)


def test_readings_of_the_same_text_are_one_entry_and_posteriors_sum_to_one():
    # Shares 4 : 1 : 3, where the second and the third differ by a space at the end only.
    paths = [
        Path(_tokens("ab"), -5.0, math.log(4)),
        Path(_tokens("ba"), -4.0, math.log(3)),
        Path(_tokens("ab "), -6.0, math.log(1)),
    ]
    best, other = nbest(_VOCABULARY, paths, Timeline())
    assert (best.text, best.log_prob, best.posterior) == ("ab", -5.0, 0.625)
    assert (other.text, other.log_prob, other.posterior) == ("ba", -4.0, 0.375)


def test_a_single_reading_has_no_posterior():
    (only,) = nbest(_VOCABULARY, [Path(_tokens("ab"), -5.0, -5.0)], Timeline())
    assert (only.text, only.posterior) == ("ab", None)


def test_nothing_is_said():
    entry = hypothesis(_VOCABULARY, _tokens("  "), -1.0, Timeline())
    assert (entry.text, entry.words, utterance(entry)) == ("", (), ())
    assert confidence([]) is None


def test_confidence_is_the_geometric_mean():
    tokens = _tokens("a", probability=0.9) + _tokens("b", probability=0.4)
    assert confidence(tokens) == pytest.approx(math.sqrt(0.36), abs=1e-4)


def test_no_time_is_later_than_the_audio():
    timeline = Timeline()
    assert timeline.seconds(100) == 4.0
    timeline.end_s = 3.5
    assert (timeline.seconds(100), timeline.seconds(-3)) == (3.5, 0.0)


@pytest.mark.parametrize(
    ("text", "phrase", "left"),
    [
        ("ab a", "ab", "a"),
        (" ab a b", "ab", "a b"),
        ("ab", "ab", ""),
        ("ab ab a", "ab", "ab a"),
        ("aba b", "ab", "aba b"),
        ("a ab", "ab", "a ab"),
        ("a b b", "a b", "b"),
        ("a", "a b", "a"),
        ("a b", "", "a b"),
        ("", "ab", ""),
    ],
)
def test_the_wake_word_is_taken_off_the_beginning_once(text: str, phrase: str, left: str):
    tokens = _VOCABULARY.without_phrase(_tokens(text), phrase)
    assert _VOCABULARY.text(tokens) == left


@given(st.text(" ab'", max_size=30))
def test_words_are_the_text_in_pieces(letters: str):
    tokens = _tokens(letters)
    entry = hypothesis(_VOCABULARY, tokens, 0.0, Timeline())
    assert entry.text == " ".join(letters.split())
    assert [word.word for word in entry.words] == letters.split()
    times = [time for word in entry.words for time in (word.start_s, word.end_s)]
    assert times == sorted(times)
