"""Makes a diff between two bundles, and proves it by applying it.

What becomes of each file is decided in `converters.updates.assembly`; the format is in
`agent.update.diff_format`. The same two bundles always give the same bytes.
"""

from __future__ import annotations

import os
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

from agent.errors import DiffError, DiffStorageError
from agent.update.bundle_files import bundle_digest
from agent.update.byte_reader import varint
from agent.update.diff_format import FORMAT, MAGIC, apply_diff
from agent.update.packed_bytes import pack
from converters.updates.assembly import Assembly, HashedDelta, TwoBundles
from converters.updates.plan_writer import write_plan
from converters.updates.weights_writer import Buckets, write_weights

__all__ = ["DiffReport", "HashedDelta", "make_diff"]

_MOSTLY = 0.4  # share of changed weights from which bringing them along may be cheaper


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
    bundles = TwoBundles.open(base, new)
    if hashed is not None and not set(hashed.files) <= bundles.before.keys() & bundles.after.keys():
        raise DiffError("A file that the hashed diff changes is not in both bundles.")
    content = _smallest(bundles, hashed)
    created = time.perf_counter() - begun
    temporary = out.with_name(f".{out.name}.tmp")
    applied = None
    try:
        temporary.write_bytes(content.whole)
        if verify:
            applied = _tried(temporary, base)
        os.replace(temporary, out)
    except OSError as error:
        raise DiffStorageError(f"{out} cannot be written ({error.strerror}).") from error
    finally:
        temporary.unlink(missing_ok=True)
    return _report(bundles, content, created, applied)


def _tried(diff: Path, base: Path) -> float:
    """Applies a diff to a temporary folder; seconds that it took."""
    with tempfile.TemporaryDirectory(prefix="diff-") as folder, diff.open("rb") as stream:
        begun = time.perf_counter()
        apply_diff(stream, base, Path(folder) / "result")
        return time.perf_counter() - begun


@dataclass(frozen=True)
class _Content:
    """A diff and the parts that it is made of."""

    assembly: Assembly
    head: bytes
    plan: bytes
    literals: bytes
    weights: bytes

    @property
    def whole(self) -> bytes:
        return self.head + self.plan + self.literals + self.weights

    @property
    def changed_weights(self) -> int:
        return sum(map(len, self.assembly.weights.cells))


def _smallest(bundles: TwoBundles, hashed: HashedDelta | None) -> _Content:
    content = _written(bundles, hashed, Assembly(bundles, hashed, coded=True))
    if hashed is None and content.changed_weights > _MOSTLY * content.assembly.weights.total:
        other = _written(bundles, None, Assembly(bundles, None, coded=False))
        content = min(content, other, key=lambda way: len(way.whole))
    return content


def _written(bundles: TwoBundles, hashed: HashedDelta | None, assembly: Assembly) -> _Content:
    digests = [bundle_digest(files.values()) for files in (bundles.before, bundles.after)]
    size = sum(file.length for file in bundles.after.values())
    names = b"".join(map(bytes.fromhex, digests))
    plan = write_plan(bundles.removed, assembly.recipes, list(bundles.before))
    buckets = None
    if hashed is not None and assembly.weights.hashed:
        buckets = Buckets(hashed.seed, hashed.values)
    return _Content(
        assembly,
        head=MAGIC + bytes([FORMAT, 0]) + names + varint(size),
        plan=varint(len(plan)) + pack(plan),
        literals=pack(assembly.literals),
        weights=write_weights(assembly.weights.changes(), buckets),
    )


def _report(
    bundles: TwoBundles, content: _Content, created: float, applied: float | None
) -> DiffReport:
    recipes = content.assembly.recipes
    return DiffReport(
        size=len(content.whole),
        plan=len(content.plan),
        literals=len(content.literals),
        weights=len(content.weights),
        result_bytes=sum(file.length for file in bundles.after.values()),
        changed_weights=content.changed_weights,
        total_weights=content.assembly.weights.total,
        changed=tuple(sorted(recipe.path for recipe in recipes if recipe.source)),
        added=tuple(sorted(recipe.path for recipe in recipes if not recipe.source)),
        removed=tuple(bundles.removed),
        copied=len(bundles.after) - len(recipes),
        base_sha256=bundle_digest(bundles.before.values()),
        result_sha256=bundle_digest(bundles.after.values()),
        create_seconds=created,
        apply_seconds=applied,
    )
