"""The three slots: where they are, whether they hold what they should, and which one is run.

    factory   the installed package; nobody writes it, and it needs no record
    a, b      releases; the active one is read, the other one is written

The active slot is hashed whenever a process starts to use it. If a single bit differs, the next
good one takes its place: the slot before it, the other one, and at last the factory slot.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from agent.bundle.schema import LARGEST_MANIFEST, Manifest, parse_manifest
from agent.errors import BundleError, ManifestError
from agent.update.bundle_files import bundle_digest, digest_files
from agent.update.journal import FACTORY, SLOTS, Record


@dataclass(frozen=True)
class Choice:
    """The slot to run.

    Attributes:
        slot: Its name.
        directory: Its bundle.
        release: Its number; 0 if the factory slot's manifest cannot be read.
        reason: Why it is not the one the record names; None if it is.
    """

    slot: str
    directory: Path
    release: int
    reason: str | None = None


class Slots:
    """Finds and checks slots; changes nothing.

    Args:
        state: The state directory of `link`.
        factory: The bundle that ships.
    """

    def __init__(self, state: Path, factory: Path) -> None:
        self.folder = state / "slots"
        self._factory = factory

    def directory(self, slot: str) -> Path:
        """The bundle of a slot."""
        return self._factory if slot == FACTORY else self.folder / slot

    def digest(self, slot: str) -> str:
        """Of every file of a slot, see `agent.update.bundle_files`.

        Raises:
            BundleFileError: It is no bundle, or cannot be read.
        """
        return bundle_digest(digest_files(self.directory(slot)))

    def problem(self, slot: str, record: Record) -> str | None:
        """Hashes a slot.

        Returns:
            Why it must not be run, or None if it holds what the record says.
        """
        if slot == FACTORY:
            # Its bundle is compared with its manifest by whoever loads it.
            return None
        entry = record.entry(slot)
        if entry is None:
            return f"slot {slot} holds no release"
        try:
            digest = self.digest(slot)
        except BundleError as error:
            return f"slot {slot} cannot be read: {error}"
        if digest != entry.digest:
            return f"slot {slot} does not hold release {entry.release} as it was committed"
        return None

    def factory_release(self) -> int:
        """Release of the bundle that ships; 0 if its manifest cannot be read."""
        manifest = self._factory_manifest()
        return 0 if manifest is None else manifest.release

    def factory_name(self) -> str:
        """Name of the bundle that ships; empty if its manifest cannot be read."""
        manifest = self._factory_manifest()
        return "" if manifest is None else manifest.name

    def _factory_manifest(self) -> Manifest | None:
        try:
            with (self._factory / "manifest.json").open("rb") as stream:
                return parse_manifest(stream.read(LARGEST_MANIFEST + 1))
        except (OSError, ManifestError):
            return None

    def choose(self, record: Record, *, avoid: dict[str, str] | None = None) -> Choice:
        """The slot to run.

        Args:
            record: What holds.
            avoid: Slots that failed otherwise, with the reason.

        Returns:
            The active slot, or the best one that takes its place, with all reasons.
        """
        reasons: list[str] = []
        factory = self.factory_release()
        order = [record.active, record.previous, *SLOTS, FACTORY]
        for slot in dict.fromkeys(order):
            entry = record.entry(slot)
            if slot != FACTORY and entry is None and slot != record.active:
                continue
            problem = (avoid or {}).get(slot) or self.problem(slot, record)
            if problem is None and entry is not None and entry.release < factory:
                # The owner has installed a newer package since.
                problem = f"release {factory} was installed after release {entry.release}"
            if problem is None:
                release = factory if entry is None else entry.release
                reason = "; ".join(reasons) or None
                return Choice(slot, self.directory(slot), release, reason)
            reasons.append(problem)
        return Choice(FACTORY, self._factory, factory, "; ".join(reasons))


def writable_slot(record: Record) -> str:
    """The slot for the next release: never the active one, and rather an empty or older one."""
    free = [slot for slot in SLOTS if slot != record.active]

    def age(slot: str) -> int:
        entry = record.entry(slot)
        return -1 if entry is None else entry.release

    return min(free, key=age)
