"""The state machine of an update: one step after the other, each on record before it begins.

    idle ─▶ receive ─▶ verify ─▶ stage ─▶ apply ─▶ trial ─▶ commit ─▶ probation ─▶ idle
              ▲           │                                                └ floor raised
              └───────────┘ damaged after it was received
    from every step, by any failure: roll back, the reason on record, the release refused

What happens when the power fails at a step: the record says which step it was, so the next start
begins that step again. A step that has been begun three times without an end is given up, so that
nothing can go round for ever.

Whose fault is a failure?

* of the release, or of whatever cannot be told from it: it is refused from then on. What failed up
  to `apply` refuses this one target, so that the full image of the same release may still come;
  what failed in the trial or later refuses the release, however it comes;
* of the network: the step waits, and what was received stays;
* of this board's disk: the update is dropped, and may be tried again.

The record decides what the board runs, so the commit and the roll-back are one write each.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import BinaryIO, Protocol

from agent import __version__
from agent.clock import wall_ms
from agent.errors import (
    BundleError,
    DiffStorageError,
    ExpiredError,
    SlotError,
    TamperedError,
    UnfinishedError,
    UpdateError,
)
from agent.update.floor import Floor
from agent.update.heard import Heard
from agent.update.journal import FACTORY, Journal, Record, Step, shortened
from agent.update.release import ANY_HARDWARE, Release, TrialLimits
from agent.update.selection import fitting, select
from agent.update.slots import Slots
from agent.update.staging import apply, check_slot, stage
from agent.update.storage import empty_folder
from agent.update.transaction import UNDER_WAY, Transaction
from agent.update.verify import target_path, verify_target

MOST_ATTEMPTS = 3
"""How often a step is begun without an end, and how often a damaged file is received."""


_ONLY_DISK = (Step.STAGE, Step.COMMIT)
"""Steps in which nothing but this board's disk can fail."""


class Source(Protocol):
    """Where releases come from: `agent.update.trust.Trust`."""

    def refresh(self) -> Sequence[Release]:
        """Genuine releases for this board."""

    def open_target(self, release: Release, folder: Path) -> BinaryIO:
        """Receives a file, going on where it was cut off."""


Trial = Callable[[Path, Path, TrialLimits], None]
"""Tries a bundle against the one in use, within limits; raises TrialError."""


class Machine:
    """Takes this board from one release to the next, or back.

    Belongs to the one process that holds the updater's lock.

    Args:
        journal: The record.
        slots: Where the bundles are.
        source: Where releases come from.
        trial: Tries a bundle.
        floor: What must never be installed again.
        device: This board's id.
        hardware: This machine.
        downloads: Folder for received files.
        probation_s: Clean hearing until a release is kept.
        clock: Wall-clock milliseconds.
    """

    def __init__(
        self,
        *,
        journal: Journal,
        slots: Slots,
        source: Source,
        trial: Trial,
        floor: Floor,
        device: str,
        hardware: str = ANY_HARDWARE,
        downloads: Path,
        probation_s: int,
        clock: Callable[[], int] = wall_ms,
    ) -> None:
        self._slots = slots
        self._source = source
        self._trial = trial
        self._floor = floor
        self._device = device
        self._hardware = hardware
        self._downloads = downloads
        self._probation_s = probation_s
        self._clock = clock
        self._transaction = Transaction(journal, clock)
        self._actions: dict[Step, Callable[[Release], Step]] = {
            Step.RECEIVE: self._receive,
            Step.VERIFY: self._verify,
            Step.STAGE: self._stage,
            Step.APPLY: self._apply,
            Step.TRIAL: self._try,
            Step.COMMIT: self._commit,
        }

    @property
    def record(self) -> Record:
        """What holds now."""
        return self._transaction.record

    @property
    def under_way(self) -> bool:
        """True while a release is on its way into a slot."""
        return self._transaction.step in UNDER_WAY

    def run(self, heard: Heard | None = None) -> Record:
        """Everything there is to do now: what was cut off, and what is new.

        Args:
            heard: What `listen` says, if it runs.

        Returns:
            What holds then.

        Raises:
            SlotError: The record cannot be written; nothing has changed.
        """
        self.settle(heard or Heard())
        if self._transaction.step is not Step.RECEIVE:
            self.advance()
        self.check()
        self.advance()
        self._end_probation()
        return self.record

    def settle(self, heard: Heard) -> None:
        """Looks at the active slot, and at how it has done since the last time.

        Args:
            heard: What `listen` says.
        """
        choice = self._slots.choose(self.record)
        now = (self.record.active, choice.release)
        missed = bool(heard.problem) and (heard.missed_slot, heard.missed_release) == now
        if choice.slot != self.record.active:
            self._transaction.leave(choice.reason or "", choice.slot)
        elif self._transaction.step is Step.PROBATION:
            if missed:
                self._leave_for_good(SlotError(heard.problem))
            elif (heard.slot, heard.release) == now:
                self._transaction.note(clean_s=self.record.clean_s + heard.clean_s)
        elif missed and self.record.active != FACTORY:
            # It was good once: an agent or a library has changed, and nobody blames the release.
            other = self._slots.choose(self._transaction.without_active())
            self._transaction.leave(heard.problem, other.slot)
        self._transaction.note(
            model=self._slots.factory_name(),
            factory_release=self._slots.factory_release(),
            floor=self._floor.release,
        )
        self._end_probation()

    def check(self) -> None:
        """Asks what is on offer, and begins with it or goes on receiving it."""
        transaction = self._transaction
        if transaction.step not in (Step.IDLE, Step.RECEIVE):
            return
        try:
            offers = self._source.refresh()
        except ExpiredError as error:
            # Nobody vouches for what is new; what runs was vouched for, and runs on.
            transaction.note(stale=True, trouble=shortened(str(error)))
            return
        except (UpdateError, OSError) as error:
            transaction.note(trouble=shortened(f"{type(error).__name__}: {error}"))
            return
        offers, unfit = fitting(
            offers,
            model=self._slots.factory_name(),
            hardware=self._hardware,
            agent=__version__,
            floor=self._floor.release,
        )
        offer = select(
            offers,
            record=self.record,
            running=self._running(),
            bases=set(self._bases()) if any(o.format == "diff" for o in offers) else (),
            device=self._device,
        )
        # What only a newer agent may install is worth a word; what is old is not.
        newer = {number: why for number, why in unfit.items() if number > self._running()}
        trouble = "" if offer or not newer else shortened(newer[max(newer)])
        transaction.note(stale=False, trouble=trouble, checked_ms=self._clock())
        if transaction.step is Step.RECEIVE:
            if offer is not None and offer.sha256 == (self.record.candidate or {}).get("sha256"):
                transaction.renew(offer)
                return
            transaction.drop(UnfinishedError("The metadata ask for another release by now."))
        if offer is not None:
            transaction.begin(offer)

    def advance(self) -> None:
        """Does the steps that are left, until the commit, a failure, or the network is needed."""
        transaction = self._transaction
        while (step := transaction.step) in UNDER_WAY:
            try:
                release = transaction.release()
                if self.record.attempts >= MOST_ATTEMPTS and not self._advanced(release):
                    raise UnfinishedError(
                        f"The step {step} was begun {self.record.attempts} times and never ended."
                    )
                transaction.attempt(self._received(release))
                following = self._actions[step](release)
            except (UpdateError, BundleError, OSError) as error:
                if not self._after_failure(step, error):
                    return
            else:
                if following is not Step.PROBATION:
                    transaction.enter(following)

    def roll_back(self) -> None:
        """Goes back to the slot before, because an operator says so; the release is refused."""
        why = SlotError("An operator rolled it back.")
        if self.under_way:
            self._transaction.drop(why)
        if self.record.active != FACTORY:
            self._leave_for_good(why)

    def _advanced(self, release: Release) -> bool:
        """True if receiving was cut off again and again, but each time a little later."""
        receiving = self._transaction.step is Step.RECEIVE
        return receiving and self._received(release) > self.record.received

    def _received(self, release: Release) -> int:
        try:
            return target_path(self._downloads, release).stat().st_size
        except OSError:
            return 0

    # --- the steps -------------------------------------------------------------------------

    def _receive(self, release: Release) -> Step:
        self._source.open_target(release, self._downloads).close()
        return Step.VERIFY

    def _verify(self, release: Release) -> Step:
        verify_target(target_path(self._downloads, release), release)
        return Step.STAGE

    def _stage(self, release: Release) -> Step:
        stage(self._slots.directory(self.record.target_slot), release)
        return Step.APPLY

    def _apply(self, release: Release) -> Step:
        base = self._bases().get(release.base_sha256)
        folder = self._slots.directory(self.record.target_slot)
        apply(target_path(self._downloads, release), release, base, folder)
        return Step.TRIAL

    def _try(self, release: Release) -> Step:
        base = self._slots.directory(self.record.active)
        self._trial(self._slots.directory(self.record.target_slot), base, release.trial)
        return Step.COMMIT

    def _commit(self, release: Release) -> Step:
        check_slot(self._slots.directory(self.record.target_slot), release.result_sha256)
        self._transaction.commit(release)
        self._clear_downloads()
        return Step.PROBATION

    def _end_probation(self) -> None:
        if self._transaction.step is not Step.PROBATION or self.record.clean_s < self._probation_s:
            return
        try:
            # The floor first: cut off in between, this is done again and changes nothing.
            self._floor.raise_release(self._running())
        except OSError as error:
            self._transaction.note(trouble=f"The floor cannot be raised ({error.strerror}).")
        else:
            self._transaction.keep(self._floor.release)

    # --- failures --------------------------------------------------------------------------

    def _after_failure(self, step: Step, error: Exception) -> bool:
        """Decides whose fault it was; True if there is something to do at once."""
        transaction = self._transaction
        if step is Step.RECEIVE and not isinstance(error, UnfinishedError):
            transaction.wait(error)
            return False
        if step is Step.VERIFY and isinstance(error, TamperedError):
            self._clear_downloads()
            if self.record.rounds + 1 < MOST_ATTEMPTS:
                transaction.receive_again()
                return True
        of_the_board = isinstance(error, (OSError, DiffStorageError)) or step in _ONLY_DISK
        if of_the_board and not isinstance(error, UnfinishedError):
            transaction.drop(error)
        else:
            transaction.refuse(error)
            self._clear_downloads()
        return False

    def _leave_for_good(self, error: Exception) -> None:
        choice = self._slots.choose(self._transaction.without_active())
        self._transaction.roll_back(error, choice.slot)

    # --- what lies here --------------------------------------------------------------------

    def _running(self) -> int:
        entry = self.record.entry(self.record.active)
        return self._slots.factory_release() if entry is None else entry.release

    def _bases(self) -> dict[str, Path]:
        """Bundles that a diff may start from, by their digests."""
        bases = {}
        for slot in dict.fromkeys((FACTORY, self.record.active)):
            try:
                bases[self._slots.digest(slot)] = self._slots.directory(slot)
            except BundleError as error:
                self._transaction.say("Slot %s cannot be a base: %s", slot, error)
        return bases

    def _clear_downloads(self) -> None:
        try:
            empty_folder(self._downloads)
        except OSError as error:
            self._transaction.say("What was received cannot be removed (%s).", error.strerror)
