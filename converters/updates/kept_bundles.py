"""The bundles that were published, kept as `bundles/<role>/<release>/`: diffs start from them."""

from __future__ import annotations

import shutil
from pathlib import Path

from agent.bundle.manifest import Bundle
from agent.errors import BundleError
from agent.update.bundle_files import bundle_paths


def keep_bundle(repository: Path, bundle: Bundle, role: str) -> None:
    """Copies a bundle into the folder, in place of one of the same release.

    Args:
        repository: The repository's folder.
        bundle: What is published.
        role: For which boards.

    Raises:
        BundleError: It cannot be copied.
    """
    place = _folder(repository, role) / str(bundle.manifest.release)
    if place.exists():
        shutil.rmtree(place)
    try:
        for path in bundle_paths(bundle.directory):
            (place / path).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(bundle.directory / path, place / path)
    except OSError as error:
        raise BundleError(f"{bundle.directory} cannot be kept ({error.strerror}).") from error


def kept_bundles(repository: Path, role: str) -> dict[int, Path]:
    """Release -> folder of every bundle that is kept for a role."""
    folders = _folder(repository, role).glob("*")
    return {int(path.name): path for path in folders if path.name.isdecimal()}


def forget_bundles(repository: Path, role: str, kept: int) -> None:
    """Removes all but the newest bundles: no diff will start from the others any more."""
    for _, folder in sorted(kept_bundles(repository, role).items())[:-kept]:
        shutil.rmtree(folder)


def _folder(repository: Path, role: str) -> Path:
    return repository / "bundles" / role
