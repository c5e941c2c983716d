"""A whole fleet updates at once, and the broker is killed in the middle of it.

`make test-slow` does it with a thousand simulated boards, and with twenty real ones: `listen` and
`link` as processes of their own, with the bundle that ships and its real trial.
"""

from __future__ import annotations

import datetime as dt
import json
import multiprocessing
import select
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from agent.bundle.manifest import load_bundle
from agent.config import Config
from agent.update.bundle_files import bundle_digest, digest_files
from agent.update.floor import Floor
from agent.update.journal import Journal
from agent.update.slots import Slots
from converters.updates.changed_bundles import change
from firmware_models import factory_bundle
from tests.agent.mqtt.broker import Broker, Subscriber
from tests.system.stack import Process
from tests.system.updates.simulated_boards import Share, Village, live
from tests.system.updates.world import FLEET, World

MOST_MEMORY_KB = 4 * 1024 * 1024
REAL_BOARDS = 20
REAL_AT_ONCE = 3
"""Real boards that are asked to update at the same time: as in a rollout by shares."""


@pytest.fixture
def world(tmp_path: Path, broker: Broker) -> World:
    return World(tmp_path / "world", broker, dt.datetime.now(dt.UTC))


def _village(world: World, folder: Path, **life: Any) -> Village:
    """Three releases; boards that have the second need a diff, the others the full image."""
    operator = world.operator
    for number in (1, 2, 3):
        operator.add(number, diffs=1)
    operator.push()
    first, second, third = (operator.folder / "bundles" / f"toy-{number}" for number in (1, 2, 3))
    root = folder / "1.root.json"
    root.write_bytes(operator.root)
    config = Config()
    update = replace(config.update, fleet=FLEET, root_file=str(root), probation_seconds=0)
    config = replace(config, mqtt=world.config, update=update)
    (folder / "boards").mkdir()
    digest = bundle_digest(digest_files(third))
    return Village(folder / "boards", (first, second), config, 3, digest, **life)


def _live_through_a_broken_broker(
    world: World, village: Village, boards: int, processes: int
) -> list[Share]:
    shares = [list(range(first, boards, processes)) for first in range(processes)]
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(processes, mp_context=context) as pool:
        futures = [pool.submit(live, village, share) for share in shares]
        while village.finished() < boards / 3:
            assert not all(future.done() for future in futures), "all ended, and few have updated"
            time.sleep(0.05)
        assert village.finished() < boards, "the broker was to be killed before the end"
        world.broker.kill()
        time.sleep(2)
        world.broker.start()
        # What the broker had confirmed and not yet written is sent again.
        world.operator.push()
        return [future.result() for future in futures]


def _assert_updated(village: Village, number: int) -> None:
    """From the disk alone, as after a power cut."""
    state = village.state(number)
    record = Journal(state / "update" / "journal").load()
    choice = Slots(state, village.factory(number)).choose(record)
    assert (choice.slot, choice.release, choice.reason) == ("a", village.release, None), number
    assert bundle_digest(digest_files(choice.directory)) == village.digest, number
    assert Floor(state / "update" / "floor").release == village.release
    assert record.failure is None, number
    assert record.refused == (), number


def _update_all(world: World, folder: Path, *, boards: int, processes: int, **life: Any) -> str:
    village = _village(world, folder, **life)
    began = time.monotonic()
    shares = _live_through_a_broken_broker(world, village, boards, processes)
    took = time.monotonic() - began
    checks = {number: count for share in shares for number, count in share.checks.items()}
    assert sorted(checks) == list(range(boards))
    for number in range(boards):
        _assert_updated(village, number)
    assert max(checks.values()) > 1, "nobody noticed that the broker was killed"
    memory_kb = sum(share.peak_kb for share in shares) + _peak_kb(world.broker)
    assert memory_kb < MOST_MEMORY_KB
    return (
        f"{boards} boards in {len(shares)} processes updated in {took:.0f} s, with"
        f" {memory_kb / 1024:.0f} MB at most; {sum(count > 1 for count in checks.values())} had to"
        f" check again, at most {max(checks.values())} times"
    )


def _peak_kb(broker: Broker) -> int:
    assert broker._process is not None
    lines = Path(f"/proc/{broker._process.pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM"))


def test_a_dozen_boards_and_a_broker_that_is_killed(world: World, tmp_path: Path) -> None:
    _update_all(world, tmp_path, boards=12, processes=2, at_once=1, patience_s=120)


@pytest.mark.slow
@pytest.mark.timeout(1500)
def test_a_thousand_boards_and_a_broker_that_is_killed(
    world: World, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    said = _update_all(world, tmp_path, boards=1000, processes=8, at_once=12, patience_s=1200)
    with capsys.disabled():
        print(f"\n{said}")


class RealBoard:
    """`listen` and `link`, with the bundle that ships, in folders of their own."""

    def __init__(self, folder: Path, name: str, broker: Broker, root: bytes) -> None:
        folder.mkdir()
        (folder / "1.root.json").write_bytes(root)
        config = folder / "agent.toml"
        config.write_text(
            f"""
            [device]
            id = "{name}"
            [socket]
            health_seconds = 0.5
            [mqtt]
            host = "127.0.0.1"
            port = {broker.port}
            reconnect_min_seconds = 0.1
            reconnect_max_seconds = 1.0
            [update]
            fleet = "{FLEET}"
            root_file = "{folder / "1.root.json"}"
            probation_seconds = 1
            check_seconds = 86400
            """
        )
        self.name = name
        self.state = folder / "state"
        where = ["--config", str(config), "--state", str(self.state)]
        self._processes = [
            Process([sys.executable, "-m", "agent.cli", "listen", *where, "--source", "-"], folder,
                    stdin=subprocess.PIPE, stdout=subprocess.DEVNULL),
            Process([sys.executable, "-m", "agent.cli", "link", *where], folder,
                    stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL),
        ]  # fmt: skip

    @property
    def log(self) -> list[str]:
        return [line for process in self._processes for line in process.log[-5:]]

    def hear(self) -> None:
        """An eighth of a second of silence: a release is on probation for as long as it hears."""
        pipe = self._processes[0].process.stdin
        assert pipe is not None
        if select.select([], [pipe], [], 0)[1]:
            self._processes[0].say(bytes(4096))

    def close(self) -> None:
        for process in reversed(self._processes):
            process.kill()


class Watcher:
    """What the boards say, as somebody at the broker hears it.

    Attributes:
        updates: The last message of each board about its updates.
        hearing: Boards that are online and hear.
    """

    def __init__(self, broker: Broker) -> None:
        self._subscriber = Subscriber(broker.port, "va/dev/+/+")
        self._read = 0
        self.updates: dict[str, dict[str, Any]] = {}
        self.hearing: set[str] = set()

    def look(self) -> None:
        messages = self._subscriber.messages[self._read :]
        self._read += len(messages)
        for topic, body, _ in messages:
            _, _, name, row = topic.split("/")
            table = json.loads(body) if body else {}
            if row == "update":
                self.updates[name] = table
            elif row == "state":
                well = table.get("state") == "online" and table.get("listening")
                (self.hearing.add if well else self.hearing.discard)(name)

    def done(self, release: int) -> set[str]:
        """Boards that run a release, heard with it, and will keep it."""
        return {
            name
            for name, update in self.updates.items()
            if (update["release"], update["floor"], update["stage"]) == (release, release, "idle")
        }

    def check_update(self, name: str) -> None:
        request = json.dumps({"schema": 1, "id": "operator"})
        self._subscriber.client.publish(f"va/dev/{name}/cmd/check_update", request, qos=1)

    def wait(self, condition: Callable[[], bool], boards: list[RealBoard], seconds: float) -> None:
        deadline = time.monotonic() + seconds
        while not condition():
            late = [board for board in boards if board.name not in self.done(2)]
            assert time.monotonic() < deadline, [(b.name, b.log) for b in late[:3]]
            time.sleep(0.1)
            for board in boards:
                board.hear()
            self.look()

    def close(self) -> None:
        self._subscriber.close()


@pytest.fixture
def watcher(broker: Broker) -> Iterator[Watcher]:
    watcher = Watcher(broker)
    yield watcher
    watcher.close()


@pytest.fixture
def real_boards(world: World, tmp_path: Path, broker: Broker) -> Iterator[list[RealBoard]]:
    boards: list[RealBoard] = []
    try:
        for number in range(REAL_BOARDS):
            name = f"real-{number}"
            boards.append(RealBoard(tmp_path / name, name, broker, world.operator.root))
        yield boards
    finally:
        for board in boards:
            board.close()


@pytest.mark.slow
@pytest.mark.timeout(3600)
def test_twenty_real_boards_and_a_broker_that_is_killed(
    world: World,
    watcher: Watcher,
    real_boards: list[RealBoard],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    operator, boards = world.operator, real_boards
    newer = tmp_path / "newer"
    change(factory_bundle(), newer, 0.002, rows=False, seed=7)
    release = load_bundle(newer).manifest.release
    operator.add_bundle(factory_bundle())
    _, diff = operator.add_bundle(newer)
    operator.push()
    watcher.wait(lambda: len(watcher.hearing) == len(boards), boards, 300)
    began = time.monotonic()
    asked: dict[str, float] = {}

    def ask_the_next() -> int:
        """Keeps some boards busy; one whose request got lost is asked again."""
        done = watcher.done(release)
        busy = [board.name for board in boards if board.name in asked and board.name not in done]
        fresh = [board.name for board in boards if board.name not in asked]
        late = [name for name in busy if time.monotonic() > asked[name] + 65]
        for name in [*late, *fresh[: REAL_AT_ONCE - len(busy)]]:
            asked[name] = time.monotonic()
            watcher.check_update(name)
        return len(done)

    watcher.wait(lambda: ask_the_next() >= len(boards) // 3, boards, 1500)
    world.broker.kill()
    time.sleep(2)
    world.broker.start()
    operator.push()
    watcher.wait(lambda: ask_the_next() == len(boards), boards, 1500)
    took = time.monotonic() - began
    expected = bundle_digest(digest_files(newer))
    for board in boards:
        record = Journal(board.state / "update" / "journal").load()
        choice = Slots(board.state, factory_bundle()).choose(record)
        assert (choice.slot, choice.release, choice.reason) == ("a", release, None)
        assert bundle_digest(digest_files(choice.directory)) == expected
        assert record.refused == ()
    with capsys.disabled():
        print(
            f"\n{len(boards)} real boards updated by a diff of {diff.length} bytes in {took:.0f} s"
        )
