"""The side of `link` and of observers: one connection that is made again whenever it breaks.

Belongs to one thread, which calls `poll` in its loop; only `wake` may be called from others.
"""

from __future__ import annotations

import logging
import os
import random
import selectors
import socket
import time
from pathlib import Path

from agent.channel.framing import Deframer, frame
from agent.channel.handshake import check_hello, check_user
from agent.channel.waker import Waker
from agent.errors import ProtocolError
from agent.events import Event, Hello

_LOGGER = logging.getLogger(__name__)

_READ_BYTES = 64 * 1024
_MOST_UNSENT_BYTES = 1024 * 1024
_HELLO_DEADLINE_S = 5.0
_RETRY_MIN_S = 0.05
_RETRY_MAX_S = 0.5


class Client:
    """Receives events from `listen` and sends it acknowledgements and commands.

    Args:
        path: Where `listen` serves.
        hello: What we say first.
        uids: Whose `listen` is believed, from `handshake.allowed_uids`.

    Attributes:
        server: The hello of the `listen` we are connected to, or None.
    """

    def __init__(self, path: Path, *, hello: Hello, uids: frozenset[int]) -> None:
        self._path = path
        self._hello = hello
        self._uids = uids
        self._waker = Waker()
        self._selector = selectors.DefaultSelector()
        self._selector.register(self._waker, selectors.EVENT_READ)
        self._connection: socket.socket | None = None
        self._incoming = Deframer()
        self._outgoing = bytearray()
        self._pause_s = _RETRY_MIN_S
        self._next_try = 0.0
        self._deadline = 0.0
        self._reported = False
        self._last = False
        self.server: Hello | None = None

    def poll(self, timeout_s: float) -> list[Event]:
        """Waits for events, connecting first where necessary.

        Args:
            timeout_s: How long at most.

        Returns:
            What has arrived, oldest first; empty after a timeout, a lost connection or a `wake`.
        """
        if self._connection is None and not self._last:
            timeout_s = min(timeout_s, max(self._next_try - time.monotonic(), 0.0))
            if timeout_s == 0.0:
                self._connect()
        elif (
            self._connection is not None
            and self.server is None
            and time.monotonic() > self._deadline
        ):
            self._drop(f"it did not say hello within {_HELLO_DEADLINE_S:g} s")
        for key, _ in self._selector.select(timeout_s):
            if key.fileobj is self._waker:
                self._waker.clear()
            else:
                return self._exchange()
        return []

    def send(self, event: Event) -> bool:
        """Sends a message, or as much of it as goes without waiting; `poll` sends the rest.

        Args:
            event: An acknowledgement or a command.

        Returns:
            False if there is no connection, and the message is gone. A final whose acknowledgement
            is lost will simply arrive again.
        """
        if self._connection is None or self.server is None:
            return False
        self._outgoing += frame(event)
        if len(self._outgoing) > _MOST_UNSENT_BYTES:
            self._drop("it does not read what we send")
            return False
        return self._guarded_write()

    def retire(self) -> None:
        """Makes no new connection from now on; the present one stays until its end."""
        self._last = True

    def reconnect(self) -> None:
        """Gives the connection up and makes a new one, so that `listen` repeats its finals."""
        if self._connection is not None:
            self._drop("it is made again, so that results are repeated", logging.INFO)

    def wake(self) -> None:
        """Ends a `poll` that is waiting; from any thread."""
        self._waker.set()

    def close(self) -> None:
        """Ends the connection."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None
        self._selector.close()
        self._waker.close()

    def _connect(self) -> None:
        connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        connection.setblocking(False)
        try:
            connection.connect(os.fspath(self._path))
            check_user(connection, self._uids)
        except (OSError, ProtocolError) as error:
            connection.close()
            self._back_off()
            if not self._reported:
                self._reported = True
                reason = getattr(error, "strerror", None) or error
                _LOGGER.info("Waiting for `listen` at %s (%s).", self._path, reason)
            return
        self._connection = connection
        self._deadline = time.monotonic() + _HELLO_DEADLINE_S
        self._incoming = Deframer()
        self._outgoing = bytearray(frame(self._hello))
        self._selector.register(connection, selectors.EVENT_READ | selectors.EVENT_WRITE)

    def _exchange(self) -> list[Event]:
        connection = self._connection
        if connection is None or not self._guarded_write():
            return []
        try:
            data = connection.recv(_READ_BYTES)
            if not data:
                self._drop("it has ended", logging.INFO)
                return []
            events = self._incoming.feed(data)
            if events and self.server is None:
                self.server = check_hello(events.pop(0), "listen")
                self._pause_s = _RETRY_MIN_S
                self._reported = False
                _LOGGER.info("Connected to `listen` (agent %s).", self.server.agent)
        except BlockingIOError:
            return []
        except (OSError, ProtocolError) as error:
            self._drop(str(error))
            return []
        return events

    def _guarded_write(self) -> bool:
        assert self._connection is not None
        try:
            while self._outgoing:
                del self._outgoing[: self._connection.send(self._outgoing)]
        except BlockingIOError:
            pass
        except OSError as error:
            self._drop(str(error))
            return False
        wanted = selectors.EVENT_READ | (selectors.EVENT_WRITE if self._outgoing else 0)
        self._selector.modify(self._connection, wanted)
        return True

    def _drop(self, reason: str, level: int = logging.WARNING) -> None:
        assert self._connection is not None
        _LOGGER.log(level, "The connection to `listen` is gone: %s.", reason.rstrip("."))
        self._selector.unregister(self._connection)
        self._connection.close()
        self._connection = None
        self.server = None
        self._back_off()

    def _back_off(self) -> None:
        # The random part keeps several peers from coming back in step.
        self._next_try = time.monotonic() + self._pause_s * random.uniform(0.5, 1.0)
        self._pause_s = min(self._pause_s * 2, _RETRY_MAX_S)
