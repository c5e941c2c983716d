from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.errors import MalformedDiffError
from agent.update.token_code import TOKENS, extra_bits, join, pack_bits, tokenise


def _array(numbers: list[int]) -> np.ndarray:
    return np.array(numbers, np.int64)


@pytest.mark.parametrize(
    ("number", "token", "bits", "extra"),
    [
        (0, 0, 0, 0),
        (15, 15, 0, 0),
        (16, 16, 2, 0),
        (19, 16, 2, 3),
        (20, 17, 2, 0),
        (31, 19, 2, 3),
        (32, 20, 3, 0),
        (45, 21, 3, 5),  # 101 1 01 in binary: octave 5, quarter 01, then 101
        (1000, 16 + 4 * 5 + 3, 7, 104),  # 1000 = 512 + 3 * 128 + 104
        ((1 << 32) - 1, TOKENS - 1, 29, (1 << 29) - 1),
    ],
)
def test_tokens(number: int, token: int, bits: int, extra: int) -> None:
    got = tokenise(_array([number]))
    assert [int(part[0]) for part in got] == [token, bits, extra]
    assert extra_bits(_array([token])).tolist() == [bits]


def test_every_number_has_one_token_and_neighbours_follow_each_other() -> None:
    numbers = np.arange(1 << 12)
    tokens, bits, extra = tokenise(numbers)
    steps = np.diff(tokens)
    assert set(steps.tolist()) == {0, 1}
    # Where a new token begins, its extra bits are zero; within one they count up.
    assert (extra[1:][steps == 1] == 0).all()
    assert (np.diff(extra)[steps == 0] == 1).all()
    assert (extra < 1 << bits).all()


def test_extra_bits_are_packed_from_the_highest_bit() -> None:
    # 101 in three bits and 01 in two make 10101, filled up with three zeros.
    packed = pack_bits(_array([0b101, 0b01]), _array([3, 2]))
    assert packed == bytes([0b10101000])
    # 45 is token 21 with 101, 17 is token 16 with 01.
    assert join(_array([21, 16]), packed).tolist() == [45, 17]


@given(st.lists(st.integers(0, (1 << 32) - 1), max_size=80))
def test_numbers_there_and_back(numbers: list[int]) -> None:
    tokens, bits, extra = tokenise(_array(numbers))
    packed = pack_bits(extra, bits)
    assert len(packed) == -(-int(bits.sum()) // 8)
    assert join(tokens, packed).tolist() == numbers


@pytest.mark.parametrize(
    ("tokens", "packed"),
    [([21], b""), ([21], bytes(2)), ([3], bytes(1)), ([21], b"\x01"), ([], b"\0")],
    ids=["too few bytes", "too many", "bytes for nothing", "an unused bit", "no number"],
)
def test_extra_bits_that_do_not_fit(tokens: list[int], packed: bytes) -> None:
    with pytest.raises(MalformedDiffError, match="do not fit"):
        join(_array(tokens), packed)
