"""Whole updates over a real broker: the real machine with the real trust, only the trial aside.

The toy bundles of `world` cannot be run, so their trial only looks whether they are whole; real
trials are in `test_update_while_hearing` and in `tests/agent/update/test_trial.py`.
"""

from __future__ import annotations

import datetime as dt
import json
from pathlib import Path

import pytest

from agent.bundle.manifest import load_bundle
from agent.config import Config
from agent.errors import TrialError
from agent.records import read_record
from agent.update.broker_source import BrokerSource
from agent.update.heard import Heard
from agent.update.journal import Journal, Record
from agent.update.release import TrialLimits
from agent.update.slots import Slots
from agent.update.updater import board_floor, factory_manifest, machine
from tests.agent.mqtt.broker import Broker, until
from tests.system.stack import Heard as Listener
from tests.system.stack import Stack
from tests.system.updates.measure_check import CountingProxy
from tests.system.updates.world import FLEET, MODEL, World, write_release


@pytest.fixture
def world(tmp_path: Path, broker: Broker) -> World:
    return World(tmp_path / "world", broker, dt.datetime.now(dt.UTC))


class Kitchen:
    """A board that reaches the broker through a proxy that counts."""

    def __init__(self, world: World, folder: Path) -> None:
        self.state = folder / "state"
        self.factory = write_release(folder / "factory", 1)
        self.proxy = CountingProxy(world.broker.port)
        root = folder / "1.root.json"
        root.write_bytes(world.operator.root)
        table = {
            "device": {"id": "kitchen"},
            "mqtt": {"host": "127.0.0.1", "port": self.proxy.port},
            "update": {"fleet": FLEET, "root_file": str(root), "probation_seconds": 0},
        }
        self.config = read_record(Config, table)
        self.refused: set[int] = set()

    def check(self) -> Record:
        """As a new process does it: everything from the disk."""
        manifest = factory_manifest(self.factory)
        floor = board_floor(self.state, manifest)
        source = BrokerSource(self.config, self.state / "update" / "tuf", floor, manifest.name)
        try:
            board = machine(self.config, self.state, self.factory, floor, source, self._try)
            return board.run(Heard())
        finally:
            source.close()

    def running(self) -> tuple[str, int]:
        slots = Slots(self.state, self.factory)
        choice = slots.choose(Journal(self.state / "update" / "journal").load())
        return choice.slot, choice.release

    def _try(self, bundle: Path, _: Path, __: TrialLimits) -> None:
        release = load_bundle(bundle).manifest.release
        if release in self.refused:
            raise TrialError(f"Release {release} understands nothing.")


@pytest.fixture
def kitchen(world: World, tmp_path: Path) -> Kitchen:
    return Kitchen(world, tmp_path / "kitchen")


def test_an_update_from_three_releases_back(world: World, kitchen: Kitchen) -> None:
    """One diff, not a chain of three, and not the full image."""
    for number in range(1, 5):
        made = world.operator.publish(number)
    lengths = {target.path: target.length for target in made}
    kitchen.proxy.reset()
    record = kitchen.check()
    assert kitchen.running() == ("a", 4)
    assert record.floor == 4
    down = kitchen.proxy.settled()[1]
    diff, full = lengths[f"{MODEL}/any/4-from-1.diff"], lengths[f"{MODEL}/any/4.tar.xz"]
    assert diff < down < diff + 12_000 < full


def test_from_further_back_the_full_image_comes(world: World, kitchen: Kitchen) -> None:
    for number in range(1, 6):
        made = world.operator.publish(number)
    full = max(target.length for target in made)
    kitchen.proxy.reset()
    kitchen.check()
    assert kitchen.running() == ("a", 5)
    assert kitchen.proxy.settled()[1] > full


def test_one_release_after_the_other_by_diffs(world: World, kitchen: Kitchen) -> None:
    world.operator.publish(1)
    for number, slot in ((2, "a"), (3, "b"), (4, "a")):
        world.operator.publish(number)
        kitchen.check()
        assert kitchen.running() == (slot, number)


def test_an_interrupted_download_goes_on_after_a_reboot(world: World, kitchen: Kitchen) -> None:
    """The broker loses a part in the middle; the board is switched off; then everything is back."""
    world.operator.publish(2, diffs=0)
    (release,) = world.board().check()
    parts = -(-release.length // release.chunk)
    assert parts >= 2
    world.overwrite_chunk(release, parts - 1, b"")
    first = kitchen.check()
    assert (first.step, first.trouble.partition(":")[0]) == ("receive", "AbsentError")
    (part,) = (kitchen.state / "update" / "download").iterdir()
    assert part.stat().st_size == (parts - 1) * release.chunk
    # What a power cut may do to the part that was being written.
    with part.open("ab") as stream:
        stream.write(b"half a part")
    world.operator.push()
    kitchen.proxy.reset()
    second = kitchen.check()
    assert kitchen.running() == ("a", 2)
    assert second.transaction == first.transaction
    # Only the last part and the metadata came.
    last = release.length - (parts - 1) * release.chunk
    assert kitchen.proxy.settled()[1] < last + 4096 < release.length


def test_a_refused_release_is_not_fetched_again(world: World, kitchen: Kitchen) -> None:
    kitchen.refused.add(2)
    world.operator.publish(2, diffs=0)
    kitchen.check()
    kitchen.proxy.reset()
    record = kitchen.check()
    assert (kitchen.running(), [r.release for r in record.refused]) == (("factory", 1), [2])
    assert kitchen.proxy.settled()[1] < 4096
    world.operator.publish(3)
    kitchen.check()
    assert kitchen.running() == ("a", 3)


def test_everything_is_written_only_below_the_state_directory(
    world: World, kitchen: Kitchen
) -> None:
    before = sorted(kitchen.factory.rglob("*"))
    world.operator.publish(2)
    kitchen.check()
    assert sorted(kitchen.factory.rglob("*")) == before
    assert {path.name for path in kitchen.state.iterdir()} == {"slots", "update"}
    assert {path.name.partition(".")[0] for path in (kitchen.state / "update").iterdir()} == {
        "download",
        "floor",
        "journal",
        "tuf",
    }


def test_expired_metadata_never_stop_speech(
    world: World, tone_stack: Stack, heard: Listener, tmp_path: Path
) -> None:
    """Nobody has renewed the signatures for a month; the board says so, and goes on hearing."""
    operator = World(tmp_path / "month", world.broker, world.operator.now - dt.timedelta(days=30))
    operator.operator.publish(2)
    root = tone_stack.folder / "1.root.json"
    root.write_bytes(operator.operator.root)
    with tone_stack.config.open("a") as config:
        config.write(f'\n[update]\nfleet = "{FLEET}"\nroot_file = "{root}"\n')
    link, listen = tone_stack.link(), tone_stack.listen()

    def stale() -> bool:
        return b'"stale":true' in b"".join(heard.subscriber.on("va/dev/kitchen/update")[-1:])

    until(heard.online)
    heard.subscriber.client.publish(
        "va/dev/kitchen/cmd/check_update", json.dumps({"schema": 1, "id": "1"}), qos=1
    )
    until(stale)
    listen.say(tone_stack.voice.sound)
    heard.once(1)
    assert heard.texts() == tone_stack.voice.texts
    assert link.terminate() == 0, link.log
