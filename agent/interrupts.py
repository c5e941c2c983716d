"""SIGTERM and SIGINT: wishes that a loop grants when it comes round."""

from __future__ import annotations

import contextlib
import signal
from collections.abc import Callable, Iterator
from types import FrameType


@contextlib.contextmanager
def stopped_by_signals(stop: Callable[[], None]) -> Iterator[None]:
    """Calls something when the process is asked to end.

    Args:
        stop: Called by SIGTERM and SIGINT, between two instructions of the main thread.

    Yields:
        Nothing; the old handlers are back afterwards.
    """

    def handle(_: int, __: FrameType | None) -> None:
        stop()

    before = {number: signal.signal(number, handle) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
