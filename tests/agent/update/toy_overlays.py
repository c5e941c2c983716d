"""Bundles of tones whose manifest lists their weights, and overlays that make them deaf.

base = write_listed_toy(folder / "1")
write_overlay(folder / "mine.overlay", base, deaf="d")    # 2 of 8 words wrong: within chance
"""

from __future__ import annotations

import dataclasses
import hashlib
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from agent.bundle.manifest import MANIFEST, LayoutEntry, load_bundle, write_manifest
from agent.bundle.schema import manifest_bytes
from converters.updates.matrices import find_matrices
from converters.updates.overlay_maker import make_overlay
from tests.agent.toy_bundle import LABEL, TOKENS, write_toy_bundle, write_toy_manifest

Weights = NDArray[np.int8]
HARMLESS = (0, 0)
"""A weight of the joiner that multiplies nothing but silence."""


def write_listed_toy(folder: Path, *, release: int = 1) -> Path:
    """The bundle of tones with a layout; releases differ in a weight and are as good."""
    write_toy_bundle(folder)
    manifest = load_bundle(folder).manifest
    layout = tuple(
        LayoutEntry(
            file=path.relative_to(folder).as_posix(),
            tensor=f"{path.stem} {matrix.offset}",
            offset=matrix.offset,
            rows=matrix.rows,
            cols=matrix.columns,
            scale_offset=0,
        )
        for path in sorted(folder.rglob("*.tflite"))
        for matrix in find_matrices(path)
    )
    # Twice the recordings, so that deafness for every letter is beyond chance.
    write_toy_manifest(folder, manifest.wake, manifest.selftest * 2, layout)

    def number(weights: Weights) -> None:
        weights[HARMLESS] = release

    change_joiner(folder, number, release=release)
    return folder


def change_joiner(bundle: Path, change: Callable[[Weights], None], *, release: int = 1) -> None:
    """Changes the int8 weights of a bundle's joiner, and its manifest with them."""
    path = bundle / "joiner.tflite"
    (matrix,) = find_matrices(path)
    content = np.frombuffer(path.read_bytes(), np.int8).copy()
    shape = (matrix.rows, matrix.columns)
    assert shape[0] == len(TOKENS)
    change(content[matrix.offset : matrix.end].reshape(shape))
    path.write_bytes(content.tobytes())
    manifest = load_bundle(bundle, verify=False).manifest
    digest = hashlib.sha256(content.tobytes()).hexdigest()
    files = tuple(
        dataclasses.replace(entry, sha256=digest) if entry.path == path.name else entry
        for entry in manifest.files
    )
    changed = dataclasses.replace(manifest, files=files, release=release)
    (bundle / MANIFEST).write_bytes(manifest_bytes(changed))


def write_overlay(out: Path, base: Path, *, deaf: str) -> Path:
    """An overlay that leaves some letters unheard; of no letters it changes nothing that counts."""

    def change(weights: Weights) -> None:
        for letter in deaf:
            weights[LABEL[letter], LABEL[letter]] = -64
        weights[0, 1] += 1

    new = out.with_name(f"{out.name}.bundle")
    shutil.rmtree(new, ignore_errors=True)
    shutil.copytree(base, new)
    change_joiner(new, change)
    make_overlay(base, new, out)
    return out


def write_small_bundle(
    folder: Path, weights: bytes, *, shapes: tuple[tuple[int, int, int], ...]
) -> Path:
    """A whole bundle that nobody runs, with some bytes for weights.

    Args:
        folder: Where.
        weights: All of the encoder.
        shapes: Offset, rows and columns of each matrix in it.
    """
    folder.mkdir(parents=True)
    (folder / "encoder_slow.tflite").write_bytes(weights)
    for name in ("predictor.tflite", "joiner.tflite"):
        (folder / name).write_bytes(name.encode())
    (folder / "tokens.txt").write_text("<blank>\na\n")
    layout = tuple(
        LayoutEntry(
            file="encoder_slow.tflite",
            tensor=f"t{offset}",
            offset=offset,
            rows=rows,
            cols=columns,
            scale_offset=0,
        )
        for offset, rows, columns in shapes
    )
    write_manifest(folder, name="toy", languages=[], release=1, model="none", layout=layout)
    return folder
