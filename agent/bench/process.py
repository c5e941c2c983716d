"""The real `listen` process from outside: start-up time, memory, CPU in real time.

It is started as a service manager would, hears a quiet room on its standard input in real time, and
the kernel is asked what it costs.
"""

from __future__ import annotations

import contextlib
import os
import re
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from agent.bench.workload import room
from agent.errors import VoiceAgentError
from agent.hearing.features import FRAME_SECONDS

_START_DEADLINE_S = 60.0
_SETTLE_S = 1.0


@dataclass(frozen=True, kw_only=True)
class ProcessCost:
    """What a running `listen` costs.

    Attributes:
        rss_bytes: Resident memory, shared pages included.
        pss_bytes: The same with shared pages divided among those who share; None if not known.
        cpu_per_s: CPU seconds per second while a quiet room is heard in real time, all threads.
        measured_s: How long that was measured.
    """

    rss_bytes: int
    pss_bytes: int | None
    cpu_per_s: float
    measured_s: float


def start_up_seconds(bundle: Path) -> float:
    """From the start of the process until it says that it hears."""
    began = time.monotonic()
    with _listen(bundle):
        return time.monotonic() - began


def running_cost(bundle: Path, seconds: float) -> ProcessCost:
    """Lets `listen` hear a quiet room in real time.

    Args:
        bundle: The models.
        seconds: How long.

    Returns:
        What it cost.
    """
    with _listen(bundle) as process:
        _play(process, _SETTLE_S)
        before, began = _cpu_ns(process.pid), time.monotonic()
        _play(process, seconds)
        spent, measured = _cpu_ns(process.pid) - before, time.monotonic() - began
        rss, pss = _memory(process.pid)
    return ProcessCost(
        rss_bytes=rss, pss_bytes=pss, cpu_per_s=spent / 1e9 / measured, measured_s=measured
    )


@contextlib.contextmanager
def _listen(bundle: Path) -> Iterator[subprocess.Popen[bytes]]:
    with tempfile.TemporaryDirectory(prefix="voice-agent-bench-") as folder, socket.socket(
        socket.AF_UNIX, socket.SOCK_DGRAM
    ) as manager:  # fmt: skip
        state = Path(folder)
        manager.bind(str(state / "notify"))
        config = state / "config.toml"
        config.write_text(f"[bundle]\npath = {_toml_string(bundle)}\n")
        process = subprocess.Popen(
            [
                *(sys.executable, "-m", "agent.cli", "listen", "--source", "-"),
                *("--config", str(config), "--state", str(state)),
            ],
            stdin=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env={**os.environ, "NOTIFY_SOCKET": str(state / "notify")},
        )
        try:
            _wait_until_ready(manager, process)
            yield process
        finally:
            process.terminate()
            try:
                process.communicate(timeout=15.0)
            except subprocess.TimeoutExpired:
                process.kill()
                process.communicate()


def _wait_until_ready(manager: socket.socket, process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + _START_DEADLINE_S
    manager.settimeout(0.2)
    while time.monotonic() < deadline:
        with contextlib.suppress(TimeoutError):
            if b"READY=1" in manager.recv(4096):
                return
        if process.poll() is not None:
            break
    raise VoiceAgentError("`voice-agent listen` does not start; try it by hand to see why.")


def _play(process: subprocess.Popen[bytes], seconds: float) -> None:
    assert process.stdin is not None
    due = time.monotonic()
    for block in room(seconds):
        process.stdin.write(block.astype("<i2").tobytes())
        process.stdin.flush()
        due += FRAME_SECONDS
        time.sleep(max(0.0, due - time.monotonic()))


def _cpu_ns(pid: int) -> int:
    """Time on CPU of all threads, in nanoseconds; /proc/PID/stat would only give hundredths."""
    total = 0
    for task in Path(f"/proc/{pid}/task").iterdir():
        with contextlib.suppress(OSError, ValueError, IndexError):
            total += int((task / "schedstat").read_text().split()[0])
    return total


def _memory(pid: int) -> tuple[int, int | None]:
    try:
        table = Path(f"/proc/{pid}/smaps_rollup").read_text()
    except OSError:
        pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
        return pages * os.sysconf("SC_PAGE_SIZE"), None
    lines = re.findall(r"^(Rss|Pss): +(\d+)", table, re.MULTILINE)
    found = {name: int(kib) * 1024 for name, kib in lines}
    return found["Rss"], found.get("Pss")


def _toml_string(path: Path) -> str:
    escaped = str(path.absolute()).replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'
