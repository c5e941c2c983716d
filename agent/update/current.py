"""Which slot `listen` runs, from its start to its end.

    current = Current(slots=..., journal=..., starts=...)
    pipeline = current.load(build)          # the active slot, or the next one that can be loaded
    ...
    pipeline = current.reload(build)        # `link` says that the record has changed

The record is only read here. What cannot be run is passed over at once, and `health` tells why, so
that the updater can put it on record.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path
from typing import Generic, TypeVar

from agent.bundle.manifest import Bundle, load_bundle
from agent.errors import BundleError
from agent.update.journal import FACTORY, Journal, Record, Step
from agent.update.slots import Choice, Slots
from agent.update.starts import Starts

_LOGGER = logging.getLogger(__name__)

Models = TypeVar("Models")


class Current(Generic[Models]):
    """The slot in use.

    Args:
        slots: Where the bundles are.
        journal: The record of the updater.
        starts: Counts starts on probation; in a directory that we may write.
        build: Makes of a bundle what hears.

    Attributes:
        choice: The slot in use; None before `load`.
        named: Slot and release that the record named when it was loaded.
    """

    def __init__(
        self, *, slots: Slots, journal: Journal, starts: Starts, build: Callable[[Bundle], Models]
    ) -> None:
        self._slots = slots
        self._journal = journal
        self._starts = starts
        self._build = build
        self.choice: Choice | None = None
        self.named: tuple[str, int] = ("", 0)

    def load(self) -> Models:
        """Loads the active slot, or the best one that can be loaded instead.

        Raises:
            BundleError: Not even the factory slot can be loaded.
        """
        record = self._journal.load()
        avoid = self._failed_starts(record)
        while True:
            choice = self._slots.choose(record, avoid=avoid)
            self._count_start(record, choice)
            try:
                models = self._build(_open(choice))
            except BundleError as error:
                if choice.slot == FACTORY:
                    raise
                avoid[choice.slot] = f"slot {choice.slot} cannot be loaded: {error}"
                continue
            self.choice = choice
            self.named = self._named(record)
            if choice.reason:
                _LOGGER.error("SlotError: slot %s is used, because %s.", choice.slot, choice.reason)
            _LOGGER.info("Slot %s, release %d.", choice.slot, choice.release)
            return models

    def is_current(self) -> bool:
        """True if the record still names the bundle in use."""
        used = self.choice
        return used is not None and (used.slot, used.release) == self._named(self._journal.load())

    def _named(self, record: Record) -> tuple[str, int]:
        entry = record.entry(record.active)
        return record.active, self._slots.factory_release() if entry is None else entry.release

    def lived(self) -> None:
        """The slot has been heard with for a while."""
        try:
            self._starts.lived()
        except OSError as error:
            _LOGGER.warning("That this start lived cannot be noted (%s).", error.strerror)

    def ended(self) -> None:
        """It was heard with to the end, and the end is in order."""
        try:
            self._starts.ended()
        except OSError as error:
            _LOGGER.warning("That this start ended cannot be noted (%s).", error.strerror)

    def _failed_starts(self, record: Record) -> dict[str, str]:
        entry = record.entry(record.active)
        if record.step != Step.PROBATION.value or entry is None:
            return {}
        problem = self._starts.problem(entry.digest)
        return {} if problem is None else {record.active: f"release {entry.release} {problem}"}

    def _count_start(self, record: Record, choice: Choice) -> None:
        entry = record.entry(choice.slot)
        if record.step != Step.PROBATION.value or choice.slot != record.active or entry is None:
            return
        try:
            self._starts.begin(entry.digest)
        except OSError as error:
            # Better to hear without a count than not at all.
            _LOGGER.warning("Starts cannot be counted (%s).", error.strerror)


def _open(choice: Choice) -> Bundle:
    # A slot was hashed when it was chosen; the factory slot is compared with its manifest.
    return load_bundle(choice.directory, verify=choice.slot == FACTORY)


def current_slot(
    *, state: Path, own_state: Path, factory: Path, build: Callable[[Bundle], Models]
) -> Current[Models]:
    """The slot that the record in a state directory names.

    Args:
        state: The state directory of `link`.
        own_state: The one of `listen`, which may be the same.
        factory: The bundle that ships.
        build: Makes of a bundle what hears.
    """
    return Current(
        slots=Slots(state, factory),
        journal=Journal(state / "update" / "journal"),
        starts=Starts(own_state / "starts"),
        build=build,
    )
