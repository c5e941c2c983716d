"""Tells systemd how the service is (sd_notify(3)); does nothing where nobody asks."""

from __future__ import annotations

import contextlib
import os
import socket


class Notifier:
    """Sends datagrams to the socket that `NOTIFY_SOCKET` names.

    Attributes:
        watchdog_s: Longest time between two signs of life that systemd accepts; None if it does not
            watch this process.
    """

    def __init__(self) -> None:
        self._socket: socket.socket | None = None
        address = os.environ.get("NOTIFY_SOCKET", "")
        if address[:1] in ("/", "@"):
            # A leading @ stands for the zero byte of an abstract address.
            address = "\0" + address[1:] if address[0] == "@" else address
            with contextlib.suppress(OSError):
                self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
                self._socket.setblocking(False)
                self._socket.connect(address)
        self.watchdog_s = _watchdog_seconds()

    def ready(self, status: str) -> None:
        """The service has started."""
        self._send(f"READY=1\nSTATUS={_line(status)}")

    def status(self, status: str) -> None:
        """One line for `systemctl status`."""
        self._send(f"STATUS={_line(status)}")

    def alive(self) -> None:
        """A sign of life."""
        self._send("WATCHDOG=1")

    def stopping(self) -> None:
        """The service is about to end."""
        self._send("STOPPING=1")

    def close(self) -> None:
        """Gives the socket back."""
        if self._socket is not None:
            self._socket.close()
            self._socket = None

    def _send(self, message: str) -> None:
        if self._socket is not None:
            # Nobody may be listening any more; that is no reason to stop hearing.
            with contextlib.suppress(OSError):
                self._socket.send(message.encode())


def _watchdog_seconds() -> float | None:
    if os.environ.get("WATCHDOG_PID", str(os.getpid())) != str(os.getpid()):
        return None
    try:
        microseconds = int(os.environ.get("WATCHDOG_USEC", "0"))
    except ValueError:
        return None
    return microseconds / 1e6 if microseconds > 0 else None


def _line(text: str) -> str:
    return " ".join(text.split())
