from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.errors import ConfigError, MalformedMessageError
from agent.mqtt.topics import (
    ROW_OF_EVENT,
    TOPICS,
    FleetTopics,
    Request,
    Topics,
    payload,
    read_request,
)
from tests.agent.channel.samples import MAKERS, partial

KITCHEN = Topics(prefix="va", device="kitchen")


def test_the_table_is_the_designs() -> None:
    assert {row: (KITCHEN.of(row), topic.qos, topic.retain) for row, topic in TOPICS.items()} == {
        "state": ("va/dev/kitchen/state", 1, True),
        "health": ("va/dev/kitchen/health", 0, True),
        "final": ("va/dev/kitchen/event/final", 1, False),
        "wake": ("va/dev/kitchen/event/wake", 0, False),
        "session": ("va/dev/kitchen/event/state", 0, False),
        "partial": ("va/dev/kitchen/event/partial", 0, False),
        "speculative": ("va/dev/kitchen/event/speculative", 0, False),
        "command": ("va/dev/kitchen/cmd/+", 1, False),
        "reply": ("va/dev/kitchen/reply", 1, False),
        "update": ("va/dev/kitchen/update", 1, True),
        "ota_metadata": ("va/ota/<fleet>/tuf/<file>", 1, True),
        "ota_chunk": ("va/ota/<fleet>/t/<sha256>.<name>/<i>", 1, True),
    }


def test_a_fleet_has_topics_of_its_own() -> None:
    fleet = FleetTopics(prefix="va", fleet="village")
    assert fleet.metadata("1.root.json") == "va/ota/village/tuf/1.root.json"
    assert fleet.chunk("ab.3.diff", 7) == "va/ota/village/t/ab.3.diff/7"
    assert fleet.end == "va/ota/village/tuf/_end"
    assert fleet.everything == "va/ota/village/#"
    with pytest.raises(ConfigError, match=r"update\.fleet"):
        FleetTopics(prefix="va", fleet="a/b")


def test_every_event_that_listen_sends_has_a_row() -> None:
    assert set(ROW_OF_EVENT) == set(MAKERS)
    assert set(ROW_OF_EVENT.values()) <= set(TOPICS)


@pytest.mark.parametrize("level", ["", "a/b", "+", "a#", "$SYS", "a\n", "a\x00", "x" * 65])
def test_names_that_would_break_a_topic_are_refused(level: str) -> None:
    with pytest.raises(ConfigError, match=r"device\.id"):
        Topics(prefix="va", device=level)
    with pytest.raises(ConfigError, match=r"mqtt\.topic_prefix"):
        Topics(prefix=level, device="kitchen")


@pytest.mark.parametrize(
    ("topic", "verb"),
    [
        ("va/dev/kitchen/cmd/ping", "ping"),
        ("va/dev/kitchen/cmd/", None),
        ("va/dev/kitchen/cmd/PING", None),
        ("va/dev/kitchen/cmd/a/b", None),
        ("va/dev/kitchen/cmd/" + "a" * 33, None),
        ("va/dev/attic/cmd/ping", None),
        ("", None),
    ],
)
def test_the_verb_is_the_last_level(topic: str, verb: str | None) -> None:
    assert KITCHEN.verb_of(topic) == verb


def test_a_placeholder_in_a_name_is_no_placeholder() -> None:
    assert Topics(prefix="<id>", device="d").of("reply") == "<id>/dev/d/reply"


def test_payloads_carry_their_schema() -> None:
    assert json.loads(payload(partial(1))) == {
        "schema": 1,
        "session": "s1",
        "text": "turn",
        "stable_chars": 0,
        "time_s": 1.0,
    }


def test_a_request_has_schema_and_id() -> None:
    body = b'{"schema": 1, "id": "7", "arguments": {"a": 1}, "later": true}'
    assert read_request(body) == Request(schema=1, id="7", arguments={"a": 1})
    assert read_request(b'{"schema": 1, "id": "7"}').arguments is None


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"ping",
        b"[]",
        b'{"id": "7"}',
        b'{"schema": 2, "id": "7"}',
        b'{"schema": 1, "id": ""}',
        b'{"schema": 1, "id": 7}',
        b'{"schema": 1, "id": "7", "arguments": []}',
        b'{"schema": 1, "id": "' + b"x" * 200 + b'"}',
        b"[" * 8000,
        b" " * 9000,
        b'{"schema": 1, "id": "\xff"}',
    ],
)
def test_other_requests_are_malformed(body: bytes) -> None:
    with pytest.raises(MalformedMessageError):
        read_request(body)


@given(st.binary(max_size=200))
def test_any_bytes_give_a_request_or_malformed(body: bytes) -> None:
    try:
        read_request(body)
    except MalformedMessageError:
        return
