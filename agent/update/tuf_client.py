"""python-tuf's client with small limits, durable metadata, and floors for keys and time.

`tuf.ngclient.Updater` goes through root, timestamp, snapshot and targets in this order and checks
signatures, versions, expiry, lengths and hashes. It is not modified; three of its steps are
extended here, and `pyproject.toml` allows only versions that have these steps:

* After the root: keys older than ever seen are refused, and from then on the time that counts is
  the floor's, not the clock's alone.
* After the timestamp: one that was issued before the newest one seen is refused, also when every
  file that would prove it was lost.
* When metadata are stored: the file and its folder are on the disk before the next step.

Its own limits suit package indexes, not boards: see `_LIMITS`.
"""

from __future__ import annotations

import contextlib
import datetime as dt
import logging
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tuf.api import exceptions
from tuf.api.metadata import Root, TargetFile, Targets
from tuf.ngclient.config import UpdaterConfig
from tuf.ngclient.fetcher import FetcherInterface
from tuf.ngclient.updater import Updater

from agent.errors import (
    AbsentError,
    EndlessDataError,
    ExpiredError,
    MetadataError,
    RollbackError,
    SignatureError,
    TamperedError,
    TrustError,
    UpdateError,
)
from agent.update.floor import LATEST_S, Floor
from agent.update.mqtt_fetcher import BASE_URL

_LOGGER = logging.getLogger(__name__)

_LIMITS = UpdaterConfig(
    max_root_rotations=16,  # a check; the next one goes on
    max_delegations=4,
    root_max_length=8 * 1024,  # bytes
    timestamp_max_length=2 * 1024,
    snapshot_max_length=8 * 1024,
    targets_max_length=64 * 1024,
)
_MOST_TARGETS = 256  # in a role


class TufClient(Updater):
    """One check; made anew for each.

    Args:
        directory: Where verified metadata are kept; made if missing.
        root: The root metadata that came with the package.
        fetcher: The broker.
        floor: What this board never forgets.
        now_s: The board's clock, in seconds since 1970.
    """

    def __init__(
        self,
        directory: Path,
        root: bytes,
        fetcher: FetcherInterface,
        floor: Floor,
        *,
        now_s: int,
    ) -> None:
        directory.mkdir(parents=True, exist_ok=True)
        self._floor = floor
        self._now_s = now_s
        super().__init__(str(directory), BASE_URL, fetcher=fetcher, config=_LIMITS, bootstrap=root)

    def targets_of(self, role: str) -> list[TargetFile]:
        """What a role offers; to be called after `refresh`.

        Args:
            role: Its name.

        Returns:
            Its targets, as far as the role may speak for their paths; none if there is no such
            role.
        """
        delegations = self._trusted_set.targets.delegations
        delegated = (delegations.roles or {}).get(role) if delegations else None
        if delegated is None:
            return []
        targets = self._load_targets(role, Targets.type).targets
        if len(targets) > _MOST_TARGETS:
            raise exceptions.RepositoryError(f"{role} has more than {_MOST_TARGETS} targets")
        return [target for path, target in targets.items() if delegated.is_delegated_path(path)]

    def note_refresh(self) -> None:
        """Writes down what a complete check has shown."""
        root = self._trusted_set.root
        self._floor.note_refresh(
            root=root.version, issued_s=_issued_s(self._trusted_set.timestamp), keys=_keys(root)
        )

    # --- steps of python-tuf, extended -----------------------------------------------------

    def _load_root(self) -> None:
        super()._load_root()
        root = self._trusted_set.root
        if root.version < self._floor.root:
            raise RollbackError(
                f"The broker's newest root metadata are version {root.version} and this board has"
                f" seen {self._floor.root}; publish the repository again."
            )
        time_s = self._floor.time_s(
            self._now_s, keys=_keys(root), root_issued_s=_issued_s(root, optional=True)
        )
        if time_s > self._now_s:
            _LOGGER.info("The clock is %d s behind what is known.", time_s - self._now_s)
        self._set_time(time_s)

    def _load_timestamp(self) -> None:
        super()._load_timestamp()
        timestamp = self._trusted_set.timestamp
        issued_s = _issued_s(timestamp)
        seen_s = self._floor.issued_s(_keys(self._trusted_set.root))
        if issued_s < seen_s:
            raise RollbackError(
                f"The broker's timestamp was signed {seen_s - issued_s} s before one that this"
                " board has seen; publish the repository again."
            )
        if issued_s > timestamp.expires.timestamp():
            raise exceptions.RepositoryError("the timestamp was issued after it expires")
        now = self._trusted_set.reference_time.timestamp()
        self._set_time(max(int(now), issued_s))

    def _persist_file(self, filename: str, data: bytes) -> None:
        """Stores a file so that a power cut leaves the old one or the new one."""
        path = Path(filename)
        descriptor, temporary = tempfile.mkstemp(dir=path.parent, prefix=".", suffix=".new")
        try:
            with open(descriptor, "wb") as stream:
                stream.write(data)
                stream.flush()
                os.fsync(stream.fileno())
            os.replace(temporary, path)
        except BaseException:
            with contextlib.suppress(FileNotFoundError):
                Path(temporary).unlink()
            raise
        folder = os.open(path.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)

    def _set_time(self, time_s: int) -> None:
        self._trusted_set.reference_time = dt.datetime.fromtimestamp(time_s, dt.UTC)


@contextlib.contextmanager
def named_errors(directory: Path) -> Iterator[None]:
    """Turns what python-tuf raises into our errors.

    Args:
        directory: Where metadata are kept, for messages.

    Raises:
        TrustError: One of its kinds.
        UpdateError: The disk fails.
    """
    try:
        yield
    except TrustError:
        raise
    except (exceptions.DownloadError, exceptions.RepositoryError) as error:
        if isinstance(error.__cause__, TrustError):
            raise error.__cause__ from error
        kind, advice = _named(error)
        raise kind(f"{str(error).rstrip('.')}; {advice}.") from error
    except OSError as error:
        raise UpdateError(
            f"{directory}: metadata cannot be stored ({error.strerror or error}); free some space"
            " and check the permissions."
        ) from error


def _named(error: Exception) -> tuple[type[TrustError], str]:
    again = "publish the repository again"
    named: list[tuple[type[Exception], type[TrustError], str]] = [
        (exceptions.DownloadHTTPError, AbsentError, again),
        (exceptions.DownloadLengthMismatchError, EndlessDataError, again),
        (exceptions.UnsignedMetadataError, SignatureError, "sign it with the keys that count"),
        (exceptions.ExpiredMetadataError, ExpiredError, "renew it with voice-converters publish"),
        (exceptions.BadVersionNumberError, RollbackError, again),
        (exceptions.LengthOrHashMismatchError, TamperedError, again),
    ]
    for theirs, ours, advice in named:
        if isinstance(error, theirs):
            return ours, advice
    return MetadataError, again


def _keys(root: Root) -> str:
    """Which keys sign timestamps."""
    return ",".join(sorted(root.roles["timestamp"].keyids))


def _issued_s(signed: Any, *, optional: bool = False) -> int:
    """When metadata were signed, by their own word."""
    issued = signed.unrecognized_fields.get("issued", 0 if optional else None)
    if type(issued) is not int or not 0 <= issued <= LATEST_S:
        raise exceptions.RepositoryError(f"the {signed.type} does not say when it was issued")
    return issued
