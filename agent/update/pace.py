"""How fast a release may be received, so that it disturbs nobody on a thin line."""

from __future__ import annotations

import time
from collections.abc import Callable


class Pace:
    """Makes a stream no faster than so many bytes a second, on average.

    Args:
        bytes_per_second: The limit; 0 for none.
        clock: Monotonic seconds.
        sleep: Waits.
    """

    def __init__(
        self,
        bytes_per_second: int,
        *,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._rate = bytes_per_second
        self._clock = clock
        self._sleep = sleep
        self._free_at = clock()

    def spend(self, amount: int) -> None:
        """Waits until what was received is paid for.

        Args:
            amount: Bytes that have just arrived.
        """
        if self._rate <= 0:
            return
        # Time that passed unused is not saved up: a pause must not be followed by a burst.
        self._free_at = max(self._free_at, self._clock()) + amount / self._rate
        self._sleep(max(self._free_at - self._clock(), 0.0))
