"""How long to wait for a broker that accepts connections and drops them again.

paho's pauses grow only while no connection is made. Two devices of one name, which throw each other
out, or a broker that dislikes something we send, would be tried every second for ever. mosquitto
does not even say why. Pure; time is passed in.
"""

from __future__ import annotations

_SHORT_S = 10.0
_SUSPICIOUS = 3  # short connections in a row


class Patience:
    """Counts short connections in a row.

    Args:
        first_s: Pause after a connection of decent length.
        longest_s: Longest pause.
    """

    def __init__(self, first_s: float, longest_s: float) -> None:
        self._first_s = first_s
        self._longest_s = longest_s
        self._connected_at = 0.0
        self._short = 0

    def connected(self, now: float) -> None:
        """Notes that the broker has accepted us.

        Args:
            now: Monotonic seconds.
        """
        self._connected_at = now

    def disconnected(self, now: float) -> float:
        """Decides after the end of a connection.

        Args:
            now: Monotonic seconds.

        Returns:
            Seconds to wait before the next attempt.
        """
        self._short = self._short + 1 if now - self._connected_at < _SHORT_S else 0
        # 2^30 seconds are longer than anybody waits, and more would overflow in the end.
        doublings = min(max(self._short - _SUSPICIOUS + 1, 0), 30)
        return min(self._first_s * 2.0**doublings, self._longest_s)

    @property
    def just_became_suspicious(self) -> bool:
        """True after the connection that makes the pattern clear, and only after that one."""
        return self._short == _SUSPICIOUS
