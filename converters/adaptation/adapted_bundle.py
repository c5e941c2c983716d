"""Writes a bundle with other integers: the same files, byte for byte, but for its int8 weights."""

from __future__ import annotations

import dataclasses
import hashlib
import shutil
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from agent.bundle.manifest import MANIFEST, Bundle
from agent.bundle.schema import manifest_bytes
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
    for file in {place.file for place in places.values()}:
        content = bytearray((directory / file).read_bytes())
        for name, place in places.items():
            if place.file == file:
                values = np.ascontiguousarray(integers[name]).tobytes()
                content[place.offset : place.offset + len(values)] = values
        (directory / file).write_bytes(content)
    files = tuple(
        dataclasses.replace(
            entry, sha256=hashlib.sha256((directory / entry.path).read_bytes()).hexdigest()
        )
        if (directory / entry.path).exists()
        else entry
        for entry in base.manifest.files
    )
    manifest = dataclasses.replace(base.manifest, files=files)
    (directory / MANIFEST).write_bytes(manifest_bytes(manifest))
