"""Wall-clock time, and whether it can be believed.

A Raspberry Pi has no battery-backed clock: after a power cut it starts in the past and jumps when
the network comes. Everything inside the agent is therefore measured in seconds of audio or on the
monotonic clock; wall-clock milliseconds only travel beside them, together with `clock_ok`.
"""

from __future__ import annotations

import ctypes
import time
from pathlib import Path

_TIME_ERROR = 5  # what adjtimex(2) answers while the kernel's clock is not synchronised
_SYNCHRONISED_MARK = Path("/run/systemd/timesync/synchronized")
_TIMEX_BYTES = 512  # struct timex is 208 bytes on 64-bit Linux; its first word, modes, stays 0


def wall_ms() -> int:
    """Milliseconds since 1970 by the system's clock."""
    return time.time_ns() // 1_000_000


def clock_ok() -> bool:
    """True if the kernel says that its clock is synchronised.

    Under `ProtectClock=yes` the kernel may not be asked; then the mark of systemd-timesyncd
    decides, and without that mark the answer is the cautious one.
    """
    state = int(ctypes.CDLL(None).adjtimex(ctypes.create_string_buffer(_TIMEX_BYTES)))
    if state >= 0:
        return state != _TIME_ERROR
    return _SYNCHRONISED_MARK.exists()
