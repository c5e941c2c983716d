"""Bundles to measure diffs on, and the fewest bytes that any code could tell their changes in.

The *pseudo-model* has 3.11 M int8 weights, Gaussian, in 12 matrices. `change` changes a share of
the weights of any bundle: at random places, or row-wise, where twice as many rows are chosen and
half of the weights in them change. A change is +-1, +-2, ... with probabilities 0.6 * 0.4**(n - 1)
/ 2.
"""

from __future__ import annotations

import hashlib
import json
import math
import shutil
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from agent.bundle.manifest import MANIFEST
from converters.export.authoring import GraphAuthor
from converters.updates.matrices import find_matrices
from converters.updates.weights_writer import token_cost

_SHAPES = ((256, 300), (128, 300), (128, 300), (300, 256), *[(1200, 300)] * 8)
_NARROW = 0.6  # probability that a change is of one step, given its sign


@dataclass(frozen=True)
class Changed:
    """What was changed."""

    weights: int
    """Weights of the bundle."""
    changed: int
    """Weights that changed."""
    bound: float
    """Bytes: logarithm of the number of ways to choose the places, plus the entropy of the changes'
    own histogram, for somebody who knows whether whole rows were chosen."""


def write_pseudo_model(directory: Path, seed: int) -> None:
    """Writes a bundle of one file, `model.tflite`.

    Args:
        directory: Where; made if it does not exist.
        seed: Of the weights.
    """
    generator = np.random.default_rng(seed)
    author = GraphAuthor("pseudo-model")
    for i, shape in enumerate(_SHAPES):
        weights = np.clip(np.rint(generator.normal(0, 25, shape)), -127, 127)
        author.constant(f"weight{i}", weights.astype(np.int8))
    directory.mkdir(parents=True, exist_ok=True)
    (directory / "model.tflite").write_bytes(author.bytes())


def change(base: Path, new: Path, share: float, *, rows: bool, seed: int) -> Changed:
    """Makes a bundle with some weights changed, and its manifest brought up to date.

    Args:
        base: The bundle.
        new: Where the changed one goes; must not exist.
        share: Of the weights that change, 0 to 0.5.
        rows: Row-wise rather than at random places.
        seed: Of places and changes.
    """
    generator = np.random.default_rng(seed)
    shutil.copytree(base, new)
    files = sorted(base.rglob("*.tflite"))
    matrices = [(path, matrix) for path in files for matrix in find_matrices(path)]
    columns = np.concatenate([np.full(m.rows, m.columns) for _, m in matrices])
    cells, bits = _places(columns, share, rows=rows, generator=generator)
    contents = {path: np.frombuffer(path.read_bytes(), np.int8).copy() for path in files}
    flat = np.concatenate([contents[path][m.offset : m.end] for path, m in matrices])
    steps = generator.geometric(_NARROW, len(cells)) * generator.choice([-1, 1], len(cells))
    before = flat[cells].astype(np.int64)
    # A step across the end of the range goes the other way, so that every chosen weight changes.
    steps = np.where(np.abs(before + steps) > 127, -steps, steps)
    flat[cells] = before + steps
    bits += token_cost(np.unique(steps, return_counts=True)[1])
    first = 0
    for path, matrix in matrices:
        size = matrix.rows * matrix.columns
        contents[path][matrix.offset : matrix.end] = flat[first : first + size]
        first += size
    for path, content in contents.items():
        (new / path.relative_to(base)).write_bytes(content.tobytes())
    _renew_manifest(new)
    return Changed(len(flat), len(cells), bits / 8)


def _places(
    columns: NDArray[np.int64], share: float, *, rows: bool, generator: np.random.Generator
) -> tuple[NDArray[np.int64], float]:
    """Cells to change, rising, and the logarithm of the number of such choices, in bits."""
    total = int(columns.sum())
    if not rows:
        count = round(total * share)
        cells = np.sort(generator.choice(total, count, replace=False))
        return cells, _choices(total, count)
    chosen = np.sort(generator.choice(len(columns), round(2 * share * len(columns)), replace=False))
    origins = np.cumsum(columns) - columns
    inside = np.concatenate([np.arange(origins[r], origins[r] + columns[r]) for r in chosen])
    cells = np.sort(generator.choice(inside, len(inside) // 2, replace=False))
    return cells, _choices(len(columns), len(chosen)) + _choices(len(inside), len(cells))


def _choices(total: int, chosen: int) -> float:
    """Binary logarithm of `total` over `chosen`."""
    nats = math.lgamma(total + 1) - math.lgamma(chosen + 1) - math.lgamma(total - chosen + 1)
    return nats / math.log(2)


def _renew_manifest(bundle: Path) -> None:
    path = bundle / MANIFEST
    if not path.exists():
        return
    table = json.loads(path.read_text(encoding="utf-8"))
    table["release"] += 1
    for entry in table["files"]:
        entry["sha256"] = hashlib.sha256((bundle / entry["path"]).read_bytes()).hexdigest()
    text = json.dumps(table, indent=1, sort_keys=True, ensure_ascii=False)
    path.write_text(text + "\n", encoding="utf-8")
