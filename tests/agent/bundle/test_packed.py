"""Packed model files: the same bytes again, or a refusal that names the file."""

from __future__ import annotations

import resource

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from agent.bundle.packed import inflate, is_packed, plain
from agent.bundle.schema import LARGEST_FILE, LayoutEntry
from agent.errors import BundleFileError
from agent.update.byte_reader import varint
from converters.export.packing import pack_model
from tests.agent.update.handmade import stored
from tests.agent.update.mutations import mutated

Matrix = NDArray[np.int8]
MOST_MEMORY = 64 * 1024  # KB that the process may grow by

# A file of four bytes: "A", a matrix of one row with 3 and 3, "B".
HEAD = b"VPAK\x01" + bytes([4, 1, 1, 1, 2, 0])
# The value 3 is the number 6. It is certain, so levels are six times 0 and a 1: nibbles 7 7 7 7 7
# 7 8, and a zero to fill the byte. One lane in its first state has nothing to read.
TABLE = bytes([7, 0x77, 0x77, 0x77, 0x80])
LANE = b"\x01" + b"\x00\x00\x01\x00"
BY_HAND = HEAD + stored(b"AB") + TABLE + LANE + b"\x00"


def file_of(matrices: list[Matrix], seed: int = 0) -> tuple[bytes, list[LayoutEntry]]:
    """A file with matrices between other bytes, and where they lie."""
    rng = np.random.default_rng(seed)
    content, layout = rng.bytes(7), []
    for matrix in matrices:
        rows, columns = matrix.shape
        layout.append(LayoutEntry(file="m", tensor="t", offset=len(content), rows=rows,
                                  cols=columns, scale_offset=0))  # fmt: skip
        content += matrix.tobytes() + rng.bytes(int(rng.integers(0, 9)))
    return content, layout


def random_matrix(
    seed: int, shape: tuple[int, int], *, zeros: float, block: tuple[int, int], largest: int
) -> Matrix:
    rng = np.random.default_rng(seed)
    values = rng.integers(-largest - (largest == 127), largest + 1, shape)
    lives = rng.random((-(-shape[0] // block[0]), -(-shape[1] // block[1]))) >= zeros
    mask = np.kron(lives, np.ones(block, bool))[: shape[0], : shape[1]]
    return (values * mask).astype(np.int8)


def test_by_hand() -> None:
    assert inflate(BY_HAND, "toy") == b"A\x03\x03B"
    assert is_packed(BY_HAND)
    assert plain(BY_HAND, "toy") == b"A\x03\x03B"
    assert plain(b"anything", "toy") == b"anything"


def test_blocks_by_hand() -> None:
    # Two rows of four, in blocks of two by two: the second of two blocks is alive, after a gap
    # of one, and holds 3 four times.
    content = (
        b"VPAK\x01" + bytes([8, 1, 0, 2, 4, 2, 2]) + stored(b"")
        + bytes([2, 0x78]) + TABLE + LANE + bytes([1]) + b"\x00" + b"\x00"
    )  # fmt: skip
    assert np.frombuffer(inflate(content, "toy"), np.int8).reshape(2, 4).tolist() == [
        [0, 0, 3, 3], [0, 0, 3, 3],
    ]  # fmt: skip


@settings(max_examples=40, deadline=None)
@given(
    st.integers(0, 2**32),
    st.lists(st.tuples(st.integers(1, 40), st.integers(1, 40)), max_size=3),
    st.sampled_from([0.0, 0.5, 0.9, 1.0]),
    st.sampled_from([(1, 1), (1, 4), (4, 4), (8, 8)]),
    st.sampled_from([1, 7, 127]),
)
def test_any_file_comes_back(
    seed: int,
    shapes: list[tuple[int, int]],
    zeros: float,
    block: tuple[int, int],
    largest: int,
) -> None:
    matrices = [
        random_matrix(seed + i, shape, zeros=zeros, block=block, largest=largest)
        for i, shape in enumerate(shapes)
    ]
    content, layout = file_of(matrices, seed)
    packed = pack_model(content, layout)
    assert inflate(packed, "toy") == content
    assert pack_model(content, layout) == packed


def test_a_matrix_longer_than_a_chunk() -> None:
    matrix = random_matrix(1, (300, 300), zeros=0.5, block=(1, 1), largest=127)
    content, layout = file_of([matrix, matrix])
    assert inflate(pack_model(content, layout), "toy") == content


def bits_per_weight(matrix: Matrix) -> float:
    return 8 * len(pack_model(*file_of([matrix]))) / matrix.size


@pytest.mark.parametrize(
    ("zeros", "block", "bound"),
    [
        # 15 equally likely values.
        (0.0, (1, 1), np.log2(15)),
        # A weight is zero with 0.75 + 0.25 / 15 = 0.7667, which costs 0.7837 bits to tell; the
        # others take one of 14 values.
        (0.75, (1, 1), 0.7837 + 0.2333 * np.log2(14)),
        # To tell that a block is zero costs 0.8113 bits for 16 weights.
        (0.75, (4, 4), 0.8113 / 16 + 0.25 * np.log2(15)),
    ],
    ids=["four bits", "sparse", "sparse in blocks"],
)
def test_size_is_near_the_entropy(zeros: float, block: tuple[int, int], bound: float) -> None:
    matrix = random_matrix(2, (512, 256), zeros=zeros, block=block, largest=7)
    assert bits_per_weight(matrix) < 1.03 * bound


def test_cut_off_anywhere() -> None:
    matrix = random_matrix(3, (16, 16), zeros=0.6, block=(4, 4), largest=7)
    packed = pack_model(*file_of([matrix]))
    for length in range(len(packed)):
        with pytest.raises(BundleFileError, match="toy is damaged and cannot be inflated"):
            inflate(packed[:length], "toy")
    with pytest.raises(BundleFileError, match="toy is damaged"):
        inflate(packed + b"\0", "toy")


def test_other_versions_and_other_files_are_named() -> None:
    with pytest.raises(BundleFileError, match="format 2, this agent reads format 1; update the"):
        inflate(b"VPAK\x02" + BY_HAND[5:], "toy")
    with pytest.raises(BundleFileError, match="toy is not a packed model file"):
        inflate(b"VOVL" + BY_HAND[4:], "toy")


DAMAGED = {
    "an empty matrix": HEAD[:8] + bytes([0, 2, 0]) + stored(b"AB"),
    "a matrix beyond the end": HEAD[:8] + bytes([2, 2, 0]) + stored(b"AB"),
    "a matrix that starts beyond the end": HEAD[:7] + bytes([5, 1, 1, 0]) + stored(b"AB"),
    "a block without columns": HEAD[:10] + bytes([1, 0]) + stored(b"AB"),
    "blocks that do not fit": HEAD[:10] + bytes([1, 3]) + stored(b"AB"),
    "too few other bytes": HEAD + stored(b"A") + TABLE + LANE + b"\x00",
    "too many other bytes": HEAD + stored(b"ABC") + TABLE + LANE + b"\x00",
    "no lanes": HEAD + stored(b"AB") + TABLE + b"\x00\x00",
    "an impossible state": HEAD + stored(b"AB") + TABLE + b"\x01\x00\x00\x00\x00\x00",
    "a word too many": HEAD + stored(b"AB") + TABLE + LANE + b"\x01\x00\x00",
    "a file too large": b"VPAK\x01" + varint(LARGEST_FILE + 1) + BY_HAND[6:],
    "values of nine bits": HEAD + stored(b"AB")
    # Token 16 + 4 * 4 stands for 256 and more, with six extra bits: 32 times level 0, then 1.
    + bytes([33]) + b"\x77" * 16 + b"\x80" + LANE + b"\x00" + b"\x00\x00",
}  # fmt: skip


@pytest.mark.parametrize("content", DAMAGED.values(), ids=DAMAGED.keys())
def test_damage_is_refused(content: bytes) -> None:
    with pytest.raises(BundleFileError, match="toy is damaged and cannot be inflated; restore"):
        inflate(content, "toy")


def test_a_block_beyond_its_matrix_is_refused() -> None:
    # Two blocks, and a gap of two before the first.
    content = (
        b"VPAK\x01" + bytes([8, 1, 0, 2, 4, 2, 2]) + stored(b"")
        + bytes([3, 0x77, 0x80]) + TABLE + LANE + bytes([1]) + b"\x00" + b"\x00"
    )  # fmt: skip
    with pytest.raises(BundleFileError, match="damaged"):
        inflate(content, "toy")


def _fuzz(seeds: range) -> None:
    originals = [BY_HAND] + [
        pack_model(*file_of([
            random_matrix(i, (24, 16), zeros=zeros, block=(4, 4), largest=largest)
            for i in range(2)
        ]))
        for zeros, largest in ((0.0, 127), (0.7, 7))
    ]  # fmt: skip
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    refused = 0
    for seed in seeds:
        # Most keep the magic, so that the rest is read at all.
        head = 0 if seed % 8 == 0 else 5
        content = originals[seed % 3][:head] + mutated([o[head:] for o in originals], seed)
        try:
            inflate(content, "toy")
        except BundleFileError:
            refused += 1
        except Exception as error:
            raise AssertionError(f"mutation {seed} is no BundleFileError") from error
    assert refused > 0.8 * len(seeds)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < MOST_MEMORY


def test_damaged_files_are_refused_by_name() -> None:
    _fuzz(range(1500))


@pytest.mark.slow
def test_many_damaged_files_are_refused_by_name() -> None:
    _fuzz(range(1500, 40_000))
