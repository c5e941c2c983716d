"""A broker that does what it likes: says yes to everyone, then runs a script."""

from __future__ import annotations

import contextlib
import socket
import struct
import threading
from collections.abc import Callable

CONNACK = b"\x20\x03\x00\x00\x00"


def length(size: int) -> bytes:
    """MQTT's variable-length number."""
    digits = bytearray()
    while True:
        size, digit = divmod(size, 128)
        digits.append(digit | (0x80 if size else 0))
        if not size:
            return bytes(digits)


def publish(topic: bytes, body: bytes) -> bytes:
    content = struct.pack(">H", len(topic)) + topic + b"\x00" + body
    return b"\x30" + length(len(content)) + content


class HostileBroker:
    """Answers every connection in turn with one script.

    Args:
        script: Gets the socket after the CONNACK.
        greeting: What is sent instead of a CONNACK that says yes.
    """

    def __init__(
        self, script: Callable[[socket.socket], None], *, greeting: bytes = CONNACK
    ) -> None:
        self._script = script
        self._greeting = greeting
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = int(self._listener.getsockname()[1])
        self.connections = 0
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def close(self) -> None:
        # A close alone would leave accept() waiting.
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._thread.join(timeout=30)

    def _serve(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            connection.settimeout(30)
            with connection, contextlib.suppress(OSError):
                connection.recv(4096)
                self.connections += 1
                connection.sendall(self._greeting)
                self._script(connection)
