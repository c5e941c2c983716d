from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.agent.mqtt.broker import MOSQUITTO, Broker
from tests.system.updates.world import Operator, World


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[Broker]:
    if MOSQUITTO is None:
        pytest.skip("mosquitto is not installed")
    broker = Broker(tmp_path)
    broker.start()
    yield broker
    broker.kill()


@pytest.fixture
def world(tmp_path: Path, broker: Broker) -> World:
    return World(tmp_path / "world", broker)


@pytest.fixture
def operator(tmp_path: Path) -> Operator:
    """With keys and a repository, and no broker."""
    from agent.config import Config

    return Operator(tmp_path / "operator", Config().mqtt)
