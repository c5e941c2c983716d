"""Attacks on what is received: too much, too little, something else, or for somebody else."""

from __future__ import annotations

import copy
import dataclasses
import resource
import socket
from typing import Any

import pytest

from agent.errors import (
    AbsentError,
    AgentTooOldError,
    BelowFloorError,
    EndlessDataError,
    TamperedError,
    UnreachableError,
    WrongBaseError,
    WrongHardwareError,
    WrongModelError,
)
from agent.update.release import LARGEST_CHUNK, Release, check_fit
from tests.agent.mqtt.hostile import HostileBroker, length, publish
from tests.system.updates.forgery import Thief
from tests.system.updates.world import MODEL, Board, World


@pytest.fixture
def board(world: World) -> Board:
    world.operator.publish(1)
    world.operator.publish(2)
    return world.board()


def _newest(board: Board, form: str = "full") -> Release:
    return next(r for r in board.check() if (r.release, r.format) == (2, form))


def _nothing_is_kept(board: Board) -> bool:
    return not board.downloads.exists() or not list(board.downloads.iterdir())


def test_tampered_chunk(world: World, board: Board) -> None:
    """Same length, other bytes: shows when the whole is compared, and nothing of it is kept."""
    release = _newest(board)
    index = (release.length - 1) // release.chunk
    size = release.length - index * release.chunk
    world.overwrite_chunk(release, index, bytes(size))
    with pytest.raises(TamperedError):
        board.install(2)
    assert _nothing_is_kept(board)
    world.operator.push()
    assert len(board.install(2)) == release.length


def test_shortened_chunk(world: World, board: Board) -> None:
    release = _newest(board)
    world.overwrite_chunk(release, 0, b"short")
    with pytest.raises(TamperedError, match="Part 0 of release 2 has 5 bytes"):
        board.install(2)


def test_withheld_chunk(world: World, board: Board) -> None:
    """What came before it stays, and only the rest is asked for when it is back."""
    release = _newest(board)
    last = (release.length - 1) // release.chunk
    assert last > 0
    world.overwrite_chunk(release, last, b"")
    with pytest.raises(AbsentError, match=f"Part {last} of release 2"):
        board.install(2)
    (part,) = board.downloads.iterdir()
    assert part.stat().st_size == last * release.chunk
    world.operator.push()
    for index in range(last):
        world.overwrite_chunk(release, index, b"")
    assert len(board.install(2)) == release.length


def test_endless_data_in_a_target(world: World, board: Board) -> None:
    release = _newest(board)
    last = (release.length - 1) // release.chunk
    world.overwrite_chunk(release, last, bytes(LARGEST_CHUNK))
    world.overwrite_chunk(release, last + 1, bytes(LARGEST_CHUNK))
    with pytest.raises(EndlessDataError):
        board.install(2)
    (part,) = board.downloads.iterdir()
    assert part.stat().st_size <= release.length


@pytest.mark.parametrize("file", ["timestamp.json", "3.snapshot.json", "2.targets.json"])
def test_endless_data_in_metadata(world: World, board: Board, file: str) -> None:
    assert file in world.operator.metadata()
    world.overwrite({file: b"{" * LARGEST_CHUNK})
    with pytest.raises((EndlessDataError, TamperedError)):
        board.check()
    assert sum(path.stat().st_size for path in board.metadata.rglob("*.json")) < 32 * 1024


def test_endless_data_in_a_list_of_keys(world: World, board: Board) -> None:
    board.check()
    world.overwrite({"2.root.json": b"{" * LARGEST_CHUNK})
    with pytest.raises(EndlessDataError):
        board.check()


def _resident_bytes() -> int:
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * resource.getpagesize()


def test_endless_data_below_tuf(world: World, board: Board) -> None:
    """A packet of 200 MiB, before any signature could be looked at."""
    mebibyte = bytes(1 << 20)
    peak = before = _resident_bytes()

    def flood(connection: socket.socket) -> None:
        nonlocal peak
        connection.recv(4096)
        connection.sendall(b"\x30" + length(200 << 20))
        for _ in range(200):
            connection.sendall(mebibyte)
            peak = max(peak, _resident_bytes())

    broker = HostileBroker(flood)
    try:
        board.config = dataclasses.replace(board.config, port=broker.port)
        with pytest.raises(UnreachableError):
            board.check()
    finally:
        broker.close()
    assert broker.connections == 1
    assert peak - before < 20 << 20


def test_endless_messages_below_tuf(world: World, board: Board) -> None:
    """Small packets without end, none of them asked for."""
    before = _resident_bytes()

    def chatter(connection: socket.socket) -> None:
        connection.recv(4096)
        message = publish(b"va/ota/village/tuf/_end", bytes(30_000))
        while True:
            connection.sendall(message)

    board.timeout_s = 0.5
    broker = HostileBroker(chatter)
    try:
        board.config = dataclasses.replace(board.config, port=broker.port)
        with pytest.raises((AbsentError, UnreachableError)):
            board.check()
    finally:
        broker.close()
    assert _resident_bytes() - before < 20 << 20


def test_a_broker_that_says_nothing(board: Board) -> None:
    def silence(connection: socket.socket) -> None:
        while connection.recv(4096):
            pass

    board.timeout_s = 0.5
    broker = HostileBroker(silence)
    try:
        board.config = dataclasses.replace(board.config, port=broker.port)
        with pytest.raises((AbsentError, UnreachableError)):
            board.check()
    finally:
        broker.close()


FIT: dict[str, Any] = {
    "model": MODEL,
    "hardware": "rpi4",
    "agent": "0.1.0",
    "floor": 2,
    "base_sha256": "a" * 64,
}


@pytest.mark.parametrize(
    ("what", "error"),
    [
        ({"model": "other"}, WrongModelError),
        ({"hardware": "rpi5"}, WrongHardwareError),
        ({"minimum_agent": "0.2.0"}, AgentTooOldError),
        ({"release": 1}, BelowFloorError),
        ({"format": "diff", "base_sha256": "b" * 64}, WrongBaseError),
    ],
    ids=lambda value: value.__name__ if isinstance(value, type) else "",
)
def test_wrong_device_or_wrong_base(
    board: Board, what: dict[str, Any], error: type[Exception]
) -> None:
    """Genuine, and not for this board as it is."""
    release = _newest(board)
    check_fit(release, **FIT)
    with pytest.raises(error):
        check_fit(dataclasses.replace(release, **what), **FIT)


def test_release_for_other_machines(world: World) -> None:
    """Each role speaks for its own machines only, and boards read no others."""
    world.operator.publish(1)
    world.operator.publish(2, hardware="rpi4")
    assert world.board(hardware="rpi4").releases() == [2, 1]
    assert world.board(hardware="rpi5").releases() == [1]
    assert world.board().releases() == [1]


def test_release_of_another_model(world: World) -> None:
    world.operator.publish(1)
    world.operator.publish(1, name="other")
    assert world.board().releases() == [1]
    assert world.board(model="other").releases() == [1]


def test_role_speaks_for_another_model(world: World) -> None:
    """A stolen key of one model's role lists a file of another model: nobody listens."""
    world.operator.publish(1)
    world.operator.publish(1, name="other")
    role = world.role()
    thief = Thief(world.operator, role, "snapshot", "timestamp")
    forged = thief.copy_of(role)
    other = world.operator.repository.roles["other-any"].signed.targets
    for path, target in other.items():
        forged.signed.targets[path] = copy.deepcopy(target)
    world.overwrite(thief.chain(role, forged))
    assert world.board().releases() == [1]
    assert {r.model for r in world.board().check()} == {MODEL}


def test_signed_nonsense(world: World) -> None:
    """The right keys have signed fields that this agent does not understand: left out, told why."""
    world.operator.publish(1)
    world.operator.publish(2)
    role = world.role()
    thief = Thief(world.operator, role, "snapshot", "timestamp")
    forged = thief.copy_of(role)
    for path, target in forged.signed.targets.items():
        if "/2" in path:
            target.unrecognized_fields["custom"]["bootloader"] = "new.bin"
    world.overwrite(thief.chain(role, forged))
    board = world.board()
    assert board.releases() == [1]
    assert board.left_out
    assert all("bootloader" in reason for _, reason in board.left_out)
