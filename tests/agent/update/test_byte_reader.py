from __future__ import annotations

import io

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.errors import DiffLimitError, MalformedDiffError
from agent.update.byte_reader import ByteReader, varint

_LARGEST = (1 << 63) - 1


@pytest.mark.parametrize(
    ("value", "encoded"),
    [
        (0, "00"),
        (1, "01"),
        (127, "7f"),
        (128, "8001"),  # 0000000 | 1: seven zero bits first, then one
        (300, "ac02"),  # 300 = 2 * 128 + 44, and 44 | 0x80 = 0xac
        (16384, "808001"),
        (_LARGEST, "ffffffffffffffff7f"),  # nine times seven bits
    ],
)
def test_varint(value: int, encoded: str) -> None:
    assert varint(value).hex() == encoded
    assert ByteReader.over(bytes.fromhex(encoded)).varint(_LARGEST, "things") == value


@given(st.integers(0, _LARGEST), st.binary(max_size=3))
def test_varint_there_and_back(value: int, behind: bytes) -> None:
    reader = ByteReader.over(varint(value) + behind)
    assert reader.varint(_LARGEST, "things") == value
    assert reader.take(reader.left) == behind


@pytest.mark.parametrize("value", [-1, 1 << 63])
def test_varint_refuses_what_it_cannot_hold(value: int) -> None:
    with pytest.raises(ValueError, match="does not fit"):
        varint(value)


@pytest.mark.parametrize(
    "content",
    ["", "80", "ff" * 8, "8000", "ff" * 9 + "01", "80" * 9],
    ids=["nothing", "cut off", "cut off late", "not the shortest", "64 bits", "endless zeros"],
)
def test_a_varint_that_is_none(content: str) -> None:
    with pytest.raises(MalformedDiffError):
        ByteReader.over(bytes.fromhex(content)).varint(_LARGEST, "things")


def test_a_varint_above_its_limit_names_what_it_counts() -> None:
    with pytest.raises(DiffLimitError, match="announces 8 lanes, more than 7"):
        ByteReader.over(b"\x08").varint(7, "lanes")


class _Counting(io.BytesIO):
    """Remembers the largest number of bytes that it was asked for."""

    asked = 0

    def read(self, size: int | None = -1, /) -> bytes:
        assert size is not None
        self.asked = max(self.asked, size)
        return super().read(size)


def test_an_announced_length_is_compared_before_anything_is_read() -> None:
    stream = _Counting(b"four")
    reader = ByteReader(stream, 0, 4)
    with pytest.raises(MalformedDiffError, match="ends in the middle"):
        reader.take(1 << 40)
    with pytest.raises(MalformedDiffError, match="ends in the middle"):
        reader.part(5)
    assert stream.asked == 0
    assert reader.take(4) == b"four"


def test_parts_share_the_stream() -> None:
    reader = ByteReader.over(b"abcdef")
    part = reader.part(3)
    assert reader.take(1) == b"d"
    assert part.take(2) == b"ab"
    assert reader.take(2) == b"ef"
    assert (part.byte(), part.left, reader.left) == (ord("c"), 0, 0)
    with pytest.raises(MalformedDiffError):
        part.byte()


def test_a_file_that_shrinks_while_it_is_read() -> None:
    stream = io.BytesIO(b"abcdef")
    reader = ByteReader(stream, 0, 6)
    stream.truncate(3)
    with pytest.raises(MalformedDiffError, match="became shorter"):
        reader.take(4)
