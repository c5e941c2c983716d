"""The state machine where things are broken that normally are not."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest

from agent.update import machine as machine_module
from agent.update.journal import FACTORY, Journal
from agent.update.storage import empty_folder
from tests.agent.update.board import Board, holds


@pytest.fixture
def board(tmp_path: Path) -> Board:
    return Board(tmp_path)


def test_an_operator_rolls_back_while_a_release_is_on_its_way(board):
    board.publish(2)
    board.check()
    board.publish(3)
    board.source.parts_left = 1
    assert board.check().step == "receive"
    board.machine().roll_back()
    assert (board.record().step, board.running()) == ("idle", (FACTORY, 1))
    assert board.record().refuses(2, "any")
    assert not board.record().refuses(3, "any")


def test_a_floor_that_cannot_be_raised_is_told_and_tried_again(board):
    board.publish(2)
    (board.state / "update").mkdir()
    for copy in ("floor.0", "floor.1"):
        (board.state / "update" / copy).mkdir()
    record = board.check()
    assert (record.step, record.trouble) == (
        "probation",
        "The floor cannot be raised (Is a directory).",
    )
    holds(2, "a", board)
    for copy in ("floor.0", "floor.1"):
        (board.state / "update" / copy).rmdir()
    assert (board.check().step, board.floor().release) == ("idle", 2)


def test_a_release_on_record_that_a_newer_agent_wrote_is_given_up(board):
    board.publish(2)
    board.source.parts_left = 1
    board.check()
    journal = Journal(board.state / "update" / "journal")
    journal.store(dataclasses.replace(board.record(), step="stage", candidate={"release": "two"}))
    board.source.parts_left = None
    record = board.check()
    assert record.step == "idle"
    holds(2, "a", board)


def test_a_base_that_cannot_be_read_leaves_the_full_image(board):
    full = board.publish(2)
    board.publish(2, base=1)
    (board.factory / "tokens.txt").unlink()
    (board.factory / "tokens.txt").symlink_to("nothing")
    board.check()
    assert board.source.received == full.length
    assert board.record().a is not None


def test_what_was_received_and_cannot_be_removed_stops_nothing(board, monkeypatch):
    board.publish(2)

    def refuses(path: Path) -> None:
        if path.name == "download":
            raise OSError(30, "Read-only file system")
        empty_folder(path)

    monkeypatch.setattr(machine_module, "empty_folder", refuses)
    board.check()
    holds(2, "a", board)


def test_a_factory_bundle_without_a_manifest_is_release_0(board):
    (board.factory / "manifest.json").write_text("{")
    assert board.slots().factory_release() == 0
    assert board.slots().factory_name() == ""
    choice = board.slots().choose(board.record(), avoid={FACTORY: "it is broken"})
    assert (choice.slot, choice.reason) == (FACTORY, "it is broken")
