"""Attacks of somebody who owns the broker and has no key: old or foreign things, or nothing."""

from __future__ import annotations

import datetime as dt

import pytest

from agent.errors import (
    AbsentError,
    ExpiredError,
    RollbackError,
    SignatureError,
    TamperedError,
    UnreachableError,
)
from tests.system.updates.world import BEGINNING, DAY, Operator, World


def test_arbitrary_install(world: World) -> None:
    """A whole repository, newer than ours, signed by somebody else."""
    world.operator.publish(1)
    board = world.board()
    assert board.releases() == [1]
    stranger = Operator(world.folder / "stranger", world.config)
    for number in range(2, 6):
        stranger.add(number)
    stranger.push()
    with pytest.raises(SignatureError):
        board.check()
    # Also with new root metadata: they are not signed by the keys of the old.
    stranger.replace_key("timestamp")
    stranger.push()
    with pytest.raises(SignatureError):
        board.check()
    world.operator.push()
    assert board.releases() == [1]


def test_rollback_by_replay(world: World) -> None:
    world.operator.publish(1)
    old = world.operator.metadata()
    world.operator.publish(2)
    board = world.board()
    assert board.releases() == [2, 1]
    world.overwrite({"timestamp.json": old["timestamp.json"]})
    with pytest.raises(RollbackError):
        board.check()


def test_rollback_after_torn_state(world: World) -> None:
    """A power cut took all metadata; the broker replays what was genuine an hour ago."""
    world.operator.publish(1)
    old = world.operator.metadata()
    world.operator.now += dt.timedelta(hours=1)
    world.operator.publish(2)
    board = world.board()
    assert board.releases() == [2, 1]
    board.lose_metadata()
    world.overwrite(old)
    with pytest.raises(RollbackError, match="3600 s before"):
        board.check()
    # The attack is real: who has no floor record believes it.
    assert world.board().releases() == [1]
    world.operator.push()
    assert board.releases() == [2, 1]


@pytest.mark.parametrize(
    "torn", [("timestamp.json",), ("timestamp.json", "snapshot.json")], ids="+".join
)
def test_rollback_after_torn_metadata(world: World, torn: tuple[str, ...]) -> None:
    world.operator.publish(1)
    old = world.operator.metadata()
    world.operator.now += dt.timedelta(hours=1)
    world.operator.publish(2)
    board = world.board()
    board.check()
    board.lose_metadata(*torn)
    world.overwrite({"timestamp.json": old["timestamp.json"]})
    with pytest.raises(RollbackError):
        board.check()


@pytest.mark.parametrize("torn", [0, 1])
def test_rollback_after_torn_state_and_one_torn_copy_of_the_floor(world: World, torn: int) -> None:
    world.operator.publish(1)
    old = world.operator.metadata()
    world.operator.now += dt.timedelta(hours=1)
    world.operator.publish(2)
    board = world.board()
    board.check()
    board.floor().raise_release(2)
    # Whichever copy tears, the other one still knows release 2 or the time.
    (board.folder / f"floor.{torn}").write_bytes(b"torn")
    board.lose_metadata()
    world.overwrite(old)
    with pytest.raises(RollbackError):
        board.check()


def test_rollback_on_a_factory_fresh_board(world: World) -> None:
    """Nothing was ever received: what the package brought is the floor."""
    world.operator.publish(1)
    fresh = world.board(factory_release=2)
    with pytest.raises(RollbackError, match="floor is 2"):
        fresh.check()
    world.operator.publish(2)
    assert fresh.releases() == [2]


def test_freeze(world: World) -> None:
    world.operator.publish(1)
    board = world.board()
    assert board.releases() == [1]
    world.operator.now += 3 * DAY
    with pytest.raises(ExpiredError):
        board.check()
    world.operator.stamp()
    assert board.releases() == [1]


def test_freeze_of_a_board_that_was_never_online(world: World) -> None:
    """Its clock says 1970; it knows at least when its package was built."""
    world.operator.publish(1)
    epoch = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)
    board = world.board(now=lambda: epoch, built=BEGINNING + 5 * DAY)
    with pytest.raises(ExpiredError):
        board.check()


def test_clock_set_back(world: World) -> None:
    """The network's time and the broker conspire: last week again, as if nothing had happened."""
    world.operator.publish(1)
    last_week = world.operator.metadata()
    world.operator.publish(2)
    world.operator.stamp(after=10 * DAY)
    clock = [world.operator.now]
    board = world.board(now=lambda: clock[0])
    assert board.releases() == [2, 1]
    clock[0] -= 10 * DAY
    # Nothing new happens: the newest that was signed is still good.
    assert board.releases() == [2, 1]
    board.lose_metadata()
    world.overwrite(last_week)
    # Not by this clock, but by the last time that was signed.
    with pytest.raises(ExpiredError):
        board.check()
    without_memory = world.board(now=lambda: clock[0])
    assert without_memory.releases() == [1], "the attack is real"


def test_clock_set_back_does_not_make_expired_metadata_good(world: World) -> None:
    world.operator.publish(1)
    early = world.operator.metadata()
    world.operator.stamp(after=10 * DAY)
    clock = [world.operator.now]
    board = world.board(now=lambda: clock[0])
    board.check()
    # New keys for timestamps: what the old ones said about time is forgotten, but not what the
    # root's keys say, and that is enough.
    world.operator.replace_key("timestamp", "snapshot")
    world.operator.push()
    board.check()
    clock[0] -= 10 * DAY
    board.lose_metadata()
    kept = world.operator.metadata()
    world.overwrite(early | {name: kept[name] for name in kept if name.endswith("root.json")})
    with pytest.raises(SignatureError):
        board.check()


def test_mix_and_match(world: World) -> None:
    """Old targets under the name of the new ones, everything else genuine."""
    world.operator.publish(1)
    old = world.operator.metadata()
    world.operator.publish(2)
    role = world.role()
    world.overwrite({f"2.{role}.json": old[f"1.{role}.json"]})
    with pytest.raises(TamperedError):
        world.board().check()


def test_downgrade_to_an_older_valid_release(world: World) -> None:
    """Both are on offer and genuine; what is below the floor is none of this board's business."""
    world.operator.publish(1)
    world.operator.publish(2)
    board = world.board()
    assert board.releases() == [2, 1]
    board.floor().raise_release(2)
    assert board.releases() == [2]


@pytest.mark.parametrize(
    "what", ["timestamp.json", "2.snapshot.json", "2.targets.json", "1.toy-any.json"]
)
def test_broker_withholds_a_file(world: World, what: str) -> None:
    world.operator.publish(1)
    assert what in world.operator.metadata()
    world.overwrite({what: b""})
    with pytest.raises(AbsentError):
        world.board().check()
    world.operator.push()
    assert world.board().releases() == [1]


def test_broker_withholds_everything(world: World) -> None:
    world.operator.publish(1)
    board = world.board()
    board.check()
    world.blank()
    board.timeout_s = 0.5
    with pytest.raises(AbsentError):
        board.check()
    board.timeout_s = 5.0
    world.broker.kill()
    with pytest.raises(UnreachableError):
        board.check()
    world.broker.start()
    world.operator.push()
    assert board.releases() == [1]


def test_broker_withholds_a_new_list_of_keys(world: World) -> None:
    """The board goes on with the old keys, and those sign nothing any more."""
    world.operator.publish(1)
    board = world.board()
    board.check()
    world.operator.replace_key("timestamp", "snapshot")
    world.operator.push()
    world.overwrite({"2.root.json": b""})
    with pytest.raises(SignatureError):
        board.check()
    world.operator.push()
    assert board.releases() == [1]


def test_a_board_that_lost_everything_does_not_take_revoked_keys_again(world: World) -> None:
    world.operator.publish(1)
    before = world.operator.metadata()
    world.operator.replace_key("timestamp", "snapshot")
    world.operator.push()
    board = world.board()
    board.check()
    board.lose_metadata()
    board.timeout_s = 0.5
    world.blank()
    with_old_keys = before | {"timestamp.json": before["timestamp.json"]}
    world.overwrite(with_old_keys)
    with pytest.raises(RollbackError, match=r"version 1 .* seen 2"):
        board.check()


def test_expired_metadata_are_said_and_nothing_else_happens(world: World) -> None:
    world.operator.publish(1)
    board = world.board()
    content = board.install(1)
    world.operator.now += 400 * DAY
    with pytest.raises(ExpiredError):
        board.check()
    (part,) = board.downloads.iterdir()
    assert part.read_bytes() == content
