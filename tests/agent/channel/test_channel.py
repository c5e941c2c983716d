"""A real server and real peers on a real socket."""

from __future__ import annotations

import os
import socket
import stat
import struct
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from agent.channel import Client, Server
from agent.channel.framing import Deframer, frame
from agent.channel.handshake import allowed_uids, check_user
from agent.errors import ConfigError, HandshakeError, SocketError
from agent.events import Ack, Command, Event, Final, Hello, Partial
from tests.agent.channel.samples import final, health, hello, partial, wake

PATIENCE_S = 20.0
UIDS = allowed_uids(())


def until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while not condition():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.005)


class Peer(Client):
    """A client that does not lose what arrives while it waits for the hello."""

    def __init__(self, path: Path, role: str) -> None:
        super().__init__(path, hello=hello(role), uids=UIDS)
        self.early: list[Event] = []

    def connected(self) -> bool:
        self.early += self.poll(0.05)
        return self.server is not None


def receive(client: Client, count: int) -> list[Event]:
    events = client.early if isinstance(client, Peer) else []
    deadline = time.monotonic() + PATIENCE_S
    while len(events) < count and time.monotonic() < deadline:
        events += client.poll(0.1)
    if isinstance(client, Peer):
        client.early = []
    return events


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "listen.sock"


@pytest.fixture
def commands() -> list[Command]:
    return []


@pytest.fixture
def server(path: Path, commands: list[Command]) -> Iterator[Server]:
    server = Server(path, hello=hello("listen"), uids=UIDS, on_command=commands.append)
    server.start()
    yield server
    server.close()


@pytest.fixture
def connect(path: Path) -> Iterator[Callable[[str], Client]]:
    clients = []

    def make(role: str) -> Client:
        client = Peer(path, role)
        clients.append(client)
        until(client.connected)
        return client

    yield make
    for client in clients:
        client.close()


def raw(path: Path) -> socket.socket:
    peer = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    peer.settimeout(PATIENCE_S)
    peer.connect(os.fspath(path))
    return peer


def ends(peer: socket.socket) -> bool:
    """True if the server closes the connection, whatever it may have sent before."""
    try:
        while peer.recv(65536):
            pass
    except ConnectionResetError:
        pass
    return True


def test_events_arrive_in_order_and_commands_come_back(
    server: Server, connect: Callable[[str], Client], commands: list[Command]
) -> None:
    link = connect("link")
    assert link.server == hello("listen")
    assert server.wait_for_peer("link", PATIENCE_S)
    sent: list[Event] = [wake(1), partial(1), partial(2), final(1), health(1)]
    for event in sent:
        server.send(event)
    assert receive(link, 5) == sent
    command = Command(id="c", verb="ping", arguments={"a": [1]})
    assert link.send(command)
    until(lambda: commands == [command])


def test_finals_are_kept_until_link_acknowledges_them(
    server: Server, connect: Callable[[str], Client]
) -> None:
    server.send(final(1))
    server.send(partial(1))
    first = connect("link")
    server.send(final(2))
    # The partial was spoken to nobody; the final was kept.
    assert receive(first, 2) == [final(1), final(2)]
    first.send(Ack(ids=("f1",)))
    until(lambda: server.unacknowledged == 1)
    assert not server.drain(0.01)
    first.close()

    second = connect("link")
    assert receive(second, 1) == [final(2)]
    second.send(Ack(ids=("f2",)))
    assert server.drain(PATIENCE_S)


def test_results_beyond_the_limit_are_lost_aloud(
    server: Server, connect: Callable[[str], Client], caplog: pytest.LogCaptureFixture
) -> None:
    for number in range(258):
        server.send(final(number))
    until(lambda: "2 results are lost" in caplog.text or "1 results are lost" in caplog.text)
    assert server.lost == 2
    assert server.unacknowledged == 256
    assert receive(connect("link"), 256) == [final(number) for number in range(2, 258)]


def test_what_an_observer_acknowledges_does_not_count(
    server: Server, connect: Callable[[str], Client], commands: list[Command]
) -> None:
    observer = connect("observer")
    server.send(final(1))
    assert receive(observer, 1) == [final(1)]
    observer.send(Ack(ids=("f1",)))
    observer.send(Command(id="after", verb="x"))
    until(lambda: len(commands) == 1)
    assert server.unacknowledged == 1


def test_a_peer_that_reads_nothing_costs_partials_and_no_time(
    server: Server, path: Path, connect: Callable[[str], Client]
) -> None:
    link = connect("link")
    lazy = raw(path)
    lazy.sendall(frame(hello("observer")))
    until(lambda: server.wait_for_peer("observer", 0.01))
    # Far more than the kernel buffers.
    text = "x" * 8192
    longest = 0.0
    for number in range(2000):
        before = time.monotonic()
        server.send(Partial(session="s", text=text, stable_chars=0, time_s=float(number)))
        longest = max(longest, time.monotonic() - before)
        if number % 100 == 0:
            server.send(final(number))
            link.poll(0.0)
    server.send(wake(1))
    assert longest < 1.0
    until(lambda: server.dropped > 0)

    received: list[Event] = []
    deframer = Deframer()
    lazy.settimeout(PATIENCE_S)
    while wake(1) not in received:
        received += deframer.feed(lazy.recv(65536))
    lazy.close()
    finals = [event for event in received if isinstance(event, Final)]
    assert finals == [final(number) for number in range(0, 2000, 100)]
    assert len(received) < 2000


@pytest.mark.parametrize(
    ("data", "error"),
    [
        (struct.pack(">I", 1_000_000_000), "MessageTooLargeError"),
        (b"GET / HTTP/1.1\r\n\r\n", "MessageTooLargeError"),
        (struct.pack(">I", 5) + b"\xff\xfe\x00[{", "MalformedMessageError"),
        (struct.pack(">I", 4) + b"null", "MalformedMessageError"),
        (frame(Ack(ids=("f1",))), "HandshakeError"),
        (frame(Hello(protocol=2, agent="x", boot_id="y")), "HandshakeError"),
        (frame(hello("listen")), "HandshakeError"),
        (frame(hello("link")) + struct.pack(">I", 2) + b"{}", "MalformedMessageError"),
    ],
)
def test_wrong_peers_are_closed_and_the_others_served(
    server: Server, path: Path, connect: Callable[[str], Client], data: bytes, error: str
) -> None:
    link = connect("link")
    peer = raw(path)
    peer.sendall(data)
    assert ends(peer)
    peer.close()
    until(lambda: server.errors[error] == 1)
    server.send(final(1))
    assert receive(link, 1) == [final(1)]


def test_a_peer_that_vanishes_in_the_middle_of_a_message(
    server: Server, path: Path, connect: Callable[[str], Client]
) -> None:
    peer = raw(path)
    peer.sendall(frame(hello("link"))[:20])
    peer.close()
    server.send(final(1))
    assert receive(connect("link"), 1) == [final(1)]


def test_too_many_peers_are_turned_away(server: Server, path: Path) -> None:
    peers = [raw(path) for _ in range(9)]
    until(lambda: server.errors["HandshakeError"] == 1)
    for peer in peers:
        peer.close()


def test_a_silent_peer_is_closed_in_the_end(
    path: Path, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("agent.channel.peer._HELLO_DEADLINE_S", 0.05)
    peer = raw(path)
    assert ends(peer)
    peer.close()
    assert server.errors["HandshakeError"] == 1


def test_other_users_are_refused(path: Path) -> None:
    nobody_but_root_s_friend = frozenset({os.getuid() + 1})
    server = Server(path, hello=hello("listen"), uids=nobody_but_root_s_friend)
    server.start()
    try:
        peer = raw(path)
        assert ends(peer)
        peer.close()
        until(lambda: server.errors["HandshakeError"] == 1)
    finally:
        server.close()
    left, right = socket.socketpair()
    with left, right:
        assert check_user(left, UIDS) == os.getpid()
        with pytest.raises(HandshakeError, match=r"socket\.allowed_users"):
            check_user(left, nobody_but_root_s_friend)


def test_users_are_named_or_numbered() -> None:
    assert allowed_uids(["root", "1234"]) == {0, os.getuid(), 1234}
    with pytest.raises(ConfigError, match="no user 'nobody-here'"):
        allowed_uids(["nobody-here"])


def test_socket_is_for_owner_and_group_only(server: Server, path: Path) -> None:
    mode = path.stat().st_mode
    assert stat.S_ISSOCK(mode)
    assert stat.S_IMODE(mode) == 0o660


def test_two_servers_do_not_share_a_path(server: Server, path: Path) -> None:
    with pytest.raises(SocketError, match="another `listen` serves here"):
        Server(path, hello=hello("listen"), uids=UIDS).start()
    assert stat.S_ISSOCK(path.stat().st_mode)


def test_a_socket_left_behind_is_replaced(path: Path, connect: Callable[[str], Client]) -> None:
    dead = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    dead.bind(os.fspath(path))
    dead.close()
    server = Server(path, hello=hello("listen"), uids=UIDS)
    server.start()
    connect("link")
    server.close()
    assert not path.exists()


def test_a_file_in_the_way_is_not_deleted(path: Path) -> None:
    path.write_text("precious")
    with pytest.raises(SocketError, match="not a socket"):
        Server(path, hello=hello("listen"), uids=UIDS).start()
    assert path.read_text() == "precious"


def test_a_directory_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(SocketError, match="the socket cannot be made"):
        Server(tmp_path / "file" / "x.sock", hello=hello("listen"), uids=UIDS).start()


def test_a_client_finds_a_server_that_starts_later_and_comes_back(path: Path) -> None:
    client = Client(path, hello=hello("link"), uids=UIDS)
    assert client.poll(0.05) == []
    assert not client.send(Ack(ids=("x",)))
    for number in (1, 2):
        server = Server(path, hello=hello("listen"), uids=UIDS)
        server.start()
        server.send(final(number))
        assert receive(client, 1) == [final(number)]
        server.close()
        until(lambda: not client.poll(0.05) and client.server is None)
    client.close()


def test_reconnect_brings_unacknowledged_finals_again(
    server: Server, connect: Callable[[str], Client]
) -> None:
    link = connect("link")
    server.send(final(1))
    assert receive(link, 1) == [final(1)]
    link.reconnect()
    assert receive(link, 1) == [final(1)]


@pytest.mark.parametrize(
    "greeting",
    [
        struct.pack(">I", 1_000_000_000),
        struct.pack(">I", 3) + b"abc",
        frame(hello("link")),
        frame(final(1)),
    ],
)
def test_a_client_drops_a_wrong_server(path: Path, greeting: bytes) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as listener:
        listener.bind(os.fspath(path))
        listener.listen()
        listener.settimeout(PATIENCE_S)
        client = Client(path, hello=hello("link"), uids=UIDS)
        client.poll(0.0)
        connection, _ = listener.accept()
        with connection:
            connection.sendall(greeting)
            connection.settimeout(PATIENCE_S)
            until(lambda: client.poll(0.01) == [] and client._connection is None)
        assert client.server is None
        client.close()


def test_wake_ends_a_poll_from_another_thread(path: Path) -> None:
    client = Client(path, hello=hello("link"), uids=UIDS)
    client.poll(0.0)
    client._next_try = time.monotonic() + 3600
    timer = threading.Timer(0.05, client.wake)
    timer.start()
    before = time.monotonic()
    assert client.poll(PATIENCE_S) == []
    assert time.monotonic() - before < PATIENCE_S / 2
    timer.join()
    client.close()
