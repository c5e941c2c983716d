from __future__ import annotations

import io
import lzma
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.errors import MalformedDiffError, UnsupportedDiffError
from agent.update.byte_reader import ByteReader, varint
from agent.update.packed_bytes import DEFLATE, LZMA2, STORED, Unpacker, pack

_FILTERS = [{"id": lzma.FILTER_LZMA2, "dict_size": 1 << 20}]


def _packed(way: int, content: bytes) -> bytes:
    if way == DEFLATE:
        deflate = zlib.compressobj(9, zlib.DEFLATED, -15)
        body = deflate.compress(content) + deflate.flush()
    elif way == LZMA2:
        body = lzma.compress(content, lzma.FORMAT_RAW, filters=_FILTERS)
    else:
        body = content
    return bytes([way]) + varint(len(body)) + body


def _unpack(packed: bytes, length: int) -> bytes:
    unpacker = Unpacker(ByteReader.over(packed))
    content = unpacker.take(length)
    unpacker.finish()
    return content


WAYS = pytest.mark.parametrize("way", [STORED, DEFLATE, LZMA2], ids=["stored", "deflate", "lzma2"])


def test_the_shortest_way_is_chosen() -> None:
    assert pack(b"").hex() == "0000"
    assert pack(b"abc").hex() == "0003" + b"abc".hex()
    assert pack(b"a" * 30)[0] == DEFLATE
    assert pack(b"".join(b"line %d\n" % n for n in range(2000)))[0] == LZMA2


@WAYS
@given(content=st.binary(max_size=3000), cuts=st.lists(st.integers(0, 900), max_size=8))
def test_there_and_back_in_pieces(way: int, content: bytes, cuts: list[int]) -> None:
    reader = ByteReader.over(_packed(way, content) + b"behind")
    unpacker = Unpacker(reader)
    assert reader.take(6) == b"behind"
    done = 0
    for cut in cuts:
        piece = unpacker.take(min(cut, len(content) - done))
        assert piece == content[done : done + len(piece)]
        done += len(piece)
    assert unpacker.take(len(content) - done) == content[done:]
    unpacker.finish()


@given(st.binary(max_size=2000))
def test_pack_there_and_back(content: bytes) -> None:
    packed = pack(content)
    assert len(packed) <= len(content) + 4
    assert _unpack(packed, len(content)) == content


@WAYS
@pytest.mark.parametrize("needed", [0, 1, 65_535, 65_536, 200_000])
def test_one_byte_too_many(way: int, needed: int) -> None:
    """Also where the surplus begins exactly behind a block of packed bytes."""
    unpacker = Unpacker(ByteReader.over(_packed(way, bytes(needed + 1))))
    assert unpacker.take(needed) == bytes(needed)
    with pytest.raises(MalformedDiffError, match="more bytes along"):
        unpacker.finish()


@WAYS
def test_one_byte_too_few(way: int) -> None:
    unpacker = Unpacker(ByteReader.over(_packed(way, bytes(99))))
    with pytest.raises(MalformedDiffError):
        unpacker.take(100)


@pytest.mark.parametrize("way", [DEFLATE, LZMA2])
def test_damaged(way: int) -> None:
    content = bytes(range(256)) * 40
    packed = bytearray(_packed(way, content))
    packed[3] = 0xFF
    with pytest.raises(MalformedDiffError):
        _unpack(bytes(packed), len(content))


@pytest.mark.parametrize("way", [DEFLATE, LZMA2])
def test_bytes_behind_the_end(way: int) -> None:
    body = _packed(way, b"abc" * 40)
    longer = body[:1] + varint(body[1] + 1) + body[2:] + b"\0"
    unpacker = Unpacker(ByteReader.over(longer))
    assert unpacker.take(120) == b"abc" * 40
    with pytest.raises(MalformedDiffError, match="more bytes along"):
        unpacker.finish()


@pytest.mark.parametrize("way", [DEFLATE, LZMA2])
def test_an_end_that_is_missing(way: int) -> None:
    body = _packed(way, b"abc" * 40)
    shorter = body[:1] + varint(body[1] - 1) + body[2:-1]
    with pytest.raises(MalformedDiffError):
        _unpack(shorter, 120)


def test_an_unknown_way_needs_a_newer_agent() -> None:
    with pytest.raises(UnsupportedDiffError, match="update the agent"):
        Unpacker(ByteReader.over(b"\x03\x00"))


def test_more_packed_bytes_than_there_are() -> None:
    with pytest.raises(MalformedDiffError, match="ends in the middle"):
        Unpacker(ByteReader.over(b"\x00\x09abc"))


class _Reads(io.BytesIO):
    """Counts the bytes that are read."""

    total = 0

    def read(self, size: int | None = -1, /) -> bytes:
        part = super().read(size)
        self.total += len(part)
        return part


@pytest.mark.parametrize("way", [DEFLATE, LZMA2])
def test_a_bomb_is_unpacked_no_further_than_asked(way: int) -> None:
    bomb = _packed(way, bytes(30_000_000))
    stream = _Reads(bomb)
    unpacker = Unpacker(ByteReader(stream, 0, len(bomb)))
    assert unpacker.take(1000) == bytes(1000)
    assert stream.total < 70_000
    with pytest.raises(MalformedDiffError):
        unpacker.finish()
    assert stream.total < 70_000
