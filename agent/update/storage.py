"""Files that must be on the disk before the record says so.

A bundle is written, every file and folder of it is synced, the pages are dropped from memory, and
only what is then read back from the disk is hashed: a bad block must show before the commit.
"""

from __future__ import annotations

import contextlib
import os
import shutil
from pathlib import Path

from agent.errors import SlotError


def sync(path: Path) -> None:
    """Waits until a file or a folder is on the disk.

    Raises:
        OSError: The disk refuses.
    """
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def sync_tree(folder: Path) -> None:
    """Makes a folder durable, from its files up to its own name; and drops it from memory.

    Readable for the group afterwards, because the process that hears is another user.

    Raises:
        OSError: The disk refuses.
    """
    for root, _, names in os.walk(folder, topdown=False):
        for name in names:
            path = Path(root, name)
            descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
            try:
                os.fchmod(descriptor, 0o640)
                os.fsync(descriptor)
                os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)
            finally:
                os.close(descriptor)
        os.chmod(root, 0o750)  # noqa: PTH101, S103 - the process that hears is in the group
        sync(Path(root))
    sync(folder.parent)


def make_folder(path: Path, mode: int) -> None:
    """Makes a folder and its parents durable; does nothing if it is there.

    Raises:
        OSError: The disk refuses.
    """
    if path.is_dir():
        return
    make_folder(path.parent, mode)
    with contextlib.suppress(FileExistsError):
        path.mkdir()
    os.chmod(path, mode)  # noqa: PTH101 - whatever the umask says
    sync(path.parent)


def empty_folder(path: Path) -> None:
    """Removes a folder with everything in it and makes it again, durably.

    Raises:
        OSError: The disk refuses.
    """
    if path.is_symlink() or path.is_file():
        path.unlink()
    elif path.is_dir():
        shutil.rmtree(path)
    make_folder(path.parent, 0o750)
    path.mkdir()
    os.chmod(path, 0o750)  # noqa: PTH101, S103 - whatever the umask says
    sync(path)
    sync(path.parent)


def need_space(folder: Path, length: int) -> None:
    """Checks that so many bytes fit, before work is spent on them.

    Raises:
        SlotError: There is less space.
    """
    status = os.statvfs(folder)
    free = status.f_bavail * status.f_frsize
    if free < length:
        raise SlotError(
            f"{folder} has {free // 1000} kB free and the release needs {length // 1000} kB;"
            " make room on the disk."
        )
