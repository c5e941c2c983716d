"""Length and body: how messages are cut out of a byte stream.

Four bytes, big-endian, give the length of the JSON that follows. Pure: bytes in, messages out.
"""

from __future__ import annotations

import struct

from agent.errors import MalformedMessageError, MessageTooLargeError
from agent.events import LARGEST_MESSAGE, Event, decode, encode

_LENGTH = struct.Struct(">I")


def frame(event: Event) -> bytes:
    """An event as it travels.

    Args:
        event: Any message.

    Returns:
        Its length and its JSON.

    Raises:
        MessageTooLargeError: It does not fit.
        MalformedMessageError: It holds something that JSON cannot.
    """
    body = encode(event)
    return _LENGTH.pack(len(body)) + body


class Deframer:
    """Puts messages together from pieces of any size; holds at most one unfinished message.

    Attributes:
        ignored: How many messages were of a kind that is not known here.
    """

    def __init__(self) -> None:
        self._pending = bytearray()
        self.ignored = 0

    def feed(self, data: bytes) -> list[Event]:
        """Takes what has arrived.

        Args:
            data: The next bytes of the stream.

        Returns:
            The events that are complete now.

        Raises:
            MessageTooLargeError: A length beyond the limit was announced; nothing was allocated.
            MalformedMessageError: A message is not what its kind promises. In both cases the stream
                cannot be read on.
        """
        self._pending += data
        events = []
        while len(self._pending) >= _LENGTH.size:
            (length,) = _LENGTH.unpack_from(self._pending)
            if length > LARGEST_MESSAGE:
                raise MessageTooLargeError(
                    f"A message of {length} bytes was announced, more than the {LARGEST_MESSAGE}"
                    " allowed; the peer does not speak this protocol."
                )
            if length == 0:
                raise MalformedMessageError("A message of 0 bytes was announced.")
            end = _LENGTH.size + length
            if len(self._pending) < end:
                break
            event = decode(bytes(self._pending[_LENGTH.size : end]))
            del self._pending[:end]
            if event is None:
                self.ignored += 1
            else:
                events.append(event)
        return events
