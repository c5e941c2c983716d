"""What stands in for the broker while none is configured: results on standard output.

Has the same methods as `agent.mqtt.connection.Connection`; one JSON object on each line.
"""

from __future__ import annotations

import logging
import sys
from typing import TextIO

from agent.mqtt.signals import Delivered, Signal

_LOGGER = logging.getLogger(__name__)


class Console:
    """Prints finals; everything else that would be published is not shown.

    Args:
        stream: Where to, standard output by default.
    """

    def __init__(self, stream: TextIO | None = None) -> None:
        self._stream = stream or sys.stdout
        self._delivered: list[Signal] = []
        self.connected = True

    def start(self) -> None:
        """Says where results go."""
        _LOGGER.info("No broker is configured (mqtt.host): results go to standard output.")

    def room(self) -> int:
        """How many results may be given at once."""
        return 16 if self.connected else 0

    def under_way(self) -> set[str]:
        """Nothing is ever half printed."""
        return set()

    def publish(self, row: str, body: bytes, *, key: str | None = None) -> bool:
        """Prints a result.

        Args:
            row: Row of the topic table; only finals are shown.
            body: The payload.
            key: What `Delivered` will name.

        Returns:
            False if standard output is closed.
        """
        if row != "final" or not self.connected:
            return self.connected
        try:
            self._stream.write(body.decode() + "\n")
            self._stream.flush()
        except (OSError, ValueError) as error:
            self.connected = False
            _LOGGER.error("Standard output is closed (%s); results are kept.", error)
            return False
        if key is not None:
            self._delivered.append(Delivered(key))
        return True

    def poll(self) -> list[Signal]:
        """What has been printed since the last call."""
        delivered, self._delivered = self._delivered, []
        return delivered

    def close(self, farewell: bytes | None) -> None:
        """Nobody is told.

        Args:
            farewell: Ignored.
        """
