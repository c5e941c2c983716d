"""A full image: a tar of a bundle, plain or packed with xz, unpacked without believing it.

    with open("7.tar.xz", "rb") as stream:
        unpack_image(stream, folder)

Its length and hash were signed, so nobody but the owners of the keys can have made it. It is still
read as if it came from anybody: regular files with plain names only, none twice, no more and no
larger than a bundle may hold, and memory for the unpacking has a limit.
"""

from __future__ import annotations

import io
import lzma
import shutil
import tarfile
from pathlib import Path
from typing import BinaryIO

from agent.bundle.schema import LARGEST_BUNDLE, LARGEST_FILE, MOST_FILES, safe_path
from agent.errors import ImageError

_XZ = b"\xfd7zXZ\x00"
_MOST_MEMORY = 80 * 1024 * 1024  # bytes for the unpacker; `xz -6` needs 9 MB, `xz -9` 65 MB
_LARGEST_TAR = LARGEST_BUNDLE + 4 * 1024 * 1024  # bytes
_CHUNK = 64 * 1024


class _Unpacked(io.RawIOBase):
    """The tar inside of an xz file, read forwards, bounded in memory and in length."""

    def __init__(self, stream: BinaryIO) -> None:
        self._stream = stream
        self._unpacker = lzma.LZMADecompressor(lzma.FORMAT_XZ, memlimit=_MOST_MEMORY)
        self._left = _LARGEST_TAR

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        while not self._unpacker.eof:
            packed = self._stream.read(_CHUNK) if self._unpacker.needs_input else b""
            if self._unpacker.needs_input and not packed:
                raise ImageError("The full image is cut off; receive it again.")
            piece = self._unpacker.decompress(packed, len(buffer))
            if piece:
                self._left -= len(piece)
                if self._left < 0:
                    raise ImageError(f"The full image unpacks to more than {_LARGEST_TAR} bytes.")
                buffer[: len(piece)] = piece
                return len(piece)
        return 0


def unpack_image(stream: BinaryIO, folder: Path) -> None:
    """Writes every file of a bundle.

    Args:
        stream: The image, a file that can seek.
        folder: An empty folder; nothing is written outside of it, and nothing is synced.

    Raises:
        ImageError: It is no image of a bundle.
        OSError: The disk refuses.
    """
    packed = stream.read(len(_XZ)) == _XZ
    stream.seek(0)
    source = io.BufferedReader(_Unpacked(stream)) if packed else stream
    seen: set[str] = set()
    total = 0
    try:
        with tarfile.open(fileobj=source, mode="r|") as tar:
            for member in tar:
                path = member.name.removeprefix("./")
                if member.isdir() and (path in ("", ".") or safe_path(path)):
                    continue
                total += member.size
                _check(member, path, seen, total)
                seen.add(path)
                _write(tar, member, folder / path)
    except (tarfile.TarError, lzma.LZMAError, EOFError, ValueError) as error:
        raise ImageError(f"The full image is no tar of a bundle ({error}).") from error


def _check(member: tarfile.TarInfo, path: str, seen: set[str], total: int) -> None:
    if not member.isreg() or not safe_path(path) or any(p.startswith(".") for p in path.split("/")):
        raise ImageError(f"The full image holds {member.name[:80]!r}, which no bundle may.")
    if path in seen:
        raise ImageError(f"The full image holds {path} twice.")
    if len(seen) >= MOST_FILES or member.size > LARGEST_FILE or total > LARGEST_BUNDLE:
        raise ImageError("The full image holds more than a bundle may.")


def _write(tar: tarfile.TarFile, member: tarfile.TarInfo, path: Path) -> None:
    content = tar.extractfile(member)
    assert content is not None
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("xb") as file:
        shutil.copyfileobj(content, file, _CHUNK)
