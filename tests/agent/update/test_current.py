"""Which slot `listen` runs: the one on record, or the best one that can be loaded instead."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from agent.bundle.manifest import Bundle, write_manifest
from agent.errors import BundleFileError
from agent.update.current import Current, current_slot
from agent.update.journal import FACTORY, Journal
from agent.update.starts import MOST_CUT_SHORT, MOST_STARTS, Starts
from tests.agent.update.board import Board


@pytest.fixture
def board(tmp_path: Path) -> Board:
    board = Board(tmp_path, probation_s=100)
    for release in (1, 2, 3):
        # `listen` loads manifests strictly, so these bundles have all roles.
        bundle = board.bundle(release)
        for name in ("predictor", "joiner"):
            (bundle / f"{name}.tflite").write_bytes(bytes([release]))
        write_manifest(bundle, name="toy", languages=["en"], release=release, model="none")
    board.publish(2)
    board.check()
    assert board.record().step == "probation"
    return board


def _current(board: Board, *, broken: set[int] | None = None) -> Current[int]:
    def build(bundle: Bundle) -> int:
        if bundle.manifest.release in (broken or ()):
            raise BundleFileError("The encoder is from the moon.")
        return bundle.manifest.release

    return current_slot(
        state=board.state, own_state=board.folder / "own", factory=board.factory, build=build
    )


def test_the_active_slot_is_loaded(board: Board) -> None:
    current = _current(board)
    assert current.load() == 2
    assert current.choice is not None
    assert (current.choice.slot, current.choice.reason, current.named) == ("a", None, ("a", 2))
    assert current.is_current()


def test_the_record_changes_and_the_next_load_follows(board: Board) -> None:
    current = _current(board)
    current.load()
    board.machine().roll_back()
    assert not current.is_current()
    assert current.load() == 1
    assert current.is_current()


def test_a_slot_that_cannot_be_loaded_gives_way_with_a_reason(board: Board) -> None:
    current = _current(board, broken={2})
    assert current.load() == 1
    assert current.choice is not None
    assert current.choice.slot == FACTORY
    assert current.choice.reason == "slot a cannot be loaded: The encoder is from the moon."
    assert current.named == ("a", 2)
    assert not current.is_current()


def test_when_not_even_the_factory_slot_can_be_loaded_the_error_is_the_factorys(
    board: Board,
) -> None:
    with pytest.raises(BundleFileError, match="moon"):
        _current(board, broken={1, 2}).load()


def test_three_starts_that_never_lived_are_enough(board: Board) -> None:
    for _ in range(MOST_STARTS):
        assert _current(board).load() == 2
    current = _current(board)
    assert current.load() == 1
    assert current.choice is not None
    assert current.choice.reason == "release 2 was started 3 times and never lived"


def test_a_start_that_lives_begins_the_count_anew(board: Board) -> None:
    for _ in range(2 * MOST_STARTS):
        current = _current(board)
        assert current.load() == 2
        current.lived()
        current.ended()


def test_crashes_that_come_every_few_minutes_are_enough_as_well(board: Board) -> None:
    for _ in range(MOST_CUT_SHORT):
        current = _current(board)
        assert current.load() == 2
        current.lived()
    current = _current(board)
    assert current.load() == 1
    assert current.choice is not None
    assert current.choice.reason == "release 2 has ended 8 times without a goodbye"


def test_after_the_probation_starts_are_not_counted(board: Board) -> None:
    board.probation_s = 0
    board.check()
    assert board.record().step == "idle"
    for _ in range(3 * MOST_CUT_SHORT):
        assert _current(board).load() == 2


def test_starts_that_cannot_be_counted_do_not_keep_it_from_hearing(board: Board) -> None:
    (board.folder / "own").write_text("a file where a folder belongs")
    current = _current(board)
    assert current.load() == 2
    current.lived()
    current.ended()


def test_the_count_belongs_to_one_bundle(tmp_path: Path) -> None:
    starts = Starts(tmp_path / "starts")
    for _ in range(MOST_STARTS):
        starts.begin("one")
    assert Starts(tmp_path / "starts").problem("one") is not None
    assert starts.problem("two") is None
    starts.begin("two")
    assert starts.problem("one") is None
    for copy in tmp_path.glob("starts.*"):
        copy.write_bytes(b"garbage")
    assert Starts(tmp_path / "starts").problem("two") is None


def test_without_a_record_the_factory_slot_is_run(board: Board) -> None:
    shutil.rmtree(board.state / "update")
    current = _current(board)
    assert current.load() == 1
    assert current.is_current()
    assert Journal(board.state / "update" / "journal").load().active == FACTORY
