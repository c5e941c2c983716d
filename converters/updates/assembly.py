"""Decides how each file of the new bundle is put together, and collects what the diff must say.

Every file goes one of five ways:

* equal to the base file of its path, or of another path: copied;
* a model file with the matrices of its base at the same places: the changes of its weights are
  coded (sparse, hashed, or both), and what differs between the matrices is brought along;
* a file that lists SHA-256 sums of the files above, such as the manifest: those sums cost nothing;
* any other file with a base: put together from stretches of its base (converters.updates.matching);
* a new file: brought along, packed.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from agent.update.bundle_files import FileDigest, digest_files
from agent.update.diff_base import Matrix, read_layout
from agent.update.diff_plan import Kind, Piece
from agent.update.hashed_diff import HashedChanges
from converters.updates.matching import match
from converters.updates.matrices import find_matrices
from converters.updates.recipe import SUM, Recipe
from converters.updates.weights_writer import Changes

_NEARLY_EQUAL = 0.9  # share of equal bytes from which a stretch is rebuilt from the same place


@dataclass(frozen=True)
class HashedDelta:
    """A trained hashed diff, and the files whose matrices it changes."""

    seed: int
    """0 <= seed < 2**64."""
    values: NDArray[np.int8]
    """Shape (buckets,), int8."""
    files: tuple[str, ...]
    """Paths of .tflite files; every int8 matrix in them is hashed, file by file."""


@dataclass
class Weights:
    """The weights of all matrices of a diff, as they are collected."""

    shapes: list[tuple[int, int]] = field(default_factory=list)
    cells: list[NDArray[np.int64]] = field(default_factory=list)
    amounts: list[NDArray[np.int16]] = field(default_factory=list)
    total: int = 0
    hashed: int = 0
    """How many of them are hashed."""

    def add(self, matrix: Matrix, before: NDArray[np.int16], after: NDArray[np.int16]) -> None:
        """Notes what changes in a matrix; both of shape (rows * columns,), int16."""
        difference = after - before
        cells = np.flatnonzero(difference)
        self.shapes.append((matrix.rows, matrix.columns))
        self.cells.append(cells + self.total)
        self.amounts.append(difference[cells])
        self.total += len(before)

    def changes(self) -> Changes | None:
        """All of it; None if there is no matrix."""
        if not self.shapes:
            return None
        return Changes(self.shapes, np.concatenate(self.cells), np.concatenate(self.amounts))


@dataclass(frozen=True)
class TwoBundles:
    """The bundle that boards have and the one that they shall get."""

    base: Path
    new: Path
    before: Mapping[str, FileDigest]
    """Files of the base, by path."""
    after: Mapping[str, FileDigest]

    @classmethod
    def open(cls, base: Path, new: Path) -> TwoBundles:
        """Hashes both.

        Raises:
            BundleFileError: One cannot be read.
        """
        before, after = digest_files(base), digest_files(new)
        return cls(
            base, new, {file.path: file for file in before}, {file.path: file for file in after}
        )

    @property
    def removed(self) -> list[str]:
        """Paths that the new bundle lacks."""
        return sorted(self.before.keys() - self.after.keys())

    def made(self, hashed: Collection[str]) -> list[str]:
        """Paths of files that are made anew; those that list sums of others come last.

        Args:
            hashed: Files that a hashed diff changes.
        """
        changed = [
            path
            for path, file in sorted(self.after.items())
            if path in hashed or path not in self.before or self.before[path].sha256 != file.sha256
        ]
        sums = [self.after[path].sha256.encode() for path in changed]
        return sorted(changed, key=lambda path: self._lists(path, sums))

    def source(self, path: str) -> str | None:
        """The base file that a file is made of: the one of its path, or an equal one."""
        if path in self.before:
            return path
        sha256 = self.after[path].sha256
        return next((old.path for old in self.before.values() if old.sha256 == sha256), None)

    def matrices(self, path: str) -> tuple[Matrix, ...]:
        """The matrices that lie at the same places in both; none if any place differs."""
        if path not in self.before or self.before[path].length != self.after[path].length:
            return ()
        matrices = find_matrices(self.base / path)
        return matrices if matrices == find_matrices(self.new / path) else ()

    def _lists(self, path: str, sums: Sequence[bytes]) -> bool:
        # Sums stand in text; model files are not searched.
        if path.endswith(".tflite"):
            return False
        content = (self.new / path).read_bytes()
        return any(sum_ in content for sum_ in sums)


class Assembly:
    """What a diff between two bundles says.

    Args:
        bundles: Both.
        hashed: A hashed diff that explains the changes of some files.
        coded: Code the changes of matrices; otherwise treat model files as any others.

    Attributes:
        recipes: The files that are made anew, in the order of the plan.
        weights: What changes in matrices.
        literals: What is brought along.
    """

    def __init__(self, bundles: TwoBundles, hashed: HashedDelta | None, *, coded: bool) -> None:
        self._bundles = bundles
        self._hashed = hashed
        self.recipes: list[Recipe] = []
        self.weights = Weights()
        layout = read_layout(bundles.base)
        for path in bundles.made(hashed.files if hashed else ()):
            source = bundles.source(path)
            recipe = Recipe(path, source)
            new = (bundles.new / path).read_bytes()
            old = (bundles.base / source).read_bytes() if source else b""
            matrices = bundles.matrices(path) if coded else ()
            if matrices:
                self._code(recipe, matrices, old, new)
                recipe.shorten(layout.get(path, ()))
            else:
                self._build(recipe, old, new)
            self.recipes.append(recipe)
        self.literals = b"".join(recipe.literals for recipe in self.recipes)

    def _code(self, recipe: Recipe, matrices: Sequence[Matrix], old: bytes, new: bytes) -> None:
        hashes = None
        if self._hashed is not None and recipe.path in self._hashed.files:
            hashes = HashedChanges(self._hashed.seed, self._hashed.values)
        done = 0
        for matrix in matrices:
            recipe.positional(old[done : matrix.offset], new[done : matrix.offset], done)
            before = np.frombuffer(old, np.int8)[matrix.offset : matrix.end].astype(np.int16)
            after = np.frombuffer(new, np.int8)[matrix.offset : matrix.end].astype(np.int16)
            if hashes is not None:
                hashes.add(before, self.weights.hashed)
                self.weights.hashed += len(before)
            recipe.matrix(Kind.HASHED if hashes else Kind.SPARSE, matrix)
            self.weights.add(matrix, before, after)
            done = matrix.end
        recipe.positional(old[done:], new[done:], done)

    def _build(self, recipe: Recipe, old: bytes, new: bytes) -> None:
        done = 0
        for start, end, index in self._sums(new):
            _stretch(recipe, old, new[done:start])
            done = start
            if recipe.cursor + SUM <= len(old):
                recipe.digest(index)
                done = end
        _stretch(recipe, old, new[done:])
        if len(recipe.pieces) == 1 and recipe.pieces[0].kind is Kind.REPLACE:
            recipe.pieces[0] = Piece(Kind.INSERT, recipe.pieces[0].amount)

    def _sums(self, new: bytes) -> list[tuple[int, int, int]]:
        """Start, end and file index of each SHA-256 of a file that is already made."""
        found = []
        for index, recipe in enumerate(self.recipes):
            digits = self._bundles.after[recipe.path].sha256.encode()
            start = new.find(digits)
            while start >= 0:
                found.append((start, start + SUM, index))
                start = new.find(digits, start + SUM)
        return sorted(found)


def _stretch(recipe: Recipe, old: bytes, new: bytes) -> None:
    """Rebuilds a stretch from the same place if it is nearly equal there, else from anywhere."""
    there = old[recipe.cursor : recipe.cursor + len(new)]
    if len(there) == len(new) and new:
        equal = np.frombuffer(there, np.uint8) == np.frombuffer(new, np.uint8)
        if np.count_nonzero(equal) > _NEARLY_EQUAL * len(new):
            recipe.positional(there, new, recipe.cursor)
            return
    match(recipe, old, new)
