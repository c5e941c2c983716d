from __future__ import annotations

import socket
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests.agent.mqtt.broker import Broker, Subscriber
from tests.agent.mqtt.hostile import HostileBroker
from tests.agent.mqtt.watched import GONE, TOPICS, Make, Watched, settings


@pytest.fixture
def house(broker: Broker) -> Iterator[Subscriber]:
    subscriber = Subscriber(broker.port)
    yield subscriber
    subscriber.close()


@pytest.fixture
def make() -> Iterator[Make]:
    made: list[Watched] = []

    def build(port: int, **changes: Any) -> Watched:
        connection = Watched(
            settings(port, **changes),
            TOPICS,
            password=None,
            last_will=GONE,
            on_activity=lambda: None,
        )
        connection.seen = []
        connection.start()
        made.append(connection)
        return connection

    yield build
    for connection in made:
        connection.close(None)


@pytest.fixture
def hostile() -> Iterator[Callable[..., HostileBroker]]:
    made: list[HostileBroker] = []

    def build(script: Callable[[socket.socket], None], **options: Any) -> HostileBroker:
        made.append(HostileBroker(script, **options))
        return made[-1]

    yield build
    for broker in made:
        broker.close()
