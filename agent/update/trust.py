"""Decides what may be believed about releases. Everything that arrives is hostile until it is.

    trust = Trust(state / "update" / "tuf", root, fetcher, floor, model="command_en",
                  hardware="rpi4")
    offers = trust.refresh()                    # root -> timestamp -> snapshot -> targets -> role
    with trust.open_target(offers[0], state / "update" / "download") as stream: ...

The work is done by the client of The Update Framework, python-tuf's own, unmodified. Around it:

* `agent.update.tuf_client`: small limits, metadata on the disk before they are relied on, the time
  that counts, and the floors for keys and time.
* One role for each model and machine. Its key can sign releases for these boards only.
* Signed custom fields, read strictly (`agent.update.release`); whatever of them is not understood
  is left out, with a reason, and nothing else suffers.
* Downloads in parts that survive a reboot, bounded by the signed length and then compared with the
  signed hash.

Nothing here decides to install: it says what is genuine, for this board, and not below its floor.
Only the short-lived child that checks for updates may import this module: it loads `tuf`.
"""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import BinaryIO

from tuf.api.metadata import TargetFile

from agent.errors import (
    AbsentError,
    MetadataError,
    RollbackError,
    TamperedError,
    UnreachableError,
    UpdateError,
)
from agent.update.floor import Floor
from agent.update.https_fetcher import HttpsFetcher
from agent.update.mqtt_fetcher import MqttFetcher
from agent.update.release import (
    ANY_HARDWARE,
    Release,
    newest_first,
    parse_release,
    role_name,
)
from agent.update.tuf_client import TufClient, named_errors

_LOGGER = logging.getLogger(__name__)

_SYNC_EVERY = 512 * 1024  # bytes of a download that a power cut may cost
_PART = ".part"


class Trust:
    """What is genuine, for one board.

    Args:
        directory: Where verified metadata are kept.
        root: The root metadata that came with the package: whom to believe at first.
        fetcher: The broker, connected.
        floor: What this board never forgets.
        model: Name of the bundle in use.
        hardware: This machine, in a word.
        https: For releases that lie on a mirror.
        now_s: The board's clock, in seconds since 1970.

    Attributes:
        left_out: (target, reason) of what the last refresh did not understand.

    Raises:
        MetadataError: Model or machine cannot be names.
    """

    def __init__(
        self,
        directory: Path,
        root: bytes,
        fetcher: MqttFetcher,
        floor: Floor,
        *,
        model: str,
        hardware: str = ANY_HARDWARE,
        https: HttpsFetcher | None = None,
        now_s: Callable[[], float] = time.time,
    ) -> None:
        self._directory = directory
        self._root = root
        self._fetcher = fetcher
        self._floor = floor
        self._model = model
        self._roles = {role_name(model, kind): kind for kind in (hardware, ANY_HARDWARE)}
        self._https = https
        self._now_s = now_s
        self._targets: dict[str, TargetFile] = {}
        self.left_out: list[tuple[str, str]] = []

    def refresh(self) -> list[Release]:
        """Looks what the owners of the keys offer now.

        Returns:
            All ways to get all releases for this board that are not below its floor: the newest
            release first, of equal ones the smallest file. Halted ones and those for another share
            of the fleet are among them, and say so.

        Raises:
            TrustError: One of its kinds, if anything on the way cannot be believed.
            UpdateError: The metadata cannot be stored.
        """
        self._targets.clear()
        self.left_out.clear()
        releases: list[Release] = []
        with named_errors(self._directory):
            client = TufClient(
                self._directory, self._root, self._fetcher, self._floor, now_s=int(self._now_s())
            )
            client.refresh()
            for role, hardware in self._roles.items():
                for target in client.targets_of(role):
                    releases += self._read(target, hardware)
            client.note_refresh()
        offers = newest_first(r for r in releases if r.release >= self._floor.release)
        if releases and not offers:
            newest = max(release.release for release in releases)
            raise RollbackError(
                f"The newest release on offer is {newest} and this board's floor is"
                f" {self._floor.release}; publish one with a higher number."
            )
        return offers

    def open_target(self, release: Release, folder: Path) -> BinaryIO:
        """Receives a release, going on where an earlier attempt stopped.

        Args:
            release: One that the last `refresh` returned.
            folder: Where it is received. Parts of other releases that lie there are removed.

        Returns:
            The file, verified, open for reading at its beginning. It lies in the folder as
            `<sha256>.part` until somebody removes it.

        Raises:
            TrustError: It cannot be had, or is not what was signed; then nothing of it is kept.
            UpdateError: It cannot be stored.
        """
        target = self._targets.get(release.target)
        if target is None or target.hashes.get("sha256") != release.sha256:
            raise MetadataError(f"Release {release.release} is not on offer any more; check again.")
        try:
            folder.mkdir(parents=True, exist_ok=True)
            path = folder / f"{release.sha256}{_PART}"
            for other in folder.glob(f"*{_PART}"):
                if other != path:
                    other.unlink()
            return self._receive(release, target, path)
        except OSError as error:
            raise UpdateError(
                f"Release {release.release} cannot be received into {folder}"
                f" ({error.strerror or error}); free some space."
            ) from error

    def _receive(self, release: Release, target: TargetFile, path: Path) -> BinaryIO:
        # Handed to the caller, who closes it.
        stream = open(path, "r+b" if path.exists() else "w+b")  # noqa: SIM115
        try:
            have = min(stream.seek(0, os.SEEK_END), release.length)
            if have < release.length:
                have -= have % release.chunk
            stream.truncate(have)
            stream.seek(have)
            self._append(release, stream, have)
            _sync(stream)
            stream.seek(0)
            with named_errors(self._directory):
                target.verify_length_and_hashes(stream)
            stream.seek(0)
        except TamperedError:
            stream.close()
            path.unlink()
            raise
        except BaseException:
            stream.close()
            raise
        return stream

    def _append(self, release: Release, stream: BinaryIO, have: int) -> None:
        if have == release.length:
            return
        _LOGGER.info("Receiving %s from byte %d of %d.", release.target, have, release.length)
        unsynced = 0
        for piece in self._pieces(release, have):
            stream.write(piece)
            unsynced += len(piece)
            if unsynced >= _SYNC_EVERY:
                _sync(stream)
                unsynced = 0
        if stream.tell() < release.length:
            raise UnreachableError(
                f"Release {release.release} ended after {stream.tell()} of {release.length} bytes;"
                " the next check goes on from there."
            )

    def _pieces(self, release: Release, have: int) -> Iterator[bytes]:
        if not release.mirror:
            return self._fetcher.chunks(release, have)
        if self._https is None:
            raise AbsentError(
                f"Release {release.release} lies on {release.mirror}, and this board may not use"
                " mirrors; publish it to the broker."
            )
        return self._https.chunks(release, have)

    def _read(self, target: TargetFile, hardware: str) -> list[Release]:
        fields = target.unrecognized_fields.get("custom")
        try:
            release = parse_release(target.path, target.length, target.hashes.get("sha256"), fields)
        except MetadataError as error:
            _LOGGER.warning("MetadataError: %s", error)
            self.left_out.append((target.path[:200], str(error)))
            return []
        if (release.model, release.hardware) != (self._model, hardware):
            self.left_out.append((target.path[:200], "It is outside its role; publish it again."))
            return []
        self._targets[target.path] = target
        return [release]


def _sync(stream: BinaryIO) -> None:
    stream.flush()
    os.fsync(stream.fileno())
