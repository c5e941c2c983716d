"""`voice-agent update` as an operator types it, against a real record and a real broker."""

from __future__ import annotations

import datetime as dt
import fcntl
import json
import os
from pathlib import Path

import pytest

from agent.cli import main
from agent.update import child as child_module
from agent.update.child import UpdaterChild
from agent.update.heard import Heard
from agent.update.journal import Journal, Record, SlotEntry
from tests.agent.mqtt.broker import Broker, until
from tests.agent.toy_bundle import write_toy_bundle
from tests.system.updates.world import FLEET, Operator, World


class Kitchen:
    """A board with the toy bundle, and an operator who publishes for it."""

    def __init__(self, folder: Path, broker: Broker) -> None:
        self.world = World(folder / "world", broker, dt.datetime.now(dt.UTC))
        self.operator: Operator = self.world.operator
        self.bundle = write_toy_bundle(folder / "toy")
        self.state = folder / "state"
        self.config = folder / "agent.toml"
        root = folder / "1.root.json"
        root.write_bytes(self.operator.root)
        self.config.write_text(
            f'[device]\nid = "kitchen"\n[bundle]\npath = "{self.bundle}"\n'
            f'[mqtt]\nhost = "127.0.0.1"\nport = {broker.port}\n'
            f'[update]\nfleet = "{FLEET}"\nroot_file = "{root}"\nprobation_seconds = 0\n'
        )

    def update(self, *arguments: str) -> int:
        where = ["--config", str(self.config), "--state", str(self.state)]
        return main(["update", *arguments, *where])

    def newer(self, folder: Path) -> Path:
        """The same bundle as release 2."""
        bundle = write_toy_bundle(folder / "toy-2")
        manifest = json.loads((bundle / "manifest.json").read_text())
        (bundle / "manifest.json").write_text(json.dumps(manifest | {"release": 2}))
        return bundle


@pytest.fixture
def kitchen(tmp_path: Path, broker: Broker) -> Kitchen:
    return Kitchen(tmp_path, broker)


def _journal(kitchen: Kitchen) -> Journal:
    return Journal(kitchen.state / "update" / "journal")


def test_check_status_and_rollback(
    kitchen: Kitchen, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    kitchen.operator.add_bundle(kitchen.bundle)
    kitchen.operator.push()
    assert kitchen.update("check") == 0
    assert "slot     factory: the bundle that ships, release 1" in capsys.readouterr().out
    kitchen.operator.add_bundle(kitchen.newer(tmp_path))
    kitchen.operator.push()
    assert kitchen.update("check", "--json") == 0
    told = json.loads(capsys.readouterr().out)
    assert (told["slot"], told["release"], told["floor"], told["stage"]) == ("a", 2, 2, "idle")
    assert kitchen.update("status") == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[:2] == ["slot     a: toy 2, release 2", "before   factory: release 1"]
    assert kitchen.update("rollback") == 0
    assert "refused  release 2: An operator rolled it back." in capsys.readouterr().out
    assert kitchen.update("check") == 0
    assert kitchen.update("status", "--json") == 0
    told = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert (told["slot"], told["refused"][0]["release"]) == ("factory", 2)


def test_what_goes_wrong_is_one_sentence(
    kitchen: Kitchen, capsys: pytest.CaptureFixture[str]
) -> None:
    assert kitchen.update("rollback") == 1
    assert "there is nothing to go back from" in capsys.readouterr().err
    # Nothing was published.
    kitchen.operator.push()
    kitchen.world.overwrite({"timestamp.json": b"{}"})
    assert kitchen.update("check") == 1
    assert "trouble  MetadataError" in capsys.readouterr().out
    (kitchen.state / "update").mkdir(exist_ok=True)
    with (kitchen.state / "update" / "lock").open("wb") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        assert kitchen.update("check") == 1
    assert capsys.readouterr().err.endswith("wait until it has ended.\n")
    text = kitchen.config.read_text()
    kitchen.config.write_text(text.replace(f'fleet = "{FLEET}"', ""))
    assert kitchen.update("check") == 2
    assert "update.fleet and mqtt.host" in capsys.readouterr().err
    kitchen.config.write_text(text.replace("1.root.json", "none.json"))
    assert kitchen.update("check") == 2
    assert "update.root_file" in capsys.readouterr().err
    root = next(line for line in text.splitlines() if line.startswith("root_file"))
    kitchen.config.write_text(text.replace(root, ""))
    assert kitchen.update("check") == 2
    assert "names no root metadata" in capsys.readouterr().err
    kitchen.config.write_text(text.replace(str(kitchen.bundle), "/nothing"))
    assert kitchen.update("check") == 1
    assert "The bundle that shipped is broken" in capsys.readouterr().err


def test_status_of_a_board_that_never_updated(
    kitchen: Kitchen, capsys: pytest.CaptureFixture[str]
) -> None:
    assert kitchen.update("status") == 0
    assert "checked  never" in capsys.readouterr().out
    assert not kitchen.state.exists(), "whoever only looks changes nothing"


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a folder away")
def test_another_user_is_sent_to_the_one_who_owns_the_state(
    kitchen: Kitchen, capsys: pytest.CaptureFixture[str]
) -> None:
    kitchen.state.mkdir()
    os.chown(kitchen.state, 65534, -1)
    assert kitchen.update("check") == 2
    assert "run this as that user: sudo -u nobody" in capsys.readouterr().err
    os.chown(kitchen.state, 54321, -1)
    assert kitchen.update("rollback") == 2
    assert "sudo -u 54321" in capsys.readouterr().err


def test_the_child_of_link_puts_on_record_what_was_heard(kitchen: Kitchen) -> None:
    kitchen.operator.push()
    record = Record(active="a", step="probation", a=SlotEntry(release=5, name="gone", digest="0"))
    _journal(kitchen).store(record)
    child = UpdaterChild(kitchen.state, kitchen.config)
    child.start(Heard(slot="factory", release=1))
    assert child.running
    until(lambda: not _running(child), "the end of the updater")
    after = _journal(kitchen).load()
    assert (after.active, after.step) == ("factory", "idle")
    assert after.failure is not None
    assert "slot factory takes its place" in after.failure.message


def _running(child: UpdaterChild) -> bool:
    status = child.ended()
    assert status in (None, 0)
    return child.running


def test_a_child_that_takes_too_long_is_ended(kitchen: Kitchen) -> None:
    child = UpdaterChild(kitchen.state, kitchen.config, longest_s=0.0)
    child.start(Heard())
    found: list[int] = []

    def ended() -> bool:
        status = child.ended()
        found.extend([] if status is None else [status])
        return bool(found)

    until(ended, "the end of the updater")
    assert found == [-9]
    child.stop()


def test_nobody_elses_child_does_nothing(kitchen: Kitchen) -> None:
    """`link` died before the updater could ask the kernel to be told."""
    child = UpdaterChild(kitchen.state, kitchen.config)
    child._command = [word if word != str(os.getpid()) else "1" for word in child._command]
    child.start(Heard())
    found: list[int] = []

    def ended() -> bool:
        status = child.ended()
        found.extend([] if status is None else [status])
        return bool(found)

    until(ended, "the end of the updater")
    assert found == [1]
    assert not kitchen.state.exists()


def test_a_child_that_does_not_want_to_end_is_killed(
    kitchen: Kitchen, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(child_module, "_FAREWELL_S", 0.3)
    child = UpdaterChild(kitchen.state, kitchen.config)
    ready = kitchen.state.with_name("ready")
    child._command = ["/bin/sh", "-c", f"trap '' TERM; : >{ready}; while :; do sleep 0.1; done"]
    child.start(Heard())
    process = child._process
    assert process is not None
    until(ready.exists, "the start")
    child.stop()
    assert process.poll() == -9
    assert not child.running
