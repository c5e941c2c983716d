"""Numbers of variable length, read from bytes that nobody vouches for.

A *varint* is an unsigned integer of up to 63 bits: seven bits in each byte, the lowest first, the
high bit set in all bytes but the last (LEB128, as in WebAssembly and Protocol Buffers). The last
byte of a longer one is not zero, so that every number has exactly one form.
"""

from __future__ import annotations

import io
from typing import BinaryIO

from agent.errors import DiffLimitError, MalformedDiffError

_LONGEST = 9  # bytes of a varint of 63 bits


def varint(value: int) -> bytes:
    """The bytes of an unsigned integer below 2**63."""
    if not 0 <= value < 1 << 63:
        raise ValueError(f"{value} does not fit a varint")
    encoded = bytearray()
    while value > 0x7F:
        encoded.append(value & 0x7F | 0x80)
        value >>= 7
    encoded.append(value)
    return bytes(encoded)


class ByteReader:
    """Walks through a part of a file; what it cannot read is a `MalformedDiffError`.

    Several of them can share one file, because each remembers where it stands.

    Args:
        stream: A file that can seek.
        start: Where the part begins, in bytes.
        length: Bytes of the part.

    Attributes:
        position: Where in the file the next byte is.
    """

    def __init__(self, stream: BinaryIO, start: int, length: int) -> None:
        self._stream = stream
        self._end = start + length
        self.position = start

    @classmethod
    def over(cls, content: bytes) -> ByteReader:
        """A reader of bytes in memory."""
        return cls(io.BytesIO(content), 0, len(content))

    @property
    def left(self) -> int:
        """Bytes that were not read yet."""
        return self._end - self.position

    def take(self, length: int) -> bytes:
        """The next `length` bytes.

        Raises:
            MalformedDiffError: There are fewer.
        """
        # Compared before anything is read: an announced length is never an allocation.
        if length > self.left:
            raise MalformedDiffError("The diff ends in the middle; download it again.")
        self._stream.seek(self.position)
        content = self._stream.read(length)
        if len(content) != length:
            raise MalformedDiffError("The diff became shorter while it was read.")
        self.position += length
        return content

    def part(self, length: int) -> ByteReader:
        """A reader of the next `length` bytes, which this one steps over.

        Raises:
            MalformedDiffError: There are fewer.
        """
        if length > self.left:
            raise MalformedDiffError("The diff ends in the middle; download it again.")
        self.position += length
        return ByteReader(self._stream, self.position - length, length)

    def byte(self) -> int:
        """The next byte as a number.

        Raises:
            MalformedDiffError: There is none.
        """
        return self.take(1)[0]

    def varint(self, most: int, what: str) -> int:
        """The next varint.

        Args:
            most: Largest value that makes sense here.
            what: What the number counts, for the message.

        Raises:
            MalformedDiffError: It is cut off, too long, or not in its shortest form.
            DiffLimitError: It is larger than `most`.
        """
        value = 0
        for i in range(_LONGEST):
            byte = self.byte()
            value |= (byte & 0x7F) << 7 * i
            if byte < 0x80:
                if byte == 0 and i > 0:
                    break
                if value > most:
                    raise DiffLimitError(f"The diff announces {value} {what}, more than {most}.")
                return value
        raise MalformedDiffError("The diff holds a number in no valid form; download it again.")
