from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from agent.update.heard import Heard
from agent.update.journal import Failure, Record, Refusal
from agent.update.status import status_of
from converters.updates.fleet import Fleet


def update(**fields: Any) -> bytes:
    """What a board says, by the code that boards have."""
    values: dict[str, Any] = {"model": "toy", "factory_release": 1}
    record = Record(**(values | fields))
    return json.dumps({"schema": 1} | status_of(record, Heard(), hardware="rpi4")).encode()


def shown(fleet: Fleet, most: int = 200) -> str:
    console = Console(width=160, record=True, file=open("/dev/null", "w"))  # noqa: SIM115
    console.print(fleet.picture(most))
    console.file.close()
    return console.export_text()


def test_who_runs_what() -> None:
    fleet = Fleet("va")
    assert "No board has published its state yet." in shown(fleet)
    assert fleet.hear("va/dev/kitchen/update", update())
    assert fleet.hear("va/dev/kitchen/state", b'{"state": "online"}')
    fleet.hear("va/dev/hall/update", update(factory_release=2))
    fleet.hear("va/dev/hall/state", b'{"state": "offline"}')
    assert fleet.summary() == {"toy 1": 1, "toy 2": 1}
    lines = shown(fleet).splitlines()
    (kitchen,) = [line for line in lines if "kitchen" in line]
    assert kitchen.split() == ["kitchen", "online", "toy", "rpi4", "1", "factory", "idle", "0"]
    assert any("hall" in line and "offline" in line for line in lines)


def test_who_failed_and_why_comes_first() -> None:
    fleet = Fleet("va")
    fleet.hear("va/dev/a/update", update())
    failure = Failure(
        transaction="t",
        release=3,
        step="trial",
        error="TrialError",
        message="It is slow.",
        wall_ms=1,
    )
    fleet.hear("va/dev/z/update", update(failure=failure))
    lines = [line for line in shown(fleet).splitlines() if line.startswith(("a ", "z "))]
    assert lines[0].startswith("z ")
    assert "trial: TrialError: It is slow." in lines[0]


def test_the_nearest_reason_of_several() -> None:
    fleet = Fleet("va")
    refusal = Refusal(release=3, target="", reason="It crashed.")
    told = json.loads(update(refused=(refusal,), trouble="UnreachableError: no broker"))
    seen = []
    for more in ({}, {"error": "apply: no space"}, {"problem": "slot a is damaged"}):
        told |= more
        fleet.hear("va/dev/a/update", json.dumps(told).encode())
        seen.append(fleet.boards["a"].trouble)
    told |= {"error": None, "problem": None, "refused": []}
    fleet.hear("va/dev/a/update", json.dumps(told).encode())
    seen.append(fleet.boards["a"].trouble)
    assert seen == [
        "3: It crashed.", "apply: no space", "slot a is damaged", "UnreachableError: no broker",
    ]  # fmt: skip


def test_an_update_under_way() -> None:
    fleet = Fleet("va")
    told = json.loads(update()) | {"stage": "receive", "candidate": 7}
    fleet.hear("va/dev/a/update", json.dumps(told).encode())
    assert "receive 7" in shown(fleet)


def test_a_board_that_was_removed() -> None:
    fleet = Fleet("va")
    fleet.hear("va/dev/a/update", update())
    fleet.hear("va/dev/a/update", b"")
    assert fleet.boards == {}


@pytest.mark.parametrize(
    "body",
    [b"{", b"[]", b"\xff\xfe", b"[" * 100_000, b'{"release": "seven"}', b'{"refused": [7]}',
     b" " * 70_000, b"null"],
    ids=["cut off", "a list", "not UTF-8", "deep", "a word", "a number", "long", "null"],
)  # fmt: skip
def test_a_state_that_cannot_be_read(body: bytes) -> None:
    fleet = Fleet("va")
    fleet.hear("va/dev/a/update", update())
    fleet.hear("va/dev/a/update", body)
    assert fleet.boards["a"].trouble == "its state cannot be read"
    fleet.hear("va/dev/a/update", update())
    assert fleet.boards["a"].trouble == ""


@pytest.mark.parametrize(
    "topic", ["va/dev/a/event/final", "xx/dev/a/update", "va/dev//update", "va/dev/a/update/more"]
)
def test_topics_of_others(topic: str) -> None:
    fleet = Fleet("va")
    assert not fleet.hear(topic, update())
    assert fleet.boards == {}


def test_a_terminal_is_given_no_control_characters() -> None:
    fleet = Fleet("va")
    evil = "\x1b]0;owned\x07\x1b[2J\n" + "x" * 5000
    fleet.hear("va/dev/\x1b[31m/update", json.dumps({"model": evil, "error": evil}).encode())
    fleet.hear("va/dev/[bold]b/update", json.dumps({"model": "[red]m"}).encode())
    text = shown(fleet)
    assert "\x1b" not in text
    assert "\x07" not in text
    # Nor is anything of it taken for markup.
    assert "[bold]b" in text
    assert "[red]m" in text


def test_as_json() -> None:
    fleet = Fleet("va")
    fleet.hear("va/dev/b/update", update())
    fleet.hear("va/dev/a/update", update(factory_release=4))
    table = json.loads(fleet.as_json())
    assert table["summary"] == {"toy 1": 1, "toy 4": 1}
    assert [(board["device"], board["release"]) for board in table["boards"]] == [
        ("a", 4),
        ("b", 1),
    ]


def test_more_boards_than_a_screen_has_rows() -> None:
    fleet = Fleet("va")
    for number in range(30):
        fleet.hear(f"va/dev/board-{number}/update", update())
    text = shown(fleet, most=10)
    assert "and 20 boards more; --json shows all" in text
    assert "toy 1: 30" in text


@given(st.text(max_size=40), st.binary(max_size=60))
def test_anything_may_be_heard(topic: str, body: bytes) -> None:
    fleet = Fleet("va")
    fleet.hear(topic, body)
    fleet.hear(f"va/dev/{topic}/update", body)
    fleet.as_json()
    fleet.summary()
