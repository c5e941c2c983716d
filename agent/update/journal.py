"""The one record of the update state machine, and what it says.

Everything that decides what the board runs is in this record and nowhere else: which slot is
active, what the slots must hold, which step of an update is under way, what was refused. A slot's
folder means nothing until the record says what it holds; so changing the record is the commit, and
taking it back is the roll-back, each in one write that a power cut cannot tear.

    journal = Journal(state / "update" / "journal")
    now = journal.load()                      # the beginning, where nothing was stored yet
    journal.store(dataclasses.replace(now, step=Step.APPLY, attempts=1))

Only the updater stores, under its lock. `listen` and `link` load.
"""

from __future__ import annotations

import json
import logging
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Any

from agent.errors import SlotError
from agent.records import RecordError, plain, read_record
from agent.update.record import PingPongRecord

_LOGGER = logging.getLogger(__name__)

FACTORY = "factory"
SLOTS = ("a", "b")
SCHEMA = 1

_SLOT = {"choices": (FACTORY, *SLOTS)}
_MOST_REFUSALS = 64
_LONGEST_MESSAGE = 500  # characters


class Step(StrEnum):
    """Where an update is; stored before the step begins."""

    IDLE = "idle"
    RECEIVE = "receive"
    VERIFY = "verify"
    STAGE = "stage"
    APPLY = "apply"
    TRIAL = "trial"
    COMMIT = "commit"
    PROBATION = "probation"


@dataclass(frozen=True, kw_only=True)
class SlotEntry:
    """What a slot must hold."""

    release: int
    name: str
    digest: str
    """Of all its files, see `agent.update.bundle_files`."""
    committed_ms: int = 0
    """Wall clock."""


@dataclass(frozen=True, kw_only=True)
class Refusal:
    """What is never tried again."""

    release: int
    target: str
    """SHA-256 of the one target that failed; empty: the release, however it comes."""
    reason: str


@dataclass(frozen=True, kw_only=True)
class Failure:
    """Why the last update failed."""

    transaction: str
    release: int
    step: str
    error: str
    """Name of the error, such as `TrialError`."""
    message: str
    wall_ms: int = 0


@dataclass(frozen=True, kw_only=True)
class Record:
    """The whole record."""

    schema: int = SCHEMA
    step: str = field(default=Step.IDLE.value, metadata={"choices": tuple(s.value for s in Step)})
    transaction: str = ""
    """Of the update under way; in every message and log line about it."""
    attempts: int = 0
    """How often the step was begun without having ended in good order."""
    rounds: int = 0
    """How often a file was received and found damaged."""
    candidate: dict[str, Any] | None = None
    """The release under way, as it was signed."""
    target_slot: str = field(default="a", metadata={"choices": SLOTS})
    """Where the candidate goes."""
    active: str = field(default=FACTORY, metadata=_SLOT)
    previous: str = field(default=FACTORY, metadata=_SLOT)
    """Where a roll-back goes."""
    a: SlotEntry | None = None
    """None: the slot holds nothing that may be run."""
    b: SlotEntry | None = None
    clean_s: int = 0
    """Seconds of hearing without a crash since the commit."""
    floor: int = 0
    """Copy of the floor, for whoever only reads."""
    refused: tuple[Refusal, ...] = ()
    failure: Failure | None = None
    received: int = 0
    """Bytes that were there when receiving was begun last; more by now is progress."""
    model: str = ""
    """Name of the bundle, for whoever only reads."""
    factory_release: int = 0
    """Release of the bundle that ships, for whoever only reads."""
    checked_ms: int = 0
    """Last time that the metadata was fresh."""
    stale: bool = False
    """The metadata has expired; speech goes on."""
    trouble: str = ""
    """Why the last check brought nothing, if it should have."""

    def entry(self, slot: str) -> SlotEntry | None:
        """What a slot must hold; None for an empty slot and for the factory slot."""
        return {"a": self.a, "b": self.b}.get(slot)

    def refuses(self, release: int, target: str) -> bool:
        """True if a release, or this way of getting it, has failed here before."""
        return any(r.release == release and r.target in ("", target) for r in self.refused)

    @property
    def candidate_release(self) -> int:
        """Number of the release under way; 0 without one."""
        number = (self.candidate or {}).get("release", 0)
        return number if isinstance(number, int) else 0


class Journal:
    """Loads and stores the record.

    Args:
        path: Name of the record, without the ending of its copies.
    """

    def __init__(self, path: Path) -> None:
        # `listen` is another user of the same group, and reads it.
        self._record = PingPongRecord(path, mode=0o640)

    @property
    def files(self) -> tuple[Path, Path]:
        """The two copies, for whoever waits for a change."""
        return self._record.copies

    def load(self) -> Record:
        """What holds now.

        A record of a newer agent, or one that makes no sense, counts as none: the board then runs
        the factory slot, which needs no record.
        """
        content = self._record.load()
        if content is None:
            return Record()
        try:
            record = read_record(Record, json.loads(content), unknown_keys=True)
        except (ValueError, RecursionError, RecordError) as error:
            _LOGGER.error("SlotError: the update record makes no sense (%s); starting anew.", error)
            return Record()
        if record.schema != SCHEMA:
            _LOGGER.error("SlotError: the update record has schema %d.", record.schema)
            return Record()
        return record

    def store(self, record: Record) -> None:
        """Makes a record the one that holds; durable when this returns.

        Raises:
            SlotError: It cannot be written; the last one holds.
        """
        body = json.dumps(plain(record), separators=(",", ":")).encode()
        try:
            self._record.store(body)
        except (OSError, ValueError) as error:
            reason = getattr(error, "strerror", None) or error
            raise SlotError(
                f"The update record cannot be written ({reason}); the board stays as it is."
            ) from error


def refusal(refused: tuple[Refusal, ...], new: Refusal) -> tuple[Refusal, ...]:
    """The refusals with one more; beyond a bound the oldest releases are forgotten."""
    kept = [old for old in refused if (old.release, old.target) != (new.release, new.target)]
    kept.append(Refusal(release=new.release, target=new.target, reason=shortened(new.reason)))
    kept.sort(key=lambda each: each.release)
    return tuple(kept[-_MOST_REFUSALS:])


def shortened(message: str) -> str:
    """A message that fits into the record."""
    if len(message) <= _LONGEST_MESSAGE:
        return message
    return message[: _LONGEST_MESSAGE - 3] + "..."
