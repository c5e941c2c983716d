"""How often a release was started and did not live: kept by `listen`, in its own state directory.

A release may crash the process that hears in a way that no error can be caught from. So each start
with a release on probation is counted on the disk before its models are loaded, and the count goes
back to zero once it has heard for a while. After the third start that did not live, `listen` runs
another slot, without needing anybody: not `link`, not the network. The same after so many starts
that lived but did not end in order: a crash every few minutes is one as well.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path

from agent.records import RecordError, plain, read_record
from agent.update.record import PingPongRecord

MOST_STARTS = 3
"""Starts in a row that may fail."""
MOST_CUT_SHORT = 8
"""Starts on one probation that may end without a goodbye. Power cuts are among them."""


@dataclass(frozen=True)
class _Count:
    digest: str = ""
    starts: int = field(default=0, metadata={"minimum": 0})
    """In a row, that did not live."""
    open: int = field(default=0, metadata={"minimum": 0})
    """That have not ended in order, this one among them."""


class Starts:
    """The count, for one release at a time.

    Args:
        path: Name of the record, without the ending of its copies.
    """

    def __init__(self, path: Path) -> None:
        self._record = PingPongRecord(path)
        self._count = self._load()

    def problem(self, digest: str) -> str | None:
        """Why this bundle must not be started again, or None."""
        count = self._count
        if count.digest != digest:
            return None
        if count.starts >= MOST_STARTS:
            return f"was started {count.starts} times and never lived"
        if count.open >= MOST_CUT_SHORT:
            return f"has ended {count.open} times without a goodbye"
        return None

    def begin(self, digest: str) -> None:
        """Counts a start, before anything of the bundle is loaded.

        Raises:
            OSError: It cannot be counted.
        """
        count = self._count if self._count.digest == digest else _Count(digest)
        self._store(_Count(digest, count.starts + 1, count.open + 1))

    def lived(self) -> None:
        """This start has lived.

        Raises:
            OSError: It cannot be noted; the next starts may be counted as failed.
        """
        if self._count.starts:
            self._store(_Count(self._count.digest, 0, self._count.open))

    def ended(self) -> None:
        """This start has ended in order.

        Raises:
            OSError: It cannot be noted.
        """
        if self._count.open:
            self._store(_Count(self._count.digest, 0, self._count.open - 1))

    def _load(self) -> _Count:
        try:
            return read_record(_Count, json.loads(self._record.load() or b"{}"))
        except (ValueError, RecordError):
            return _Count()

    def _store(self, count: _Count) -> None:
        self._record.store(json.dumps(plain(count)).encode())
        self._count = count
