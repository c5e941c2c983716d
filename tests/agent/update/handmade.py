"""Diffs put together by hand, byte by byte, and bundles of a few bytes."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Mapping
from pathlib import Path

from agent.update.bundle_files import FileDigest, bundle_digest
from agent.update.byte_reader import varint
from agent.update.diff_format import apply_diff

Files = Mapping[str, bytes]


def write_files(folder: Path, files: Files) -> Path:
    """Writes a bundle; gives its folder back."""
    folder.mkdir(parents=True, exist_ok=True)
    for path, content in files.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_bytes(content)
    return folder


def read_files(folder: Path) -> dict[str, bytes]:
    """Everything in a folder."""
    paths = sorted(path for path in folder.rglob("*") if path.is_file())
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in paths}


def digest(files: Files) -> str:
    """The bundle digest."""
    return bundle_digest(
        FileDigest(path, len(content), hashlib.sha256(content).hexdigest())
        for path, content in files.items()
    )


def stored(content: bytes) -> bytes:
    """Bytes packed as they are."""
    return b"\0" + varint(len(content)) + content


def diff(
    base: Files,
    result: Files,
    *,
    plan: bytes,
    literals: bytes = b"",
    weights: bytes = b"",
    extension: bytes = b"",
) -> bytes:
    """A diff whose header is right."""
    return b"".join(
        [
            b"VDIF\x01",
            varint(len(extension)),
            extension,
            bytes.fromhex(digest(base)),
            bytes.fromhex(digest(result)),
            varint(sum(map(len, result.values()))),
            varint(len(plan)),
            stored(plan),
            stored(literals),
            weights,
        ]
    )


def applied(content: bytes, base: Path, result: Path) -> dict[str, bytes]:
    """Applies a diff and reads what it made."""
    apply_diff(io.BytesIO(content), base, result)
    return read_files(result)
