from __future__ import annotations

from pathlib import Path

import pytest

from tests.agent.mqtt.broker import Broker
from tests.system.updates.world import Operator, World


@pytest.fixture
def world(tmp_path: Path, broker: Broker) -> World:
    return World(tmp_path / "world", broker)


@pytest.fixture
def operator(tmp_path: Path) -> Operator:
    """With keys and a repository, and no broker."""
    from agent.config import Config

    return Operator(tmp_path / "operator", Config().mqtt)
