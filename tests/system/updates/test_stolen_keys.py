"""Attacks of somebody who owns the broker and has stolen keys, and how the owners recover."""

from __future__ import annotations

import pytest

from agent.errors import ExpiredError, RollbackError, SignatureError
from tests.system.updates.forgery import Thief
from tests.system.updates.world import DAY, World

FAR = 10**9


def test_key_compromise_one_of_two_root_keys(world: World) -> None:
    """A new list of keys, signed with one stolen root key where two are needed."""
    world.operator.publish(1)
    board = world.board()
    board.check()
    thief = Thief(world.operator, "root")
    forged = thief.copy_of("root")
    forged.signed.version += 1
    world.overwrite({"2.root.json": thief.sign("root", forged)})
    with pytest.raises(SignatureError):
        board.check()
    with pytest.raises(SignatureError):
        world.board().check()
    world.overwrite({"2.root.json": b""})
    assert board.releases() == [1]


def test_key_compromise_online_keys_and_one_of_two_targets_keys(world: World) -> None:
    """Everything that lies on a server, and one of the two keys that do not."""
    world.operator.publish(1)
    board = world.board()
    board.check()
    thief = Thief(world.operator, "targets", "snapshot", "timestamp")
    forged = thief.copy_of("targets")
    forged.signed.delegations = None
    world.overwrite(thief.chain("targets", forged))
    with pytest.raises(SignatureError):
        board.check()
    with pytest.raises(SignatureError):
        world.board().check()


def test_key_compromise_online_keys_cannot_add_a_release(world: World) -> None:
    """Snapshot and timestamp alone: a role signed by neither of its keys."""
    world.operator.publish(1)
    board = world.board()
    board.check()
    thief = Thief(world.operator, "snapshot", "timestamp")
    thief._keys[world.role()] = []
    forged = thief.copy_of(world.role())
    world.overwrite(thief.chain(world.role(), forged))
    with pytest.raises(SignatureError):
        board.check()


def test_fast_forward_and_recovery(world: World) -> None:
    """A stolen timestamp key jumps to version 10^9; new keys make the old numbers count again."""
    world.operator.publish(1)
    genuine = world.operator.metadata()
    board = world.board()
    board.check()
    thief = Thief(world.operator, "timestamp")
    world.overwrite({"timestamp.json": thief.new_timestamp(FAR)})
    assert board.releases() == [1], "with the stolen key it looks genuine"
    world.overwrite({"timestamp.json": genuine["timestamp.json"]})
    with pytest.raises(RollbackError):
        board.check()
    # The thief can keep this board from new releases, until the owners replace the keys.
    world.operator.replace_key("timestamp", "snapshot")
    world.operator.publish(2)
    assert board.releases() == [2, 1]
    assert world.board().releases() == [2, 1]
    # And the stolen key is worth nothing any more.
    world.overwrite({"timestamp.json": thief.new_timestamp(2 * FAR)})
    with pytest.raises(SignatureError):
        board.check()


def test_fast_forward_of_time_and_recovery(world: World) -> None:
    """A stolen timestamp key tells a time years ahead, so that everything else looks expired."""
    world.operator.publish(1)
    board = world.board()
    thief = Thief(world.operator, "timestamp")
    forged = thief.copy_of("timestamp")
    forged.signed.version += 1
    forged.signed.expires += 2000 * DAY
    ahead = int((world.operator.now + 1000 * DAY).timestamp())
    forged.signed.unrecognized_fields["issued"] = ahead
    world.overwrite({"timestamp.json": thief.sign("timestamp", forged)})
    with pytest.raises(ExpiredError):
        board.check()
    # Nothing of it is remembered: a check that did not end well moves no floor.
    assert board.floor().time_s(0, keys="", root_issued_s=0) == 0
    world.operator.replace_key("timestamp", "snapshot")
    world.operator.push()
    assert board.releases() == [1]


def test_fast_forward_of_the_snapshot_and_recovery(world: World) -> None:
    world.operator.publish(1)
    board = world.board()
    board.check()
    thief = Thief(world.operator, "snapshot", "timestamp")
    forged = thief.copy_of("snapshot")
    forged.signed.version = FAR
    content = thief.sign("snapshot", forged)
    timestamp = thief.copy_of("timestamp")
    timestamp.signed.version += 1
    timestamp.signed.snapshot_meta.version = FAR
    timestamp.signed.snapshot_meta.length = len(content)
    timestamp.signed.snapshot_meta.hashes = None
    forged_timestamp = thief.sign("timestamp", timestamp)
    world.overwrite({f"{FAR}.snapshot.json": content, "timestamp.json": forged_timestamp})
    assert board.releases() == [1]
    world.overwrite({f"{FAR}.snapshot.json": b""})
    world.operator.stamp()
    world.operator.stamp()
    with pytest.raises(RollbackError):
        board.check()
    world.operator.replace_key("timestamp", "snapshot")
    world.operator.publish(2)
    assert board.releases() == [2, 1]


def test_a_revoked_role_key_signs_nothing_any_more(world: World) -> None:
    """The key of one model's role was stolen and has been replaced."""
    world.operator.publish(1)
    board = world.board()
    board.check()
    role = world.role()
    thief = Thief(world.operator, role, "snapshot", "timestamp")
    world.operator.replace_key(role)
    world.operator.push()
    assert board.releases() == [1]
    forged = thief.copy_of(role)
    world.overwrite(thief.chain(role, forged))
    with pytest.raises(SignatureError):
        board.check()


def test_root_keys_are_rotated_and_boards_of_every_age_follow(world: World) -> None:
    """From the first list of keys to the fourth, also for a board that was in a drawer."""
    world.operator.publish(1)
    board = world.board()
    board.check()
    for _ in range(3):
        world.operator.replace_key("timestamp")
        world.operator.push()
    assert world.operator.metadata().keys() >= {"2.root.json", "3.root.json", "4.root.json"}
    assert board.releases() == [1]
    assert board.floor().root == 4
    assert world.board().releases() == [1]
