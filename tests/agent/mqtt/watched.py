"""A connection that remembers what it saw, with pauses short enough for tests."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

from agent.config import Config, MqttConfig
from agent.mqtt.connection import Connection
from agent.mqtt.signals import Signal
from agent.mqtt.topics import Topics, payload

TOPICS = Topics(prefix="va", device="kitchen")
GONE = payload({"state": "offline"})
Make = Callable[..., "Watched"]


class Watched(Connection):
    """Remembers every signal."""

    seen: list[Signal]

    def look(self) -> list[Signal]:
        signals = self.poll()
        self.seen += signals
        return signals

    def sees(self, *signals: Signal) -> Callable[[], bool]:
        def check() -> bool:
            self.look()
            return all(signal in self.seen for signal in signals)

        return check


def settings(port: int, **changes: Any) -> MqttConfig:
    quick: dict[str, Any] = {
        "host": "127.0.0.1",
        "reconnect_min_seconds": 0.1,
        "reconnect_max_seconds": 0.5,
    }
    return dataclasses.replace(
        Config().mqtt, port=port, **quick | {"will_delay_seconds": 0} | changes
    )
