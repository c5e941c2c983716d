"""Where what can be made again is kept: speech pools, features, private engine data.

The root is `.cache` in the working directory, or the folder named by VOICE_CONVERTERS_CACHE.
Entries are folders (or files) right under the root or under `pools/` and `features/`; the name of
each ends in a hash of what defines it, so a changed recipe is a new entry and never a stale one.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

DEFAULT_LIMIT_GB = 40.0
"""Above this, `prune` removes the entries that were unused longest."""
_GROUPS = ("pools", "features")


@dataclass(frozen=True)
class Entry:
    """One thing in the cache."""

    path: Path
    size: int
    """Bytes on disk."""
    used: float
    """When its newest file was written, in seconds since 1970."""


def cache_root() -> Path:
    """The root of the cache; it need not exist yet."""
    return Path(os.environ.get("VOICE_CONVERTERS_CACHE") or ".cache")


def key(definition: Mapping[str, object]) -> str:
    """Twelve hexadecimal figures that stand for a definition (anything that JSON can hold)."""
    text = json.dumps(definition, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()[:12]


def _entry(path: Path) -> Entry:
    files = [path] if path.is_file() else [f for f in path.rglob("*") if f.is_file()]
    stats = [f.stat() for f in files]
    return Entry(
        path,
        sum(s.st_size for s in stats),
        max((s.st_mtime for s in stats), default=path.stat().st_mtime),
    )


def entries(root: Path) -> list[Entry]:
    """Everything in the cache, the longest unused first."""
    if not root.is_dir():
        return []
    tops = [path for path in root.iterdir() if path.name not in _GROUPS]
    grouped = [p for g in _GROUPS if (root / g).is_dir() for p in (root / g).iterdir()]
    return sorted((_entry(path) for path in (*tops, *grouped)), key=lambda entry: entry.used)


def prune(root: Path, limit_bytes: int) -> list[Entry]:
    """Remove the entries that were unused longest until the rest fits.

    Args:
        root: The cache.
        limit_bytes: What may remain.

    Returns:
        What was removed.
    """
    listed = entries(root)
    total = sum(entry.size for entry in listed)
    removed: list[Entry] = []
    for entry in listed:
        if total <= limit_bytes:
            break
        if entry.path.is_dir():
            shutil.rmtree(entry.path)
        else:
            entry.path.unlink()
        total -= entry.size
        removed.append(entry)
    return removed
