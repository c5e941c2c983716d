"""The users, the group and the folder that systemd makes let the two processes meet, and no others.

The real server and the real client run as different users, in a folder with the owner, group and
mode of `systemd/voice-agent.tmpfiles.conf`. Becoming another user takes root.
"""

from __future__ import annotations

import multiprocessing
import os
import time
from collections.abc import Iterator
from multiprocessing.process import BaseProcess
from multiprocessing.synchronize import Event
from pathlib import Path

import pytest

from agent.channel import Client, Server
from agent.channel.handshake import allowed_uids
from agent.events import PROTOCOL, Ack, Final, Hello

pytestmark = pytest.mark.skipif(os.getuid() != 0, reason="becoming other users takes root")

# Numbers suffice: no user of that name has to exist.
_LISTEN, _LINK, _STRANGER = 65501, 65502, 65503
_GROUP, _OTHER_GROUP = 65510, 65511
_ALLOWED = (str(_LISTEN), str(_LINK))
_DEADLINE_S = 60.0

# Forked, so that the other users need not be able to read the interpreter's files.
_FORK = multiprocessing.get_context("fork")


def _become(user: int, group: int) -> None:
    os.setgroups([])
    os.setgid(group)
    os.setuid(user)
    os.umask(0o007)


def _hello(role: str) -> Hello:
    return Hello(protocol=PROTOCOL, agent="0", boot_id=role, role=role)


def _listen(path: Path, ready: Event) -> None:
    _become(_LISTEN, _GROUP)
    server = Server(path, hello=_hello("listen"), uids=allowed_uids(_ALLOWED))
    server.start()
    server.send(Final(id="1", session="1", text="hello", time_s=0.0, wall_ms=0, clock_ok=False))
    ready.set()
    acknowledged = server.drain(_DEADLINE_S)
    server.close()
    os._exit(0 if acknowledged else 1)


def _link(path: Path, user: int, group: int, seconds: float) -> None:
    """Exit status 0 once the final is here, 1 if it does not come."""
    _become(user, group)
    client = Client(path, hello=_hello("link"), uids=allowed_uids([*_ALLOWED, str(user)]))
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        for event in client.poll(0.2):
            if isinstance(event, Final):
                client.send(Ack(ids=(event.id,)))
                client.poll(0.2)
                os._exit(0)
    os._exit(1)


def _start(target: object, *arguments: object) -> BaseProcess:
    process = _FORK.Process(target=target, args=arguments)  # type: ignore[arg-type]
    process.start()
    return process


def _status(process: BaseProcess) -> int | None:
    process.join(2 * _DEADLINE_S)
    if process.is_alive():
        process.kill()
        process.join()
    return process.exitcode


@pytest.fixture
def folder() -> Iterator[Path]:
    """What `d /run/voice-agent 0750 voice-agent-listen voice-agent` makes."""
    made = Path("/run") / f"voice-agent-test-{os.getpid()}"
    made.mkdir(mode=0o750)
    os.chown(made, _LISTEN, _GROUP)
    yield made
    for file in made.iterdir():
        file.unlink()
    made.rmdir()


def test_only_the_user_of_link_gets_a_result(folder: Path):
    path = folder / "listen.sock"
    ready = _FORK.Event()
    server = _start(_listen, path, ready)
    assert ready.wait(_DEADLINE_S)
    # Not in the group: the folder is closed to it.
    assert _status(_start(_link, path, _STRANGER, _OTHER_GROUP, 1.0)) == 1
    # In the group, but another user: the socket asks who it is.
    assert _status(_start(_link, path, _STRANGER, _GROUP, 1.0)) == 1
    assert _status(_start(_link, path, _LINK, _GROUP, _DEADLINE_S)) == 0
    assert _status(server) == 0
