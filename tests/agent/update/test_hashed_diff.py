from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from agent.update.hashed_diff import HashedChanges, splitmix64

_MASK = (1 << 64) - 1


def _reference(seed: int, index: int) -> int:
    """Output `index` of splitmix64, in Python's unbounded integers."""
    z = seed + (index + 1) * 0x9E3779B97F4A7C15 & _MASK
    z = (z ^ z >> 30) * 0xBF58476D1CE4E5B9 & _MASK
    z = (z ^ z >> 27) * 0x94D049BB133111EB & _MASK
    return z ^ z >> 31


def test_published_values() -> None:
    """The first outputs for the seed 1234567, as other implementations of splitmix64 print them."""
    assert splitmix64(1234567, 0, 5).tolist() == [
        6457827717110365317,
        3203168211198807973,
        9817491932198370423,
        4593380528125082431,
        16408922859458223821,
    ]
    assert splitmix64(0, 0, 1).tolist() == [0xE220A8397B1DCDAF]


@given(st.integers(0, _MASK), st.integers(0, 1 << 40), st.integers(0, 40))
def test_any_output_without_the_ones_before(seed: int, first: int, count: int) -> None:
    expected = [_reference(seed, first + i) for i in range(count)]
    assert splitmix64(seed, first, count).tolist() == expected


@given(
    st.integers(0, _MASK),
    st.lists(st.integers(-128, 127), min_size=1, max_size=40),
    st.lists(st.integers(-128, 127), min_size=1, max_size=60),
    st.integers(0, 1 << 33),
)
def test_changes_by_definition(
    seed: int, values: list[int], weights: list[int], first: int
) -> None:
    expected = []
    for i, weight in enumerate(weights):
        h = _reference(seed, first + i)
        value = values[(h >> 32) * len(values) >> 32]
        expected.append(max(-128, min(127, weight + (-value if h & 1 else value))))
    array = np.array(weights, np.int16)
    HashedChanges(seed, np.array(values, np.int8)).add(array, first)
    assert array.tolist() == expected


def test_stretches_add_up() -> None:
    """Also across the spans that are hashed at a time."""
    values = np.random.default_rng(1).integers(-9, 10, 50).astype(np.int8)
    changes = HashedChanges(7, values)
    at_once = np.zeros(200_000, np.int16)
    changes.add(at_once, 0)
    in_pieces = np.zeros(200_000, np.int16)
    for start in range(0, 200_000, 77_777):
        changes.add(in_pieces[start : start + 77_777], start)
    assert (at_once == in_pieces).all()
    assert set(np.unique(np.abs(at_once)).tolist()) == set(np.unique(np.abs(values)).tolist())
