"""What a diff needs to know about the bundle that it starts from.

A plan names files by their number and may count on the matrices that the base's manifest lists.
Both are safe, because the digest of the base is compared before the plan is read.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import NamedTuple

from agent.bundle.schema import LARGEST_MANIFEST, Manifest, parse_manifest
from agent.errors import BaseMismatchError, BundleFileError, ManifestError
from agent.update.bundle_files import bundle_digest, digest_files

MOST_COLUMNS = 1 << 15

_MANIFEST = "manifest.json"


class Matrix(NamedTuple):
    """Where an int8 matrix lies in a file."""

    offset: int
    """Bytes from the start of the file."""
    rows: int
    columns: int

    @property
    def end(self) -> int:
        """First byte behind it."""
        return self.offset + self.rows * self.columns


Layout = Mapping[str, Sequence[Matrix]]
"""Matrices by file, in the order of their offsets, without overlap."""


class Base:
    """The files of a bundle and the matrices in them.

    Args:
        lengths: Bytes of every file, by path.
        layout: Gives what the manifest lists; asked only if a plan needs it.

    Attributes:
        lengths: Bytes of every file, by path.
        paths: In the order that counts for their numbers.
    """

    def __init__(self, lengths: Mapping[str, int], layout: Callable[[], Layout]) -> None:
        self.lengths = lengths
        self.paths = sorted(lengths, key=str.encode)
        self._ask = layout

    @cached_property
    def _layout(self) -> Layout:
        return self._ask()

    def listed(self, path: str, cursor: int) -> Sequence[Matrix]:
        """The matrices that the manifest lists in a file from a byte on."""
        matrices = self._layout.get(path, ())
        return matrices[bisect_left(matrices, cursor, key=lambda matrix: matrix.offset) :]


def listed_matrices(manifest: Manifest) -> Layout:
    """The matrices of a manifest's `layout`.

    Matrices that overlap an earlier one, or have more than `MOST_COLUMNS` columns, are left out.
    """
    layout: dict[str, list[Matrix]] = {}
    for entry in sorted(manifest.layout, key=lambda entry: entry.offset):
        matrix = Matrix(entry.offset, entry.rows, entry.cols)
        matrices = layout.setdefault(entry.file, [])
        end = matrices[-1].end if matrices else 0
        if matrix.offset >= end and matrix.columns <= MOST_COLUMNS:
            matrices.append(matrix)
    return layout


def read_layout(directory: Path) -> Layout:
    """The matrices that a bundle's manifest lists; none if it has no manifest that is understood.

    Those of packed files are left out: they are not found at their offsets, and a diff replaces
    such a file as a whole.

    Raises:
        OSError: The manifest cannot be read.
    """
    path = directory / _MANIFEST
    if not path.exists():
        return {}
    try:
        with path.open("rb") as stream:
            manifest = parse_manifest(stream.read(LARGEST_MANIFEST + 1))
    except ManifestError:
        return {}
    packed = {entry.path for entry in manifest.files if entry.unpacked_sha256 is not None}
    return {path: m for path, m in listed_matrices(manifest).items() if path not in packed}


def open_base(directory: Path, digest: str) -> Base:
    """The bundle that a diff starts from.

    Args:
        directory: The bundle.
        digest: What the diff says about it.

    Raises:
        BaseMismatchError: It is another one, or none.
        BundleFileError: A file cannot be read; its cause is the `OSError`.
    """
    try:
        files = digest_files(directory)
    except BundleFileError as error:
        if isinstance(error.__cause__, OSError):
            raise
        raise BaseMismatchError(f"The base is no bundle: {error}") from error
    if bundle_digest(files) != digest:
        raise BaseMismatchError(
            f"{directory} is not the bundle that the diff starts from; use a diff from its release,"
            " or a full image."
        )
    lengths = {file.path: file.length for file in files}
    return Base(lengths, lambda: read_layout(directory))
