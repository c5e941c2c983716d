from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.errors import DiffLimitError, MalformedDiffError
from agent.update.frequency_table import choose_levels, frequencies
from agent.update.rans import DecodingTable, RansDecoder, Segment, encode

_ENOUGH = 1 << 20  # steps


def _array(numbers: list[int]) -> np.ndarray:
    return np.array(numbers, np.int64)


def _decode(
    states: np.ndarray, words: list[np.ndarray], segments: list[Segment]
) -> list[list[int]]:
    decoder = RansDecoder(states.copy(), _ENOUGH)
    tables = [(DecodingTable(s.frequencies), len(s.symbols)) for s in segments]
    decoded = decoder.decode(tables, np.concatenate(words))
    decoder.finish()
    return [part.tolist() for part in decoded]


def test_states_by_hand() -> None:
    # Two symbols of frequency 8192, one lane, decoded as 1, 0. The encoder begins with the last:
    # 0: floor(65536 / 8192) * 16384 + 0 + 0 = 131072
    # 1: floor(131072 / 8192) * 16384 + 8192 + 0 = 270336
    segment = Segment(_array([1, 0]), _array([8192, 8192]))
    states, words = encode([segment], 1)
    assert states.tolist() == [270336]
    assert [part.tolist() for part in words] == [[]]
    assert _decode(states, words, [segment]) == [[1, 0]]


def test_words_by_hand() -> None:
    # A symbol of frequency 1 costs 14 bits: the second of two does not fit beside the first.
    # 0: 65536 * 16384 + 0 = 2**30, which is not below the limit 1 << 18, so the next one first
    # shifts a word out: 2**30 mod 2**16 = 0 remains behind, 2**14 * 2**14 + 0 = 2**28 is the state.
    segment = Segment(_array([0, 0]), _array([1, 16383]))
    states, words = encode([segment], 1)
    assert (states.tolist(), words[0].tolist()) == ([1 << 28], [0])
    assert _decode(states, words, [segment]) == [[0, 0]]


def test_lanes_take_symbols_in_turn() -> None:
    # Each of two lanes codes one symbol, as if it were alone: 0 gives 131072, 1 gives 139264.
    states, _ = encode([Segment(_array([0, 1]), _array([8192, 8192]))], 2)
    assert states.tolist() == [131072, 139264]


def test_a_certain_symbol_costs_nothing() -> None:
    states, words = encode([Segment(np.zeros(100_000, np.int64), _array([16384]))], 3)
    assert states.tolist() == [1 << 16] * 3
    assert words[0].tolist() == []


_SYMBOLS = st.lists(st.integers(0, 9), min_size=1, max_size=300)


@given(st.lists(_SYMBOLS, min_size=1, max_size=4), st.integers(1, 70))
def test_segments_there_and_back(contents: list[list[int]], lanes: int) -> None:
    segments = [
        Segment(_array(symbols), frequencies(choose_levels(np.bincount(_array(symbols)))))
        for symbols in contents
    ]
    states, words = encode(segments, lanes)
    assert _decode(states, words, segments) == contents


def test_size_is_the_entropy() -> None:
    generator = np.random.default_rng(5)
    symbols = np.minimum(generator.geometric(0.4, 50_000) - 1, 20)
    counts = np.bincount(symbols)
    segment = Segment(symbols, frequencies(choose_levels(counts)))
    states, words = encode([segment], 16)
    present = counts[counts > 0]
    entropy = float(present @ np.log2(present.sum() / present)) / 8
    size = 4 * len(states) + 2 * len(words[0])
    assert entropy < size < 1.01 * entropy


def _coded() -> tuple[np.ndarray, np.ndarray, Segment]:
    symbols = np.random.default_rng(1).integers(0, 5, 400)
    segment = Segment(symbols, frequencies(choose_levels(np.bincount(symbols))))
    states, words = encode([segment], 4)
    return states, words[0], segment


def test_too_few_words() -> None:
    states, words, segment = _coded()
    with pytest.raises(MalformedDiffError, match="too short"):
        _decode(states, [words[:-1]], [segment])


def test_too_many_words() -> None:
    states, words, segment = _coded()
    with pytest.raises(MalformedDiffError, match="too long"):
        _decode(states, [words, words[:1]], [segment])


def test_most_flipped_bits_show() -> None:
    """As too few words, too many, or states that do not return to where the encoder began.

    A flip may also turn one of the last symbols into another one and change nothing else; the
    digest of the result is there for these.
    """
    states, words, segment = _coded()
    missed = 0
    for bit in range(16 * len(words)):
        damaged = words.copy()
        damaged[bit // 16] ^= 1 << bit % 16
        try:
            decoded = _decode(states, [damaged], [segment])
        except MalformedDiffError:
            continue
        assert decoded != [segment.symbols.tolist()]
        missed += 1
    assert missed < 16 * len(words) / 50


def test_an_impossible_state() -> None:
    with pytest.raises(MalformedDiffError, match="impossible state"):
        RansDecoder(np.array([1 << 16, (1 << 16) - 1], np.uint32), _ENOUGH)


def test_more_steps_than_allowed_are_refused_before_the_first() -> None:
    certain = DecodingTable(_array([16384]))
    nothing = np.zeros(0, np.uint16)
    decoder = RansDecoder(np.full(3, 1 << 16, np.uint32), 10)
    # 3 lanes: 24 symbols are 8 steps, 5 more are 2.
    decoder.decode([(certain, 24), (certain, 5)], nothing)
    with pytest.raises(DiffLimitError, match="longer to decode"):
        decoder.decode([(certain, 1)], nothing)
    with pytest.raises(DiffLimitError):
        RansDecoder(np.full(1, 1 << 16, np.uint32), 10).decode([(certain, 1 << 60)], nothing)
