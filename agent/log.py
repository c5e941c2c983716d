"""Log lines on standard error: one line for each change of state, none for each frame."""

from __future__ import annotations

import io
import logging
import os
from typing import TextIO

# syslog(3) severities, which the journal reads from the beginning of a line.
_SEVERITY = {
    logging.DEBUG: 7,
    logging.INFO: 6,
    logging.WARNING: 4,
    logging.ERROR: 3,
    logging.CRITICAL: 2,
}


_context = ""


def set_log_context(text: str) -> None:
    """Puts something in front of every line of this process from now on.

    Args:
        text: Such as the id of an update; empty for nothing.
    """
    global _context  # noqa: PLW0603 - the log is one for the whole process as well
    _context = text


class _Formatter(logging.Formatter):
    def __init__(self, program: str) -> None:
        super().__init__("%(message)s")
        self._program = program
        self._journal = "JOURNAL_STREAM" in os.environ

    def format(self, record: logging.LogRecord) -> str:
        text = super().format(record)
        if _context:
            text = f"[{_context}] {text}"
        if self._journal:
            return f"<{_SEVERITY.get(record.levelno, 6)}>{text}"
        return f"{self._program}: {record.levelname.lower()}: {text}"


def start_logging(
    program: str, *, verbose: bool = False, stream: io.TextIOBase | TextIO | None = None
) -> None:
    """Sends log lines to standard error, for the journal where systemd reads it.

    Args:
        program: What lines begin with: `listen`, `link` or `run`.
        verbose: Also what only helps to find defects.
        stream: Where to, instead of standard error.
    """
    handler = logging.StreamHandler(stream)
    handler.setFormatter(_Formatter(program))
    logging.basicConfig(level=logging.DEBUG if verbose else logging.INFO, handlers=[handler])
    # A line for every packet, useful to nobody but its authors.
    logging.getLogger("agent.mqtt.client.paho").setLevel(
        logging.DEBUG if verbose else logging.WARNING
    )
