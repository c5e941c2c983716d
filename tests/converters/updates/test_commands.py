"""The commands of an operator, as they are typed."""

from __future__ import annotations

import json
import os
import pty
import re
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from converters import cli
from converters.updates.broker import BrokerSession
from tests.agent.mqtt.broker import Broker, until
from tests.agent.update.handmade import read_files
from tests.converters.updates.test_diff_maker import _hashed
from tests.converters.updates.test_fleet import update
from tests.system.updates.world import FLEET, Board, World, write_release

COMMANDS = ("diff", "apply", "keys", "publish", "fleet")


class Desk:
    """Where an operator sits: folders, a broker, and a command line."""

    def __init__(self, folder: Path, world: World, capsys: pytest.CaptureFixture[str]) -> None:
        self.folder = folder
        self.world = world
        self._capsys = capsys
        self.config = folder / "agent.toml"
        self.config.write_text(
            f'[mqtt]\nhost = "127.0.0.1"\nport = {world.broker.port}\n[update]\nfleet = "{FLEET}"\n'
        )

    def run(self, *arguments: object) -> tuple[int, str, str]:
        """Exit status, output, errors."""
        status = cli.main([str(argument) for argument in arguments])
        out, err = self._capsys.readouterr()
        return status, out, err

    def done(self, *arguments: object) -> str:
        """The output of a command that must succeed."""
        status, out, err = self.run(*arguments)
        assert (status, err) == (0, ""), err
        return out

    def refused(self, *arguments: object) -> str:
        """The error of a command that must fail, in one sentence."""
        status, _, err = self.run(*arguments)
        assert status in (1, 2)
        assert re.fullmatch(r"error: [^\n]+\n", err), err
        return err

    def publish(self, action: str, *arguments: object) -> str:
        where = ("--repository", self.folder / "repository", "--keys", self.folder / "keys")
        return self.done("publish", action, *where, *arguments)

    def start(self) -> None:
        self.done("keys", "make", "--keys", self.folder / "keys")
        self.publish("start")

    def release(self, number: int, *arguments: object) -> str:
        bundle = write_release(self.folder / "bundles", number)
        return self.publish("release", "--bundle", bundle, "--config", self.config, *arguments)

    def fleet(self, *arguments: object) -> str:
        return self.done("fleet", "--config", self.config, *arguments)

    def sign(self, *arguments: object) -> str:
        where = ("--repository", self.folder / "repository", "--keys", self.folder / "keys")
        return self.fleet(*where, *arguments)

    def board(self) -> Board:
        import datetime as dt

        root = (self.folder / "repository" / "metadata" / "1.root.json").read_bytes()
        return self.world.board(root=root, now=lambda: dt.datetime.now(dt.UTC))


@pytest.fixture
def desk(tmp_path: Path, world: World, capsys: pytest.CaptureFixture[str]) -> Desk:
    return Desk(tmp_path, world, capsys)


@pytest.mark.parametrize("command", COMMANDS)
def test_help(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        cli.main([command, "--help"])
    assert ended.value.code == 0
    text = capsys.readouterr().out
    # Says how it is used, by example.
    assert f"voice-converters {command}" in text.partition("options:")[0].split("]\n", 1)[-1]


def test_from_nothing_to_a_board_that_sees_the_release(desk: Desk) -> None:
    out = desk.done("keys", "make", "--keys", desk.folder / "keys")
    assert out.count("keep it offline") == 5
    assert out.count("needed every day") == 2
    assert "1.root.json onto every board" in desk.publish("start")
    out = desk.release(1)
    assert "toy/any/1.tar.xz" in out
    assert re.search(r"\d+ messages \(\d+ bytes\) sent, 0 were there, 0 removed", out)
    board = desk.board()
    assert board.releases() == [1]
    assert "toy/any/2-from-1.diff" in desk.release(2)
    assert board.releases() == [2, 1]
    # A new timestamp replaces the old one; everything else is there already.
    assert "1 messages" in desk.publish("stamp", "--config", desk.config)
    assert "0 messages" in desk.publish("push", "--config", desk.config)


def test_renew_signs_again(desk: Desk) -> None:
    desk.start()
    desk.release(1)
    desk.publish("renew", "--role", "targets", "--role", "root", "--config", desk.config)
    assert (desk.folder / "repository" / "metadata" / "2.root.json").exists()
    assert desk.board().releases() == [1]
    desk.publish("renew", "--config", desk.config)
    assert (desk.folder / "repository" / "metadata" / "2.toy-any.json").exists()


def test_keys_listed_and_replaced(desk: Desk) -> None:
    desk.start()
    desk.release(1)
    keys, repository = desk.folder / "keys", desk.folder / "repository"
    listed = desk.done("keys", "list", "--keys", keys, "--repository", repository)
    old = re.search(r"^([0-9a-f]{8})  timestamp ", listed, re.MULTILINE)
    assert old is not None
    where = ("--keys", keys, "--repository", repository)
    out = desk.done("keys", "replace", *where, "--role", "timestamp", "--old", old[1])
    new = re.search(r"timestamp: ([0-9a-f]{8}) counts no more, ([0-9a-f]{8}) does", out)
    assert new is not None
    assert new[1] == old[1]
    listed = desk.done("keys", "list", *where)
    assert f"{old[1]}  counts for nothing" in listed
    assert f"{new[2]}  timestamp" in listed
    desk.publish("push", "--config", desk.config)
    assert desk.board().releases() == [1]
    # Without the repository only files are known; without the files, only ids.
    assert listed.count("\n") == desk.done("keys", "list", "--keys", keys).count("\n")
    elsewhere = desk.done("keys", "list", "--keys", desk.folder, "--repository", repository)
    assert elsewhere.count("(not in these folders)") == 8


def test_encrypted_keys(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VOICE_CONVERTERS_PASSPHRASE", "short")
    keys = desk.folder / "keys"
    assert "shorter than 8" in desk.refused("keys", "make", "--keys", keys, "--encrypt")
    monkeypatch.setenv("VOICE_CONVERTERS_PASSPHRASE", "long enough")
    desk.done("keys", "make", "--keys", keys, "--encrypt")
    desk.publish("start")
    monkeypatch.setenv("VOICE_CONVERTERS_PASSPHRASE", "long but wrong")
    where = ("--repository", desk.folder / "repository", "--keys", keys)
    assert "is the passphrase right" in desk.refused("publish", "renew", *where, "--role", "root")
    # The daily signature needs no passphrase.
    monkeypatch.delenv("VOICE_CONVERTERS_PASSPHRASE")
    desk.publish("stamp")


def test_a_typed_passphrase_is_typed_twice(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    typed = iter(["long enough", "long enuogh"])
    monkeypatch.setattr("getpass.getpass", lambda _: next(typed))
    keys = desk.folder / "keys"
    assert "passphrases differ" in desk.refused("keys", "make", "--keys", keys, "--encrypt")
    assert not keys.exists()


def test_fleet_once_and_as_json(desk: Desk) -> None:
    assert "No board has published its state yet." in desk.fleet("--once")
    with BrokerSession(desk.world.config, None) as session:
        session.keep("va/dev/kitchen/update", update())
        session.keep("va/dev/kitchen/state", b'{"state": "online"}')
    out = desk.fleet("--once")
    assert "kitchen" in out
    assert "toy 1: 1" in out
    (board,) = json.loads(desk.fleet("--json"))["boards"]
    assert (board["device"], board["online"], board["release"]) == ("kitchen", True, 1)


def test_a_rollout_is_halted_resumed_and_widened(desk: Desk) -> None:
    desk.start()
    desk.release(1)
    desk.release(2, "--share", 100)
    board = desk.board()

    def terms() -> set[tuple[bool, int]]:
        return {(r.halted, r.share_permille) for r in board.check() if r.release == 2}

    assert terms() == {(False, 100)}
    assert "Release 2 of toy-any is halted." in desk.sign("--halt", 2)
    assert terms() == {(True, 100)}
    assert "is offered again" in desk.sign("--resume", 2)
    assert "is for 1000 of 1000 boards" in desk.sign("--share", "2=1000")
    assert terms() == {(False, 1000)}


def test_the_live_table(desk: Desk, broker: Broker) -> None:
    """In a terminal, until Ctrl-C; what boards say appears by itself."""
    ours, theirs = pty.openpty()
    environment = os.environ | {"TERM": "xterm", "COLUMNS": "150", "LINES": "40"}
    process = subprocess.Popen(
        [sys.executable, "-m", "converters.cli", "fleet", "--config", str(desk.config)],
        stdin=theirs,
        stdout=theirs,
        stderr=subprocess.STDOUT,
        env=environment | {"PYTHONPATH": str(Path(__file__).parents[3])},
        start_new_session=True,
    )
    os.close(theirs)
    seen = b""

    def shows(text: str) -> bool:
        nonlocal seen
        seen += os.read(ours, 65536)
        return text.encode() in seen

    try:
        until(lambda: shows("No board has published"), "the empty table")
        with BrokerSession(desk.world.config, None) as session:
            session.keep("va/dev/hall/update", update(factory_release=3))
            until(lambda: shows("toy 3: 1"), "the board")
            session.keep("va/dev/hall/state", b'{"state": "offline"}')
            until(lambda: shows("offline"), "its state")
        process.send_signal(signal.SIGINT)
        until(lambda: shows("interrupted"), "the end")
        assert process.wait(30) == 130
    finally:
        process.kill()
        process.wait()
        os.close(ours)


def test_diff_and_apply(desk: Desk) -> None:
    bundles = [write_release(desk.folder / "bundles", number) for number in (1, 2)]
    out, report = desk.folder / "1-2.diff", desk.folder / "report.json"
    text = desk.done("diff", *bundles, "--out", out, "--json", report)
    figures = json.loads(report.read_text())
    assert f"wrote {out}: {out.stat().st_size} bytes" in text
    assert figures["size"] == out.stat().st_size
    header = desk.done("apply", bundles[0], out, "--header")
    assert figures["base_sha256"] in header
    made = desk.done("apply", bundles[0], out, "--out", desk.folder / "made")
    assert figures["result_sha256"] in made
    assert read_files(desk.folder / "made") == read_files(bundles[1])
    assert "not the bundle that the diff starts from" in desk.refused(
        "apply", bundles[1], out, "--out", desk.folder / "more"
    )
    assert "not empty" in desk.refused("apply", bundles[0], out, "--out", desk.folder / "made")


def test_a_hashed_diff(desk: Desk) -> None:
    base, new, delta = _hashed(desk.folder, 3)
    values, out = desk.folder / "values.npy", desk.folder / "h.diff"
    np.save(values, delta.values)
    files = [argument for file in delta.files for argument in ("--hashed-file", file)]
    text = desk.done(
        "diff", base, new, "--out", out, "--hashed", values, "--seed", delta.seed, *files
    )
    assert " 0 of " in text
    np.save(values, delta.values.astype(np.float32))
    assert "int8" in desk.refused("diff", base, new, "--out", out, "--hashed", values, *files)
    np.save(values, delta.values)
    assert "--hashed-file" in desk.refused("diff", base, new, "--out", out, "--hashed", values)


def _wrong(desk: Desk) -> dict[str, tuple[tuple[object, ...], str]]:
    repository, keys = desk.folder / "repository", desk.folder / "keys"
    there = ("--repository", repository, "--keys", keys)
    bundle = write_release(desk.folder / "bundles", 1)
    config = ("--config", desk.config)
    (desk.folder / "none.toml").write_text("")
    return {
        "keys over keys": (("keys", "make", "--keys", keys), "already holds keys"),
        "replace nothing": (("keys", "replace", "--keys", keys), "needs --repository and --role"),
        "replace one of several": (
            ("keys", "replace", *there, "--role", "root"), "root has 3 keys; say which with --old",
        ),
        "replace one of two roles": (
            ("keys", "replace", *there, "--role", "root", "--role", "targets", "--old", "1"),
            "one role at a time",
        ),
        "publish without keys": (("publish", "stamp", "--repository", repository), "--keys DIR"),
        "publish without a broker": (("publish", "push", *there), "Name the broker"),
        "publish for no fleet": (
            ("publish", "push", *there, "--config", desk.folder / "none.toml"), "Name the fleet",
        ),
        "publish no bundle": (("publish", "release", *there), "Name the bundle"),
        "publish something else": (
            ("publish", "release", *there, "--bundle", desk.folder), "manifest.json",
        ),
        "publish to too many": (
            ("publish", "release", *there, "--bundle", bundle, "--share", 1001), "0 to 1000",
        ),
        "no repository": (
            ("publish", "stamp", "--repository", desk.folder, "--keys", keys), "publish start",
        ),
        "a second start": (("publish", "start", *there), "already holds a repository"),
        "an unsigned halt": (("fleet", *config, "--halt", 1), "must be signed"),
        "halt nothing": (
            ("fleet", *config, *there, "--halt", 1, "--role", "toy-any"), "not offer release 1",
        ),
        "halt without a role": (("fleet", *config, *there, "--halt", 1), "Name the boards"),
        "a share in words": (
            ("fleet", *config, *there, "--role", "x", "--share", "half"), "RELEASE=PERMILLE",
        ),
        "diff of nothing": (("diff",), "give BASE, NEW and --out"),
        "diff of no bundle": (("diff", bundle, desk.folder / "x", "--out", "d"), "name a bundle"),
        "apply to nothing": (("apply", bundle, desk.config), "give --out DIR, or --header"),
        "apply no diff": (("apply", bundle, desk.config, "--header"), "This is not a diff"),
        "apply a missing diff": (("apply", bundle, "nowhere.diff", "--header"), "cannot be read"),
    }  # fmt: skip


def test_mistakes_are_explained_in_one_sentence(desk: Desk) -> None:
    desk.start()
    for name, (arguments, sentence) in _wrong(desk).items():
        assert sentence in desk.refused(*arguments), name


def test_a_warning_before_signatures_run_out(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    desk.start()
    from converters.updates.repository import Repository

    monkeypatch.setattr(
        Repository,
        "expiring",
        lambda self: [("targets", self.targets.signed.expires)],
    )
    status, _, err = desk.run(
        "publish", "stamp", "--repository", desk.folder / "repository", "--keys",
        desk.folder / "keys",
    )  # fmt: skip
    assert status == 0
    assert re.search(r"warning: targets expires on \d{4}-\d\d-\d\d; run: .* --role targets", err)
