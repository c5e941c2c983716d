"""One look for updates, from beginning to end: what the short-lived child of `link` does.

    record = look_for_updates(config, state, heard)

`link` starts it on a schedule and on the command `check`; an operator starts it with `voice-agent
update check`. Only one runs at a time: the lock is the kernel's, so it goes with the process. When
it has ended, nothing of it stays in memory, least of all the client of The Update Framework.

The connection to the broker is its own, and exists only from the metadata to the last byte of the
download: there is no other thread while a release is tried, and no network.
"""

from __future__ import annotations

import calendar
import contextlib
import fcntl
import time
from collections.abc import Iterator
from pathlib import Path

from agent.bundle.schema import LARGEST_MANIFEST, Manifest, parse_manifest
from agent.config import Config
from agent.errors import BusyError, ConfigError, ManifestError, SlotError
from agent.paths import device_id
from agent.update.broker_source import BrokerSource
from agent.update.floor import Floor
from agent.update.heard import Heard
from agent.update.journal import FACTORY, Journal, Record
from agent.update.machine import Machine, Source, Trial
from agent.update.slots import Slots
from agent.update.storage import make_folder
from agent.update.trial import try_bundle


def look_for_updates(config: Config, state: Path, factory: Path, heard: Heard) -> Record:
    """Finishes what was cut off, then looks for something new and installs it.

    Args:
        config: All settings.
        state: The state directory of `link`.
        factory: The bundle before any update.
        heard: What `listen` says.

    Returns:
        What holds afterwards; failures are in it.

    Raises:
        BusyError: Another updater runs.
        ConfigError: Fleet, root or broker are not configured.
        SlotError: The state directory cannot be written, or the bundle that shipped is broken.
    """
    if not config.update.fleet or not config.mqtt.host:
        raise ConfigError(
            "update.fleet and mqtt.host say where releases come from; set both to get updates."
        )
    manifest = factory_manifest(factory)
    with updater_lock(state):
        floor = board_floor(state, manifest)
        source = BrokerSource(config, state / "update" / "tuf", floor, manifest.name)
        try:
            return machine(config, state, factory, floor, source).run(heard)
        finally:
            source.close()


def roll_back(config: Config, state: Path, factory: Path) -> Record:
    """Goes back to the slot before, because an operator says so.

    Args:
        config: All settings.
        state: The state directory of `link`.
        factory: The bundle before any update.

    Returns:
        What holds afterwards.

    Raises:
        BusyError: An updater runs.
        SlotError: There is nothing to go back from, or the record cannot be written.
    """
    manifest = factory_manifest(factory)
    with updater_lock(state):
        floor = board_floor(state, manifest)
        source = BrokerSource(config, state / "update" / "tuf", floor, manifest.name)
        board = machine(config, state, factory, floor, source)
        if board.record.active == FACTORY and not board.under_way:
            raise SlotError("The bundle that ships is in use; there is nothing to go back from.")
        board.roll_back()
        return board.record


def machine(
    config: Config,
    state: Path,
    factory: Path,
    floor: Floor,
    source: Source,
    trial: Trial = try_bundle,
) -> Machine:
    """The state machine of a board.

    Args:
        config: All settings.
        state: The state directory of `link`.
        factory: The bundle before any update.
        floor: What this board never forgets.
        source: Where releases come from.
        trial: Tries a bundle.
    """
    return Machine(
        journal=Journal(state / "update" / "journal"),
        slots=Slots(state, factory),
        source=source,
        trial=trial,
        floor=floor,
        device=device_id(config),
        hardware=config.update.hardware,
        downloads=state / "update" / "download",
        probation_s=config.update.probation_seconds,
    )


@contextlib.contextmanager
def updater_lock(state: Path) -> Iterator[None]:
    """Keeps a second updater away.

    Raises:
        BusyError: One runs already.
        SlotError: The state directory cannot be written.
    """
    folder = state / "update"
    try:
        make_folder(folder, 0o750)
        lock = (folder / "lock").open("wb")
    except OSError as error:
        raise SlotError(
            f"{folder} cannot be written ({error.strerror}); the board stays as it is."
        ) from error
    with lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise BusyError("Another update is under way; wait until it has ended.") from error
        yield


def board_floor(state: Path, manifest: Manifest) -> Floor:
    """The floor record, and what holds without one.

    Args:
        state: The state directory of `link`.
        manifest: Of the bundle that shipped.
    """
    built = calendar.timegm(time.strptime(manifest.created, "%Y-%m-%dT%H:%M:%SZ"))
    return Floor(
        state / "update" / "floor", factory_release=manifest.release, built_s=max(built, 0)
    )


def factory_manifest(factory: Path) -> Manifest:
    """The manifest of the bundle that shipped.

    Raises:
        SlotError: It cannot be read.
    """
    try:
        with (factory / "manifest.json").open("rb") as stream:
            return parse_manifest(stream.read(LARGEST_MANIFEST + 1))
    except (OSError, ManifestError) as error:
        raise SlotError(
            f"The bundle that shipped is broken ({error}); install it again."
        ) from error
