"""The edges of the trust layer: disks that refuse, files that vanish, what is signed and odd."""

from __future__ import annotations

import copy
import dataclasses
import datetime as dt

import pytest

from agent.errors import AbsentError, MetadataError, UpdateError
from agent.update.https_fetcher import HttpsFetcher
from tests.system.updates.forgery import Thief
from tests.system.updates.world import DAY, World


def test_a_release_that_was_withdrawn_meanwhile(world: World) -> None:
    world.operator.publish(1)
    board = world.board()
    (release,) = board.check()
    with board.trust() as trust:
        with pytest.raises(MetadataError, match="not on offer any more"):
            trust.open_target(release, board.downloads)
        trust.refresh()
        trust.open_target(release, board.downloads).close()


def test_a_download_that_is_complete_is_not_received_again(world: World) -> None:
    world.operator.publish(1)
    board = world.board()
    content = board.install(1)
    (release,) = board.check()
    for index in range(-(-release.length // release.chunk)):
        world.overwrite_chunk(release, index, b"")
    assert board.install(1) == content


def test_what_lies_where_a_download_goes_is_removed_or_named(world: World) -> None:
    world.operator.publish(1)
    board = world.board()
    board.downloads.mkdir(parents=True)
    (board.downloads / "older.part").write_bytes(b"x" * 100)
    board.install(1)
    assert not (board.downloads / "older.part").exists()
    (part,) = board.downloads.iterdir()
    part.unlink()
    board.downloads.rmdir()
    board.downloads.write_text("a file where a folder belongs")
    with pytest.raises(UpdateError, match="free some space"):
        board.install(1)


def test_metadata_that_cannot_be_stored(world: World) -> None:
    world.operator.publish(1)
    board = world.board()
    board.folder.mkdir()
    board.metadata.write_text("a file where a folder belongs")
    with pytest.raises(UpdateError, match="metadata cannot be stored"):
        board.check()


def test_a_mirror_that_this_board_may_not_use(world: World) -> None:
    world.operator.publish(1, mirror="https://127.0.0.1:9/models/")
    board = world.board()
    with pytest.raises(AbsentError, match="may not use mirrors"):
        board.install(1)
    with board.trust() as trust:
        trust._https = HttpsFetcher(timeout_s=1.0)
        (release,) = trust.refresh()
        with pytest.raises(UpdateError, match="cannot be reached"):
            trust.open_target(release, board.downloads)


def test_a_mirror_that_ends_early(world: World) -> None:
    """What it has sent is kept; the next check goes on from there."""
    world.operator.publish(1, mirror="https://mirror.example/")
    board = world.board()

    class Short(HttpsFetcher):
        def chunks(self, release, start):
            yield bytes(600 * 1024)[: release.length - 1]

    with board.trust() as trust:
        trust._https = Short()
        (release,) = trust.refresh()
        with pytest.raises(UpdateError, match="goes on from there"):
            trust.open_target(release, board.downloads)
    (part,) = board.downloads.iterdir()
    assert part.stat().st_size == release.length - 1


def test_no_role_for_this_machine(world: World) -> None:
    world.operator.push()
    assert world.board().releases() == []
    world.operator.publish(1, hardware="rpi4")
    assert world.board().releases() == []
    with pytest.raises(MetadataError, match="cannot name a machine"):
        world.board(hardware="Pi 4").check()


@pytest.mark.parametrize(
    ("field", "message"),
    [
        ("yesterday", "does not say when it was issued"),
        (True, "does not say when it was issued"),
        (-1, "does not say when it was issued"),
        (1 << 50, "does not say when it was issued"),
        ("late", "issued after it expires"),
    ],
)
def test_a_timestamp_that_does_not_say_when_it_was_issued(
    world: World, field: object, message: str
) -> None:
    world.operator.publish(1)
    thief = Thief(world.operator, "timestamp")
    forged = thief.copy_of("timestamp")
    forged.signed.version += 1
    late = int((forged.signed.expires + DAY).replace(tzinfo=dt.UTC).timestamp())
    forged.signed.unrecognized_fields["issued"] = late if field == "late" else field
    world.overwrite({"timestamp.json": thief.sign("timestamp", forged)})
    board = world.board()
    with pytest.raises(MetadataError, match=message):
        board.check()
    assert board.floor().root == 0


def test_a_role_with_more_targets_than_any_board_needs(world: World) -> None:
    world.operator.publish(1)
    role = world.role()
    thief = Thief(world.operator, role, "snapshot", "timestamp")
    forged = thief.copy_of(role)
    target = next(iter(forged.signed.targets.values()))
    for number in range(300):
        other = copy.deepcopy(target)
        other.path = f"toy/any/{number}"
        other.unrecognized_fields = {}
        forged.signed.targets[other.path] = other
    world.overwrite(thief.chain(role, forged))
    with pytest.raises(MetadataError, match="more than 256 targets"):
        world.board().check()


def test_a_board_keeps_its_metadata_between_two_checks(world: World) -> None:
    world.operator.publish(1)
    board = world.board()
    board.check()
    before = {path.name: path.read_bytes() for path in board.metadata.rglob("*.json")}
    assert {"timestamp.json", "snapshot.json", "targets.json"} <= set(before)
    again = dataclasses.replace(board.check()[0])
    assert again.release == 1
    assert not list(board.metadata.rglob("*.new"))
