"""Reading what a broker keeps, where the broker does what it likes."""

from __future__ import annotations

import dataclasses
import socket
import struct
from collections.abc import Callable, Iterator

import pytest

from agent.config import Config
from agent.errors import UnreachableError
from agent.update.bounded_client import RetainedReader
from tests.agent.mqtt.broker import free_port
from tests.agent.mqtt.hostile import CONNACK, HostileBroker, length

WANTED, END = "va/ota/village/tuf/timestamp.json", "va/ota/village/tuf/_end"
Start = Callable[..., RetainedReader]


@pytest.fixture
def start() -> Iterator[Start]:
    """A reader of a broker that runs a script, or of a port where nobody is."""
    brokers: list[HostileBroker] = []

    def start(
        script: Callable[[socket.socket], None] | None,
        greeting: bytes = CONNACK,
        **settings: object,
    ) -> RetainedReader:
        port = free_port()
        if script is not None:
            brokers.append(HostileBroker(script, greeting=greeting))
            port = brokers[-1].port
        config = dataclasses.replace(
            Config().mqtt,
            **{"host": "127.0.0.1", "port": port, "username": "kitchen"} | settings,  # type: ignore[arg-type]
        )
        return RetainedReader(
            config, client_id="board", password="p", end=END, timeout_s=1.0, grace_s=0.05
        )

    yield start
    for broker in brokers:
        broker.close()


def _subscribed(connection: socket.socket) -> int:
    """Waits for the question and gives its Subscription Identifier."""
    packet = connection.recv(4096)
    while WANTED.encode() not in packet:
        packet += connection.recv(4096)
    begin = packet.index(b"\x82")
    # Type, length, packet id, length of properties, then 0x0b and the number.
    assert packet[begin + 5] == 0x0B
    return packet[begin + 6]


def _message(topic: bytes, body: bytes, number: int | None) -> bytes:
    properties = b"" if number is None else bytes([0x0B, number])
    content = struct.pack(">H", len(topic)) + topic + length(len(properties)) + properties + body
    return b"\x31" + length(len(content)) + content


def _ask(reader: RetainedReader) -> bytes | None:
    with reader:
        return reader.read(WANTED)


def test_nobody_there(start: Start) -> None:
    with pytest.raises(UnreachableError, match="cannot be reached for updates"):
        _ask(start(None))


def test_a_host_that_is_no_name(start: Start) -> None:
    with pytest.raises(UnreachableError, match="is not a host name"):
        _ask(start(None, host="a..b"))


def test_a_broker_that_refuses(start: Start) -> None:
    def wait(connection: socket.socket) -> None:
        connection.recv(4096)

    refusal = b"\x20\x03\x00\x87\x00"
    with pytest.raises(UnreachableError, match="Not authorized"):
        _ask(start(wait, refusal))


def test_a_broker_that_hangs_up(start: Start) -> None:
    def hang_up(connection: socket.socket) -> None:
        _subscribed(connection)

    with pytest.raises(UnreachableError, match="what was received is kept"):
        _ask(start(hang_up))


def test_a_broker_that_does_not_let_us_read(start: Start) -> None:
    def deny(connection: socket.socket) -> None:
        _subscribed(connection)
        connection.sendall(b"\x90\x05\x00\x01\x00\x87\x87")
        connection.recv(4096)

    with pytest.raises(UnreachableError, match="does not let us read"):
        _ask(start(deny))


def test_only_the_answer_to_this_question_counts(start: Start) -> None:
    """Not the end of an earlier one, not a topic that is no text, not what nobody asked for."""

    def answer(connection: socket.socket) -> None:
        number = _subscribed(connection)
        for topic, body, tag in (
            (END.encode(), b".", number + 1),
            (END.encode(), b".", None),
            (b"\xff\xfe", b"?", number),
            (b"somewhere/else", b"?", number),
            (WANTED.encode(), b"old", number + 1),
            (END.encode(), b".", number),
            (WANTED.encode(), b"late, and still in time", number),
        ):
            connection.sendall(_message(topic, body, tag))
        connection.recv(4096)

    assert _ask(start(answer)) == b"late, and still in time"


def test_the_end_without_the_file_means_that_there_is_none(start: Start) -> None:
    def answer(connection: socket.socket) -> None:
        number = _subscribed(connection)
        connection.sendall(_message(END.encode(), b".", number))
        connection.recv(4096)

    assert _ask(start(answer)) is None


def test_a_flood_of_what_nobody_asked_for_ends_with_the_deadline(start: Start) -> None:
    def flood(connection: socket.socket) -> None:
        _subscribed(connection)
        while True:
            connection.sendall(_message(END.encode(), b"x" * 100, 99) * 50)

    assert _ask(start(flood)) is None
