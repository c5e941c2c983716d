"""Writes a bundle with other integers: the same files, byte for byte, but for its int8 weights."""

from __future__ import annotations

import dataclasses
import hashlib
import shutil
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from agent.bundle.loading import model_content
from agent.bundle.manifest import MANIFEST, Bundle
from agent.bundle.schema import FileEntry, manifest_bytes
from converters.adaptation.grid import Place


def write_adapted(
    base: Bundle,
    directory: Path,
    places: Mapping[str, Place],
    integers: Mapping[str, NDArray[np.int8]],
) -> None:
    """Writes the adapted bundle.

    Args:
        base: what was adapted.
        directory: where to; must not exist or be empty.
        places: where the integers lie.
        integers: int8 [rows, columns] by parameter, in the order of the files.
    """
    directory.mkdir(parents=True, exist_ok=True)
    for entry in base.manifest.files:
        if (base.directory / entry.path).exists():
            (directory / entry.path).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(base.directory / entry.path, directory / entry.path)
    changed = {place.file for place in places.values()}
    for file in changed:
        content = bytearray(model_content(base, file))
        for name, place in places.items():
            if place.file == file:
                values = np.ascontiguousarray(integers[name]).tobytes()
                content[place.offset : place.offset + len(values)] = values
        (directory / file).write_bytes(content)
    files = tuple(
        _as_written(entry, directory / entry.path) if entry.path in changed else entry
        for entry in base.manifest.files
    )
    manifest = dataclasses.replace(base.manifest, files=files)
    (directory / MANIFEST).write_bytes(manifest_bytes(manifest))


def _as_written(entry: FileEntry, path: Path) -> FileEntry:
    """The entry of a file as it lies there now; what was packed is not packed again."""
    content = path.read_bytes()
    digest = hashlib.sha256(content).hexdigest()
    return dataclasses.replace(entry, bytes=len(content), sha256=digest, unpacked_sha256=None)
