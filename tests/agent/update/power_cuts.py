"""A disk that loses whatever it may lose: which images a power cut can leave behind.

The real code runs on a real folder. Every `fsync` is watched; at each of them, before it takes
effect, the power may go. What is on the disk then is known only for what was synced:

* the content of a file, by an fsync of this file; otherwise it may be the old content, nothing, the
  first half, or the new one, and of what was written in place also the old and the new half mixed;
* the names in a folder, by an fsync of this folder; otherwise each new name may be missing, each
  old one may still be there, alone or together with others.

This is harsher than ext4, which keeps an order. Files are told apart by their inodes, which are
held open so that no number is used twice.
"""

from __future__ import annotations

import hashlib
import itertools
import os
import stat
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

Image = dict[str, bytes | None]
"""Path to content; None for a folder."""

_MOST_TOGETHER = 4  # pending changes of which every combination is tried; of more, alone or all but


class Disk:
    """What is durable of a folder.

    Args:
        root: The folder; what is in it now is durable.
    """

    def __init__(self, root: Path) -> None:
        self.root = root
        self._held: dict[int, int] = {}
        self._content: dict[int, bytes] = {}
        self._names: dict[int, dict[str, int]] = {}
        self._now: dict[int, bytes] = {}
        self._now_names: dict[int, dict[str, int]] = {}
        self._root = root.stat().st_ino
        self._look()
        self._content = dict(self._now)
        self._names = {folder: dict(names) for folder, names in self._now_names.items()}

    def close(self) -> None:
        for descriptor in self._held.values():
            os.close(descriptor)

    def synced(self, descriptor: int) -> None:
        """An fsync has taken effect."""
        status = os.fstat(descriptor)
        self._look()
        if stat.S_ISDIR(status.st_mode):
            if status.st_ino in self._now_names:
                self._names[status.st_ino] = dict(self._now_names[status.st_ino])
        elif status.st_ino in self._now:
            self._content[status.st_ino] = self._now[status.st_ino]

    def images(self) -> Iterator[Image]:
        """Everything that may be on the disk if the power goes now."""
        self._look()
        pending = self._pending_names()
        for chosen in _subsets(pending):
            names = {folder: dict(entries) for folder, entries in self._names.items()}
            for folder, name, inode in chosen:
                entries = names.setdefault(folder, {})
                if inode is None:
                    entries.pop(name, None)
                else:
                    entries[name] = inode
            files: dict[str, int] = {}
            folders: list[str] = []
            self._walk(self._root, "", names, files, folders)
            yield from self._contents(files, folders)

    def _contents(self, files: dict[str, int], folders: list[str]) -> Iterator[Image]:
        base: Image = dict.fromkeys(folders)
        dirty: list[tuple[str, list[bytes]]] = []
        for path, inode in files.items():
            old, new = self._content.get(inode, b""), self._now.get(inode)
            if new is None or new == old:
                base[path] = old
                continue
            half = len(new) // 2
            choices = [new, old, b"", new[:half], new[:half] + old[half:], old[:half] + new[half:]]
            dirty.append((path, list(dict.fromkeys(choices))))
        # All as they should be, each of them spoilt alone in every way, and all spoilt alike.
        yield base | {path: choices[0] for path, choices in dirty}
        for path, choices in dirty:
            for choice in choices[1:]:
                yield base | {p: c[0] for p, c in dirty} | {path: choice}
        for way in range(1, 4):
            yield base | {path: choices[min(way, len(choices) - 1)] for path, choices in dirty}

    def _pending_names(self) -> list[tuple[int, str, int | None]]:
        pending: list[tuple[int, str, int | None]] = []
        for folder in self._now_names.keys() | self._names.keys():
            now = self._now_names.get(folder)
            if now is None:
                continue  # the folder is gone; its name in the one above decides
            old = self._names.get(folder, {})
            for name in sorted(now.keys() | old.keys()):
                if now.get(name) != old.get(name):
                    pending.append((folder, name, now.get(name)))
        return pending

    def _walk(
        self,
        folder: int,
        prefix: str,
        names: dict[int, dict[str, int]],
        files: dict[str, int],
        folders: list[str],
    ) -> None:
        for name, inode in names.get(folder, {}).items():
            path = prefix + name
            if inode in self._now or inode in self._content:
                files[path] = inode
            else:
                folders.append(path)
                self._walk(inode, path + "/", names, files, folders)

    def _look(self) -> None:
        self._now, self._now_names = {}, {}
        self._look_into(self.root)

    def _look_into(self, folder: Path) -> None:
        entries: dict[str, int] = {}
        self._now_names[folder.stat().st_ino] = entries
        for entry in os.scandir(folder):
            inode = entry.inode()
            entries[entry.name] = inode
            if inode not in self._held:
                self._held[inode] = os.open(entry.path, os.O_RDONLY | os.O_NOFOLLOW)
            if entry.is_dir(follow_symlinks=False):
                self._look_into(Path(entry.path))
            else:
                self._now[inode] = Path(entry.path).read_bytes()


def _subsets(
    pending: list[tuple[int, str, int | None]],
) -> Iterator[tuple[tuple[int, str, int | None], ...]]:
    if len(pending) <= _MOST_TOGETHER:
        for size in range(len(pending) + 1):
            yield from itertools.combinations(pending, size)
        return
    yield ()
    yield tuple(pending)
    for one in pending:
        yield (one,)
        yield tuple(other for other in pending if other is not one)


def write_image(image: Image, root: Path) -> None:
    """Makes a disk image a folder again."""
    root.mkdir(parents=True)
    for path, content in sorted(image.items()):
        if content is None:
            (root / path).mkdir(parents=True, exist_ok=True)
        else:
            (root / path).parent.mkdir(parents=True, exist_ok=True)
            (root / path).write_bytes(content)


def key_of(image: Image) -> str:
    """The same for equal images."""
    digest = hashlib.sha256()
    for path, content in sorted(image.items()):
        digest.update(f"{path}\0{content is None}\0{len(content or b'')}\0".encode())
        digest.update(content or b"")
    return digest.hexdigest()


@contextmanager
def watched(disk: Disk, at_cut: Callable[[], None], patch: pytest.MonkeyPatch) -> Iterator[None]:
    """Calls `at_cut` before every fsync inside, and lets the disk know what the fsync has done."""
    sync, inside = os.fsync, [False]

    def fsync(descriptor: int) -> None:
        # Whoever looks at the board at a cut may sync as well.
        if not inside[0]:
            inside[0] = True
            at_cut()
            inside[0] = False
        sync(descriptor)
        disk.synced(descriptor)

    with patch.context() as context:
        context.setattr(os, "fsync", fsync)
        yield
