"""A model checker for power cuts: every cut, every image that it may leave, over the real code.

A whole update runs once, from the first byte to the raised floor. At each of its fsyncs the power
may go, and `power_cuts.Disk` tells what may be on the disk then. From every such image the real
code starts again. It must

* run a whole release, to the last bit, at once and without anybody's help;
* have lost nothing that was on record before the cut, neither of the record nor of the floor;
* get to the new release by itself.

The checker is checked as well: three ways of being careless are put in on purpose, and found.
"""

from __future__ import annotations

import os
import shutil
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest

from agent.update import record as record_module
from agent.update import staging
from agent.update.floor import Floor
from agent.update.journal import Journal, Record
from agent.update.record import PingPongRecord
from agent.update.storage import sync
from tests.agent.update.board import Board
from tests.agent.update.power_cuts import Disk, Image, key_of, watched, write_image


class Told:
    """What the code has been told is on the disk: what must be there after a cut.

    Args:
        board: The one that is watched, and no other.
        patch: For watching.
    """

    def __init__(self, board: Board, patch: pytest.MonkeyPatch) -> None:
        self.sequence = 0
        self.floor = 0
        store, raise_release = Journal.store, Floor.raise_release
        folder = board.state

        def stored(journal: Journal, record: Record) -> None:
            store(journal, record)
            if journal.files[0].is_relative_to(folder):
                self.sequence = _sequence(board)

        def raised(floor: Floor, release: int) -> None:
            raise_release(floor, release)
            if floor._record.copies[0].is_relative_to(folder):
                self.floor = release

        patch.setattr(Journal, "store", stored)
        patch.setattr(Floor, "raise_release", raised)


class Checker:
    """Runs something once, and then everything that a power cut may have made of it.

    Args:
        folder: For images.
        board: The board before.
        patch: For watching.
    """

    def __init__(self, folder: Path, board: Board, patch: pytest.MonkeyPatch) -> None:
        self._folder = folder / "images"
        self._folder.mkdir()
        self._board = board
        self._patch = patch
        self._told = Told(board, patch)
        self._seen: dict[str, tuple[int, int]] = {}
        self._images: dict[str, Image] = {}
        self.cuts = 0
        self.faults: Counter[str] = Counter()

    def run(self, work: Callable[[Board], None]) -> None:
        """Does the work, and collects the images."""
        disk = Disk(self._board.state)
        try:
            with watched(disk, lambda: self._cut(disk), self._patch):
                work(self._board)
            self._cut(disk)
        finally:
            disk.close()

    @property
    def images(self) -> int:
        """How many different ones."""
        return len(self._images)

    def check(
        self, after: Callable[[Board], None], *, expected: int, until: str | None = None
    ) -> None:
        """Starts again from every image.

        Args:
            after: What the board does then.
            expected: The release that it must get to.
            until: The fault that is enough.
        """
        for number, (key, image) in enumerate(self._images.items()):
            place = self._folder / str(number)
            place.mkdir()
            write_image(image, place / "state")
            board = self._board.elsewhere(place)
            fault = self._fault(board, self._seen[key], after, expected)
            if fault:
                self.faults[fault] += 1
            shutil.rmtree(place)
            if fault and fault == until:
                return

    def _fault(
        self, board: Board, before: tuple[int, int], after: Callable[[Board], None], expected: int
    ) -> str | None:
        sequence, floor = before
        if _sequence(board) < sequence:
            return "the record was lost"
        if board.floor().release < floor:
            return "the floor was lost"
        slot, release = board.running()
        if board.slots().digest(slot) != board.digest(board.bundle(release)):
            return "what runs is not what was published"
        named = board.record().active
        if slot != named:
            return "the slot on record is damaged"
        try:
            after(board)
        except Exception as error:
            return f"it cannot go on: {type(error).__name__}"
        if board.running()[1] != expected:
            return f"it stays on release {board.running()[1]}"
        return None

    def _cut(self, disk: Disk) -> None:
        self.cuts += 1
        for image in disk.images():
            key = key_of(image)
            known = self._seen.get(key, (0, 0))
            told = self._told
            self._seen[key] = (max(told.sequence, known[0]), max(told.floor, known[1]))
            self._images[key] = image


def _sequence(board: Board) -> int:
    record = PingPongRecord(board.state / "update" / "journal")
    return max((sequence for sequence, _, _ in record._whole()), default=0)


@pytest.fixture
def board(tmp_path: Path) -> Board:
    return Board(tmp_path)


def _update(board: Board) -> None:
    for _ in range(3):
        board.check()


def _checked(
    tmp_path: Path, board: Board, patch: pytest.MonkeyPatch, until: str | None = None
) -> Checker:
    checker = Checker(tmp_path, board, patch)
    checker.run(_update)
    patch.setattr("os.fsync", lambda _: None)
    checker.check(_update, expected=board.running()[1], until=until)
    return checker


@pytest.mark.parametrize("base", [None, 2], ids=["full image", "diff"])
def test_no_power_cut_hurts(
    board: Board, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, base: int | None
) -> None:
    board.publish(2)
    _update(board)
    board.publish(3, base=base)
    checker = _checked(tmp_path, board, monkeypatch)
    assert board.running() == ("b", 3)
    assert checker.faults == {}
    assert checker.cuts > 30
    assert checker.images > 100


def test_no_power_cut_in_a_roll_back_hurts(
    board: Board, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for release in (2, 3):
        board.publish(release)
        _update(board)
    checker = Checker(tmp_path, board, monkeypatch)
    checker.run(lambda b: b.machine().roll_back())
    monkeypatch.setattr("os.fsync", lambda _: None)

    def once_more(board: Board) -> None:
        if board.running()[1] == 3:
            board.machine().roll_back()
        _update(board)

    checker.check(once_more, expected=2)
    assert checker.faults == {}
    assert checker.images > 1


def test_a_release_that_fails_is_still_refused_after_any_power_cut(
    board: Board, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    board.publish(2)
    board.worse.add(2)
    checker = _checked(tmp_path, board, monkeypatch)
    assert board.record().refuses(2, "however")
    assert checker.faults == {}


class TestTheCheckerFinds:
    """A checker that finds nothing proves nothing, unless there is something to find."""

    @pytest.fixture(autouse=True)
    def release(self, board: Board) -> None:
        board.publish(2)

    def test_a_record_that_is_written_in_place(
        self, board: Board, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        whole = PingPongRecord._whole

        def only_the_first(record: PingPongRecord) -> list[tuple[int, int, bytes]]:
            return [(sequence, 1, payload) for sequence, index, payload in whole(record)]

        monkeypatch.setattr(PingPongRecord, "_whole", only_the_first)
        monkeypatch.setattr(PingPongRecord, "load", lambda record: _newest(whole(record)))
        fault = "the record was lost"
        assert _checked(tmp_path, board, monkeypatch, fault).faults[fault] > 0

    def test_a_record_that_is_not_synced(
        self, board: Board, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """`os` without an fsync, for the record alone."""

        class Careless:
            def __getattr__(self, name: str) -> object:
                return (lambda _: None) if name == "fsync" else getattr(os, name)

        monkeypatch.setattr(record_module, "os", Careless())
        fault = "the record was lost"
        assert _checked(tmp_path, board, monkeypatch, fault).faults[fault] > 0

    def test_a_slot_that_is_not_synced(
        self, board: Board, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def forgets_the_largest(folder: Path) -> None:
            for path in folder.rglob("*"):
                if path.name != "encoder_slow.tflite":
                    sync(path)
            sync(folder)
            sync(folder.parent)

        monkeypatch.setattr(staging, "sync_tree", forgets_the_largest)
        fault = "the slot on record is damaged"
        assert _checked(tmp_path, board, monkeypatch, fault).faults[fault] > 0


def _newest(copies: list[tuple[int, int, bytes]]) -> bytes | None:
    return max(copies)[2] if copies else None
