"""The language model of labels, counted from a few sentences that can be counted by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.errors import BundleFileError
from agent.hearing.language_model import END, LABELS, SHORT, STEP_NATS, LanguageModel
from converters.language.counting import count, label_stream, merged
from converters.language.estimation import estimate

_ORDER = 5
_SENTENCES = ["abab", "abac", "bac"]


def encode(text: str) -> list[int]:
    """Labels of a text: space is 1, a is 3, as in the shipped bundle."""
    return [1 if letter == " " else ord(letter) - ord("a") + 3 for letter in text]


def _model(sentences: list[str], least: tuple[int, ...] = (1,) * _ORDER) -> LanguageModel:
    order = len(least)
    return LanguageModel(estimate(count(label_stream(map(encode, sentences), order), order), least))


def _stream(sentences: list[str]) -> np.ndarray:
    return label_stream(map(encode, sentences), _ORDER)


def _history(model: LanguageModel, text: str) -> int:
    history = 0
    for label in encode(text):
        history = model.extend(history, label)
    return history


def test_probabilities_of_short_histories_by_hand():
    # abab, abac and bac hold 11 letters and 3 ends: 5 a, 4 b, 2 c. The start of an utterance
    # counts as said once.
    a, b, c = encode("abc")
    total = 5 + 4 + 2 + 3 + 1
    single = {a: 5, b: 4, c: 2, END: 3}
    unigram = {label: n / total for label, n in single.items()}
    # After "b", whatever came before: a three times, the end once; that makes two kinds
    # (Witten and Bell), so p(a | b) = (3 + 2 p(a)) / (4 + 2).
    bigram = (3 + 2 * unigram[a]) / 6
    model = _model(_SENTENCES)
    after_b = model.log_probs(_history(model, "b"), 2)
    assert after_b[a] == pytest.approx(math.log(bigram), abs=STEP_NATS)
    assert model.log_probs(0, 1)[c] == pytest.approx(math.log(unigram[c]), abs=STEP_NATS)


def test_what_is_gained_is_the_difference_of_long_and_short():
    model = _model(_SENTENCES)
    for text in ("", "a", "ab", "aba", "abab", "zz"):
        history = _history(model, text)
        difference = model.log_probs(history, _ORDER) - model.log_probs(history, SHORT)
        np.testing.assert_allclose(model.gains(history), difference, atol=1e-6)


def test_a_history_that_was_never_seen_gains_nothing():
    model = _model(_SENTENCES)
    assert not model.gains(_history(model, "zzzz")).any()


def test_a_longer_history_tells_more():
    # After "ba", b and c are equally common; after "aba" at the start, too; but after "xba" only c.
    model = _model(["abab", "abac", "xbac"])
    b, c = encode("bc")
    gains = model.gains(_history(model, "xba"))
    assert gains[c] > 0 > gains[b]


@given(st.lists(st.text("abc ", min_size=1, max_size=8), min_size=1, max_size=12))
def test_probabilities_of_every_history_sum_to_one(sentences: list[str]):
    model = _model(sentences, (1, 1, 1, 2, 2))
    for text in ("", *sentences):
        for end in range(len(text) + 1):
            history = _history(model, text[:end])
            # Labels that were never seen in any sentence have a floor, not a share.
            seen = [0, *sorted({label for s in sentences for label in encode(s)}), END]
            for order in range(1, model.order + 1):
                mass = np.exp(model.log_probs(history, order)[seen]).sum()
                # Rounding to a sixteenth of a nat moves each term by up to 3 %.
                assert mass == pytest.approx(1.0, abs=0.12)


def test_counting_in_parts_is_counting_at_once():
    whole = count(_stream(_SENTENCES * 2), _ORDER)
    parts = [count(_stream(_SENTENCES), _ORDER) for _ in range(2)]
    for n, (keys, counts) in merged(parts).items():
        np.testing.assert_array_equal(keys, whole[n][0])
        # The start of an utterance is counted once for each part.
        np.testing.assert_array_equal(counts[1:], whole[n][1][1:])


def test_the_same_counts_give_the_same_bytes():
    counts = count(_stream(_SENTENCES), _ORDER)
    assert estimate(counts, (1,) * _ORDER) == estimate(counts, (1,) * _ORDER)


@given(st.data())
def test_damaged_files_are_refused_or_harmless(data: st.DataObject):
    content = bytearray(estimate(count(_stream(_SENTENCES), _ORDER), (1,) * _ORDER))
    for _ in range(data.draw(st.integers(1, 4))):
        at = data.draw(st.integers(0, len(content) - 1))
        content[at] = data.draw(st.integers(0, 255))
    content = content[: data.draw(st.integers(0, len(content)))]
    try:
        model = LanguageModel(bytes(content))
    except BundleFileError:
        return
    assert model.gains(_history(model, "aba")).shape == (LABELS,)


def test_a_file_with_too_many_labels_is_refused():
    with pytest.raises(BundleFileError, match="damaged"):
        LanguageModel(b"PK not really")
