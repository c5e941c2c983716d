"""Makes a diff between two bundles, and proves it by applying it.

Every file of the new bundle goes one of five ways:

* equal to the base file of its path, or of another path: copied;
* a model file with the matrices of its base at the same places: the changes of its weights are
  coded (sparse, hashed, or both), and what differs between the matrices is brought along;
* a file that lists SHA-256 sums of the files above, such as the manifest: those sums cost nothing;
* any other file with a base: put together from stretches of its base (converters.updates.matching);
* a new file: brought along, packed.

The format is in `agent.update.diff_format`. The same two bundles always give the same bytes.
"""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from agent.errors import DiffError, DiffStorageError
from agent.update.bundle_files import FileDigest, bundle_digest, digest_files
from agent.update.byte_reader import varint
from agent.update.diff_format import FORMAT, MAGIC, apply_diff
from agent.update.diff_plan import FilePlan, Kind, Piece, write_plan
from agent.update.hashed_diff import HashedChanges
from agent.update.packed_bytes import pack
from converters.updates.matching import Recipe
from converters.updates.matrices import Matrix, find_matrices
from converters.updates.weights_writer import Buckets, Changes, write_weights

_MOSTLY = 0.4  # share of changed weights from which bringing them along may be cheaper


@dataclass(frozen=True)
class HashedDelta:
    """A trained hashed diff, and the files whose matrices it changes."""

    seed: int
    """0 <= seed < 2**64."""
    values: NDArray[np.int8]
    """Shape (buckets,), int8."""
    files: tuple[str, ...]
    """Paths of .tflite files; every int8 matrix in them is hashed, file by file."""


@dataclass(frozen=True)
class DiffReport:
    """What was made, in bytes and seconds."""

    size: int
    """Bytes of the diff."""
    plan: int
    """Bytes of it that say which file is made of what; packed."""
    literals: int
    """Bytes of it that are brought along; packed."""
    weights: int
    """Bytes of it that code the changes of weights."""
    result_bytes: int
    """Bytes of the new bundle."""
    changed_weights: int
    """Weights that are coded as sparse changes."""
    total_weights: int
    """Weights of all matrices that the diff touches."""
    changed: tuple[str, ...]
    """Files that are made from a base file."""
    added: tuple[str, ...]
    removed: tuple[str, ...]
    copied: int
    """Files that stay as they are."""
    base_sha256: str
    """Bundle digest."""
    result_sha256: str
    """Bundle digest."""
    create_seconds: float
    apply_seconds: float | None
    """None if it was not tried."""


def make_diff(
    base: Path,
    new: Path,
    out: Path,
    *,
    hashed: HashedDelta | None = None,
    verify: bool = True,
) -> DiffReport:
    """Makes the diff from one bundle to another.

    Args:
        base: The bundle that boards have.
        new: The bundle that they shall get.
        out: Where the diff is written; replaced atomically.
        hashed: A hashed diff that explains the changes of some files. Weights of these files that
            it does not explain are corrected by sparse changes, so any `new` works.
        verify: Apply the diff to a temporary folder before it gets its name.

    Returns:
        Sizes and times.

    Raises:
        BundleFileError: A bundle cannot be read.
        DiffError: The bundles exceed what a diff can hold, or the trial failed.
    """
    begun = time.perf_counter()
    maker = _Maker(base, new, hashed)
    content = maker.content()
    created = time.perf_counter() - begun
    temporary = out.with_name(f".{out.name}.tmp")
    applied = None
    try:
        temporary.write_bytes(content.whole)
        if verify:
            with (
                tempfile.TemporaryDirectory(prefix="diff-") as folder,
                temporary.open("rb") as made,
            ):
                begun = time.perf_counter()
                apply_diff(made, base, Path(folder) / "result")
                applied = time.perf_counter() - begun
        os.replace(temporary, out)
    except OSError as error:
        raise DiffStorageError(f"{out} cannot be written ({error.strerror}).") from error
    finally:
        temporary.unlink(missing_ok=True)
    return maker.report(content, created, applied)


@dataclass(frozen=True)
class _Content:
    whole: bytes
    plan: int
    literals: int
    weights: int
    changes: int
    total: int
    files: tuple[FilePlan, ...]


@dataclass
class _Weights:
    """The weights of all matrices of a diff, as they are collected."""

    shapes: list[tuple[int, int]] = field(default_factory=list)
    cells: list[NDArray[np.int64]] = field(default_factory=list)
    amounts: list[NDArray[np.int16]] = field(default_factory=list)
    total: int = 0
    hashed: bool = False
    """At least one matrix is hashed."""

    def add(self, matrix: Matrix, before: NDArray[np.int16], after: NDArray[np.int16]) -> None:
        difference = after - before
        cells = np.flatnonzero(difference)
        self.shapes.append((matrix.rows, matrix.columns))
        self.cells.append(cells + self.total)
        self.amounts.append(difference[cells])
        self.total += len(before)

    def changes(self) -> Changes | None:
        if not self.shapes:
            return None
        return Changes(self.shapes, np.concatenate(self.cells), np.concatenate(self.amounts))


class _Maker:
    def __init__(self, base: Path, new: Path, hashed: HashedDelta | None) -> None:
        self._base = base
        self._new = new
        self._hashed = hashed
        self._before = {file.path: file for file in digest_files(base)}
        self._after = {file.path: file for file in digest_files(new)}
        if hashed is not None and not set(hashed.files) <= self._before.keys() & self._after.keys():
            raise DiffError("A file that the hashed diff changes is not in both bundles.")

    def content(self) -> _Content:
        """The smallest diff."""
        content = self._assemble(coded=True)
        if content.changes > _MOSTLY * content.total and self._hashed is None:
            content = min(content, self._assemble(coded=False), key=lambda way: len(way.whole))
        return content

    def report(self, content: _Content, created: float, applied: float | None) -> DiffReport:
        changed = tuple(sorted(file.path for file in content.files if file.source))
        return DiffReport(
            size=len(content.whole),
            plan=content.plan,
            literals=content.literals,
            weights=content.weights,
            result_bytes=sum(file.length for file in self._after.values()),
            changed_weights=content.changes,
            total_weights=content.total,
            changed=changed,
            added=tuple(sorted(file.path for file in content.files if not file.source)),
            removed=tuple(sorted(self._before.keys() - self._after.keys())),
            copied=len(self._after) - len(content.files),
            base_sha256=bundle_digest(self._before.values()),
            result_sha256=bundle_digest(self._after.values()),
            create_seconds=created,
            apply_seconds=applied,
        )

    def _assemble(self, *, coded: bool) -> _Content:
        """A diff.

        Args:
            coded: Code the changes of matrices; otherwise treat model files as any others.
        """
        weights = _Weights()
        plans: list[FilePlan] = []
        literals = bytearray()
        for path in self._order():
            file = self._after[path]
            recipe = Recipe()
            source = self._source(file)
            new = (self._new / path).read_bytes()
            old = (self._base / source).read_bytes() if source else b""
            matrices = self._matrices(path) if coded and source == path else ()
            if matrices:
                self._code_matrices(recipe, path, matrices, old, new, weights)
            else:
                self._build(recipe, old, new, plans)
            plans.append(FilePlan(path, source, tuple(recipe.pieces)))
            literals += recipe.literals
        plan = write_plan(sorted(self._before.keys() - self._after.keys()), plans)
        changes = weights.changes()
        buckets = None
        if self._hashed is not None and weights.hashed:
            buckets = Buckets(self._hashed.seed, self._hashed.values)
        packed_plan = varint(len(plan)) + pack(plan)
        packed_literals = pack(bytes(literals))
        coded_weights = write_weights(changes, buckets)
        return _Content(
            whole=self._header() + packed_plan + packed_literals + coded_weights,
            plan=len(packed_plan),
            literals=len(packed_literals),
            weights=len(coded_weights),
            changes=len(changes.cells) if changes else 0,
            total=weights.total,
            files=tuple(plans),
        )

    def _header(self) -> bytes:
        digests = (bundle_digest(files.values()) for files in (self._before, self._after))
        size = sum(file.length for file in self._after.values())
        names = b"".join(map(bytes.fromhex, digests))
        return MAGIC + bytes([FORMAT, 0]) + names + varint(size)

    def _order(self) -> list[str]:
        """Files that are made anew; those that list sums of others come last."""
        changed = [
            path
            for path, file in sorted(self._after.items())
            if (path not in self._before or self._before[path].sha256 != file.sha256)
            or (self._hashed is not None and path in self._hashed.files)
        ]
        sums = [self._after[path].sha256.encode() for path in changed]
        listing = [path for path in changed if self._lists(path, sums)]
        return [path for path in changed if path not in listing] + listing

    def _lists(self, path: str, sums: Sequence[bytes]) -> bool:
        # Sums stand in text; model files are not searched.
        if path.endswith(".tflite"):
            return False
        content = (self._new / path).read_bytes()
        return any(sum_ in content for sum_ in sums)

    def _source(self, file: FileDigest) -> str | None:
        if file.path in self._before:
            return file.path
        return next((path for path, old in self._before.items() if old.sha256 == file.sha256), None)

    def _matrices(self, path: str) -> tuple[Matrix, ...]:
        if self._before[path].length != self._after[path].length:
            return ()
        matrices = find_matrices(self._base / path)
        return matrices if matrices == find_matrices(self._new / path) else ()

    def _code_matrices(
        self,
        recipe: Recipe,
        path: str,
        matrices: Sequence[Matrix],
        old: bytes,
        new: bytes,
        weights: _Weights,
    ) -> None:
        hashes = None
        if self._hashed is not None and path in self._hashed.files:
            hashes = HashedChanges(self._hashed.seed, self._hashed.values)
        first = self._hashed_before(path) if hashes else 0
        done = 0
        for matrix in matrices:
            if (
                hashes is None
                and old[matrix.offset : matrix.end] == new[matrix.offset : matrix.end]
            ):
                continue
            recipe.positional(old[done : matrix.offset], new[done : matrix.offset], done)
            before = np.frombuffer(old, np.int8)[matrix.offset : matrix.end].astype(np.int16)
            after = np.frombuffer(new, np.int8)[matrix.offset : matrix.end].astype(np.int16)
            if hashes is not None:
                hashes.add(before, first)
                first += len(before)
            recipe.matrix(
                Kind.HASHED if hashes else Kind.SPARSE, matrix.offset, matrix.rows, matrix.columns
            )
            weights.add(matrix, before, after)
            weights.hashed |= hashes is not None
            done = matrix.end
        recipe.positional(old[done:], new[done:], done)

    def _hashed_before(self, path: str) -> int:
        """Weights of the hashed files that are made before this one."""
        assert self._hashed is not None
        earlier = self._order()
        earlier = [p for p in earlier[: earlier.index(path)] if p in self._hashed.files]
        return sum(m.rows * m.columns for p in earlier for m in self._matrices(p))

    def _build(self, recipe: Recipe, old: bytes, new: bytes, plans: Sequence[FilePlan]) -> None:
        done = 0
        for start, end, index in self._sums(new, plans):
            _stretch(recipe, old, new[done:start])
            recipe.digest(index)
            done = end
        _stretch(recipe, old, new[done:])
        if len(recipe.pieces) == 1 and recipe.pieces[0].kind is Kind.REPLACE:
            recipe.pieces[0] = Piece(Kind.INSERT, recipe.pieces[0].amount)

    def _sums(self, new: bytes, plans: Sequence[FilePlan]) -> list[tuple[int, int, int]]:
        """Start, end and file index of each SHA-256 of a file that is already made."""
        found = []
        for index, plan in enumerate(plans):
            digits = self._after[plan.path].sha256.encode()
            start = new.find(digits)
            while start >= 0:
                found.append((start, start + len(digits), index))
                start = new.find(digits, start + len(digits))
        return sorted(found)


def _stretch(recipe: Recipe, old: bytes, new: bytes) -> None:
    """Rebuilds a stretch from the same place if it is nearly equal there, else from anywhere."""
    there = old[recipe.cursor : recipe.cursor + len(new)]
    if len(there) == len(new) and new:
        equal = np.frombuffer(there, np.uint8) == np.frombuffer(new, np.uint8)
        if np.count_nonzero(equal) > 0.9 * len(new):
            recipe.positional(there, new, recipe.cursor)
            return
    recipe.matched(old, new)
