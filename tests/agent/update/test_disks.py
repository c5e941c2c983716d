"""Disks that are full, read-only, or end a write in the middle: as the kernel gives them.

Whatever they do, the board runs what it ran, nobody blames the release, and once there is room the
update goes on by itself.
"""

from __future__ import annotations

import os
import resource
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from agent.errors import SlotError
from agent.update import staging
from agent.update.journal import FACTORY
from tests.agent.update.board import Board


class SmallDisk:
    """A file system of its own below a folder.

    Args:
        folder: Where it is mounted.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        done = subprocess.run(
            ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(folder)],
            capture_output=True,
            check=False,
        )
        if done.returncode:
            pytest.skip(f"no file system can be mounted here: {done.stderr.decode().strip()}")

    def remount(self, options: str) -> None:
        subprocess.run(["mount", "-o", f"remount,{options}", str(self.folder)], check=True)

    def fill(self, leave: int) -> Path:
        """Takes all space but so many bytes."""
        path = self.folder / "somebody-elses"
        status = os.statvfs(self.folder)
        path.write_bytes(bytes(max(status.f_bavail * status.f_frsize - leave, 0)))
        return path

    def close(self) -> None:
        subprocess.run(["umount", str(self.folder)], check=True)


@pytest.fixture
def board(tmp_path: Path) -> Board:
    return Board(tmp_path)


@pytest.fixture
def disk(board: Board) -> Iterator[SmallDisk]:
    disk = SmallDisk(board.state)
    yield disk
    disk.close()


def _release_of(board: Board) -> int:
    slot, release = board.running()
    assert board.slots().digest(slot) == board.digest(board.bundle(release))
    return release


def test_full_disk_is_noticed_before_anything_is_written(board: Board, disk: SmallDisk) -> None:
    board.publish(2)
    filler = disk.fill(leave=200_000)
    record = board.check()
    assert record.failure is not None
    assert (record.failure.step, record.failure.error) == ("stage", "SlotError")
    assert "make room on the disk" in record.failure.message
    assert (record.refused, record.active, _release_of(board)) == ((), FACTORY, 1)
    filler.unlink()
    disk.remount("size=8m")
    board.check()
    assert _release_of(board) == 2


@pytest.mark.parametrize("base", [None, 1], ids=["full image", "diff"])
def test_full_disk_in_the_middle_of_applying(
    board: Board, disk: SmallDisk, monkeypatch: pytest.MonkeyPatch, base: int | None
) -> None:
    monkeypatch.setattr(staging, "need_space", lambda *_: None)
    board.publish(2, base=base)
    board.check()  # makes the record and its folder; then there is room for little more
    board.machine().roll_back()
    shutil.rmtree(board.state / "slots")
    offer = board.publish(3, base=base)
    board.source.offers = [offer]
    filler = disk.fill(leave=offer.length + 12 * 1024)
    record = board.check()
    assert record.failure is not None
    assert record.failure.step == "apply"
    assert 3 not in [refused.release for refused in record.refused]
    assert _release_of(board) == 1
    filler.unlink()
    board.check()
    assert _release_of(board) == 3


def test_full_disk_while_receiving(board: Board, disk: SmallDisk) -> None:
    disk.remount("size=8m")
    board.publish(2)
    board.check()
    offer = board.publish(3)
    assert offer.length > 16 * 1024
    filler = disk.fill(leave=8 * 1024)
    record = board.check()
    assert (record.step, record.refused) == ("receive", ())
    assert record.trouble.startswith("OSError")
    assert _release_of(board) == 2
    filler.unlink()
    board.check()
    assert _release_of(board) == 3


def test_not_a_byte_left(board: Board, disk: SmallDisk) -> None:
    """The record needs no new space, so even now what happens is on record."""
    disk.remount("size=8m")
    board.publish(2)
    board.check()
    disk.fill(leave=0)
    board.machine().roll_back()
    assert (_release_of(board), board.record().refuses(2, "any")) == (1, True)


def test_read_only_disk(board: Board, disk: SmallDisk) -> None:
    disk.remount("size=8m")
    board.publish(2)
    board.check()
    board.publish(3)
    disk.remount("ro")
    try:
        with pytest.raises(SlotError, match="the board stays as it is"):
            board.check()
        assert _release_of(board) == 2
    finally:
        disk.remount("rw")
    board.check()
    assert _release_of(board) == 3


def test_short_write(board: Board) -> None:
    """A limit of the kernel ends the largest file in the middle: as if the disk gave up there."""
    board.publish(2, base=1)
    pid = os.fork()
    if pid == 0:
        resource.setrlimit(resource.RLIMIT_FSIZE, (9000, 9000))
        board.check()
        os._exit(0)
    assert os.waitpid(pid, 0)[1] == 0
    record = board.record()
    assert record.failure is not None
    assert record.failure.step == "apply"
    assert (record.refused, _release_of(board)) == ((), 1)
    board.check()
    assert _release_of(board) == 2


def test_the_slots_are_a_file_or_a_link_that_somebody_left(board: Board, tmp_path: Path) -> None:
    """Whatever lies where a slot belongs is replaced, and nothing behind a link is touched."""
    precious = tmp_path / "precious"
    precious.mkdir()
    (precious / "letter").write_text("dear")
    (board.state / "slots").mkdir()
    (board.state / "slots" / "a").symlink_to(precious)
    board.publish(2)
    board.check()
    assert _release_of(board) == 2
    assert (precious / "letter").read_text() == "dear"
    assert not (board.state / "slots" / "a").is_symlink()
