"""kill -9 in every step of an update, before and after its work, once and for ever.

The machine is the real one and so is the signal: the updater is a process of its own each time,
made by fork, which is what makes a hundred of them quick. After each death a new one begins with
nothing but what is on the disk. Whatever happens,

* the board runs a whole release all the time;
* killed once, it gets to the new release;
* killed for ever at the same place, it gives up after a few attempts and stays on the old one, and
  a later release is installed as if nothing had happened.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from pathlib import Path

import pytest

from agent.update.journal import FACTORY, Step
from agent.update.machine import MOST_ATTEMPTS, Machine
from tests.agent.update.board import Board

STEPS = (Step.RECEIVE, Step.VERIFY, Step.STAGE, Step.APPLY, Step.TRIAL, Step.COMMIT)
_MOST_STARTS = 2 * MOST_ATTEMPTS + 2


def _die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def _killed(board: Board, spoil: Callable[[Machine], None]) -> bool:
    """Runs the updater in a process; True if it was killed."""
    pid = os.fork()
    if pid == 0:
        status = 1
        try:
            machine = board.machine()
            spoil(machine)
            machine.run()
            status = 0
        finally:
            os._exit(status)
    _, status = os.waitpid(pid, 0)
    assert status in (0, signal.SIGKILL), status
    return status == signal.SIGKILL


def _dies_in(step: Step, *, after: bool) -> Callable[[Machine], None]:
    def spoil(machine: Machine) -> None:
        action = machine._actions[step]

        def dies(release):
            if after:
                action(release)
            _die()

        machine._actions[step] = dies

    return spoil


def _runs_whole(board: Board) -> int:
    """The release that `listen` would run now; it is what was published, to the last bit."""
    choice = board.slots().choose(board.record())
    bundle = board.bundle(choice.release)
    assert board.slots().digest(choice.slot) == board.digest(bundle)
    return choice.release


@pytest.fixture(params=["full image", "diff"])
def board(request: pytest.FixtureRequest, tmp_path: Path) -> Board:
    board = Board(tmp_path)
    board.publish(2, base=1 if request.param == "diff" else None)
    return board


@pytest.mark.parametrize("after", [False, True], ids=["before its work", "after its work"])
@pytest.mark.parametrize("step", STEPS)
def test_killed_once(board: Board, step: Step, after: bool) -> None:
    assert _killed(board, _dies_in(step, after=after))
    committed = step is Step.COMMIT and after
    assert board.record().step == (Step.PROBATION if committed else step)
    assert _runs_whole(board) == (2 if committed else 1)
    assert not _killed(board, lambda _: None)
    assert (_runs_whole(board), board.record().step) == (2, "idle")
    assert board.record().refused == ()
    assert board.floor().release == 2


@pytest.mark.parametrize("after", [False, True], ids=["before its work", "after its work"])
@pytest.mark.parametrize("step", STEPS)
def test_killed_for_ever(board: Board, step: Step, after: bool) -> None:
    starts = 0
    while _killed(board, _dies_in(step, after=after)):
        starts += 1
        assert starts <= _MOST_STARTS, "it goes round for ever"
        assert _runs_whole(board) in ((1, 2) if step is Step.COMMIT and after else (1,))
    record = board.record()
    if step is Step.COMMIT and after:
        # The one write that counts has been made: there is nothing to give up any more.
        assert _runs_whole(board) == 2
    else:
        assert starts >= MOST_ATTEMPTS
        assert (_runs_whole(board), record.step, record.active) == (1, "idle", FACTORY)
        assert record.failure is not None
        assert (record.failure.step, record.failure.release) == (step, 2)
    # What makes one release kill the updater does not keep the next one away.
    board.publish(3)
    assert not _killed(board, lambda _: None)
    assert _runs_whole(board) == 3


def test_killed_between_the_floor_and_the_end_of_the_probation(board: Board) -> None:
    def spoil(machine: Machine) -> None:
        raise_release = machine._floor.raise_release

        def dies(release: int) -> None:
            raise_release(release)
            _die()

        machine._floor.raise_release = dies  # type: ignore[method-assign]

    assert _killed(board, spoil)
    assert (board.record().step, board.floor().release, _runs_whole(board)) == ("probation", 2, 2)
    assert not _killed(board, lambda _: None)
    assert (board.record().step, _runs_whole(board)) == ("idle", 2)


def test_killed_while_it_is_rolled_back(board: Board) -> None:
    board.check()
    assert _runs_whole(board) == 2

    def in_a_process(after: bool) -> None:
        pid = os.fork()
        if pid == 0:
            machine = board.machine()
            store = machine._transaction._journal.store

            def dies(record):
                if after:
                    store(record)
                _die()

            machine._transaction._journal.store = dies  # type: ignore[method-assign]
            machine.roll_back()
            os._exit(0)
        os.waitpid(pid, 0)

    in_a_process(after=False)
    assert _runs_whole(board) == 2
    in_a_process(after=True)
    assert _runs_whole(board) == 1
    assert board.record().refuses(2, "however")


def test_an_interrupted_download_goes_on_after_any_number_of_reboots(board: Board) -> None:
    """Killed at every part that arrives: each time a little later, so it is never given up."""
    (offer,) = board.source.offers
    parts = -(-offer.length // 1024)
    deaths = 0
    while True:
        before = _received(board, offer.sha256)

        def spoil(machine: Machine) -> None:
            board.source.dies_after_parts = 1

        if not _killed(board, spoil):
            break
        deaths += 1
        assert _received(board, offer.sha256) > before
    assert deaths == parts
    assert (_runs_whole(board), board.record().refused) == (2, ())


def _received(board: Board, sha256: str) -> int:
    path = board.state / "update" / "download" / f"{sha256}.part"
    return path.stat().st_size if path.exists() else 0
