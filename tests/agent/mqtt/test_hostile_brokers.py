"""The connection without a broker, or with one that means harm."""

from __future__ import annotations

import resource
import socket
import struct
import threading
import time
from collections.abc import Callable

import pytest

from agent.mqtt.signals import Received
from tests.agent.mqtt.broker import free_port, until
from tests.agent.mqtt.hostile import CONNACK, HostileBroker, length, publish
from tests.agent.mqtt.watched import Make


def test_an_unreachable_broker_is_said_once(make: Make, caplog: pytest.LogCaptureFixture) -> None:
    connection = make(free_port())
    until(lambda: connection.look() == [] and "cannot be reached" in caplog.text)
    deadline = time.monotonic() + 1.5
    while time.monotonic() < deadline:
        connection.look()
        time.sleep(0.05)
    assert caplog.text.count("cannot be reached") == 1
    assert connection._thread_alive()


def resident_bytes() -> int:
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * resource.getpagesize()


def test_200_mib_are_refused_before_memory_is_taken(
    make: Make, hostile: Callable[..., HostileBroker], caplog: pytest.LogCaptureFixture
) -> None:
    mebibyte = bytes(1 << 20)

    def flood(connection: socket.socket) -> None:
        connection.sendall(b"\x30" + length(200 << 20))
        for _ in range(200):
            connection.sendall(mebibyte)

    broker = hostile(flood)
    before = resident_bytes()
    connection = make(broker.port)
    peak = 0

    def refused_twice() -> bool:
        nonlocal peak
        connection.look()
        peak = max(peak, resident_bytes())
        return broker.connections >= 2

    until(refused_twice)
    assert peak - before < 20 << 20
    assert "announced a packet of 209715200 bytes" in caplog.text


@pytest.mark.parametrize(
    "data",
    [
        publish(b"\xff\xfe", b"x"),
        publish(b"va/dev/kitchen/cmd/ping", b"\xff" * 1000),
        publish(b"", b""),
        b"\x30\x01\x00",
        b"\x40\x02\xff\xff",
        b"\x90\x01\x00",
        b"\xf0\x00",
        b"\x00\x00",
        b"\x30\xff\xff\xff\xff\xff",
        b"\x20\x03\x00\x00\x00",
        b"\x62\x02\x00\x01",
        publish(b"a", b"x").replace(b"\x00x", b"\x7fx"),
    ],
)
def test_no_packet_ends_the_network_thread(
    make: Make, hostile: Callable[..., HostileBroker], data: bytes
) -> None:
    done = threading.Event()

    def script(connection: socket.socket) -> None:
        connection.sendall(data)
        # The second connection proves that the client is still there, and behaves.
        if broker.connections < 2:
            time.sleep(0.2)
        else:
            connection.sendall(publish(b"va/dev/kitchen/cmd/ping", b"alive"))
            done.wait(30)

    broker = hostile(script)
    connection = make(broker.port)
    until(lambda: connection.look() is not None and broker.connections >= 2)
    until(lambda: connection.look() is not None and connection._thread_alive())
    done.set()


def test_a_flood_of_commands_is_bounded(make: Make, hostile: Callable[..., HostileBroker]) -> None:
    done = threading.Event()

    def script(connection: socket.socket) -> None:
        for number in range(2000):
            connection.sendall(publish(b"va/dev/kitchen/cmd/ping", b"%d" % number))
        connection.sendall(b"\xd0\x00")
        done.wait(30)

    broker = hostile(script)
    connection = make(broker.port)
    until(lambda: connection.overflowed > 0)
    assert connection._events.qsize() <= 256
    connection.look()
    assert len([signal for signal in connection.seen if isinstance(signal, Received)]) <= 129
    done.set()


def test_connect_packet_says_what_we_mean(
    make: Make, hostile: Callable[..., HostileBroker]
) -> None:
    packets: list[bytes] = []
    listener = socket.create_server(("127.0.0.1", 0))
    with listener:
        connection = make(listener.getsockname()[1], session_expiry_seconds=7)
        peer, _ = listener.accept()
        with peer:
            packets.append(peer.recv(4096))
            peer.sendall(CONNACK)
            until(lambda: connection.look() is not None and connection.connected)
    (packet,) = packets
    flags = packet[packet.index(b"MQTT") + 5]
    assert not flags & 0x02, "no clean start"
    assert flags & 0x04, "a last will"
    assert flags & 0x20, "that is retained"
    # Session expiry 7 s (property 17), receive maximum 8 (33), packets of 64 KiB (39).
    for property_ in (
        struct.pack(">BI", 17, 7),
        struct.pack(">BH", 33, 8),
        struct.pack(">BI", 39, 65536),
    ):
        assert property_ in packet
    assert b"va-kitchen" in packet
