from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from converters.synthesis.dictionary import pronunciations
from converters.synthesis.errors import MissingResourceError, SynthesisError
from converters.synthesis.wake_texts import (
    NegativeTexts,
    bare_phones,
    distance,
    neighbours,
    parts,
)

try:
    pronunciations()
except MissingResourceError as error:
    pytest.skip(str(error), allow_module_level=True)

PHONES = st.lists(st.sampled_from(["AA", "IY", "P", "B", "S", "K"]), max_size=6).map(tuple)


def test_distance_by_hand():
    # One vowel for another costs 0.6, P for B too (both lips), P for K 1, one phone too many 1.
    assert distance(("P", "AA"), ("P", "IY")) == pytest.approx(0.6)
    assert distance(("P", "AA"), ("B", "AA")) == pytest.approx(0.6)
    assert distance(("P", "AA"), ("K", "AA")) == 1
    assert distance(("P", "AA"), ("P", "AA", "S")) == 1
    assert distance((), ("P", "AA", "S")) == 3


@given(PHONES, PHONES)
def test_distance_is_a_measure(one: tuple[str, ...], other: tuple[str, ...]):
    assert distance(one, other) == pytest.approx(distance(other, one))
    assert (distance(one, other) == 0) == (one == other)
    assert distance(one, other) <= max(len(one), len(other))


def test_neighbours_of_computer():
    near = neighbours("computer")
    assert near[0] == "commuter"
    assert {"compute", "commuter", "computing"} <= set(near)
    # The phrase itself, and words that contain it, would be wrong as negatives.
    assert not {"computer", "computers", "microcomputer"} & set(near)


def test_parts_of_computer():
    pieces = parts("computer")
    assert "pewter" in pieces
    assert all(len(bare_phones(piece)) >= 2 for piece in pieces)
    assert "computer" not in pieces


def test_parts_of_a_phrase_of_two_words_include_the_words():
    assert {"hey", "robot"} <= set(parts("hey robot"))


def test_negatives_never_hold_the_phrase():
    for seed in range(300):
        text, kind = NegativeTexts("computer", seed).text()
        assert "computer" not in text
        assert kind in {"near", "near_command", "pieces", "pieces_command", "command"}


def test_an_unknown_word_is_refused():
    with pytest.raises(SynthesisError, match="'xyzzyq' is not in the pronouncing dictionary"):
        bare_phones("hey xyzzyq")
