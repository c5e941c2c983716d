"""Both processes report to systemd as their units promise: ready, then alive."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

from agent.hearing.features import BLOCK
from tests.agent.toy_bundle import write_toy_bundle

_DEADLINE_S = 60.0
_SILENCE = bytes(2 * BLOCK)


@pytest.mark.parametrize("command", ["listen", "link"])
def test_systemd_is_told_when_it_is_ready_and_that_it_lives(command: str, tmp_path: Path):
    bundle = write_toy_bundle(tmp_path / "toy")
    config = tmp_path / "config.toml"
    config.write_text(f'[bundle]\npath = "{bundle}"\n')
    address = tmp_path / "notify"
    arguments = [command, "--config", str(config), "--state", str(tmp_path / "state")]
    if command == "listen":
        arguments += ["--source", "-"]
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(str(address))
        manager.settimeout(0.1)
        # Signs of life are due every quarter of this.
        watchdog = {"NOTIFY_SOCKET": str(address), "WATCHDOG_USEC": "400000"}
        process = subprocess.Popen(
            [sys.executable, "-m", "agent.cli", *arguments],
            env=os.environ | watchdog,
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
        )
        try:
            told = _collect(manager, process, wanted={"READY=1", "WATCHDOG=1"})
        finally:
            process.terminate()
            process.communicate(timeout=_DEADLINE_S)
    assert told >= {"READY=1", "WATCHDOG=1"}
    assert process.returncode == 0


def _collect(
    manager: socket.socket, process: subprocess.Popen[bytes], wanted: set[str]
) -> set[str]:
    """What the process says until it has said what is wanted; `listen` is fed with silence."""
    told: set[str] = set()
    deadline = time.monotonic() + _DEADLINE_S
    assert process.stdin is not None
    while not told >= wanted and process.poll() is None and time.monotonic() < deadline:
        if process.args[3] == "listen":  # type: ignore[index]
            process.stdin.write(_SILENCE)
            process.stdin.flush()
        try:
            told |= set(manager.recv(4096).decode().splitlines())
        except TimeoutError:
            continue
    return told
