"""Makes a bundle in the inactive slot, and makes sure that it is on the disk as it should be."""

from __future__ import annotations

from pathlib import Path

from agent.errors import BundleError, SlotError
from agent.update.bundle_files import bundle_digest, digest_files
from agent.update.diff_format import apply_diff
from agent.update.full_image import unpack_image
from agent.update.release import Release
from agent.update.storage import empty_folder, need_space, sync_tree

_SPARE = 1_000_000  # bytes left for the record, the outbox and the file system itself


def stage(folder: Path, release: Release) -> None:
    """Empties a slot and checks that the release fits.

    Args:
        folder: The slot's folder; the record must not name it any more.
        release: What is to come.

    Raises:
        SlotError: There is no room.
        OSError: The disk refuses.
    """
    empty_folder(folder)
    need_space(folder, release.result_bytes + _SPARE)


def apply(target: Path, release: Release, base: Path | None, folder: Path) -> None:
    """Makes the release in a slot.

    Args:
        target: The received file.
        release: What was signed.
        base: The bundle that a diff starts from.
        folder: The slot's folder; whatever is in it goes.

    Raises:
        UpdateError: The file cannot be applied.
        SlotError: The disk does not give back what was written.
        OSError: The disk refuses.
    """
    empty_folder(folder)
    with target.open("rb") as stream:
        if release.format == "full":
            unpack_image(stream, folder)
        elif base is None:
            raise SlotError("No slot holds the base of the diff any more; take the full image.")
        else:
            apply_diff(stream, base, folder)
    sync_tree(folder)
    check_slot(folder, release.result_sha256)


def check_slot(folder: Path, digest: str) -> None:
    """Hashes a slot, from the disk if its pages were dropped.

    Raises:
        SlotError: It does not hold the bundle of this digest.
    """
    try:
        found = bundle_digest(digest_files(folder))
    except BundleError as error:
        raise SlotError(f"The new slot cannot be read back: {error}") from error
    if found != digest:
        raise SlotError(
            f"{folder} holds another bundle than the one that was signed; check the disk."
        )
