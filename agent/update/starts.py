"""How often a release was started and did not live: kept by `listen`, in its own state directory.

A release may crash the process that hears in a way that no error can be caught from. So each start
with a release on probation is counted on the disk before its models are loaded, and the count goes
back to zero once it has heard for a while. After the third start that did not live, `listen` runs
another slot, without needing anybody: not `link`, not the network.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path

from agent.records import RecordError, plain, read_record
from agent.update.record import PingPongRecord

MOST_STARTS = 3
"""Starts in a row that may fail."""
LIVED_S = 60.0
"""Hearing for so long, a start has not failed."""


@dataclass(frozen=True)
class _Count:
    digest: str = ""
    starts: int = field(default=0, metadata={"minimum": 0})


class Starts:
    """The count, for one release at a time.

    Args:
        path: Name of the record, without the ending of its copies.
    """

    def __init__(self, path: Path) -> None:
        self._record = PingPongRecord(path)
        self._count = self._load()

    def failed(self, digest: str) -> int:
        """How many starts in a row with this bundle did not live."""
        return self._count.starts if self._count.digest == digest else 0

    def begin(self, digest: str) -> None:
        """Counts a start, before anything of the bundle is loaded.

        Raises:
            OSError: It cannot be counted.
        """
        self._store(_Count(digest, self.failed(digest) + 1))

    def lived(self) -> None:
        """This start has lived.

        Raises:
            OSError: It cannot be noted; the next starts may be counted as failed.
        """
        if self._count.starts:
            self._store(_Count(self._count.digest, 0))

    def _load(self) -> _Count:
        try:
            return read_record(_Count, json.loads(self._record.load() or b"{}"))
        except (ValueError, RecordError):
            return _Count()

    def _store(self, count: _Count) -> None:
        self._record.store(json.dumps(plain(count)).encode())
        self._count = count
