from __future__ import annotations

import logging
import sys
import time

import pytest

from agent.supervisor import Child, RestartPolicy, Supervisor
from tests.agent.mqtt.broker import until


def python(code: str) -> list[str]:
    return [sys.executable, "-c", code]


def test_pauses_double_up_to_a_limit_and_end() -> None:
    policy = RestartPolicy()
    assert [policy.failed(0.1) for _ in range(7)] == [0.5, 1.0, 2.0, 4.0, 8.0, 10.0, None]


def test_a_healthy_life_is_forgiven() -> None:
    policy = RestartPolicy()
    for _ in range(5):
        policy.failed(1.0)
    assert policy.failed(30.0) == 0.5
    assert policy.failed(1.0) == 1.0


@pytest.mark.parametrize(
    ("code", "restart_on_error", "status"),
    [
        ("", True, 0),
        ("raise SystemExit(2)", True, 2),
        ("raise SystemExit(1)", False, 1),
    ],
)
def test_some_ends_are_final(code: str, restart_on_error: bool, status: int) -> None:
    child = Child("x", python(code), restart_on_error=restart_on_error)
    supervisor = Supervisor([child], capture=False)
    supervisor.start()
    until(lambda: supervisor.turn() is child)
    assert child.status == status
    supervisor.stop()


def test_crashes_are_repeated_until_it_is_hopeless(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("agent.supervisor._FIRST_PAUSE_S", 0.01)
    child = Child("x", python("import os; os.kill(os.getpid(), 9)"), restart_on_error=False)
    supervisor = Supervisor([child], capture=True)
    supervisor.start()
    until(lambda: supervisor.turn() is child)
    assert child.status == -9
    assert caplog.text.count("x failed (SIGKILL); starting it again") == 6
    assert "x keeps failing (SIGKILL); giving up." in caplog.text
    supervisor.stop()


def test_lines_are_collected_whole() -> None:
    code = "import sys, time; sys.stderr.write('one\\ntw'); sys.stderr.flush(); time.sleep(0.1); "
    child = Child("x", python(code + "sys.stderr.write('o\\n\\xff\\n')"))
    supervisor = Supervisor([child], capture=True)
    supervisor.start()
    lines: list[str] = []

    def complete() -> bool:
        lines.extend(supervisor.lines())
        return len(lines) == 3

    until(complete)
    assert lines[:2] == ["one", "two"]
    until(lambda: supervisor.turn() is child)
    supervisor.stop()


def test_the_stubborn_are_killed(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("agent.supervisor._STOP_DEADLINE_S", 0.1)
    code = "import signal, sys, time; signal.signal(15, signal.SIG_IGN); "
    child = Child(
        "x", python(code + "print('ready', file=sys.stderr, flush=True); time.sleep(600)")
    )
    supervisor = Supervisor([child], capture=True)
    supervisor.start()
    until(lambda: "ready" in supervisor.lines())
    before = time.monotonic()
    supervisor.stop()
    assert time.monotonic() - before < 60
    assert "did not end" in caplog.text


def test_children_are_stopped_in_order(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    wait = "import time; time.sleep(600)"
    children = [Child("listen", python(wait)), Child("link", python(wait))]
    supervisor = Supervisor(children, capture=False)
    supervisor.start()
    pids = supervisor.process_ids()
    assert set(pids) == {"listen", "link"}
    supervisor.stop()
    assert supervisor.process_ids() == {}
