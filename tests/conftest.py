"""What every test gets: a clean environment, its own folders, patient property tests; a broker."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import hypothesis
import pytest

from tests.agent.mqtt.broker import MOSQUITTO, Broker

# Timing never decides a test, so hypothesis does not measure it; its examples are derived from the
# test alone, so that a run repeats.
hypothesis.settings.register_profile("patient", deadline=None, derandomize=True, print_blob=True)
hypothesis.settings.load_profile("patient")

# What a shell, systemd or a desktop may have set and the product reads.
_FROM_OUTSIDE = (
    "NOTIFY_SOCKET",
    "WATCHDOG_USEC",
    "WATCHDOG_PID",
    "STATE_DIRECTORY",
    "RUNTIME_DIRECTORY",
    "CREDENTIALS_DIRECTORY",
    "SOURCE_DATE_EPOCH",
)


@pytest.fixture(autouse=True)
def clean_environment(monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory):
    """Point state and configuration at temporary folders and forget settings of the caller."""
    for name in list(os.environ):
        if name in _FROM_OUTSIDE or name.startswith(("VOICE_AGENT_", "VOICE_CONVERTERS_")):
            monkeypatch.delenv(name)
    home = tmp_path_factory.mktemp("home")
    for variable, folder in (
        ("HOME", home),
        ("XDG_CONFIG_HOME", home / "config"),
        ("XDG_STATE_HOME", home / "state"),
        ("XDG_CACHE_HOME", home / "cache"),
        ("XDG_RUNTIME_DIR", home / "run"),
    ):
        Path(folder).mkdir(exist_ok=True, mode=0o700)
        monkeypatch.setenv(variable, str(folder))
    # One thread everywhere: figures and floating-point sums must not depend on the machine's cores.
    monkeypatch.setenv("OMP_NUM_THREADS", "1")


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[Broker]:
    """A mosquitto of the test's own, started."""
    if MOSQUITTO is None:
        pytest.skip("mosquitto is not installed")
    broker = Broker(tmp_path)
    broker.start()
    yield broker
    broker.kill()
