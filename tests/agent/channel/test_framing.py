from __future__ import annotations

import struct
import tracemalloc

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.channel.framing import Deframer, frame
from agent.errors import MalformedMessageError, MessageTooLargeError, ProtocolError
from agent.events import LARGEST_MESSAGE, Ack, Event

EVENTS: list[Event] = [Ack(ids=(str(n),) * n) for n in range(5)]


def test_a_frame_is_length_and_json() -> None:
    body = b'{"kind":"ack","ids":["a"]}'
    assert len(body) == 26
    assert frame(Ack(ids=("a",))) == b"\x00\x00\x00\x1a" + body


@given(st.lists(st.integers(1, 40), max_size=30))
def test_pieces_of_any_size_give_the_same_events(sizes: list[int]) -> None:
    stream = b"".join(frame(event) for event in EVENTS)
    deframer, events, start = Deframer(), [], 0
    for size in [*sizes, len(stream)]:
        events += deframer.feed(stream[start : start + size])
        start += size
    assert events == EVENTS


@given(st.lists(st.binary(max_size=50), max_size=10))
def test_garbage_never_gives_anything_but_a_protocol_error(pieces: list[bytes]) -> None:
    deframer = Deframer()
    try:
        for piece in pieces:
            deframer.feed(piece)
    except ProtocolError:
        return


def test_a_gigabyte_is_refused_before_memory_is_taken() -> None:
    tracemalloc.start()
    with pytest.raises(MessageTooLargeError, match="1000000000 bytes was announced"):
        Deframer().feed(struct.pack(">I", 1_000_000_000))
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 100_000


@pytest.mark.parametrize(
    ("length", "fits"), [(LARGEST_MESSAGE, True), (LARGEST_MESSAGE + 1, False)]
)
def test_the_limit_is_exact(length: int, fits: bool) -> None:
    head = struct.pack(">I", length)
    if fits:
        assert Deframer().feed(head) == []
    else:
        with pytest.raises(MessageTooLargeError):
            Deframer().feed(head)


def test_an_empty_message_is_malformed() -> None:
    with pytest.raises(MalformedMessageError, match="0 bytes"):
        Deframer().feed(bytes(4))


def test_kinds_of_later_versions_are_counted() -> None:
    body = b'{"kind":"whisper"}'
    deframer = Deframer()
    stream = struct.pack(">I", len(body)) + body + frame(EVENTS[1])
    assert deframer.feed(stream) == [EVENTS[1]]
    assert deframer.ignored == 1
