from __future__ import annotations

import logging
import os
import signal
import sqlite3
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agent.errors import OutboxError
from agent.mqtt.outbox import Outbox
from agent.mqtt.result_store import ResultStore, Waiting


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "outbox.sqlite"


def outbox(path: Path, limit: int = 100, memory_limit: int = 3) -> Outbox:
    return Outbox(path, limit=limit, memory_limit=memory_limit)


def keys(box: Outbox | ResultStore) -> list[str]:
    return [waiting.id for waiting in box.waiting(1000)]


def test_first_in_first_out_and_gone_when_delivered(path: Path) -> None:
    store = ResultStore(path, limit=10)
    assert [store.put(key, key.encode()) for key in "abc"] == [True, True, True]
    assert store.waiting(2) == [Waiting("a", b"a"), Waiting("b", b"b")]
    store.delivered("b")
    assert keys(store) == ["a", "c"]
    assert len(store) == 2
    store.close()


def test_a_result_is_kept_once_even_after_it_was_delivered(path: Path) -> None:
    store = ResultStore(path, limit=10)
    assert store.put("a", b"1")
    assert not store.put("a", b"2")
    assert store.waiting(9) == [Waiting("a", b"1")]
    store.delivered("a")
    assert not store.put("a", b"3")
    assert keys(store) == []
    store.close()


def test_everything_is_there_after_a_restart(path: Path) -> None:
    first = ResultStore(path, limit=10)
    first.put("a", b"1")
    first.put("b", b"2")
    first.delivered("a")
    first.close()
    second = ResultStore(path, limit=10)
    assert second.waiting(9) == [Waiting("b", b"2")]
    assert not second.put("a", b"1")
    second.close()


def test_the_oldest_give_way_and_are_counted(path: Path, caplog: pytest.LogCaptureFixture) -> None:
    store = ResultStore(path, limit=3)
    for key in "abcde":
        store.put(key, b"")
    assert keys(store) == ["c", "d", "e"]
    assert store.given_up == 2
    assert "given up (2 so far)" in caplog.text
    store.close()


def test_memory_of_delivered_results_is_bounded(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("agent.mqtt.result_store._DELIVERED_IDS_KEPT", 3)
    store = ResultStore(path, limit=3)
    for key in "abcde":
        store.delivered(key)
    with sqlite3.connect(path) as database:
        assert database.execute("select id from delivered order by sequence").fetchall() == [
            ("c",), ("d",), ("e",)
        ]  # fmt: skip
    database.close()
    store.close()


def test_results_are_for_our_eyes_only(path: Path) -> None:
    store = ResultStore(path, limit=3)
    store.put("a", b"secret")
    for file in path.parent.glob("outbox.sqlite*"):
        assert file.stat().st_mode & 0o077 == 0, file
    store.close()


_WRITER = """
import os, sys
from pathlib import Path
from agent.mqtt.result_store import ResultStore
store = ResultStore(Path(sys.argv[1]), limit=100000)
number = 0
while True:
    store.put(str(number), b"x" * 100)
    os.write(1, b"%d\\n" % number)
    number += 1
"""


def test_kill_9_loses_nothing_that_was_stored(path: Path) -> None:
    confirmed = -1
    for _ in range(3):
        path.unlink(missing_ok=True)
        for suffix in ("-wal", "-shm"):
            Path(f"{path}{suffix}").unlink(missing_ok=True)
        writer = subprocess.Popen(
            [sys.executable, "-c", _WRITER, str(path)],
            stdout=subprocess.PIPE,
            env=os.environ | {"PYTHONPATH": str(Path(__file__).parents[3])},
        )
        assert writer.stdout is not None
        for line in writer.stdout:
            confirmed = int(line)
            if confirmed >= 50:
                break
        writer.send_signal(signal.SIGKILL)
        confirmed = max([confirmed, *map(int, writer.stdout.read().split())])
        writer.wait()
        writer.stdout.close()
        store = ResultStore(path, limit=100000)
        assert set(map(str, range(confirmed + 1))) <= {row.id for row in store.waiting(100000)}
        store.close()


@pytest.mark.parametrize("damage", ["text", "torn", "later version"])
def test_a_damaged_file_is_moved_aside(
    path: Path, caplog: pytest.LogCaptureFixture, damage: str
) -> None:
    store = ResultStore(path, limit=1000)
    for number in range(200):
        store.put(str(number), bytes(500))
    store.close()
    if damage == "text":
        path.write_text("these are not the results you are looking for\n" * 40)
    elif damage == "torn":
        content = path.read_bytes()
        path.write_bytes(content[:4096] + b"\xa5" * 20000 + content[24096:-5000])
    else:
        with sqlite3.connect(path) as database:
            database.execute("pragma user_version = 99")
        database.close()

    store = ResultStore(path, limit=1000)
    assert store.put("new", b"1")
    assert keys(store) == ["new"]
    store.close()
    assert (path.parent / "outbox.sqlite.damaged").exists()
    (record,) = [entry for entry in caplog.records if entry.levelno == logging.ERROR]
    assert "is damaged" in record.getMessage()
    assert record.getMessage().startswith("OutboxError")


def test_damage_while_running_costs_old_results_not_new_ones(path: Path) -> None:
    box = outbox(path)
    for number in range(100):
        box.put(str(number), bytes(500))
    # What a dying SD card does; SQLite reads pages that it has not in its cache.
    with path.open("r+b") as file:
        file.write(b"\xa5" * path.stat().st_size)
    for suffix in ("-wal", "-shm"):
        with Path(f"{path}{suffix}").open("r+b") as file:
            file.write(b"\xa5" * 4096)
    safe = box.put("new", b"1")
    if not safe:
        assert box.tend(0.0) == ["new"]
    assert "new" in keys(box)
    box.close()


@settings(max_examples=30)
@given(st.binary(max_size=3000))
def test_any_file_can_be_opened(tmp_path_factory: pytest.TempPathFactory, content: bytes) -> None:
    path = tmp_path_factory.mktemp("any") / "outbox.sqlite"
    path.write_bytes(content)
    store = ResultStore(path, limit=3)
    assert store.put("a", b"1")
    store.close()


class FullDisk:
    """Lets the real store refuse like a full disk, without needing a file system of its own."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.full = False
        for name in ("put", "delivered"):
            real = getattr(ResultStore, name)

            def guarded(
                store: ResultStore, key: str, *rest: bytes, real: Any = real, name: str = name
            ) -> Any:
                # Reading still works, and what is known need not be written.
                if self.full and not (name == "put" and store.knows(key)):
                    raise OutboxError("outbox.sqlite: database or disk is full.")
                return real(store, key, *rest)

            monkeypatch.setattr(ResultStore, name, guarded)


def test_a_full_disk_means_memory_and_no_acknowledgement(
    path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    disk = FullDisk(monkeypatch)
    box = outbox(path, memory_limit=2)
    assert box.put("a", b"1")
    disk.full = True
    assert [box.put(key, b"") for key in "bbcd"] == [False, False, False, False]
    assert box.refused == 1
    assert caplog.text.count("OutboxError") == 1
    # Still published, in order, the durable one first.
    assert keys(box) == ["a", "b", "c"]

    # The broker has "a" and "b"; the disk cannot take the note, so it is remembered.
    box.delivered("a")
    box.delivered("b")
    assert keys(box) == ["c"]
    assert box.put("a", b"1")
    assert box.put("b", b"1")

    assert box.tend(0.0) == []
    disk.full = False
    assert box.tend(1.0) == [], "too early to try again"
    assert box.tend(5.0) == ["c"]
    assert box.trouble is None
    assert box.put("d", b"")
    box.close()

    again = outbox(path)
    assert keys(again) == ["c", "d"]
    assert again.put("a", b"1")
    assert keys(again) == ["c", "d"]
    again.close()


def test_a_result_that_is_repeated_behind_a_full_disk_waits_once(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    disk = FullDisk(monkeypatch)
    box = outbox(path)
    disk.full = True
    assert not box.put("a", b"1")
    disk.full = False
    # `listen` comes back before the disk is tried again.
    assert box.put("a", b"1")
    assert keys(box) == ["a"]
    assert len(box) == 1
    box.close()


def test_a_store_that_cannot_be_opened_is_tried_again(tmp_path: Path) -> None:
    folder = tmp_path / "absent"
    box = outbox(folder / "outbox.sqlite")
    assert box.trouble is not None
    assert not box.put("a", b"1")
    assert keys(box) == ["a"]
    folder.mkdir()
    assert box.tend(100.0) == ["a"]
    assert box.put("b", b"2")
    assert len(box) == 2
    box.close()


@given(
    st.lists(st.tuples(st.sampled_from(["put", "delivered", "full", "free"]), st.integers(0, 5)))
)
def test_what_was_promised_is_kept_or_delivered(
    tmp_path_factory: pytest.TempPathFactory, actions: list[tuple[str, int]]
) -> None:
    """Whatever the disk does: no promised result vanishes, none waits after its delivery."""
    with pytest.MonkeyPatch.context() as patch:
        disk = FullDisk(patch)
        box = outbox(tmp_path_factory.mktemp("box") / "outbox.sqlite", memory_limit=2)
        promised, delivered, now = set(), set(), 0.0
        for action, number in actions:
            now += 10
            key = str(number)
            if action == "put":
                if box.put(key, b""):
                    promised.add(key)
            elif action == "delivered":
                # Only what was published can be confirmed.
                if key in keys(box):
                    box.delivered(key)
                    delivered.add(key)
            else:
                disk.full = action == "full"
            promised.update(box.tend(now))
            waiting = keys(box)
            assert len(waiting) == len(set(waiting))
            assert promised - delivered <= set(waiting)
            assert not delivered & set(waiting)
        box.close()


def test_a_real_full_disk(tmp_path: Path) -> None:
    """A file system of 256 KiB; needs the right to mount one."""
    disk = tmp_path / "disk"
    disk.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=256k", "tmpfs", str(disk)],
        check=False,
        capture_output=True,
    )
    if mounted.returncode:
        pytest.skip(f"a small file system cannot be mounted: {mounted.stderr.decode().strip()}")
    try:
        box = Outbox(disk / "outbox.sqlite", limit=1000, memory_limit=3)
        assert box.put("first", bytes(1000))
        filler = disk / "filler"
        with filler.open("wb", buffering=0) as file:
            try:
                while True:
                    file.write(bytes(4096))
            except OSError:
                pass
        promised = ["first"]
        promised += [key for key in map(str, range(60)) if box.put(key, bytes(4000))]
        assert box.trouble is not None
        assert "full" in box.trouble
        # A repetition needs no room.
        assert box.put("first", bytes(1000))
        assert set(promised) <= set(keys(box))

        filler.unlink()
        moved = box.tend(1e9)
        assert len(moved) == 3
        assert box.put("last", b"1")
        box.close()
        again = outbox(disk / "outbox.sqlite")
        assert keys(again) == [*promised, *moved, "last"]
        again.close()
    finally:
        subprocess.run(["umount", str(disk)], check=True)
