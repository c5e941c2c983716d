"""Signs of life to systemd, the watchdog that must be deserved, and what we cost."""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.service.health import cpu_seconds, resident_bytes
from agent.service.notify import Notifier
from agent.service.watchdog import Watchdog


@pytest.fixture
def manager(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[socket.socket]:
    """The socket of a service manager."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as receiver:
        receiver.bind(str(tmp_path / "notify"))
        receiver.settimeout(10.0)
        monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "notify"))
        yield receiver


def test_what_systemd_is_told(manager: socket.socket):
    notifier = Notifier()
    notifier.ready("Listening.")
    notifier.alive()
    notifier.status("No sound\narrives.")
    notifier.stopping()
    notifier.close()
    assert [manager.recv(1000) for _ in range(4)] == [
        b"READY=1\nSTATUS=Listening.",
        b"WATCHDOG=1",
        b"STATUS=No sound arrives.",
        b"STOPPING=1",
    ]


def test_an_abstract_address(monkeypatch: pytest.MonkeyPatch):
    name = f"voice-agent-test-{os.getpid()}"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as receiver:
        receiver.bind(f"\0{name}")
        receiver.settimeout(10.0)
        monkeypatch.setenv("NOTIFY_SOCKET", f"@{name}")
        notifier = Notifier()
        notifier.alive()
        assert receiver.recv(100) == b"WATCHDOG=1"
        notifier.close()


@pytest.mark.parametrize("address", [None, "", "nonsense", "/nowhere/at/all"])
def test_where_nobody_asks_nothing_happens(address: str | None, monkeypatch: pytest.MonkeyPatch):
    if address is not None:
        monkeypatch.setenv("NOTIFY_SOCKET", address)
    notifier = Notifier()
    notifier.ready("x")
    notifier.alive()
    notifier.close()
    notifier.alive()


def test_a_manager_that_went_away_is_no_trouble(manager: socket.socket):
    notifier = Notifier()
    manager.close()
    notifier.alive()
    notifier.close()


@pytest.mark.parametrize(
    ("variables", "seconds"),
    [
        ({}, None),
        ({"WATCHDOG_USEC": "30000000"}, 30.0),
        ({"WATCHDOG_USEC": "30000000", "WATCHDOG_PID": str(os.getpid())}, 30.0),
        ({"WATCHDOG_USEC": "30000000", "WATCHDOG_PID": "1"}, None),
        ({"WATCHDOG_USEC": "soon"}, None),
        ({"WATCHDOG_USEC": "0"}, None),
    ],
)
def test_the_watchdogs_interval(
    variables: dict[str, str], seconds: float | None, monkeypatch: pytest.MonkeyPatch
):
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    assert Notifier().watchdog_s == seconds


def test_signs_of_life_come_four_times_in_the_interval():
    watchdog = Watchdog(20.0)
    signs = [
        now for now in range(100, 130) if watchdog.due(now, delivered=25 * now, processed=25 * now)
    ]
    assert signs == [100, 105, 110, 115, 120, 125]


def test_a_dead_microphone_gives_no_signs():
    watchdog = Watchdog(4.0)
    assert watchdog.due(1.0, delivered=10, processed=10)
    assert not any(watchdog.due(t, delivered=10, processed=10) for t in range(2, 60))
    assert watchdog.due(60.0, delivered=11, processed=11)


def test_a_hanging_model_gives_no_signs():
    watchdog = Watchdog(4.0)
    assert watchdog.due(1.0, delivered=10, processed=10)
    assert not any(watchdog.due(t, delivered=10 + 25 * t, processed=10) for t in range(2, 60))


@given(st.lists(st.tuples(st.floats(0, 5), st.integers(0, 3), st.integers(0, 3))))
def test_every_sign_is_deserved(steps: list[tuple[float, int, int]]):
    watchdog = Watchdog(10.0)
    now, delivered, processed = 0.0, 0, 0
    at_last_sign = (-2.5, 0, 0)
    for seconds, blocks, frames in steps:
        now, delivered, processed = now + seconds, delivered + blocks, processed + frames
        if watchdog.due(now, delivered=delivered, processed=processed):
            assert now >= at_last_sign[0] + 2.5
            assert delivered > at_last_sign[1]
            assert processed > at_last_sign[2]
            at_last_sign = (now, delivered, processed)


def test_memory_and_cpu_are_plausible():
    assert 5e6 < resident_bytes() < 5e9
    before = cpu_seconds()
    deadline = time.monotonic() + 30.0
    while cpu_seconds() - before < 0.05:
        assert time.monotonic() < deadline
    assert cpu_seconds() > before
