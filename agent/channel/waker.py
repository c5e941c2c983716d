"""Interrupts a selector from another thread."""

from __future__ import annotations

import contextlib
import os


class Waker:
    """A file descriptor that is readable after `set` until `clear`; neither ever blocks."""

    def __init__(self) -> None:
        self._descriptor = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)
        self._closed = False

    def fileno(self) -> int:
        """For selectors."""
        return self._descriptor

    def set(self) -> None:
        """Makes the descriptor readable; from any thread."""
        if not self._closed:
            os.eventfd_write(self._descriptor, 1)

    def clear(self) -> None:
        """Makes it unreadable again."""
        with contextlib.suppress(BlockingIOError):
            os.eventfd_read(self._descriptor)

    def close(self) -> None:
        """Gives the descriptor back; `set` does nothing from now on."""
        if not self._closed:
            self._closed = True
            os.close(self._descriptor)
