"""Results on their way to the broker: on disk, or in memory while the disk refuses.

The promise to `listen` is made here. A final may be acknowledged once it is on disk or once the
broker has it, never before: `put`, `tend` and `delivered` say when that is. While the disk is full,
finals are still published, from a bounded place in memory, and `listen` keeps them too; when the
disk works again they move there. Belongs to one thread; time is passed in.
"""

from __future__ import annotations

import logging
from collections import OrderedDict
from pathlib import Path

from agent.errors import OutboxError
from agent.mqtt.result_store import ResultStore, Waiting

_LOGGER = logging.getLogger(__name__)

_DISK_RETRY_S = 5.0


class Outbox:
    """A durable queue with a fallback.

    Args:
        path: The SQLite file.
        limit: How many results may wait on disk.
        memory_limit: How many may wait in memory.

    Attributes:
        refused: How many results found neither place; `listen` still has them.
        trouble: Why the disk is not used at the moment, or None.
    """

    def __init__(self, path: Path, *, limit: int, memory_limit: int) -> None:
        self._path = path
        self._limit = limit
        self._memory_limit = memory_limit
        self._memory: OrderedDict[str, bytes] = OrderedDict()
        # Delivered, but the disk would not take the note; kept so that they are not sent again.
        self._unnoted: OrderedDict[str, None] = OrderedDict()
        self._store: ResultStore | None = None
        self._retry_at = 0.0
        self.refused = 0
        self.trouble: str | None = None
        self._open()

    def put(self, key: str, body: bytes) -> bool:
        """Takes a result.

        Args:
            key: Its id. A second result of the same id is ignored.
            body: Its JSON.

        Returns:
            True if it is safe on disk or has been delivered before, so that `listen` may forget it.
        """
        if key in self._unnoted:
            return True
        if self._store is not None:
            try:
                self._store.put(key, body)
            except OutboxError as error:
                self._note_trouble(error)
            else:
                # Two places would mean two deliveries.
                self._memory.pop(key, None)
                return True
        if key not in self._memory:
            if len(self._memory) >= self._memory_limit:
                self.refused += 1
                return False
            self._memory[key] = body
        return False

    def waiting(self, most: int) -> list[Waiting]:
        """The results to publish next.

        Args:
            most: How many at most.

        Returns:
            Them, oldest first.
        """
        rows: list[Waiting] = []
        if self._store is not None:
            try:
                rows = self._store.waiting(most + len(self._unnoted))
            except OutboxError as error:
                self._note_trouble(error)
        rows = [row for row in rows if row.id not in self._unnoted]
        rows += [Waiting(key, body) for key, body in self._memory.items()]
        return rows[:most]

    def delivered(self, key: str) -> None:
        """Notes that the broker has a result; `listen` may forget it.

        Args:
            key: Its id.
        """
        self._memory.pop(key, None)
        self._unnoted[key] = None
        self._write_notes()

    def tend(self, now: float) -> list[str]:
        """Tries the disk again, from time to time, if it refused.

        Args:
            now: Monotonic seconds.

        Returns:
            Ids of results that have become safe.
        """
        if self.trouble is None or now < self._retry_at:
            return []
        self._retry_at = now + _DISK_RETRY_S
        if self._store is None:
            self._open()
        moved = []
        try:
            while self._store is not None and self._memory:
                key, body = next(iter(self._memory.items()))
                self._store.put(key, body)
                del self._memory[key]
                moved.append(key)
        except OutboxError as error:
            self._note_trouble(error)
            return moved
        if self._store is not None and self._write_notes():
            _LOGGER.info("Results are stored on disk again; %d moved there.", len(moved))
            self.trouble = None
        return moved

    def __len__(self) -> int:
        on_disk = 0
        if self._store is not None:
            try:
                on_disk = len(self._store)
            except OutboxError as error:
                self._note_trouble(error)
        return on_disk + len(self._memory)

    def close(self) -> None:
        """Closes the file."""
        if self._store is not None:
            self._store.close()

    def _open(self) -> None:
        try:
            self._store = ResultStore(self._path, limit=self._limit)
        except OutboxError as error:
            self._note_trouble(error)

    def _write_notes(self) -> bool:
        if self._store is None:
            self._forget_old_notes()
            return False
        try:
            while self._unnoted:
                self._store.delivered(next(iter(self._unnoted)))
                self._unnoted.popitem(last=False)
        except OutboxError as error:
            self._note_trouble(error)
            self._forget_old_notes()
            return False
        return True

    def _forget_old_notes(self) -> None:
        while len(self._unnoted) > self._limit + self._memory_limit:
            self._unnoted.popitem(last=False)

    def _note_trouble(self, error: OutboxError) -> None:
        if self.trouble is None:
            _LOGGER.error(
                "OutboxError: %s Until then results are kept in memory, %d at most.",
                error,
                self._memory_limit,
            )
        self.trouble = str(error)
