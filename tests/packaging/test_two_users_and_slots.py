"""`link` writes the slots and `listen`, another user of the same group, only reads them.

The real machine runs as the one user under the umask of its unit, in a folder with the mode of its
`StateDirectory`; the real choice of a slot is made as the other. Becoming another user takes root.
"""

from __future__ import annotations

import multiprocessing
import os
import shutil
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import pytest

from tests.agent.update.board import Board

pytestmark = pytest.mark.skipif(os.getuid() != 0, reason="becoming other users takes root")

# Numbers suffice: no user of that name has to exist.
_LISTEN, _LINK, _STRANGER = 65501, 65502, 65503
_GROUP, _OTHER_GROUP = 65510, 65511
_FORK = multiprocessing.get_context("fork")


def _as(user: int, group: int, work: Callable[[], bool]) -> bool:
    """What something gives when another user does it; False if it is not allowed."""

    def become() -> None:
        os.setgroups([])
        os.setgid(group)
        os.setuid(user)
        os.umask(0o077)
        try:
            os._exit(0 if work() else 1)
        except OSError:
            os._exit(1)

    process = _FORK.Process(target=become)
    process.start()
    process.join(60)
    return process.exitcode == 0


def _readable(path: Path) -> bool:
    return bool(path.read_bytes())


@pytest.fixture
def board() -> Iterator[Board]:
    folder = Path("/run") / f"voice-agent-slots-{os.getpid()}"
    folder.mkdir(mode=0o755)
    board = Board(folder)
    board.publish(2)
    board.state.chmod(0o750)
    os.chown(board.state, _LINK, _GROUP)
    yield board
    shutil.rmtree(folder)


def test_link_writes_and_listen_reads(board: Board) -> None:
    def update() -> bool:
        record = board.check()
        return record.active == "a" and board.running() == ("a", 2)

    assert _as(_LINK, _GROUP, update)
    assert _as(_LISTEN, _GROUP, lambda: board.running() == ("a", 2))
    # A stranger sees no record, and so the bundle that ships.
    assert _as(_STRANGER, _OTHER_GROUP, lambda: board.running() == ("factory", 1))


@pytest.mark.parametrize(
    "path", ["slots/a/tokens.txt", "slots/a/new", "update/journal.0", "update/new"]
)
def test_listen_cannot_write_any_of_it(board: Board, path: str) -> None:
    assert _as(_LINK, _GROUP, lambda: board.check().active == "a")
    assert not _as(_LISTEN, _GROUP, lambda: (board.state / path).write_text("evil") > 0)
    assert _as(_LISTEN, _GROUP, lambda: board.running() == ("a", 2))


def test_what_is_only_for_link_is_only_for_link(board: Board) -> None:
    assert _as(_LINK, _GROUP, lambda: board.check().active == "a")
    floors = sorted((board.state / "update").glob("floor.*"))
    assert floors
    for floor in floors:
        assert not _as(_LISTEN, _GROUP, partial(_readable, floor))
