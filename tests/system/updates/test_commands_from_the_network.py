"""Attack: command injection. Whoever may publish can ask for a check, and for nothing else."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.agent.mqtt.broker import until
from tests.system.stack import Heard, Stack
from tests.system.updates.world import FLEET, World


@pytest.fixture
def board(world: World, tone_stack: Stack) -> Stack:
    world.operator.publish(1)
    root = tone_stack.folder / "1.root.json"
    root.write_bytes(world.operator.root)
    with tone_stack.config.open("a") as config:
        config.write(f'\n[update]\nfleet = "{FLEET}"\nroot_file = "{root}"\n')
    return tone_stack


def _ask(heard: Heard, verb: str, **arguments: Any) -> dict[str, Any]:
    """The reply to a command."""
    key = f"{verb} {len(heard.subscriber.messages)}"
    request = json.dumps({"schema": 1, "id": key, "arguments": arguments})
    heard.subscriber.client.publish(f"va/dev/kitchen/cmd/{verb}", request, qos=1)
    found: list[dict[str, Any]] = []

    def replied() -> bool:
        replies = map(json.loads, heard.subscriber.on("va/dev/kitchen/reply"))
        found.extend(reply for reply in replies if reply["id"] == key)
        return bool(found)

    until(replied, f"the reply to {verb}")
    return found[0]


def test_command_injection(board: Stack, heard: Heard) -> None:
    link = board.link()
    board.listen()
    until(heard.online, "the start")
    check = _ask(heard, "check_update", release=7, url="https://example.org/evil", force=True)
    assert check["ok"]
    # What was published is not signed for this clock, so nothing more can come of it.
    for verb in ("switch", "install", "rollback", "update", "apply"):
        reply = _ask(heard, verb, slot="a", release=7)
        assert not reply["ok"], verb
        assert reply["result"] is None
    updates = [json.loads(body) for body in heard.subscriber.on("va/dev/kitchen/update")]
    assert {update["active"] for update in updates} == {"factory"}
    assert link.terminate() == 0, link.log
    assert not (board.state / "slots").exists()


def test_asking_without_end_starts_no_more_than_a_check_a_minute(
    board: Stack, heard: Heard
) -> None:
    link = board.link()
    board.listen()
    until(heard.online, "the start")
    replies = [_ask(heard, "check_update") for _ in range(20)]
    assert replies[0] | {"id": ""} == {
        "schema": 1,
        "id": "",
        "ok": True,
        "message": "A check begins.",
        "result": None,
    }
    began = sum(reply["message"] == "A check begins." for reply in replies)
    assert began == 1
    until(lambda: not _ask(heard, "check_update")["ok"], "the end of the check")
    assert "ask again in" in _ask(heard, "check_update")["message"]
    assert link.terminate() == 0, link.log


def test_a_board_without_a_fleet_says_so(tone_stack: Stack, heard: Heard) -> None:
    tone_stack.link()
    until(lambda: bool(heard.states()), "the start")
    reply = _ask(heard, "check_update")
    assert (reply["ok"], reply["message"]) == (
        False,
        "This board gets no updates: update.fleet is empty.",
    )
    assert not heard.subscriber.on("va/dev/kitchen/update")


def test_link_can_be_ended_while_an_update_runs(board: Stack, heard: Heard) -> None:
    """The updater goes with it; whatever it was doing is begun again."""
    link = board.link()
    until(lambda: bool(heard.states()), "the start")
    assert _ask(heard, "check_update")["ok"]
    children = Path(f"/proc/{link.process.pid}/task/{link.process.pid}/children")
    until(children.read_text, "the updater")
    child = children.read_text().split()[0]
    link.kill()
    until(lambda: not _alive(int(child)), "the end of the updater")


def _alive(pid: int) -> bool:
    try:
        with open(f"/proc/{pid}/stat") as file:
            return file.read().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False
