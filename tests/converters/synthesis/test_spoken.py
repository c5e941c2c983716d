from __future__ import annotations

import random
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from converters.synthesis import spoken


@pytest.mark.parametrize(
    ("value", "said"),
    [
        (0, "zero"),
        (13, "thirteen"),
        (20, "twenty"),
        (42, "forty two"),
        (100, "one hundred"),
        (305, "three hundred five"),
        (1000, "one thousand"),
        (12_019, "twelve thousand nineteen"),
        (
            999_999,
            "nine hundred ninety nine thousand nine hundred ninety nine",
        ),
    ],
)
def test_numbers(value: int, said: str):
    assert spoken.number(value) == said


def test_number_with_and():
    assert spoken.number(1305, " and ") == "one thousand three hundred and five"


@pytest.mark.parametrize("value", [-1, 1_000_000])
def test_numbers_outside_the_range_are_refused(value: int):
    with pytest.raises(ValueError, match="0 to 999999"):
        spoken.number(value)


@pytest.mark.parametrize(
    ("value", "said"),
    [
        (1, "first"),
        (2, "second"),
        (3, "third"),
        (4, "fourth"),
        (5, "fifth"),
        (8, "eighth"),
        (9, "ninth"),
        (12, "twelfth"),
        (20, "twentieth"),
        (21, "twenty first"),
        (30, "thirtieth"),
        (31, "thirty first"),
        (100, "one hundredth"),
    ],
)
def test_ordinals(value: int, said: str):
    assert spoken.ordinal(value) == said


def test_digits():
    assert spoken.digits("507") == "five zero seven"
    assert spoken.digits("507", "oh") == "five oh seven"


@pytest.mark.parametrize(
    ("hour", "minute", "forms"),
    [
        (7, 0, ("seven", "seven o'clock")),
        (7, 5, ("seven oh five", "five past seven")),
        (7, 15, ("seven fifteen", "quarter past seven", "fifteen past seven")),
        (7, 23, ("seven twenty three",)),
        (7, 30, ("seven thirty", "half past seven")),
        # After the half hour people count towards the next hour; after twelve comes one.
        (12, 45, ("twelve forty five", "quarter to one", "fifteen to one")),
        (11, 50, ("eleven fifty", "ten to twelve")),
    ],
)
def test_clock_forms(hour: int, minute: int, forms: tuple[str, ...]):
    assert spoken.clock_forms(hour, minute) == forms


@given(st.integers(1, 12), st.integers(0, 59))
def test_every_time_has_distinct_plain_forms(hour: int, minute: int):
    forms = spoken.clock_forms(hour, minute)
    assert len(set(forms)) == len(forms)
    assert all(re.fullmatch(r"[a-z' ]+", form) for form in forms)


@given(st.integers(0, 9999), st.integers(0, 9999))
def test_different_numbers_are_said_differently(one: int, other: int):
    assert (spoken.number(one) == spoken.number(other)) == (one == other)


@given(st.integers())
def test_drawn_times_are_spoken_words(seed: int):
    assert re.fullmatch(r"[a-z']+( [a-z']+)*", spoken.clock(random.Random(seed)))
