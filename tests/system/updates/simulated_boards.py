"""Boards without models: everything of an update is real, only the trial looks at sums alone.

Each board has its own state on disk, its own connection to the broker, and the state machine that
real boards run. Some threads of some processes let them live: a board checks until it has what it
wants, with a pause of its own after each check that did not get there.
"""

from __future__ import annotations

import os
import random
import resource
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path

from agent.bundle.manifest import load_bundle
from agent.config import Config
from agent.errors import BundleError, TrialError
from agent.update.broker_source import BrokerSource
from agent.update.heard import Heard
from agent.update.journal import Record
from agent.update.release import TrialLimits
from agent.update.updater import board_floor, factory_manifest, machine, updater_lock


@dataclass(frozen=True)
class Village:
    """What all boards have in common."""

    folder: Path
    """For the boards' states."""
    factories: tuple[Path, ...]
    """Bundles that boards shipped with; board n has the n-th of them, round and round."""
    config: Config
    """Broker, fleet and root metadata."""
    release: int
    """What everybody shall run."""
    digest: str
    """Of the bundle of that release."""
    at_once: int
    """Boards of a process that live at the same time."""
    patience_s: float
    """After so long a board is lost."""

    def state(self, number: int) -> Path:
        """The state directory of a board."""
        return self.folder / f"board-{number}"

    def factory(self, number: int) -> Path:
        """The bundle that a board shipped with."""
        return self.factories[number % len(self.factories)]

    def of(self, number: int) -> Config:
        """The configuration of a board."""
        return replace(self.config, device=replace(self.config.device, id=f"board-{number}"))

    def finished(self) -> int:
        """How many boards have what they want."""
        path = self.folder / "finished"
        return path.stat().st_size if path.exists() else 0


@dataclass(frozen=True)
class Share:
    """What became of the boards of one process."""

    checks: dict[int, int]
    """By board: how often it had to look for updates."""
    peak_kb: int
    """Most resident memory."""


def live(village: Village, numbers: Sequence[int]) -> Share:
    """Lets some boards live until each has what it wants or is lost."""
    with ThreadPoolExecutor(village.at_once) as threads:
        checks = dict(zip(numbers, threads.map(lambda n: _live(village, n), numbers), strict=True))
    return Share(checks, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)


def look(village: Village, number: int) -> Record:
    """One look for updates, as the child of `link` does it."""
    config, state = village.of(number), village.state(number)
    manifest = factory_manifest(village.factory(number))
    with updater_lock(state):
        floor = board_floor(state, manifest)
        source = BrokerSource(config, state / "update" / "tuf", floor, manifest.name)
        try:
            updater = machine(config, state, village.factory(number), floor, source, by_sums)
            return updater.run(Heard())
        finally:
            source.close()


def by_sums(bundle: Path, base: Path, limits: TrialLimits) -> None:
    """A trial that only compares every file with the manifest's sum."""
    try:
        load_bundle(bundle)
    except BundleError as error:
        raise TrialError(f"The release cannot be loaded: {error}") from error


def _live(village: Village, number: int) -> int:
    deadline = time.monotonic() + village.patience_s
    chance = random.Random(number)
    checks = 0
    while time.monotonic() < deadline:
        checks += 1
        record = look(village, number)
        entry = record.entry(record.active)
        if entry is not None and entry.release == village.release and record.step == "idle":
            descriptor = os.open(
                village.folder / "finished", os.O_WRONLY | os.O_CREAT | os.O_APPEND
            )
            os.write(descriptor, b".")
            os.close(descriptor)
            return checks
        time.sleep(chance.uniform(0.2, 2.0))
    return checks
