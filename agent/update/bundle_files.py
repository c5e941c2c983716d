"""Which files a bundle consists of, and the one digest that stands for all of them.

A bundle is every regular file below its directory, except those whose name, or whose folder's name,
starts with a dot. The *bundle digest* is the SHA-256 over all files in the order of their paths
(as UTF-8 bytes), where each file contributes

    path length   u16, little-endian, in bytes
    path          UTF-8, relative to the bundle, with forward slashes
    file length   u64, little-endian, in bytes
    SHA-256       32 bytes

so that no file can change, appear, vanish or move without the digest changing.
"""

from __future__ import annotations

import hashlib
import os
import struct
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from agent.bundle.schema import LARGEST_BUNDLE, LARGEST_FILE, MOST_FILES, safe_path
from agent.errors import BundleFileError

CHUNK = 256 * 1024  # bytes read at a time

_DEEPEST_FOLDER = 16


@dataclass(frozen=True)
class FileDigest:
    """A file of a bundle: where it lies and what is in it."""

    path: str
    """Relative to the bundle, with forward slashes."""
    length: int
    """Bytes."""
    sha256: str
    """64 lower-case hexadecimal digits."""


def digest_files(directory: Path) -> tuple[FileDigest, ...]:
    """Hashes a bundle.

    Args:
        directory: The bundle.

    Returns:
        All its files, in the order of their paths.

    Raises:
        BundleFileError: A file cannot be read, has a name that bundles do not use, is not a
            regular file, or there are too many or too large ones.
    """
    files: list[FileDigest] = []
    total = 0
    for path in sorted(bundle_paths(directory), key=str.encode):
        length, sha256 = _digest(directory / path)
        total += length
        files.append(FileDigest(path, length, sha256))
        if total > LARGEST_BUNDLE:
            raise BundleFileError(f"{directory} holds more than {LARGEST_BUNDLE} bytes.")
    return tuple(files)


def bundle_paths(directory: Path) -> list[str]:
    """The paths of a bundle's files, relative, in no order.

    Raises:
        BundleFileError: See `digest_files`.
    """
    paths: list[str] = []
    folders = [("", 0)]
    while folders:
        prefix, depth = folders.pop()
        try:
            entries = list(os.scandir(directory / prefix))
        except OSError as error:
            raise BundleFileError(
                f"{directory / prefix} cannot be read ({error.strerror}); name a bundle."
            ) from error
        for entry in entries:
            if entry.name.startswith("."):
                continue
            path = prefix + entry.name
            if not safe_path(path):
                raise BundleFileError(f"{directory / path} has a name that bundles do not use.")
            if entry.is_dir(follow_symlinks=False) and depth < _DEEPEST_FOLDER:
                folders.append((path + "/", depth + 1))
            elif entry.is_file(follow_symlinks=False):
                paths.append(path)
            else:
                raise BundleFileError(f"{directory / path} is not a regular file.")
        if len(paths) > MOST_FILES:
            raise BundleFileError(f"{directory} holds more than {MOST_FILES} files.")
    return paths


def bundle_digest(files: Iterable[FileDigest]) -> str:
    """The digest of a bundle, as hexadecimal digits.

    Args:
        files: All files of the bundle, in any order.
    """
    digest = hashlib.sha256()
    for path, file in sorted((file.path.encode(), file) for file in files):
        digest.update(struct.pack("<H", len(path)) + path + struct.pack("<Q", file.length))
        digest.update(bytes.fromhex(file.sha256))
    return digest.hexdigest()


def _digest(path: Path) -> tuple[int, str]:
    length, digest = 0, hashlib.sha256()
    try:
        with path.open("rb") as stream:
            while chunk := stream.read(CHUNK):
                length += len(chunk)
                digest.update(chunk)
                if length > LARGEST_FILE:
                    raise BundleFileError(f"{path} is larger than {LARGEST_FILE} bytes.")
    except OSError as error:
        raise BundleFileError(
            f"{path} cannot be read ({error.strerror}); restore the bundle."
        ) from error
    return length, digest.hexdigest()
