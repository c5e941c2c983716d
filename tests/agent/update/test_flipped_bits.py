"""A bit that flips at rest, in a slot or in the record: it shows, and what is whole takes over."""

from __future__ import annotations

from pathlib import Path

import pytest

from agent.errors import UnreachableError
from agent.update.journal import FACTORY, Journal
from tests.agent.update.board import Board, flip, holds


@pytest.fixture
def board(tmp_path: Path) -> Board:
    board = Board(tmp_path)
    for release in (2, 3):
        board.publish(release)
        board.check()
    assert board.running() == ("b", 3)
    return board


def test_in_the_active_slot_the_one_before_takes_its_place(board):
    flip(board.state / "slots" / "b" / "encoder_slow.tflite")
    choice = board.slots().choose(board.record())
    assert (choice.slot, choice.release) == ("a", 2)
    assert choice.reason == "slot b does not hold release 3 as it was committed"
    # And then the release is installed again, because nobody blames it.
    record = board.check()
    assert record.refused == ()
    holds(3, "b", board)


def test_it_is_put_on_record_when_the_network_is_away(board):
    flip(board.state / "slots" / "b" / "selftest" / "clip.txt")
    board.source.trouble = UnreachableError("Nobody answers.")
    record = board.check()
    assert (record.active, record.b) == ("a", None)
    assert record.failure is not None
    assert "slot a takes its place" in record.failure.message
    holds(2, "a", board)


def test_in_both_slots_the_factory_slot_takes_their_place(board):
    for slot in "ab":
        flip(board.state / "slots" / slot / "encoder_slow.tflite")
    assert board.running() == (FACTORY, 1)
    board.source.offers.clear()
    board.check()
    assert board.record().active == FACTORY


@pytest.mark.parametrize("change", ["added", "missing", "shorter", "no folder"])
def test_other_damage_shows_as_well(board, change):
    folder = board.state / "slots" / "b"
    if change == "added":
        (folder / "more.txt").write_text("")
    elif change == "missing":
        (folder / "tokens.txt").unlink()
    elif change == "shorter":
        (folder / "tokens.txt").write_text("")
    else:
        folder.rename(folder.with_name("c"))
    assert board.running() == ("a", 2)


def test_in_the_other_slot_nothing_happens(board):
    flip(board.state / "slots" / "a" / "encoder_slow.tflite")
    assert board.check().failure is None
    holds(3, "b", board)


def test_in_the_record_itself_the_other_copy_holds(board):
    journal = Journal(board.state / "update" / "journal")
    newest = max(journal.files, key=lambda path: path.stat().st_mtime_ns)
    _flip_payload(newest)
    assert board.running() == ("b", 3)
    board.check()
    holds(3, "b", board)


def _flip_payload(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[40] ^= 1
    path.write_bytes(content)
