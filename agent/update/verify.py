"""The received file, looked at again before anything is made of it.

The trust layer has compared length and hash while the file came in. Since then there may have been
a power cut, so both are compared once more with what is on the disk, and the diff's own head with
what was signed.
"""

from __future__ import annotations

import hashlib
from pathlib import Path

from agent.errors import TamperedError, WrongBaseError
from agent.update.bundle_files import CHUNK
from agent.update.diff_format import read_header
from agent.update.release import Release


def target_path(folder: Path, release: Release) -> Path:
    """Where the trust layer puts what it receives."""
    return folder / f"{release.sha256}.part"


def verify_target(path: Path, release: Release) -> None:
    """Compares a received file with its release.

    Args:
        path: The file.
        release: What was signed.

    Raises:
        TamperedError: The file is not the one that was signed; receiving it again may help.
        WrongBaseError: It is, but its head speaks of other bundles than the metadata.
        DiffError: It is, but it is no diff.
        OSError: It cannot be read.
    """
    length, digest = 0, hashlib.sha256()
    with path.open("rb") as stream:
        while chunk := stream.read(CHUNK):
            length += len(chunk)
            digest.update(chunk)
            if length > release.length:
                break
    if length != release.length or digest.hexdigest() != release.sha256:
        raise TamperedError(
            f"{path.name} was damaged after it was received; it is received once more."
        )
    if release.format != "diff":
        return
    with path.open("rb") as stream:
        header = read_header(stream)
    for what, found, signed in (
        ("base", header.base_sha256, release.base_sha256),
        ("result", header.result_sha256, release.result_sha256),
    ):
        if found != signed:
            raise WrongBaseError(
                f"The diff's {what} is not the bundle that was signed; publish release"
                f" {release.release} again."
            )
