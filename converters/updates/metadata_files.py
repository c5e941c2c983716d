"""Signed metadata as files: `N.ROLE.json`, and `timestamp.json`, whose name never changes.

Files are replaced as a whole and never changed. Of every role but `root` the last two versions
stay: a board may be reading the one before.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from tuf.api.metadata import Metadata

from converters.updates.durable_file import replace_file
from converters.updates.errors import RepositoryFolderError

_KEPT_VERSIONS = 2


def read_metadata(repository: Path, role: str) -> Metadata[Any]:
    """The newest metadata of a role.

    Args:
        repository: The repository's folder.
        role: Any role.

    Raises:
        RepositoryFolderError: There is none, or it cannot be read.
    """
    folder = _folder(repository)
    versions = _versions(folder, role)
    path = folder / (f"{max(versions)}.{role}.json" if versions else f"{role}.json")
    if not path.exists():
        raise RepositoryFolderError(
            f"{repository} is not a repository, {path.name} is missing; make one with:"
            " voice-converters publish start"
        )
    try:
        return Metadata.from_file(str(path))
    except Exception as error:
        raise RepositoryFolderError(
            f"{path} cannot be read ({error}); restore it from a copy of the folder."
        ) from error


def write_metadata(repository: Path, files: Mapping[str, bytes]) -> None:
    """Writes files by name, one after the other."""
    for name, content in files.items():
        replace_file(_folder(repository) / name, content)


def metadata_files(repository: Path) -> dict[str, bytes]:
    """All metadata by name, the timestamp last."""
    return {path.name: path.read_bytes() for path in sorted(_folder(repository).glob("*.json"))}


def prune_metadata(repository: Path, roles: Iterable[str]) -> None:
    """Removes what nobody reads any more of these roles."""
    folder = _folder(repository)
    for role in roles:
        for version in sorted(_versions(folder, role))[:-_KEPT_VERSIONS]:
            (folder / f"{version}.{role}.json").unlink()


def _folder(repository: Path) -> Path:
    return repository / "metadata"


def _versions(folder: Path, role: str) -> list[int]:
    names = (path.name.partition(".")[0] for path in folder.glob(f"*.{role}.json"))
    return [int(name) for name in names if name.isdecimal()]
