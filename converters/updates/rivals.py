"""General-purpose ways to send a new version, to compare diffs with.

Each gets the two bundles as uncompressed tar archives (of one file: the file) and returns the bytes
that would be sent, or None if the tool is not installed.
"""

from __future__ import annotations

import importlib
import io
import lzma
import shutil
import subprocess
import tarfile
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from agent.update.bundle_files import bundle_paths

Rival = Callable[[bytes, bytes], int | None]


def archive(bundle: Path) -> bytes:
    """A bundle as one piece: its only file, or a tar archive without times and owners."""
    paths = sorted(bundle_paths(bundle))
    if len(paths) == 1:
        return (bundle / paths[0]).read_bytes()
    target = io.BytesIO()
    with tarfile.open(fileobj=target, mode="w", format=tarfile.USTAR_FORMAT) as tar:
        for path in paths:
            content = (bundle / path).read_bytes()
            entry = tarfile.TarInfo(path)
            entry.size = len(content)
            tar.addfile(entry, io.BytesIO(content))
    return target.getvalue()


def _bsdiff4(old: bytes, new: bytes) -> int | None:
    module = _module("bsdiff4")
    return module and len(module.diff(old, new))


def _detools(compression: str) -> Rival:
    def size(old: bytes, new: bytes) -> int | None:
        module = _module("detools")
        if module is None:
            return None
        patch = io.BytesIO()
        module.create_patch(io.BytesIO(old), io.BytesIO(new), patch, compression=compression)
        return len(patch.getvalue())

    return size


def _xdelta3(old: bytes, new: bytes) -> int | None:
    return _with_files("xdelta3", old, new, ["-e", "-9", "-f", "-S", "lzma", "-s", "old", "new"])


def _zstd(old: bytes, new: bytes) -> int | None:
    return _with_files(
        "zstd", old, new, ["-19", "--long=27", "-q", "-f", "--patch-from=old", "new", "-o"]
    )


def _xz(_: bytes, new: bytes) -> int | None:
    return len(lzma.compress(new, preset=9 | lzma.PRESET_EXTREME))


def _subtracted_xz(old: bytes, new: bytes) -> int | None:
    if len(old) != len(new):
        return None
    difference = np.frombuffer(new, np.uint8) - np.frombuffer(old, np.uint8)
    return len(lzma.compress(difference.tobytes(), preset=9 | lzma.PRESET_EXTREME))


RIVALS: dict[str, Rival] = {
    "bsdiff4": _bsdiff4,
    "detools bz2": _detools("bz2"),
    "detools lzma": _detools("lzma"),
    "xdelta3": _xdelta3,
    "zstd patch": _zstd,
    "new - old, xz": _subtracted_xz,
    "new, xz": _xz,
}


def _module(name: str) -> Any:
    try:
        return importlib.import_module(name)
    except ImportError:
        return None


def _with_files(program: str, old: bytes, new: bytes, arguments: list[str]) -> int | None:
    if shutil.which(program) is None:
        return None
    with tempfile.TemporaryDirectory(prefix="rival-") as folder:
        (Path(folder) / "old").write_bytes(old)
        (Path(folder) / "new").write_bytes(new)
        subprocess.run(
            [program, *arguments, "patch"], cwd=folder, check=True, capture_output=True, timeout=600
        )
        return (Path(folder) / "patch").stat().st_size
