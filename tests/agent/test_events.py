from __future__ import annotations

import contextlib
import dataclasses
import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agent import events
from agent.errors import MalformedMessageError, MessageTooLargeError, ProtocolError
from agent.events import (
    LARGEST_FINAL,
    LARGEST_MESSAGE,
    Ack,
    Command,
    Event,
    Final,
    Health,
    Hello,
    Ids,
    Partial,
    Reply,
    Speculative,
    State,
    Wake,
    decode,
    encode,
)
from agent.result import Endpoint, Hypothesis, Routing, Timing, Utterance, WakeMark, Word

TEXT = st.text(st.characters(codec="utf-8"), max_size=20)
SECONDS = st.floats(min_value=0, max_value=1e9, allow_nan=False)
PROBABILITY = st.floats(min_value=0, max_value=1)
COUNT = st.integers(min_value=0, max_value=2**62)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**62), 2**62) | PROBABILITY | TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3),
    max_leaves=8,
)
TABLE = st.dictionaries(TEXT, JSON, max_size=3)


def maybe(strategy: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.none() | strategy


WALL = {"time_s": SECONDS, "wall_ms": COUNT, "clock_ok": st.booleans()}
WORD = st.builds(
    Word,
    word=TEXT,
    start_s=SECONDS,
    end_s=SECONDS,
    posterior=maybe(PROBABILITY),
    contact=maybe(TEXT),
)
HYPOTHESIS = st.builds(
    Hypothesis,
    text=TEXT,
    log_prob=st.floats(max_value=0, allow_infinity=False),
    posterior=maybe(PROBABILITY),
    words=st.lists(WORD, max_size=3).map(tuple),
)
FINAL = st.builds(
    Final,
    id=TEXT,
    session=TEXT,
    text=TEXT,
    confidence=maybe(PROBABILITY),
    wake=maybe(st.builds(WakeMark, time_s=SECONDS, score=PROBABILITY)),
    utterances=st.lists(
        st.builds(Utterance, text=TEXT, start_s=SECONDS, end_s=SECONDS), max_size=2
    ).map(tuple),
    nbest=st.lists(HYPOTHESIS, max_size=3).map(tuple),
    lattice=maybe(TABLE),
    endpoint=maybe(st.builds(Endpoint, final_s=maybe(SECONDS), rule=maybe(TEXT))),
    routing=maybe(st.builds(Routing, slow_frames=maybe(COUNT))),
    timing=maybe(st.builds(Timing, audio_s=maybe(SECONDS))),
    latency_ms=maybe(SECONDS),
    **WALL,
)
EVENT: st.SearchStrategy[Event] = st.one_of(
    st.builds(Hello, protocol=COUNT, agent=TEXT, boot_id=TEXT, role=st.just("observer")),
    st.builds(
        Wake, id=TEXT, session=TEXT, word=TEXT, score=PROBABILITY, level_dbfs=maybe(SECONDS), **WALL
    ),
    st.builds(State, session=maybe(TEXT), state=TEXT, previous=TEXT, reason=TEXT, **WALL),
    st.builds(Partial, session=TEXT, text=TEXT, stable_chars=COUNT, time_s=SECONDS),
    st.builds(Speculative, id=TEXT, session=TEXT, text=TEXT, **WALL),
    FINAL,
    st.builds(
        Health,
        uptime_s=SECONDS,
        frames_total=COUNT,
        xruns_total=COUNT,
        rms_dbfs=maybe(SECONDS),
        digital_silence=st.booleans(),
        last_frame_age_s=SECONDS,
        sessions_total=COUNT,
        dropped_total=COUNT,
        unacknowledged=COUNT,
        rss_bytes=COUNT,
        cpu_s=SECONDS,
        **WALL,
    ),
    st.builds(Reply, id=TEXT, ok=st.booleans(), message=TEXT, result=maybe(TABLE)),
    st.builds(Ack, ids=st.lists(TEXT, max_size=4).map(tuple)),
    st.builds(Command, id=TEXT, verb=TEXT, arguments=TABLE),
)


@settings(max_examples=60)
@given(EVENT)
def test_every_event_survives_the_wire(event: Event) -> None:
    assert decode(encode(event)) == event


@settings(max_examples=60)
@given(EVENT, st.dictionaries(TEXT.map(lambda key: f"new {key}"), JSON, max_size=3))
def test_fields_of_later_versions_are_ignored(event: Event, more: dict[str, Any]) -> None:
    table = json.loads(encode(event)) | more
    assert decode(json.dumps(table).encode()) == event


@given(st.binary(max_size=300))
def test_any_bytes_give_an_event_or_a_protocol_error(body: bytes) -> None:
    with contextlib.suppress(ProtocolError):
        decode(body)


@settings(max_examples=60)
@given(EVENT, st.data())
def test_a_damaged_message_gives_an_event_or_a_protocol_error(event: Event, data: Any) -> None:
    table = json.loads(encode(event))
    key = data.draw(st.sampled_from(sorted(table)))
    table[key] = data.draw(JSON)
    try:
        changed = decode(json.dumps(table).encode())
    except ProtocolError:
        return
    # Whatever passes can be sent on: to the disk, to the broker.
    assert changed is None or decode(encode(changed)) == changed


def test_the_wire_format_is_this_and_no_other() -> None:
    partial = Partial(session="s1", text="turn ön", stable_chars=5, time_s=1.5)
    assert encode(partial) == (
        '{"kind":"partial","session":"s1","text":"turn ön","stable_chars":5,"time_s":1.5}'.encode()
    )


def test_the_result_has_the_fields_of_transcribe() -> None:
    keys = {field.name for field in dataclasses.fields(Final)}
    assert keys >= {
        "text", "confidence", "wake", "utterances", "nbest", "lattice", "endpoint", "routing",
        "timing",
    }  # fmt: skip


def test_unknown_kinds_are_no_error() -> None:
    assert decode(b'{"kind": "whisper", "x": 1}') is None


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"null",
        b"[]",
        b"{}",
        b'{"kind": 1}',
        b'{"kind": "ack"}',
        b'{"kind": "ack", "ids": "one"}',
        b'{"kind": "ack", "ids": [1]}',
        b'{"kind": "partial", "session": "s", "text": "x", "stable_chars": 1, "time_s": NaN}',
        b'{"kind": "partial", "session": "s", "text": "x", "stable_chars": 1, "time_s": 1e999}',
        b'{"kind": "ack", "ids": ["\\ud800"]}',
        b"[" * 60000,
        b"1" * 60000,
        b'\xff{"kind": "ack", "ids": []}',
    ],
)
def test_garbage_is_malformed(body: bytes) -> None:
    with pytest.raises(MalformedMessageError):
        decode(body)


def test_long_messages_are_refused_both_ways() -> None:
    with pytest.raises(MessageTooLargeError):
        decode(b" " * (LARGEST_MESSAGE + 1))
    with pytest.raises(MessageTooLargeError, match="ack"):
        encode(Ack(ids=("x" * LARGEST_MESSAGE,)))


def test_nan_cannot_be_sent() -> None:
    with pytest.raises(MalformedMessageError, match="defect"):
        encode(Partial(session="s", text="x", stable_chars=0, time_s=float("nan")))


def long_final(**changes: Any) -> Final:
    words = tuple(Word(word="word" * 4, start_s=i, end_s=i + 1.0) for i in range(20))
    nbest = tuple(Hypothesis(text="word " * 40, log_prob=-1.0, words=words) for _ in range(10))
    whole: dict[str, Any] = {
        "id": "b-1",
        "session": "s",
        "text": "call somebody",
        "nbest": nbest,
        "lattice": {"arcs": list(range(1000))},
        "time_s": 1.0,
        "wall_ms": 0,
        "clock_ok": False,
    }
    return Final(**whole | changes)


def test_a_long_final_gives_up_parts_but_never_its_text() -> None:
    whole = long_final()
    assert decode(encode(whole)) == whole

    without_lattice = decode(encode(long_final(lattice={"arcs": list(range(20000))})))
    assert without_lattice == dataclasses.replace(whole, lattice=None)

    many = whole.nbest * 6
    without_words = decode(encode(long_final(nbest=many)))
    assert isinstance(without_words, Final)
    assert [entry.text for entry in without_words.nbest] == [entry.text for entry in many]
    assert not any(entry.words for entry in without_words.nbest)

    texts_only = encode(long_final(nbest=many * 10))
    assert decode(texts_only) == dataclasses.replace(whole, lattice=None, nbest=())
    assert len(texts_only) <= LARGEST_FINAL

    with pytest.raises(MessageTooLargeError):
        encode(long_final(text="x" * LARGEST_FINAL))


def test_ids_differ_within_and_between_processes() -> None:
    first, second = Ids(), Ids()
    ids = [first.next(), first.next(), second.next(), second.next()]
    assert len(set(ids)) == 4
    assert Ids("boot").next() == "boot-1"


def test_every_kind_is_known_by_its_name() -> None:
    kinds = {
        name: item.KIND
        for name, item in vars(events).items()
        if isinstance(item, type) and hasattr(item, "KIND")
    }
    assert kinds == {name: name.lower() for name in kinds}
    assert len(kinds) == 10
