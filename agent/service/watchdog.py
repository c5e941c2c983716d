"""Decides when a sign of life is deserved: only if sound has arrived and was worked on.

A thread that pets the watchdog by a timer proves that timers work. Here both counters, of blocks
that the source delivered and of frames that went through the models, must have moved since the last
sign of life. A microphone that died without an error and a model that hangs both look the same
then: no more signs, and the service manager starts the process again.
"""

from __future__ import annotations

_SIGNS_PER_INTERVAL = 4
_UNWATCHED_S = 10.0


class Watchdog:
    """Pure; time and counters are passed in.

    Args:
        interval_s: What the service manager allows between two signs of life; None if it does not
            watch.
    """

    def __init__(self, interval_s: float | None) -> None:
        self._every_s = (interval_s or _UNWATCHED_S) / _SIGNS_PER_INTERVAL
        self._next = 0.0
        self._delivered = 0
        self._processed = 0

    def due(self, now: float, *, delivered: int, processed: int) -> bool:
        """Asks whether to send a sign of life now.

        Args:
            now: Monotonic seconds.
            delivered: Blocks from the source so far.
            processed: Frames through the models so far.

        Returns:
            True if one is due and deserved.
        """
        if now < self._next or delivered <= self._delivered or processed <= self._processed:
            return False
        self._next = now + self._every_s
        self._delivered, self._processed = delivered, processed
        return True
