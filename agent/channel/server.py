"""The side of `listen`: one thread with a selector serves all peers.

`send` may be called from the thread that does inference: it appends to a bounded queue under a lock
that is never held during I/O, and wakes the selector. What a slow peer misses is decided in
`agent.channel.backlog`; what a wrong peer does costs it its connection and us one log line.
"""

from __future__ import annotations

import contextlib
import fcntl
import logging
import os
import selectors
import socket
import stat
import threading
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import IO

from agent.channel.backlog import Backlog, Ledger
from agent.channel.framing import frame
from agent.channel.handshake import check_user
from agent.channel.peer import Peer
from agent.channel.waker import Waker
from agent.errors import HandshakeError, ProtocolError, SocketError
from agent.events import Ack, Command, Event, Final, Hello

_LOGGER = logging.getLogger(__name__)

_MOST_PEERS = 8
_TICK_S = 1.0  # how late a missed hello may be noticed


class Server:
    """Serves events to `link` and to observers.

    Args:
        path: Where the socket is made.
        hello: What we say first.
        uids: Who may connect, from `handshake.allowed_uids`.
        on_command: Called in the server's thread with each command; must return at once.

    Attributes:
        errors: How many peers were refused or closed, by name of the error.
    """

    def __init__(
        self,
        path: Path,
        *,
        hello: Hello,
        uids: frozenset[int],
        on_command: Callable[[Command], None] | None = None,
    ) -> None:
        self._path = path
        self._hello = hello
        self._uids = uids
        self._on_command = on_command
        self._selector = selectors.DefaultSelector()
        self._waker = Waker()
        self._peers: list[Peer] = []
        self._inbox = Backlog()
        self._ledger = Ledger()
        self._shed: Counter[str] = Counter()
        self._changed = threading.Condition()
        self._lost_reported = 0
        self._stopping = False
        self._thread = threading.Thread(target=self._run, name="socket", daemon=True)
        self._lock_file: IO[bytes] | None = None
        self._listener: socket.socket | None = None
        self.errors: Counter[str] = Counter()

    def start(self) -> None:
        """Makes the socket and begins to serve.

        Raises:
            SocketError: Another process serves there, or the path cannot be used.
        """
        try:
            self._bind()
        except (OSError, SocketError) as error:
            self.close()
            if isinstance(error, SocketError):
                raise
            raise SocketError(
                f"{self._path}: the socket cannot be made ({error.strerror}); check the directory"
                " and its permissions, or set socket.path."
            ) from error
        self._thread.start()

    def send(self, event: Event) -> None:
        """Hands an event to all peers; a final is kept until `link` acknowledges it.

        Args:
            event: What happened. Never blocks and never fails, whatever the peers do.
        """
        with self._changed:
            if isinstance(event, Final):
                self._ledger.add(event)
            self._inbox.push(event)
        self._waker.set()

    @property
    def unacknowledged(self) -> int:
        """Finals that `link` has not confirmed."""
        with self._changed:
            return len(self._ledger)

    @property
    def lost(self) -> int:
        """Finals that fell out because too many were waiting."""
        with self._changed:
            return self._ledger.lost

    @property
    def dropped(self) -> int:
        """Events that gave way because a peer was slow."""
        with self._changed:
            waiting = [self._inbox, *(peer.backlog for peer in self._peers)]
            return self._shed.total() + sum(backlog.dropped.total() for backlog in waiting)

    def wait_for_peer(self, role: str, timeout_s: float) -> bool:
        """Waits until a peer of that role has said hello.

        Args:
            role: "link" or "observer".
            timeout_s: How long at most.

        Returns:
            True if one is connected.
        """
        with self._changed:
            return self._changed.wait_for(
                lambda: any(peer.role == role for peer in self._peers), timeout_s
            )

    def drain(self, timeout_s: float) -> bool:
        """Waits until all finals are acknowledged and everything else has been sent.

        Args:
            timeout_s: How long at most.

        Returns:
            True if nothing is left.
        """
        with self._changed:
            return self._changed.wait_for(self._nothing_left, timeout_s)

    def close(self) -> None:
        """Stops serving and removes the socket."""
        self._stopping = True
        self._waker.set()
        if self._thread.is_alive():
            self._thread.join(timeout=5.0)
        if self._listener is not None:
            self._listener.close()
            self._path.unlink(missing_ok=True)
        for peer in self._peers:
            peer.connection.close()
        self._selector.close()
        self._waker.close()
        if self._lock_file is not None:
            self._lock_file.close()

    # --- the thread ------------------------------------------------------------------------

    def _bind(self) -> None:
        self._path.parent.mkdir(mode=0o750, parents=True, exist_ok=True)
        # The lock, unlike the socket, vanishes with its process, however that ends.
        self._lock_file = open(f"{self._path}.lock", "wb")  # noqa: SIM115 - closed in close()
        try:
            fcntl.flock(self._lock_file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise SocketError(
                f"{self._path}: another `listen` serves here; stop it or give another --state."
            ) from error
        with contextlib.suppress(FileNotFoundError):
            if not stat.S_ISSOCK(self._path.lstat().st_mode):
                raise SocketError(f"{self._path}: not a socket; set socket.path to a free path.")
            self._path.unlink()
        listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            listener.setblocking(False)
            listener.bind(os.fspath(self._path))
            # Nobody can connect before listen(), so nobody slips in between.
            self._path.chmod(0o660)
            listener.listen(_MOST_PEERS)
        except OSError:
            listener.close()
            raise
        self._listener = listener
        self._selector.register(self._listener, selectors.EVENT_READ)
        self._selector.register(self._waker, selectors.EVENT_READ)

    def _run(self) -> None:
        while not self._stopping:
            try:
                self._turn()
            except Exception:
                # Speech must go on; the peers will come back.
                _LOGGER.exception("The socket's loop failed; all peers are disconnected.")
                for peer in list(self._peers):
                    self._close(peer)
                time.sleep(0.1)

    def _turn(self) -> None:
        for key, events in self._selector.select(_TICK_S):
            if key.fileobj is self._waker:
                self._waker.clear()
            elif key.fileobj is self._listener:
                self._accept()
            elif key.data in self._peers and events & selectors.EVENT_READ:
                self._guard(key.data, self._read)
        with self._changed:
            self._distribute()
            lost = self._ledger.lost
        if lost > self._lost_reported:
            self._lost_reported = lost
            _LOGGER.error("%d results are lost, because `link` stays away too long.", lost)
        for peer in list(self._peers):
            self._guard(peer, self._write)
        with self._changed:
            self._changed.notify_all()

    def _accept(self) -> None:
        assert self._listener is not None
        try:
            connection, _ = self._listener.accept()
        except BlockingIOError:
            return
        except OSError as error:
            _LOGGER.warning("A peer could not be accepted (%s).", error.strerror)
            time.sleep(0.1)
            return
        connection.setblocking(False)
        try:
            pid = check_user(connection, self._uids)
        except (HandshakeError, OSError) as error:
            self._note(error, "a new peer")
            connection.close()
            return
        if len(self._peers) >= _MOST_PEERS:
            self._note(HandshakeError("One peer too many; close another."), f"process {pid}")
            connection.close()
            return
        peer = Peer(connection, pid, frame(self._hello), time.monotonic())
        with self._changed:
            self._peers.append(peer)
        self._selector.register(connection, selectors.EVENT_READ, peer)

    def _guard(self, peer: Peer, action: Callable[[Peer], None]) -> None:
        """Whatever a peer does wrong, only the peer is closed."""
        try:
            action(peer)
        except (ProtocolError, OSError) as error:
            self._note(error, peer.name)
            self._close(peer)

    def _read(self, peer: Peer) -> None:
        events = peer.read(self._welcome)
        if events is None:
            _LOGGER.info("%s (%s) has gone.", peer.name, peer.role)
            self._close(peer)
            return
        for event in events:
            if isinstance(event, Ack) and peer.role == "link":
                with self._changed:
                    self._ledger.acknowledge(event.ids)
            elif isinstance(event, Command) and self._on_command is not None:
                try:
                    self._on_command(event)
                except Exception:
                    _LOGGER.exception("The command %r failed.", event.verb)

    def _welcome(self, peer: Peer, hello: Hello) -> None:
        with self._changed:
            # What is on its way goes to the others first, so that nobody gets a final twice.
            self._distribute()
            peer.role = hello.role
            waiting = self._ledger.waiting()
            for final in waiting:
                peer.backlog.push(final)
        again = f"; {len(waiting)} results are sent again" if waiting else ""
        _LOGGER.info("%s is connected as %s%s.", peer.name, peer.role, again)

    def _distribute(self) -> None:
        while (event := self._inbox.pop()) is not None:
            for peer in self._peers:
                if peer.role is not None:
                    peer.backlog.push(event)

    def _write(self, peer: Peer) -> None:
        peer.check_deadline(time.monotonic())
        wanted = peer.write(self._following)
        if self._selector.get_key(peer.connection).events != wanted:
            self._selector.modify(peer.connection, wanted, peer)

    def _following(self, peer: Peer) -> bytes | None:
        while True:
            with self._changed:
                event = peer.backlog.pop()
            if event is None:
                return None
            try:
                return frame(event)
            except ProtocolError as error:
                # Our own fault and not the peer's; the rest must still go out.
                _LOGGER.error("%s", error)
                self.errors[type(error).__name__] += 1

    def _close(self, peer: Peer) -> None:
        with contextlib.suppress(KeyError, ValueError):
            self._selector.unregister(peer.connection)
        peer.connection.close()
        with self._changed:
            self._peers.remove(peer)
            self._shed += peer.backlog.dropped

    def _note(self, error: Exception, who: str) -> None:
        name = type(error).__name__
        self.errors[name] += 1
        _LOGGER.warning("%s is disconnected: %s: %s", who, name, error)

    def _nothing_left(self) -> bool:
        return not self._ledger and not self._inbox and all(peer.idle for peer in self._peers)
