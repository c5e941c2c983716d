"""Starts the two processes, keeps them running, and ends them in the right order.

Each child has a process group of its own, so that Ctrl-C reaches only us and we decide: `listen`
first, so that its last finals reach `link`, then `link`. Should we be killed, the kernel ends them.

A child that fails is started again after a pause that doubles; one that keeps failing at once, or
says that its configuration is wrong, ends everything.
"""

from __future__ import annotations

import ctypes
import logging
import os
import signal
import subprocess
import time
from collections.abc import Sequence
from dataclasses import dataclass, field

_LOGGER = logging.getLogger(__name__)

CONFIG_ERROR = 2  # exit status of a child whose configuration cannot be used

_FIRST_PAUSE_S = 0.5
_LONGEST_PAUSE_S = 10.0
_HEALTHY_S = 30.0
_MOST_FAILURES = 6
_STOP_DEADLINE_S = 10.0
_PR_SET_PDEATHSIG = 1
_LONGEST_LINE = 4096  # bytes


class RestartPolicy:
    """When a child that has failed is started again. Pure; time is passed in."""

    def __init__(self) -> None:
        self._failures = 0

    def failed(self, lived_s: float) -> float | None:
        """Decides after a failure.

        Args:
            lived_s: How long the child had run.

        Returns:
            Seconds to wait before it is started again, or None to give up.
        """
        if lived_s >= _HEALTHY_S:
            self._failures = 0
        self._failures += 1
        if self._failures > _MOST_FAILURES:
            return None
        return float(min(_FIRST_PAUSE_S * 2 ** (self._failures - 1), _LONGEST_PAUSE_S))


@dataclass
class Child:
    """One process and its history.

    Attributes:
        name: `listen` or `link`.
        command: What is started.
        restart_on_error: False if a failure that is not a crash would only repeat itself.
        keeps_stdin: True if it reads our standard input.
        status: Exit status that ended it for good, or None.
    """

    name: str
    command: Sequence[str]
    restart_on_error: bool = True
    keeps_stdin: bool = False
    status: int | None = None
    process: subprocess.Popen[bytes] | None = None
    policy: RestartPolicy = field(default_factory=RestartPolicy)
    started_at: float = 0.0
    restart_at: float = 0.0
    unfinished_line: bytes = b""


class Supervisor:
    """Keeps children running. Belongs to one thread, which must live as long as they do.

    Args:
        children: In the order in which they are stopped.
        capture: True collects what they write to standard error, for `lines`.
    """

    def __init__(self, children: Sequence[Child], *, capture: bool) -> None:
        self._children = children
        self._capture = capture
        self._last_words: list[str] = []

    def start(self) -> None:
        """Starts all children, in reverse order."""
        for child in reversed(self._children):
            self._start(child)

    def turn(self) -> Child | None:
        """Looks after the children once.

        Returns:
            A child that has ended for good, or None while all is well.
        """
        now = time.monotonic()
        for child in self._children:
            if child.process is None:
                if now >= child.restart_at:
                    self._start(child)
                continue
            status = child.process.poll()
            if status is None:
                continue
            if self._ended_for_good(child, status, now):
                child.status = status
                return child
        return None

    def lines(self) -> list[str]:
        """Complete lines that the children have written to standard error since the last call."""
        lines, self._last_words = self._last_words, []
        for child in self._children:
            lines += self._read_lines(child)
        return lines

    def stop(self) -> None:
        """Ends all children: kindly, then not."""
        for child in self._children:
            process = child.process
            if process is None:
                continue
            if process.poll() is None:
                process.terminate()
            try:
                process.wait(_STOP_DEADLINE_S)
            except subprocess.TimeoutExpired:
                _LOGGER.warning("%s did not end within %g s.", child.name, _STOP_DEADLINE_S)
                process.kill()
                process.wait()
            self._bury(child)

    def process_ids(self) -> dict[str, int]:
        """Process ids of the children that run, by name."""
        return {child.name: child.process.pid for child in self._children if child.process}

    def _ended_for_good(self, child: Child, status: int, now: float) -> bool:
        crashed = status < 0
        if status in (0, CONFIG_ERROR) or not (crashed or child.restart_on_error):
            return True
        pause = child.policy.failed(now - child.started_at)
        how = signal.Signals(-status).name if crashed else f"exit status {status}"
        if pause is None:
            _LOGGER.error("%s keeps failing (%s); giving up.", child.name, how)
            return True
        _LOGGER.warning("%s failed (%s); starting it again in %g s.", child.name, how, pause)
        child.restart_at = now + pause
        self._bury(child)
        return False

    def _start(self, child: Child) -> None:
        child.started_at = time.monotonic()
        child.process = subprocess.Popen(
            child.command,
            stdin=None if child.keeps_stdin else subprocess.DEVNULL,
            # Results reach us through the socket; without broker `link` would print them again.
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE if self._capture else None,
            process_group=0,
            # We have one thread, so nothing can hold a lock between fork and exec.
            preexec_fn=_die_with_parent,  # noqa: PLW1509
        )
        if child.process.stderr is not None:
            os.set_blocking(child.process.stderr.fileno(), False)

    def _read_lines(self, child: Child) -> list[str]:
        if child.process is None or child.process.stderr is None:
            return []
        try:
            data = os.read(child.process.stderr.fileno(), 65536)
        except BlockingIOError:
            return []
        *lines, rest = (child.unfinished_line + data).split(b"\n")
        child.unfinished_line = rest[:_LONGEST_LINE]
        return [line[:_LONGEST_LINE].decode(errors="replace") for line in lines]

    def _bury(self, child: Child) -> None:
        self._last_words += self._read_lines(child)
        if child.process is not None and child.process.stderr is not None:
            child.process.stderr.close()
        child.process = None
        child.unfinished_line = b""


def _die_with_parent() -> None:
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
