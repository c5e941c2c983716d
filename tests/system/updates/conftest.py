from __future__ import annotations

from pathlib import Path

import pytest

from tests.agent.mqtt.broker import Broker
from tests.system.updates.world import World


@pytest.fixture
def world(tmp_path: Path, broker: Broker) -> World:
    return World(tmp_path / "world", broker)
