"""One connection of the server: what came in half, what waits to go out."""

from __future__ import annotations

import selectors
import socket
from collections.abc import Callable

from agent.channel.backlog import Backlog
from agent.channel.framing import Deframer
from agent.channel.handshake import check_hello
from agent.errors import HandshakeError
from agent.events import Event, Hello

_HELLO_DEADLINE_S = 5.0
_READ_BYTES = 64 * 1024


class Peer:
    """A connected peer; nothing here ever waits.

    Args:
        connection: A non-blocking socket, whose user has been checked.
        pid: The peer's process.
        greeting: Our framed hello, sent first.
        now: Monotonic seconds.

    Attributes:
        role: What the peer's hello said, or None before it came.
        backlog: Events that wait to be sent.
    """

    def __init__(self, connection: socket.socket, pid: int, greeting: bytes, now: float) -> None:
        self.connection = connection
        self.name = f"process {pid}"
        self.role: str | None = None
        self.backlog = Backlog()
        self._deadline = now + _HELLO_DEADLINE_S
        self._incoming = Deframer()
        self._outgoing = greeting

    @property
    def idle(self) -> bool:
        """True if everything has been handed to the kernel."""
        return not self._outgoing and not self.backlog

    def check_deadline(self, now: float) -> None:
        """Refuses a peer that connected and never said who it is.

        Args:
            now: Monotonic seconds.

        Raises:
            HandshakeError: Its time is over.
        """
        if self.role is None and now > self._deadline:
            raise HandshakeError(f"The peer did not say hello within {_HELLO_DEADLINE_S:g} s.")

    def read(self, welcome: Callable[[Peer, Hello], None]) -> list[Event] | None:
        """Takes what has arrived.

        Args:
            welcome: Called once, with the peer's hello.

        Returns:
            Complete events after the hello, or None if the peer has gone.

        Raises:
            ProtocolError: The peer does not speak the protocol.
            OSError: The connection broke.
        """
        try:
            data = self.connection.recv(_READ_BYTES)
        except BlockingIOError:
            return []
        if not data:
            return None
        events = self._incoming.feed(data)
        if events and self.role is None:
            welcome(self, check_hello(events.pop(0), "link", "observer"))
        return events

    def write(self, following: Callable[[Peer], bytes | None]) -> int:
        """Sends as much as the kernel takes.

        Args:
            following: Gives the next framed event, or None.

        Returns:
            The selector's events to wait for from now on.

        Raises:
            OSError: The connection broke.
        """
        try:
            while True:
                self._outgoing = self._outgoing or following(self) or b""
                if not self._outgoing:
                    return selectors.EVENT_READ
                self._outgoing = self._outgoing[self.connection.send(self._outgoing) :]
        except BlockingIOError:
            return selectors.EVENT_READ | selectors.EVENT_WRITE
