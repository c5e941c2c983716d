"""The text normaliser and the labels."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from converters.asr.text import CHARACTERS, decode, encode, normalise, token_lines


@pytest.mark.parametrize(
    ("written", "spoken"),
    [
        ("Set  A Timer for 20-two minutes!", "set a timer for twenty two minutes"),
        ("Zoë’s café", "zoe's cafe"),
        ("call 0800", "call eight hundred"),
        ("1234567890123", "one two three four five six seven eight nine zero one two three"),
        ("", ""),
        ("¿?", ""),
    ],
    ids=["number and hyphen", "accents", "leading zero", "too long to name", "empty", "marks"],
)
def test_normalise(written: str, spoken: str) -> None:
    assert normalise(written) == spoken


@given(st.text(max_size=60))
def test_normalised_text_has_labels_and_is_a_fixed_point(text: str) -> None:
    once = normalise(text)
    assert set(once) <= set(CHARACTERS)
    assert normalise(once) == once
    assert decode(encode(once)) == once


def test_labels_are_lines_of_the_token_file() -> None:
    lines = token_lines()
    assert lines[:4] == ["<blank>", "<space>", "'", "a"]
    assert len(lines) == 29
    assert encode("a'b") == [3, 2, 4]
