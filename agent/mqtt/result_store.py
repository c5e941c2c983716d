"""Results on disk: one SQLite file that survives kill -9 and power cuts.

Write-ahead log with `synchronous=FULL`: when `put` returns, the result is on the disk. The ids of
results that the broker has confirmed are remembered for a while, because `listen` repeats a result
whose acknowledgement it missed, and it must not be published again.

A file that SQLite finds damaged is moved aside as `<name>.damaged` and a new one is begun: a board
in the field must not stay silent because of old results.
"""

from __future__ import annotations

import contextlib
import logging
import os
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from agent.errors import OutboxError

_LOGGER = logging.getLogger(__name__)

_VERSION = 1
# More than `listen` can repeat (256) and than may be under way.
_DELIVERED_IDS_KEPT = 2048
_BUSY_TIMEOUT_S = 2.0
_DAMAGE = (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)
_SCHEMA = """
create table if not exists waiting (
    sequence integer primary key autoincrement, id text not null unique, body blob not null);
create table if not exists delivered (
    sequence integer primary key autoincrement, id text not null unique);
"""


class Waiting(NamedTuple):
    """A result that the broker does not have yet."""

    id: str
    body: bytes


class ResultStore:
    """A durable first in, first out queue, keyed by id. Belongs to one thread.

    Args:
        path: The SQLite file.
        limit: Beyond this many, the oldest results are given up.

    Attributes:
        given_up: How many results were given up for newer ones.

    Raises:
        OutboxError: The file cannot be opened, for example because the disk is full.
    """

    def __init__(self, path: Path, *, limit: int) -> None:
        self._path = path
        self._limit = limit
        self.given_up = 0
        self._database: sqlite3.Connection | None = self._open()

    def put(self, key: str, body: bytes) -> bool:
        """Stores a result durably.

        Args:
            key: The result's id.
            body: Its JSON.

        Returns:
            False if it was here before, whether it still waits or has been delivered.

        Raises:
            OutboxError: It is not stored; nothing else has changed.
        """
        if self.knows(key):
            return False
        with self._transaction() as database:
            database.execute("insert into waiting (id, body) values (?, ?)", (key, body))
            surplus = database.execute(
                "delete from waiting where sequence in"
                " (select sequence from waiting order by sequence desc limit -1 offset ?)",
                (self._limit,),
            )
            gone = surplus.rowcount
        if gone > 0:
            self.given_up += gone
            _LOGGER.warning(
                "More than %d results wait for the broker; the oldest is given up (%d so far).",
                self._limit,
                self.given_up,
            )
        return True

    def knows(self, key: str) -> bool:
        """Asks for a result; works on a full disk too.

        Args:
            key: Its id.

        Returns:
            True if it waits here or has been delivered.

        Raises:
            OutboxError: The disk cannot be read.
        """
        with self._transaction("deferred") as database:
            found = database.execute(
                "select 1 from waiting where id = ?1 union select 1 from delivered where id = ?1",
                (key,),
            ).fetchone()
        return found is not None

    def waiting(self, most: int) -> list[Waiting]:
        """The oldest results that are not delivered.

        Args:
            most: How many at most.

        Returns:
            Them, oldest first.

        Raises:
            OutboxError: The disk cannot be read.
        """
        with self._transaction("deferred") as database:
            rows = database.execute(
                "select id, body from waiting order by sequence limit ?", (most,)
            ).fetchall()
        return [Waiting(str(key), bytes(body)) for key, body in rows]

    def delivered(self, key: str) -> None:
        """Removes a result and remembers that it needs no repetition.

        Args:
            key: Its id; one that is not here is remembered all the same.

        Raises:
            OutboxError: The disk cannot be written; the result is still here.
        """
        with self._transaction() as database:
            database.execute("delete from waiting where id = ?", (key,))
            database.execute("insert or ignore into delivered (id) values (?)", (key,))
            database.execute(
                "delete from delivered where sequence <= (select max(sequence) from delivered) - ?",
                (_DELIVERED_IDS_KEPT,),
            )

    def __len__(self) -> int:
        with self._transaction("deferred") as database:
            (count,) = database.execute("select count(*) from waiting").fetchone()
        return int(count)

    def close(self) -> None:
        """Closes the file."""
        if self._database is not None:
            self._database.close()

    @contextlib.contextmanager
    def _transaction(self, mode: str = "immediate") -> Iterator[sqlite3.Connection]:
        if self._database is None:
            self._database = self._open()
        try:
            self._database.execute(f"begin {mode}")
            try:
                yield self._database
                self._database.execute("commit")
            except BaseException:
                # On some errors SQLite has rolled back by itself.
                if self._database.in_transaction:
                    self._database.execute("rollback")
                raise
        except sqlite3.Error as error:
            if _is_damage(error):
                self._database.close()
                self._database = None
                self._database = self._open()
            raise OutboxError(
                f"{self._path}: {error}; free some space or check the disk."
            ) from error

    def _open(self) -> sqlite3.Connection:
        try:
            # SQLite gives its other files the permissions of the first.
            os.close(os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))
            try:
                return self._connect()
            except sqlite3.DatabaseError as error:
                if not _is_damage(error):
                    raise
                self._move_aside(str(error))
                return self._connect()
        except (sqlite3.Error, OSError) as error:
            raise OutboxError(
                f"{self._path}: results cannot be stored ({error}); free some space or check the"
                " disk and its permissions."
            ) from error

    def _connect(self) -> sqlite3.Connection:
        database = sqlite3.connect(self._path, isolation_level=None, timeout=_BUSY_TIMEOUT_S)
        try:
            database.execute("pragma journal_mode = wal")
            database.execute("pragma synchronous = full")
            database.execute("pragma wal_autocheckpoint = 200")
            # A row that a broken disk made huge must not be read into memory.
            database.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, 1024 * 1024)
            _check(database)
            database.executescript(_SCHEMA)
            database.execute(f"pragma user_version = {_VERSION}")
        except BaseException:
            database.close()
            raise
        return database

    def _move_aside(self, reason: str) -> None:
        aside = self._path.with_name(self._path.name + ".damaged")
        _LOGGER.error(
            "OutboxError: %s is damaged (%s); it is kept as %s and a new one is begun.",
            self._path,
            reason,
            aside.name,
        )
        self._path.replace(aside)
        # They belong to the old file; beside a new one they would damage it.
        for suffix in ("-wal", "-shm"):
            self._path.with_name(self._path.name + suffix).unlink(missing_ok=True)


class _DamagedError(sqlite3.DatabaseError):
    """The file is not a healthy database of a known version."""


def _check(database: sqlite3.Connection) -> None:
    (health,) = database.execute("pragma quick_check(1)").fetchone()
    if health != "ok":
        raise _DamagedError(health)
    (version,) = database.execute("pragma user_version").fetchone()
    if version not in (0, _VERSION):
        raise _DamagedError(f"version {version} is not known here")


def _is_damage(error: sqlite3.Error) -> bool:
    # The lower byte is the kind of error, the upper one its details.
    kind = getattr(error, "sqlite_errorcode", 0) & 0xFF
    return isinstance(error, _DamagedError) or kind in _DAMAGE
