from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.errors import MalformedDiffError
from agent.update.byte_reader import ByteReader
from agent.update.frequency_table import choose_levels, frequencies, read_levels, write_levels

_ONE = 1 << 14

_COUNTS = st.lists(st.integers(0, 1 << 40), min_size=1, max_size=128).filter(lambda c: c[-1] > 0)


def _array(numbers: list[int]) -> np.ndarray:
    return np.array(numbers, np.int64)


def test_frequencies_by_hand() -> None:
    # Levels 1, 5 and 0 weigh 4, 8 and nothing: two tokens occur, so 2**14 - 2 = 16382 are to be
    # shared. 1 + 4 * 16382 // 12 = 5461; 1 + 8 * 16382 // 12 = 10922; one is missing to 16384.
    assert frequencies(_array([1, 0, 5])).tolist() == [5461, 0, 10923]


def test_what_is_missing_goes_to_the_first_of_equal_ones() -> None:
    # 1 + 4 * 16381 // 12 = 5461 three times, one is missing.
    assert frequencies(_array([1, 1, 1])).tolist() == [5462, 5461, 5461]


def test_the_only_token_is_certain() -> None:
    assert frequencies(_array([0, 0, 4])).tolist() == [0, 0, _ONE]


def test_levels_as_bytes() -> None:
    # Four levels; differences +1, -1, 0, +1 are the nibbles 8, 6, 7, 8.
    assert write_levels(_array([1, 0, 0, 1])).hex() == "048678"
    # A step of 8 is said in full: 15, then 08; then -7 is the nibble 0; a zero fills the byte up.
    assert write_levels(_array([8, 1])).hex() == "02f080"


def test_equal_counts_get_a_low_level() -> None:
    # Octaves only count relative to each other: 4 is as good as 56 and is written in one nibble.
    assert choose_levels(_array([0, 9, 0, 0, 9])).tolist() == [0, 4, 0, 0, 4]


@given(_COUNTS)
def test_a_table_there_and_back(counts: list[int]) -> None:
    levels = choose_levels(_array(counts))
    written = write_levels(levels)
    assert read_levels(ByteReader.over(written), 128).tolist() == levels.tolist()
    got = frequencies(levels)
    assert got.sum() == _ONE
    assert ((got > 0) == (_array(counts) > 0)).all()
    assert int(got.argmax()) in np.flatnonzero(levels == levels.max())


@given(st.lists(st.integers(1, 100_000), min_size=2, max_size=40))
def test_probabilities_are_off_by_less_than_a_quarter(counts: list[int]) -> None:
    """Levels lie at most a factor of 5 / 4 apart: a weight, and the sum, is off by its root."""
    shared = frequencies(choose_levels(_array(counts))) - 1
    wanted = _array(counts) / sum(counts) * (_ONE - len(counts))
    assert (shared >= wanted / 1.25 - 1).all()
    # What is missing to 2**14, less than one for each token, went to one of them.
    assert (shared <= wanted * 1.25 + len(counts)).all()


@given(_COUNTS, st.integers(0, 13))
def test_whole_octaves_do_not_change_frequencies(counts: list[int], octaves: int) -> None:
    levels = choose_levels(_array(counts))
    raised = np.where(levels > 0, levels + 4 * octaves, 0)
    if raised.max() <= 56:
        assert frequencies(raised).tolist() == frequencies(levels).tolist()


@pytest.mark.parametrize(
    "content",
    ["", "04", "0486", "00", "0286", "01f390", "0100", "0280", "01f3"],
    ids=[
        "nothing",
        "no levels",
        "cut off",
        "an empty alphabet",
        "the last level is zero",
        "a level of 57",
        "a level below zero",
        "a second level below zero",
        "cut off in a level",
    ],
)
def test_a_table_that_is_none(content: str) -> None:
    with pytest.raises(MalformedDiffError):
        read_levels(ByteReader.over(bytes.fromhex(content)), 128)


def test_the_highest_level() -> None:
    assert read_levels(ByteReader.over(bytes.fromhex("01f380")), 128).tolist() == [56]


def test_a_table_of_a_larger_alphabet() -> None:
    content = write_levels(_array([4] * 8))
    assert len(read_levels(ByteReader.over(content), 8)) == 8
    with pytest.raises(MalformedDiffError, match="alphabet"):
        read_levels(ByteReader.over(content), 7)


def test_a_fill_that_says_something() -> None:
    with pytest.raises(MalformedDiffError, match="alphabet"):
        read_levels(ByteReader.over(bytes.fromhex("0181")), 128)
