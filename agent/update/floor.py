"""What this board never forgets: how old is too old.

The record has two copies with checksums (`agent.update.record`), so that no power cut brings an
attacker's yesterday back. It holds

* `release`: the lowest release that may be installed. Raised when a release has proved itself.
  Falling back to the other slot or to the factory's bundle is not installing.
* `root`: the newest list of keys seen. A board whose metadata were lost does not accept keys that
  were revoked before.
* `issued`: when the newest timestamp was signed, by its own word, and `keys`: which keys signed it.
  It is the time floor. A Raspberry Pi has no clock of its own, so the time that counts is never
  before it, whatever the network says.

A thief of the timestamp key could sign a time in the far future and so make everything else look
expired. When the owners replace that key, the time it told is forgotten with it; only what the
root's keys say then remains. The clock itself is never written down: a clock that ran ahead for an
hour must not stop updates for a year.
"""

from __future__ import annotations

import json
import logging
from dataclasses import dataclass, field, replace
from pathlib import Path

from agent.records import RecordError, plain, read_record
from agent.update.record import PingPongRecord

_LOGGER = logging.getLogger(__name__)

LATEST_S = 253_402_300_799  # the last second of the year 9999
_SECONDS = {"minimum": 0, "maximum": LATEST_S}


@dataclass(frozen=True, kw_only=True)
class FloorRecord:
    """The record's content."""

    release: int = field(default=0, metadata={"minimum": 0})
    root: int = field(default=0, metadata={"minimum": 0})
    issued: int = field(default=0, metadata=_SECONDS)
    """Seconds since 1970."""
    keys: str = ""
    """Ids of the timestamp's keys when `issued` was learned."""


class Floor:
    """The record, and what holds without one.

    Args:
        path: Name of the record without the numbers of its copies.
        factory_release: Release of the bundle that the package brings.
        built_s: When that bundle was made, in seconds since 1970.
    """

    def __init__(self, path: Path, *, factory_release: int = 0, built_s: int = 0) -> None:
        self._record = PingPongRecord(path)
        self._factory_release = factory_release
        self._built_s = built_s
        self._value = _read(self._record.load())

    @property
    def release(self) -> int:
        """Lowest release that may be installed."""
        return max(self._value.release, self._factory_release)

    @property
    def root(self) -> int:
        """Version of the newest root metadata ever seen."""
        return self._value.root

    def issued_s(self, keys: str) -> int:
        """When the newest timestamp that these keys signed was issued.

        Args:
            keys: Ids of the keys that sign timestamps now.

        Returns:
            Seconds since 1970; 0 if the last timestamp was signed by others.
        """
        return self._value.issued if self._value.keys == keys else 0

    def time_s(self, clock_s: int, *, keys: str, root_issued_s: int) -> int:
        """The time that counts.

        Args:
            clock_s: What the board's clock says, in seconds since 1970.
            keys: Ids of the keys that sign timestamps now.
            root_issued_s: When the root metadata were signed.

        Returns:
            Seconds since 1970, never before what is known to have passed.
        """
        return max(clock_s, self.issued_s(keys), root_issued_s, self._built_s)

    def raise_release(self, release: int) -> None:
        """Notes that a release has proved itself; durable when this returns.

        Args:
            release: Its number; a lower one than the floor changes nothing.

        Raises:
            OSError: It could not be written; the old floor holds.
        """
        self._value = _read(self._record.load())
        if release > self._value.release:
            self._store(replace(self._value, release=release))

    def note_refresh(self, *, root: int, issued_s: int, keys: str) -> None:
        """Notes what verified metadata say; durable when this returns.

        Args:
            root: Version of the root metadata.
            issued_s: When the timestamp was issued.
            keys: Ids of the keys that sign timestamps.

        Raises:
            OSError: It could not be written; the old floor holds.
        """
        self._value = _read(self._record.load())
        changed = replace(
            self._value,
            root=max(root, self._value.root),
            issued=max(issued_s, self.issued_s(keys)),
            keys=keys,
        )
        if changed != self._value:
            self._store(changed)

    def _store(self, value: FloorRecord) -> None:
        self._record.store(json.dumps(plain(value), sort_keys=True).encode())
        self._value = value


def _read(payload: bytes | None) -> FloorRecord:
    if payload is None:
        return FloorRecord()
    try:
        return read_record(FloorRecord, json.loads(payload), unknown_keys=True)
    except (ValueError, RecursionError, RecordError) as error:
        # Whole by its checksum and still not ours: nothing that a power cut or an attacker does.
        _LOGGER.error("UpdateError: the floor record is not one (%s); the factory's holds.", error)
        return FloorRecord()
