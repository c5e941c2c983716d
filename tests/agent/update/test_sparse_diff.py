from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.errors import DiffLimitError, MalformedDiffError, UnsupportedDiffError
from agent.update.byte_reader import ByteReader, varint
from agent.update.sparse_diff import MOST_CHANGES, RowMap
from agent.update.weight_changes import WeightChanges
from converters.updates.weights_writer import Buckets, Changes, write_weights

# Two cells of 2 x 4 weights change: number 1 by +1 and number 6 by -2.
#   gaps      1 and 4 cells lie before them, so tokens 1 and 4
#   changes   +1 is the number 0, -2 is the number 3
# Each table has two equal tokens of frequency 8192. The encoder codes from the last to the first:
#   change 3: floor(65536 / 8192) * 16384 + 8192 = 139264
#   change 0: floor(139264 / 8192) * 16384       = 278528
#   gap 4:    floor(278528 / 8192) * 16384 + 8192 = 565248
#   gap 1:    floor(565248 / 8192) * 16384       = 1130496 = 0x114000
GOLDEN = bytes.fromhex(
    "01"  # layers: sparse
    "00"  # nothing is said about rows
    "057b37b0"  # gaps: 5 levels 0 4 0 0 4, as nibbles 7 11 3 7 11 and a zero
    "04b37b"  # changes: 4 levels 4 0 0 4, as nibbles 11 3 7 11
    "01"  # one lane
    "00401100"  # its state
    "02"  # the block covers both rows
    "02"  # and holds two changes
    "00"  # no words, no extra bits
)
ROWS = [(2, 4)]


def apply(content: bytes, shapes: list[tuple[int, int]], stretch: int = 1 << 20) -> np.ndarray:
    """What a diff makes of weights that are all zero, stretch by stretch."""
    rows = RowMap(shapes)
    changes = WeightChanges(ByteReader.over(content), rows)
    weights = np.zeros(rows.cells, np.int16)
    for start in range(0, rows.cells, stretch):
        changes.apply(weights[start : start + stretch], hashed=False)
    changes.finish()
    return weights


def test_golden() -> None:
    assert apply(GOLDEN, ROWS).tolist() == [0, 1, 0, 0, 0, 0, -2, 0]
    changes = Changes(ROWS, np.array([1, 6]), np.array([1, -2], np.int16))
    assert write_weights(changes) == GOLDEN


def test_clipped_like_every_weight() -> None:
    weights = np.array([0, 127, 0, 0, 0, 0, -127, 0], np.int16)
    changes = WeightChanges(ByteReader.over(GOLDEN), RowMap(ROWS))
    changes.apply(weights, hashed=False)
    assert weights.tolist() == [0, 127, 0, 0, 0, 0, -128, 0]


def test_rows_by_hand() -> None:
    rows = RowMap([(2, 3), (1, 5), (2, 2)])
    assert (rows.rows, rows.cells) == (5, 15)
    first, columns = rows.locate(np.arange(5))
    assert first.tolist() == [0, 3, 6, 11, 13]
    assert columns.tolist() == [3, 3, 5, 2, 2]
    assert [rows.start(row) for row in range(6)] == [0, 3, 6, 11, 13, 15]


_SHAPES = st.lists(st.tuples(st.integers(1, 9), st.integers(1, 40)), min_size=1, max_size=5)


@given(_SHAPES, st.data())
def test_any_changes_there_and_back(shapes: list[tuple[int, int]], data: st.DataObject) -> None:
    cells = sum(rows * columns for rows, columns in shapes)
    chosen = sorted(data.draw(st.sets(st.integers(0, cells - 1), min_size=1, max_size=60)))
    amount = st.integers(-128, 127).filter(bool)
    amounts = data.draw(st.lists(amount, min_size=len(chosen), max_size=len(chosen)))
    content = write_weights(Changes(shapes, np.array(chosen), np.array(amounts, np.int16)))
    expected = np.zeros(cells, np.int16)
    expected[chosen] = amounts
    stretch = data.draw(st.integers(1, cells))
    assert (apply(content, shapes, stretch) == expected).all()


@pytest.mark.parametrize("classes", [0, 1, 2])
def test_rows_of_different_density(classes: int) -> None:
    """Each way to sort rows is chosen where it is the shortest, and gives the same weights."""
    generator = np.random.default_rng(classes)
    shape = (600, 200)
    density = {
        0: np.full(600, 0.05),
        1: np.where(generator.random(600) < 0.1, 0.5, 0.0),
        2: generator.choice([0.0, 0.02, 0.6], 600),
    }[classes]
    changed = generator.random(shape) < density[:, None]
    cells = np.flatnonzero(changed)
    amounts = generator.choice([-2, -1, 1, 2], len(cells)).astype(np.int16)
    content = write_weights(Changes([shape], cells, amounts))
    assert content[1] == classes
    expected = np.zeros(shape[0] * shape[1], np.int16)
    expected[cells] = amounts
    assert (apply(content, [shape], 7777) == expected).all()


def test_more_changes_than_a_block_holds() -> None:
    shape = (400, 250)
    cells = np.arange(0, 100_000, 2)
    assert len(cells) > MOST_CHANGES
    amounts = np.where(cells % 3 == 0, 1, -1).astype(np.int16)
    expected = np.zeros(100_000, np.int16)
    expected[cells] = amounts
    content = write_weights(Changes([shape], cells, amounts))
    assert (apply(content, [shape], 999) == expected).all()


def test_changes_that_cost_nothing_are_still_decoded_in_few_steps() -> None:
    """Every weight rises by one: no entropy at all, and a million symbols to decode."""
    shape = (4000, 250)
    amounts = np.ones(1_000_000, np.int16)
    content = write_weights(Changes([shape], np.arange(1_000_000), amounts))
    assert len(content) < 4000
    assert (apply(content, [shape]) == 1).all()


def _damaged(offset: int, value: int) -> bytes:
    content = bytearray(GOLDEN)
    content[offset] = value
    return bytes(content)


_MALFORMED = {
    "nothing": b"",
    "no layer": _damaged(0, 0),
    "eight classes": _damaged(1, 8),
    "an impossible table": _damaged(2, 0),
    "no lane": _damaged(9, 0),
    "an impossible state": _damaged(12, 0),
    "another state": _damaged(11, 0x41),
    "a block of no rows": _damaged(14, 0),
    "a change fewer": _damaged(15, 1),
    "cut off": GOLDEN[:-1],
    "a byte too many": GOLDEN + b"\0",
}


@pytest.mark.parametrize("content", _MALFORMED.values(), ids=_MALFORMED.keys())
def test_malformed(content: bytes) -> None:
    with pytest.raises(MalformedDiffError):
        apply(content, ROWS)


_EXCESSIVE = {
    "more rows than there are": _damaged(14, 3),
    "more words than tokens": _damaged(16, 5),
    "more lanes than allowed": GOLDEN[:9] + varint(4097) + GOLDEN[10:],
    "more changes than a block holds": GOLDEN[:15] + varint(MOST_CHANGES + 1) + GOLDEN[16:],
}


@pytest.mark.parametrize("content", _EXCESSIVE.values(), ids=_EXCESSIVE.keys())
def test_excessive(content: bytes) -> None:
    with pytest.raises(DiffLimitError):
        apply(content, ROWS)


def test_a_layer_of_a_newer_agent() -> None:
    with pytest.raises(UnsupportedDiffError, match="update the agent"):
        apply(_damaged(0, 5), ROWS)


def test_a_gap_beyond_the_end() -> None:
    # The same gaps in a matrix that ends before the second change.
    with pytest.raises(MalformedDiffError, match="does not exist"):
        apply(GOLDEN, [(2, 3)])


def test_a_change_larger_than_weights_can_differ() -> None:
    changes = Changes([(1, 4)], np.array([0]), np.array([256], np.int16))
    with pytest.raises(MalformedDiffError, match="more than weights can differ"):
        apply(write_weights(changes), [(1, 4)])


def test_few_bytes_cannot_ask_for_hours() -> None:
    """Blocks of certain symbols, all in one lane: refused after a bounded number of steps."""
    certain = "01b0"  # a table of one level, 4
    block = "c801 808002 00"  # 200 rows, 32,768 changes, no words
    content = bytes.fromhex("0100" + certain + certain + "01 00000100" + block * 40)
    with pytest.raises(DiffLimitError, match="longer to decode"):
        apply(content, [(8000, 200)])


def test_hashed_values_there_and_back() -> None:
    values = np.array([0, 1, -1, 127, -128, 5], np.int8)
    content = write_weights(None, Buckets(99, values))
    rows = RowMap([(3, 50)])
    changes = WeightChanges(ByteReader.over(content), rows)
    weights = np.zeros(150, np.int16)
    changes.apply(weights, hashed=True)
    changes.finish()
    assert set(np.abs(weights).tolist()) <= {0, 1, 5, 127, 128}
    assert len(set(weights.tolist())) > 4


def test_a_bucket_beyond_eight_bits() -> None:
    content = write_weights(None, Buckets(1, np.array([128], np.int16)))
    with pytest.raises(MalformedDiffError, match="a bucket beyond eight bits"):
        WeightChanges(ByteReader.over(content), RowMap([(1, 4)]))


def test_sparse_changes_correct_hashed_ones() -> None:
    shapes = [(3, 50)]
    content = write_weights(
        Changes(shapes, np.array([7, 149]), np.array([3, -3], np.int16)),
        Buckets(99, np.array([1], np.int8)),
    )
    weights = np.zeros(150, np.int16)
    changes = WeightChanges(ByteReader.over(content), RowMap(shapes))
    changes.apply(weights[:100], hashed=True)
    changes.apply(weights[100:], hashed=True)
    changes.finish()
    alone = np.zeros(150, np.int16)
    only = WeightChanges(
        ByteReader.over(write_weights(None, Buckets(99, np.array([1], np.int8)))), RowMap(shapes)
    )
    only.apply(alone, hashed=True)
    assert np.flatnonzero(weights - alone).tolist() == [7, 149]
    assert (weights - alone)[[7, 149]].tolist() == [3, -3]


def test_a_matrix_marked_for_a_hash_that_is_not_there() -> None:
    changes = WeightChanges(ByteReader.over(GOLDEN), RowMap(ROWS))
    with pytest.raises(MalformedDiffError, match="a hash that it lacks"):
        changes.apply(np.zeros(8, np.int16), hashed=True)


def test_the_same_changes_always_give_the_same_bytes() -> None:
    generator = np.random.default_rng(3)
    cells = np.flatnonzero(generator.random(5000) < 0.1)
    amounts = generator.integers(1, 4, len(cells)).astype(np.int16)
    written = {write_weights(Changes([(50, 100)], cells, amounts)) for _ in range(3)}
    assert len(written) == 1


def test_every_truncation_is_named() -> None:
    cells = np.arange(0, 4000, 3)
    amounts = np.tile(np.array([1, -1, 2], np.int16), 500)[: len(cells)]
    content = write_weights(Changes([(40, 100)], cells, amounts))
    assert (apply(content, [(40, 100)])[cells] == amounts).all()
    for end in itertools.chain(range(0, len(content), 7), [len(content) - 1]):
        with pytest.raises(MalformedDiffError):
            apply(content[:end], [(40, 100)])
