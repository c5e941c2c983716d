"""An overlay: an owner's own changes of weights, for every release of one architecture.

    content = read_overlay(Path("mine.overlay"))
    apply_overlay(content, base, result)         # a whole bundle, the release with the overlay

A diff names the one bundle that it starts from. An overlay names a *layout* instead: the hash over
where a bundle's int8 matrices lie, which stays the same as long as the architecture does. Version
1; numbers are little-endian, a varint is that of agent.update.byte_reader:

    magic      4 bytes   "VOVL"
    version    u8        1
    extension  varint, then so many bytes, which a reader of version 1 skips
    layout     32 bytes  `layout_sha256` of the manifests that it fits
    weights              the rest: agent.update.weight_changes, over all matrices that such a
                         manifest lists, by file and offset; a hashed layer moves all of them

A weight becomes clip(weight + change, -128, 127), and that is all: an overlay brings no bytes
along. A packed file is inflated first and stays so in the result. Row scales, biases and tokens
belong to the release. A scale of one release put under the integers of another would change every
weight of the row and not only those that the owner meant, so whoever makes an overlay keeps them as
they are. It names no file either, so that nothing can be written anywhere but over the bytes of a
matrix.

As with diffs, every input that is not a whole overlay gives a `DiffError`; time is linear in the
bytes of the bundle and memory is bounded by one model file and one block of changes.
"""

from __future__ import annotations

import contextlib
import dataclasses
import hashlib
import io
import os
import shutil
import stat
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import BinaryIO

import numpy as np

from agent.bundle.loading import model_content
from agent.bundle.manifest import MANIFEST, Bundle, load_bundle
from agent.bundle.schema import FileEntry, Manifest, manifest_bytes
from agent.errors import (
    BaseMismatchError,
    DiffLimitError,
    DiffStorageError,
    MalformedDiffError,
    UnsupportedDiffError,
)
from agent.update.bundle_files import CHUNK, bundle_digest, bundle_paths, digest_files
from agent.update.byte_reader import ByteReader
from agent.update.diff_base import Matrix, listed_matrices
from agent.update.sparse_diff import RowMap
from agent.update.weight_changes import WeightChanges

MAGIC = b"VOVL"
FORMAT = 1
LARGEST_OVERLAY = 16 * 1024 * 1024  # bytes; every weight of a large bundle changed takes less

_LARGEST_EXTENSION = 64 * 1024  # bytes


def read_overlay(path: Path) -> bytes:
    """Reads an overlay's file, whatever it holds.

    Args:
        path: The file.

    Raises:
        DiffStorageError: It cannot be read, or is not a regular file.
        DiffLimitError: It is longer than any overlay.
    """
    try:
        # A pipe without a writer must not make us wait.
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
        with open(descriptor, "rb") as stream:
            if not stat.S_ISREG(os.fstat(descriptor).st_mode):
                raise DiffStorageError(f"{path} is not a regular file; name an overlay.")
            content = stream.read(LARGEST_OVERLAY + 1)
    except OSError as error:
        raise DiffStorageError(
            f"The overlay {path} cannot be read ({error.strerror}); check bundle.overlay."
        ) from error
    if len(content) > LARGEST_OVERLAY:
        raise DiffLimitError(f"{path} is longer than the {LARGEST_OVERLAY} bytes of an overlay.")
    return content


def check_fit(content: bytes, manifest: Manifest) -> None:
    """Compares an overlay's head with the release that it shall go over.

    Args:
        content: The overlay.
        manifest: Of the release.

    Raises:
        MalformedDiffError: It is no overlay, or cut off.
        UnsupportedDiffError: It is of another version.
        BaseMismatchError: It was made for another architecture.
    """
    _read_head(content, manifest)


def apply_overlay(content: bytes, base: Path, result: Path) -> str:
    """Makes the bundle that a release is with an overlay.

    Args:
        content: The overlay.
        base: The release; it is only read.
        result: Folder for the new bundle; must not exist. After an error it holds an unfinished
            one. Nothing is fsync'd.

    Returns:
        The bundle digest of the result.

    Raises:
        MalformedDiffError: The bytes are not an overlay, or a damaged one.
        UnsupportedDiffError: A newer agent is needed.
        DiffLimitError: It asks for more than an agent ever grants.
        BaseMismatchError: It was made for another architecture; nothing was written.
        DiffStorageError: A file cannot be read or written; its cause is the `OSError`.
        BundleError: The release is not whole.
    """
    bundle = load_bundle(base)
    manifest = bundle.manifest
    reader = _read_head(content, manifest)
    layout = listed_matrices(manifest)
    shapes = [matrix[1:] for path in sorted(layout) for matrix in layout[path]]
    try:
        with _naming_damage():
            changes = WeightChanges(reader, RowMap(shapes))
            changed = _write_files(bundle, result, layout, changes)
            changes.finish()
        files = tuple(changed.get(entry.path, entry) for entry in manifest.files)
        (result / MANIFEST).write_bytes(manifest_bytes(dataclasses.replace(manifest, files=files)))
    except OSError as error:
        raise DiffStorageError(
            f"The overlay cannot be applied: {error.filename or result}: {error.strerror}."
        ) from error
    return bundle_digest(digest_files(result))


def _read_head(content: bytes, manifest: Manifest) -> ByteReader:
    """A reader that stands at the weights."""
    reader = ByteReader.over(content)
    if reader.left < len(MAGIC) or reader.take(len(MAGIC)) != MAGIC:
        raise MalformedDiffError(
            "This is not an overlay; name a file that `voice-converters diff --overlay` made."
        )
    with _naming_damage():
        version = reader.byte()
    if version != FORMAT:
        raise UnsupportedDiffError(
            f"The overlay has format {version}, this agent reads format {FORMAT}; update the agent."
        )
    with _naming_damage():
        reader.take(reader.varint(_LARGEST_EXTENSION, "bytes of extension"))
        layout = reader.take(32).hex()
    if manifest.layout_sha256 != layout or not manifest.layout:
        raise BaseMismatchError(
            f"The overlay was made for models of another architecture than {manifest.name}"
            f" {manifest.release}; make it anew from this release."
        )
    return reader


@contextlib.contextmanager
def _naming_damage() -> Iterator[None]:
    """What a reader of diffs says to whoever downloads them does not help an owner."""
    try:
        yield
    except MalformedDiffError as error:
        raise MalformedDiffError(
            "The overlay is damaged; copy it again, or make it anew."
        ) from error


def _write_files(
    base: Bundle, result: Path, layout: Mapping[str, Sequence[Matrix]], changes: WeightChanges
) -> dict[str, FileEntry]:
    """Writes all files but the manifest; new entries of those with matrices, by path."""
    entries = {}
    result.mkdir(parents=True)
    # In the order of the paths, because that is the order of the changes.
    for path in sorted(bundle_paths(base.directory)):
        if path == MANIFEST:
            continue
        (result / path).parent.mkdir(parents=True, exist_ok=True)
        entry = base.manifest.find(path)
        if path in layout and entry is not None:
            with (result / path).open("xb") as target:
                content = model_content(base, path)
                sha256 = _write_changed(content, target, layout[path], changes)
            # What was packed is not packed again.
            entries[path] = dataclasses.replace(
                entry, bytes=len(content), sha256=sha256, unpacked_sha256=None
            )
        else:
            shutil.copyfile(base.directory / path, result / path)
    return entries


def _write_changed(
    file: bytes, target: BinaryIO, matrices: Sequence[Matrix], changes: WeightChanges
) -> str:
    digest, source = hashlib.sha256(), io.BytesIO(file)

    def go_on(end: int, *, weights: bool) -> None:
        while (length := min(CHUNK, end - source.tell())) > 0:
            content = source.read(length)
            if len(content) != length:
                raise BaseMismatchError("A model file is shorter than its layout; restore it.")
            if weights:
                values = np.frombuffer(content, np.int8).astype(np.int16)
                changes.apply(values, hashed=changes.hashed)
                content = values.astype(np.int8).tobytes()
            target.write(content)
            digest.update(content)

    for matrix in matrices:
        go_on(matrix.offset, weights=False)
        go_on(matrix.end, weights=True)
    go_on(len(file), weights=False)
    return digest.hexdigest()
