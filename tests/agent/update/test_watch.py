"""What `link` does about updates, with a record on disk and a child that only seems to run."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import pytest

from agent.events import Health
from agent.update.child import UpdaterChild
from agent.update.heard import Heard
from agent.update.journal import Failure, Journal, Record, Refusal, SlotEntry, Step
from agent.update.schedule import Schedule
from agent.update.status import lines_of
from agent.update.watch import Watch
from tests.agent.channel.samples import health

ENTRY = SlotEntry(release=2, name="command_en 2", digest="d")
COMMITTED = Record(
    step=Step.PROBATION.value,
    transaction="5f",
    active="a",
    a=ENTRY,
    candidate={"release": 2},
    model="command_en",
    factory_release=1,
)


class Child(UpdaterChild):
    """Ends when the test says so."""

    def __init__(self) -> None:
        self.started: list[Heard] = []
        self.status: int | None = None
        self.alive = False
        self.trouble: OSError | None = None

    @property
    def running(self) -> bool:
        return self.alive

    def start(self, heard: Heard) -> None:
        if self.trouble is not None:
            raise self.trouble
        self.started.append(heard)
        self.alive = True

    def ended(self) -> int | None:
        if not self.alive or self.status is None:
            return None
        status, self.status, self.alive = self.status, None, False
        return status

    def stop(self) -> None:
        self.alive = False


@dataclasses.dataclass
class Kitchen:
    journal: Journal
    child: Child
    watch: Watch

    def report(self, seconds: float, slot: str, release: int, **more: Any) -> None:
        fields = {"slot": slot, "release": release} | more
        self.watch.note(_health(seconds, fields), "boot")


def _health(seconds: float, fields: dict[str, Any]) -> Health:
    return dataclasses.replace(health(round(seconds / 0.04)), **fields)


@pytest.fixture
def kitchen(tmp_path: Path) -> Kitchen:
    journal, child = Journal(tmp_path / "update" / "journal"), Child()
    watch = Watch(
        journal=journal,
        child=child,
        schedule=Schedule(3600.0, 0.0, lambda: 1.0),
        hardware="rpi4",
        probation_s=100,
    )
    return Kitchen(journal, child, watch)


def test_the_updater_is_started_when_it_is_time_and_once(kitchen: Kitchen) -> None:
    kitchen.watch.turn(59.0)
    assert kitchen.child.started == []
    kitchen.watch.turn(60.0)
    kitchen.watch.turn(61.0)
    assert kitchen.child.started == [Heard()]
    kitchen.child.status = 0
    kitchen.watch.turn(70.0)
    kitchen.watch.turn(70.0 + 3959.0)
    assert len(kitchen.child.started) == 1
    kitchen.watch.turn(70.0 + 3961.0)
    assert len(kitchen.child.started) == 2


def test_whoever_asks_gets_a_check_but_not_another(kitchen: Kitchen) -> None:
    assert kitchen.watch.check_now(1.0) == (True, "A check begins.")
    kitchen.watch.turn(1.0)
    assert kitchen.watch.check_now(2.0) == (True, "A check is under way.")
    kitchen.child.status = 0
    kitchen.watch.turn(3.0)
    assert kitchen.watch.check_now(3.0) == (
        False,
        "Checks are asked for too often; ask again in 58 s.",
    )


def test_listen_is_asked_to_switch_until_it_has(kitchen: Kitchen) -> None:
    kitchen.report(1, "factory", 1)
    kitchen.watch.turn(1.0)
    assert kitchen.watch.wanted_switch(1.0) is None
    kitchen.journal.store(COMMITTED)
    kitchen.watch.turn(2.0)
    assert kitchen.watch.wanted_switch(2.0) == "5f"
    assert kitchen.watch.wanted_switch(5.0) is None
    assert kitchen.watch.wanted_switch(12.0) == "5f"
    kitchen.watch.deaf()
    assert kitchen.watch.wanted_switch(13.0) == "5f"
    kitchen.report(2, "a", 2)
    assert kitchen.watch.wanted_switch(60.0) is None


def test_before_the_first_check_the_factory_slot_is_right_whatever_its_release(
    kitchen: Kitchen,
) -> None:
    kitchen.report(1, "factory", 7)
    kitchen.watch.turn(1.0)
    assert kitchen.watch.wanted_switch(1.0) is None


def test_a_slot_that_cannot_be_loaded_is_settled_at_once_and_not_asked_for_again(
    kitchen: Kitchen,
) -> None:
    kitchen.journal.store(COMMITTED)
    missed = {"slot_problem": "slot a cannot be loaded", "missed_slot": "a", "missed_release": 2}
    kitchen.report(1, "factory", 1, **missed)
    kitchen.watch.turn(1.0)
    assert kitchen.watch.wanted_switch(1.0) is None
    assert [heard.problem for heard in kitchen.child.started] == ["slot a cannot be loaded"]
    # The updater has gone back; what `listen` says is about the past now.
    kitchen.journal.store(dataclasses.replace(COMMITTED, step="idle", active="factory", a=None))
    kitchen.child.status = 0
    kitchen.watch.turn(2.0)
    kitchen.watch.turn(600.0)
    assert len(kitchen.child.started) == 1
    # And says nothing about the next release.
    three = dataclasses.replace(COMMITTED, active="b", b=dataclasses.replace(ENTRY, release=3))
    kitchen.journal.store(three)
    kitchen.watch.turn(601.0)
    assert kitchen.watch.wanted_switch(601.0) == "5f"
    assert len(kitchen.child.started) == 1


def test_the_end_of_the_probation_is_settled_without_waiting_for_a_check(kitchen: Kitchen) -> None:
    kitchen.journal.store(dataclasses.replace(COMMITTED, clean_s=40))
    kitchen.report(0, "a", 2)
    kitchen.report(59, "a", 2)
    kitchen.watch.turn(1.0)
    assert kitchen.child.started == []
    kitchen.report(60, "a", 2)
    kitchen.watch.turn(2.0)
    assert [heard.clean_s for heard in kitchen.child.started] == [60]


def test_seconds_are_told_again_if_the_updater_failed(kitchen: Kitchen) -> None:
    kitchen.journal.store(COMMITTED)
    kitchen.report(0, "a", 2)
    kitchen.report(30, "a", 2)
    for status in (1, 0):
        kitchen.watch.check_now(100.0 * (2 - status))
        kitchen.watch.turn(100.0 * (2 - status))
        kitchen.child.status = status
        kitchen.watch.turn(100.0 * (2 - status) + 1)
    assert [heard.clean_s for heard in kitchen.child.started] == [30, 30]
    kitchen.watch.turn(10_000.0)
    assert kitchen.child.started[-1].clean_s == 0


def test_an_updater_that_fails_or_cannot_be_started_is_told_and_tried_again(
    kitchen: Kitchen,
) -> None:
    kitchen.child.trouble = OSError(12, "Cannot allocate memory")
    kitchen.watch.turn(60.0)
    told = kitchen.watch.status()
    assert told["trouble"] == "The updater cannot be started (Cannot allocate memory)."
    kitchen.child.trouble = None
    kitchen.watch.turn(130.0)
    kitchen.child.status = -9
    kitchen.watch.turn(131.0)
    assert kitchen.watch.status()["trouble"] == "The updater ended with exit status -9."
    kitchen.watch.turn(300.0)
    kitchen.child.status = 0
    kitchen.watch.turn(301.0)
    assert kitchen.watch.status()["trouble"] is None
    kitchen.watch.turn(301.0)
    kitchen.watch.close()
    assert not kitchen.child.running


def test_the_status_says_everything_that_the_fleet_needs(kitchen: Kitchen) -> None:
    record = dataclasses.replace(
        COMMITTED,
        floor=1,
        refused=tuple(Refusal(release=n, target="", reason="bad " * 100) for n in range(60)),
        failure=Failure(
            transaction="4e", release=9, step="trial", error="TrialError", message="It is deaf."
        ),
        stale=True,
        trouble="It has expired.",
    )
    kitchen.journal.store(record)
    kitchen.report(1, "a", 2)
    kitchen.watch.turn(1.0)
    told = kitchen.watch.status()
    assert told["model"] == "command_en"
    assert (told["hardware"], told["slot"], told["release"], told["floor"]) == ("rpi4", "a", 2, 1)
    assert (told["stage"], told["transaction"]) == ("probation", "5f")
    assert (told["error"], told["stale"]) == ("trial: TrialError: It is deaf.", True)
    assert [each["release"] for each in told["refused"]] == list(range(44, 60))


def test_lines_for_people() -> None:
    assert lines_of(Record()) == [
        ("slot", "factory: the bundle that ships, release 0"),
        ("step", "idle"),
        ("floor", "release 0"),
        ("checked", "never"),
    ]
    lines = dict(lines_of(COMMITTED))
    assert lines["slot"] == "a: command_en 2, release 2"
    assert lines["before"] == "factory: release 1"
    assert lines["step"] == "probation, 0 s of clean hearing so far [5f]"
    busy = dataclasses.replace(COMMITTED, step="receive", stale=True, checked_ms=1_700_000_000_000)
    lines = dict(lines_of(busy))
    assert lines["step"] == "receive, release 2 [5f]"
    assert lines["checked"] == "2023-11-14 22:13:20 UTC, stale"
