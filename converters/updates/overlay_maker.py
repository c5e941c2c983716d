"""Makes an overlay from two bundles, and proves it by applying it.

BASE is any release, NEW the same with an owner's own weights. Only int8 weights may differ: what an
overlay leaves to the release is in `agent.update.overlay_format`, with the reason.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from agent.bundle.loading import model_content
from agent.bundle.manifest import Bundle, load_bundle
from agent.errors import DiffError, DiffStorageError
from agent.update.diff_base import Matrix, listed_matrices
from agent.update.overlay_format import FORMAT, MAGIC, apply_overlay
from converters.updates.assembly import Weights
from converters.updates.weights_writer import write_weights

# What nobody hears with, and so may differ between the two.
_ROLES_BESIDE = ("card", "selftest")


@dataclass(frozen=True)
class OverlayReport:
    """What was made."""

    size: int
    """Bytes of the overlay."""
    changed_weights: int
    total_weights: int
    """Weights of all matrices that the manifest lists."""
    layout_sha256: str
    """Whose releases it fits."""


def make_overlay(base: Path, new: Path, out: Path) -> OverlayReport:
    """Makes an overlay.

    Args:
        base: A release.
        new: The same with other weights.
        out: Where the overlay is written; replaced atomically.

    Raises:
        BundleError: A bundle is not whole.
        DiffError: The bundles differ in something that an overlay leaves to the release, or in
            nothing at all.
    """
    before, after = load_bundle(base), load_bundle(new)
    layout = before.manifest.layout_sha256
    if not before.manifest.layout or layout is None or layout != after.manifest.layout_sha256:
        raise DiffError("The bundles list different weights; an overlay needs one architecture.")
    weights = Weights()
    matrices = listed_matrices(before.manifest)
    for path in sorted(_heard_with(before) | _heard_with(after)):
        _collect(weights, before, after, path, matrices.get(path, ()))
    changes = weights.changes()
    if changes is None or not len(changes.cells):
        raise DiffError("The bundles have the same weights; an overlay would change nothing.")
    content = MAGIC + bytes([FORMAT, 0]) + bytes.fromhex(layout) + write_weights(changes)
    with tempfile.TemporaryDirectory(prefix="overlay-") as folder:
        apply_overlay(content, base, Path(folder) / "result")
        for path in matrices:
            if (Path(folder) / "result" / path).read_bytes() != model_content(after, path):
                raise DiffError(f"The overlay does not make {path} as it is in {new}.")
    _write(out, content)
    return OverlayReport(len(content), len(changes.cells), weights.total, layout)


def _heard_with(bundle: Bundle) -> set[str]:
    return {file.path for file in bundle.manifest.files if file.role not in _ROLES_BESIDE}


def _collect(
    weights: Weights, before: Bundle, after: Bundle, path: str, matrices: Sequence[Matrix]
) -> None:
    if not all((bundle.directory / path).is_file() for bundle in (before, after)):
        raise DiffError(f"Only one of the bundles has {path}; an overlay changes weights alone.")
    old, new = (np.frombuffer(model_content(b, path), np.int8) for b in (before, after))
    if len(old) != len(new):
        raise DiffError(f"{path} is longer in one bundle; an overlay changes weights alone.")
    same = old == new
    for matrix in matrices:
        cells = slice(matrix.offset, matrix.end)
        weights.add(matrix, old[cells].astype(np.int16), new[cells].astype(np.int16))
        same[cells] = True
    if not same.all():
        raise DiffError(
            f"{path} differs outside of its int8 weights, at byte {int(same.argmin())}; an overlay"
            " leaves scales, biases and everything else to the release."
        )


def _write(out: Path, content: bytes) -> None:
    temporary = out.with_name(f".{out.name}.tmp")
    try:
        temporary.write_bytes(content)
        os.replace(temporary, out)
    except OSError as error:
        raise DiffStorageError(f"{out} cannot be written ({error.strerror}).") from error
    finally:
        temporary.unlink(missing_ok=True)
