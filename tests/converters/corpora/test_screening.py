"""Which utterances can be learnt from."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from converters.asr.text import encode
from converters.corpora.screening import Reason, screen


@pytest.mark.parametrize(
    ("text", "seconds", "expected"),
    [
        ("It’s  a “NAÏVE” test, no. 2", 2.0, ("it's a naive test no two", None)),
        ("stop", 0.3, ("stop", None)),
        ("stop", 16.0, ("stop", None)),
        ("stop", 0.29, ("stop", Reason.SHORT)),
        ("stop", 16.01, ("stop", Reason.LONG)),
        ("stop", math.nan, ("stop", Reason.SHORT)),
        ("a" * 25, 1.0, ("a" * 25, None)),
        ("a" * 26, 1.0, ("a" * 26, Reason.FAST)),
        (None, 1.0, ("", Reason.NO_TEXT)),
        (" ", 1.0, ("", Reason.NO_TEXT)),
        ("...", 1.0, ("", Reason.NO_TEXT)),
        ("hello <UNK>", 1.0, ("", Reason.TAGS)),
        ("hello [noise]", 1.0, ("", Reason.TAGS)),
        ("привет", 1.0, ("", Reason.LETTERS)),
        ("Straße", 1.0, ("", Reason.LETTERS)),
    ],
)
def test_screening(text: str | None, seconds: float, expected: tuple[str, Reason | None]):
    assert screen(text, seconds) == expected


@given(st.text(), st.floats())
def test_what_passes_can_be_spelt(text: str, seconds: float):
    normal, reason = screen(text, seconds)
    if reason is None:
        assert encode(normal)
        assert 0.3 <= seconds <= 16.0
