"""The updater as a process: started by `link`, gone when it has ended, and with it what it loaded.

It is ended when it takes longer than anything may: what it has done is on record, and the next one
goes on from there. When `link` ends, so does it.
"""

from __future__ import annotations

import contextlib
import logging
import os
import subprocess
import sys
import time
from pathlib import Path

from agent.update.heard import Heard

_LOGGER = logging.getLogger(__name__)

_LONGEST_S = 6 * 3600.0
_FAREWELL_S = 3.0


class UpdaterChild:
    """At most one updater.

    Args:
        state: The state directory of `link`.
        config: The configuration file, if one was named.
        longest_s: After this time it is killed.
    """

    def __init__(self, state: Path, config: Path | None, *, longest_s: float = _LONGEST_S) -> None:
        named = [] if config is None else ["--config", str(config)]
        self._command = [
            *(sys.executable, "-m", "agent.cli", "update", "check", "--heard", str(os.getpid())),
            *("--state", str(state), *named),
        ]
        self._longest_s = longest_s
        self._process: subprocess.Popen[bytes] | None = None
        self._deadline = 0.0

    @property
    def running(self) -> bool:
        """True until `ended` has told how it ended."""
        return self._process is not None

    def start(self, heard: Heard) -> None:
        """Starts it.

        Args:
            heard: What it is told about `listen`.

        Raises:
            OSError: It cannot be started.
        """
        assert self._process is None
        self._deadline = time.monotonic() + self._longest_s
        process = subprocess.Popen(
            self._command, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, close_fds=True
        )
        self._process = process
        assert process.stdin is not None
        # A few hundred bytes fit into any pipe, so this never waits.
        with contextlib.suppress(BrokenPipeError), process.stdin as stream:
            stream.write(heard.as_json())

    def ended(self) -> int | None:
        """Its exit status, once; None while it runs or if there is none."""
        process = self._process
        if process is None:
            return None
        status = process.poll()
        if status is None:
            if time.monotonic() > self._deadline:
                _LOGGER.error("UpdateError: the updater has run too long and is ended.")
                process.kill()
            return None
        self._process = None
        return status

    def stop(self) -> None:
        """Ends it; whatever it was doing is begun again by the next one."""
        process, self._process = self._process, None
        if process is None:
            return
        process.terminate()
        try:
            process.wait(_FAREWELL_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
