"""Bytes that a diff brings along, packed by whatever packs them best.

    packing        u8        0 as they are, 1 raw Deflate, 2 raw LZMA2 with a dictionary of 1 MiB
    packed length  varint
    packed bytes

Unpacking goes piece by piece and never makes more bytes than were asked for, so that a small diff
that unpacks to gigabytes costs nothing.
"""

from __future__ import annotations

import lzma
import zlib

from agent.bundle.schema import LARGEST_BUNDLE
from agent.errors import MalformedDiffError, UnsupportedDiffError
from agent.update.byte_reader import ByteReader, varint

STORED, DEFLATE, LZMA2 = range(3)

_FILTERS = [{"id": lzma.FILTER_LZMA2, "preset": 9 | lzma.PRESET_EXTREME, "dict_size": 1 << 20}]
_CHUNK = 64 * 1024  # packed bytes read at a time


def pack(content: bytes) -> bytes:
    """Packs bytes, in the shortest of the three ways."""
    deflate = zlib.compressobj(9, zlib.DEFLATED, -15)
    ways = {
        STORED: content,
        DEFLATE: deflate.compress(content) + deflate.flush(),
        LZMA2: lzma.compress(content, lzma.FORMAT_RAW, filters=_FILTERS),
    }
    packing = min(ways, key=lambda way: len(ways[way]))
    return bytes([packing]) + varint(len(ways[packing])) + ways[packing]


class Unpacker:
    """Unpacks on demand.

    Args:
        reader: Stands at the packing; behind the packed bytes afterwards.

    Raises:
        MalformedDiffError: The diff is shorter than the packed bytes.
        DiffLimitError: They are more than a bundle may hold.
        UnsupportedDiffError: The packing is not known.
    """

    def __init__(self, reader: ByteReader) -> None:
        packing = reader.byte()
        self._reader = reader.part(reader.varint(LARGEST_BUNDLE, "packed bytes"))
        if packing > LZMA2:
            raise UnsupportedDiffError(
                "The diff is packed in a way this agent does not know; update the agent."
            )
        self._unpack = (_Stored, _Deflate, _Lzma2)[packing]()

    def take(self, length: int) -> bytes:
        """The next bytes.

        Raises:
            MalformedDiffError: There are fewer, or the packed bytes are damaged.
        """
        parts: list[bytes] = []
        while length:
            if self._unpack.hungry and self._reader.left:
                self._unpack.feed(self._reader.take(min(_CHUNK, self._reader.left)))
            part = self._some(length)
            if not part and not (self._unpack.hungry and self._reader.left):
                raise MalformedDiffError("The diff brings fewer bytes along than it needs.")
            parts.append(part)
            length -= len(part)
        return b"".join(parts)

    def finish(self) -> None:
        """Ends unpacking.

        Raises:
            MalformedDiffError: Bytes are left over.
        """
        surplus = self._some(1)
        while not surplus and self._unpack.hungry and self._reader.left:
            self._unpack.feed(self._reader.take(min(_CHUNK, self._reader.left)))
            surplus = self._some(1)
        if surplus or self._reader.left or not self._unpack.ended:
            raise MalformedDiffError("The diff brings more bytes along than it needs.")

    def _some(self, most: int) -> bytes:
        try:
            return self._unpack.take(most)
        except (zlib.error, lzma.LZMAError, EOFError) as error:
            raise MalformedDiffError(
                f"The packed bytes of the diff are damaged ({error})."
            ) from error


class _Stored:
    def __init__(self) -> None:
        self._content = b""

    def feed(self, content: bytes) -> None:
        self._content = content

    @property
    def hungry(self) -> bool:
        return not self._content

    @property
    def ended(self) -> bool:
        return True

    def take(self, most: int) -> bytes:
        part, self._content = self._content[:most], self._content[most:]
        return part


class _Deflate:
    def __init__(self) -> None:
        self._stream = zlib.decompressobj(-15)
        self._content = b""

    def feed(self, content: bytes) -> None:
        self._content = content

    @property
    def hungry(self) -> bool:
        return not self._content and not self._stream.eof

    @property
    def ended(self) -> bool:
        return self._stream.eof and not self._stream.unused_data

    def take(self, most: int) -> bytes:
        part = self._stream.decompress(self._content, most)
        self._content = self._stream.unconsumed_tail
        return part


class _Lzma2:
    def __init__(self) -> None:
        self._stream = lzma.LZMADecompressor(lzma.FORMAT_RAW, filters=_FILTERS)
        self._content = b""

    def feed(self, content: bytes) -> None:
        self._content = content

    @property
    def hungry(self) -> bool:
        return not self._content and self._stream.needs_input and not self._stream.eof

    @property
    def ended(self) -> bool:
        return self._stream.eof and not self._stream.unused_data

    def take(self, most: int) -> bytes:
        if self._stream.eof:
            return b""
        content, self._content = self._content, b""
        return self._stream.decompress(content, most)
