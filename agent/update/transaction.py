"""What goes on record about an update: every change of the record, and nothing else.

Each method is one write of the one record. No file of a slot is touched here: the machine does the
work between the writes.
"""

from __future__ import annotations

import logging
import secrets
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from agent.errors import SlotError, UnfinishedError
from agent.log import set_log_context
from agent.records import RecordError, plain, read_record
from agent.update.journal import (
    FACTORY,
    Failure,
    Journal,
    Record,
    Refusal,
    SlotEntry,
    Step,
    refusal,
    shortened,
)
from agent.update.release import Release
from agent.update.slots import writable_slot

_LOGGER = logging.getLogger(__name__)

UNDER_WAY = (Step.RECEIVE, Step.VERIFY, Step.STAGE, Step.APPLY, Step.TRIAL, Step.COMMIT)
"""Steps that are begun again after they were cut off."""
_REFUSES_RELEASE = (Step.TRIAL, Step.COMMIT)
"""What fails here fails however the release comes; before, another target of it may do."""


class Transaction:
    """The record, and every way in which it changes.

    Args:
        journal: Where it is.
        clock: Wall-clock milliseconds.

    Attributes:
        record: What holds now.
    """

    def __init__(self, journal: Journal, clock: Callable[[], int]) -> None:
        self._journal = journal
        self._clock = clock
        self.record = journal.load()
        set_log_context(self.record.transaction)

    @property
    def step(self) -> Step:
        """Where it is."""
        return Step(self.record.step)

    def release(self) -> Release:
        """The release under way.

        Raises:
            UnfinishedError: The record holds none that this agent understands.
        """
        try:
            return read_record(Release, self.record.candidate or {}, unknown_keys=True)
        except RecordError as error:
            raise UnfinishedError(f"The record of the release is broken: {error}.") from error

    def begin(self, release: Release) -> None:
        """A release is to be received."""
        self._store(
            step=Step.RECEIVE.value,
            transaction=secrets.token_hex(6),
            attempts=0,
            rounds=0,
            received=0,
            candidate=plain(release),
            failure=None,
        )
        set_log_context(self.record.transaction)
        self.say("Release %d begins: %s.", release.release, release.target)

    def renew(self, release: Release) -> None:
        """The same target, as the metadata describe it now."""
        self.note(candidate=plain(release))

    def attempt(self, received: int) -> None:
        """A step is begun, perhaps once more.

        Args:
            received: Bytes of the release that are here.
        """
        more = received > self.record.received
        attempts = 1 if more else self.record.attempts + 1
        self._store(attempts=attempts, received=received)

    def enter(self, step: Step) -> None:
        """The step before has ended well; this one is next."""
        changes: dict[str, Any] = {"step": step.value, "attempts": 0}
        if step is Step.STAGE:
            # From this moment on the slot is nobody's fallback.
            slot = writable_slot(self.record)
            changes |= {"target_slot": slot, slot: None}
        self._store(**changes)

    def receive_again(self) -> None:
        """What was received is damaged."""
        self._store(step=Step.RECEIVE.value, attempts=0, received=0, rounds=self.record.rounds + 1)

    def wait(self, error: Exception) -> None:
        """The network or the broker does not give what the step needs; it is begun again later."""
        self.say("The step %s waits: %s", self.step, error)
        self._store(attempts=0, trouble=shortened(f"{type(error).__name__}: {error}"))

    def commit(self, release: Release) -> None:
        """The new slot is the active one from now on: the one write that counts."""
        slot = self.record.target_slot
        entry = SlotEntry(
            release=release.release,
            name=release.name,
            digest=release.result_sha256,
            committed_ms=self._clock(),
        )
        entries: dict[str, Any] = {slot: entry}
        self._store(
            step=Step.PROBATION.value,
            attempts=0,
            active=slot,
            previous=self.record.active,
            clean_s=0,
            trouble="",
            **entries,
        )
        self.say("Release %d is committed to slot %s.", release.release, slot)

    def keep(self, floor: int) -> None:
        """The probation is over.

        Args:
            floor: As it is now, already on the disk.
        """
        self.say("Slot %s is kept; the floor is %d.", self.record.active, floor)
        self._store(step=Step.IDLE.value, candidate=None, floor=floor)

    def refuse(self, error: Exception) -> None:
        """The release under way has failed; the active slot stays what it is."""
        failure = self._failure(error)
        refused = self.record.refused
        if self.record.candidate is not None:
            whole = self.step in _REFUSES_RELEASE
            target = "" if whole else str(self.record.candidate.get("sha256", ""))
            new = Refusal(release=failure.release, target=target, reason=failure.message)
            refused = refusal(refused, new)
        self.say("Release %d failed in %s: %s", failure.release, failure.step, failure.message)
        self._store(step=Step.IDLE.value, candidate=None, refused=refused, failure=failure)

    def drop(self, error: Exception) -> None:
        """The release under way is given up, and nobody blames it."""
        failure = self._failure(error)
        self.say("Release %d is dropped in %s: %s", failure.release, failure.step, failure.message)
        self._store(step=Step.IDLE.value, candidate=None, failure=failure)

    def roll_back(self, error: Exception, slot: str) -> None:
        """The active slot is left for another one and its release is refused.

        Args:
            error: Why.
            slot: The one that is active from now on.
        """
        old = self.record.active
        entry = self.record.entry(old)
        release = 0 if entry is None else entry.release
        failure = replace(self._failure(error), release=release)
        self.say("Release %d is rolled back to slot %s: %s", release, slot, failure.message)
        new = Refusal(release=release, target="", reason=failure.message)
        refused = refusal(self.record.refused, new)
        self._leave(old, slot, refused=refused, failure=failure)

    def leave(self, reason: str, slot: str) -> None:
        """The active slot cannot be run any more, by nobody's fault.

        Args:
            reason: Why.
            slot: The one that is active from now on.
        """
        old = self.record.active
        self.say("Slot %s takes the place of slot %s: %s", slot, old, reason)
        failure = self._failure(SlotError(f"{reason}; slot {slot} takes its place."))
        self._leave(old, slot, failure=failure)

    def without_active(self) -> Record:
        """The record as it would be if the active slot held nothing."""
        emptied: dict[str, Any] = {self.record.active: None}
        return replace(self.record, active=self.record.previous, **emptied)

    def note(self, **changes: Any) -> None:
        """Stores what is only to be told, if it is news."""
        if replace(self.record, **changes) != self.record:
            self._store(**changes)

    def say(self, text: str, *arguments: object) -> None:
        """A log line; like every other of this process, it has the transaction's id in front."""
        _LOGGER.info(text, *arguments)

    def _leave(self, old: str, new: str, **changes: Any) -> None:
        emptied: dict[str, Any] = {} if old == FACTORY else {old: None}
        self._store(
            step=Step.IDLE.value, candidate=None, active=new, previous=FACTORY, **emptied, **changes
        )

    def _failure(self, error: Exception) -> Failure:
        return Failure(
            transaction=self.record.transaction,
            release=self.record.candidate_release,
            step=self.record.step,
            error=type(error).__name__,
            message=shortened(str(error)),
            wall_ms=self._clock(),
        )

    def _store(self, **changes: Any) -> None:
        record = replace(self.record, **changes)
        self._journal.store(record)
        self.record = record
