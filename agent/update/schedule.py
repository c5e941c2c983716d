"""When the updater is started. Pure: time and chance are passed in.

Every board adds a random part of its own, so that ten thousand of them do not ask in the same
second after a power cut. What was interrupted is tried again sooner, at growing intervals; what has
to be settled on the board itself, such as a slot that cannot be loaded, at once. Whoever publishes
the command `check_update` may start a check, but no more often than once in a minute: the command
is not signed, and that is all that it can do.
"""

from __future__ import annotations

import random
from collections.abc import Callable

_FIRST_CHECK_S = 60.0  # at most, after the start
_RANDOM_PART = 0.1  # of the time between two checks
_ASKED_PAUSE_S = 60.0
_RETRY_S = 60.0
_URGENT_PAUSE_S = 10.0


class Schedule:
    """Decides when.

    Args:
        every_s: Time between two checks.
        now: Monotonic seconds.
        draw: Gives a number from 0 to 1.
    """

    def __init__(
        self, every_s: float, now: float, draw: Callable[[], float] = random.random
    ) -> None:
        self._every_s = every_s
        self._draw = draw
        self._next = now + draw() * min(_FIRST_CHECK_S, every_s)
        self._retry_s = _RETRY_S
        self._asked_again = now
        self._urgent_again = now
        self._urgent_pause_s = _URGENT_PAUSE_S

    def due(self, now: float) -> bool:
        """True if it is time."""
        return now >= self._next

    def started(self) -> None:
        """The updater has been started; nothing is due until `ended`."""
        self._next = float("inf")

    def ended(self, now: float, *, unfinished: bool) -> None:
        """The updater has ended.

        Args:
            now: Monotonic seconds.
            unfinished: Something was interrupted, or the updater could not do its work.
        """
        pause = self._every_s
        if unfinished:
            pause = min(self._retry_s, self._every_s)
            self._retry_s = min(2 * self._retry_s, self._every_s)
        else:
            self._retry_s = _RETRY_S
        self._next = now + pause * (1.0 + _RANDOM_PART * self._draw())

    def ask(self, now: float) -> float:
        """Somebody wants a check now.

        Returns:
            0 if there will be one, or the seconds after which to ask again.
        """
        if now < self._asked_again:
            return self._asked_again - now
        self._asked_again = now + _ASKED_PAUSE_S
        self._next = now
        return 0.0

    def urge(self, now: float) -> bool:
        """Something on this board has to be settled; True if that will be done now."""
        if now < self._urgent_again:
            return False
        self._urgent_again = now + self._urgent_pause_s
        self._urgent_pause_s = min(2 * self._urgent_pause_s, max(self._every_s, _URGENT_PAUSE_S))
        self._next = now
        return True

    def calm(self) -> None:
        """There is nothing to settle any more."""
        self._urgent_pause_s = _URGENT_PAUSE_S
