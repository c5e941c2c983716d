"""The whole way, with nothing left out: the bundle that ships is updated by a diff, while it hears.

A real operator, a real mosquitto, the real `listen` and `link`, the real updater with the real
trial; and somebody who does not stop talking. No result may be missing, none may come twice.
"""

from __future__ import annotations

import dataclasses
import datetime as dt
import json
import shutil
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from agent.bundle.manifest import load_bundle
from converters.updates.changed_bundles import change
from tests.agent.mqtt.broker import Broker, until
from tests.system.stack import Heard, Process, Stack, Voice
from tests.system.updates.world import FLEET, Operator, World

_BLOCK = 1280  # bytes: 40 ms
_FIRST_S = 5.6
"""The first command of the recording, with enough silence behind it to end it."""
_PATIENCE_S = 150.0
"""The updater is the least important process of a board, and perhaps of a busy machine."""


class Talker:
    """Somebody who says the same again and again, faster than in life, until told to stop."""

    def __init__(self, listen: Process, sound: bytes) -> None:
        self._listen = listen
        # Whole blocks, so that every round is cut into the same ones.
        self._sound = sound + bytes(-len(sound) % _BLOCK)
        self._enough = threading.Event()
        self.rounds = 0
        self._thread = threading.Thread(target=self._talk)
        self._thread.start()

    def stop(self) -> int:
        """Lets the last round end; how many there were."""
        self._enough.set()
        self._thread.join()
        return self.rounds

    def _talk(self) -> None:
        while not self._enough.is_set():
            for start in range(0, len(self._sound), _BLOCK):
                self._listen.say(self._sound[start : start + _BLOCK])
                time.sleep(0.02)
            self.rounds += 1


class Board:
    """`listen`, `link` and what the broker knows of their updates."""

    def __init__(self, stack: Stack, heard: Heard, operator: Operator, broker: Broker) -> None:
        self.stack = stack
        self.heard = heard
        self.broker = broker
        root = stack.folder / "1.root.json"
        root.write_bytes(operator.root)
        with stack.config.open("a") as config:
            config.write(
                f'\n[update]\nfleet = "{FLEET}"\nroot_file = "{root}"\nprobation_seconds = 2\n'
                "[socket]\nhealth_seconds = 0.5\n"
            )

    def updates(self) -> list[dict[str, Any]]:
        return [json.loads(body) for body in self.heard.subscriber.on("va/dev/kitchen/update")]

    def once(self, condition: Callable[[dict[str, Any]], bool], what: str) -> None:
        """Waits until the board has said something about its updates."""
        until(lambda: any(map(condition, self.updates())), what, patience_s=_PATIENCE_S)

    def check_update(self) -> None:
        request = json.dumps({"schema": 1, "id": "operator"})
        self.heard.subscriber.client.publish("va/dev/kitchen/cmd/check_update", request, qos=1)


@pytest.fixture
def world(tmp_path: Path, broker: Broker) -> World:
    return World(tmp_path / "world", broker, dt.datetime.now(dt.UTC))


@pytest.fixture
def shipped_stack(tmp_path: Path, shipped_voice: Voice, broker: Broker) -> Iterator[Stack]:
    voice = dataclasses.replace(
        shipped_voice,
        sound=shipped_voice.sound[: round(_FIRST_S * 25) * _BLOCK] + bytes(25 * _BLOCK),
        texts=shipped_voice.texts[:1],
    )
    stack = Stack(tmp_path, voice, broker.port)
    yield stack
    stack.close()


def test_the_shipped_bundle_is_updated_by_a_diff_and_no_final_is_lost(
    world: World, shipped_stack: Stack, heard: Heard, broker: Broker, tmp_path: Path
) -> None:
    stack, voice, operator = shipped_stack, shipped_stack.voice, world.operator
    newer = tmp_path / "newer"
    change(voice.bundle, newer, 0.002, rows=False, seed=5)
    release = load_bundle(newer).manifest.release
    operator.add_bundle(voice.bundle)
    operator.push()
    full, diff = operator.add_bundle(newer)
    board = Board(stack, heard, operator, broker)
    modules = stack.folder / "modules"
    listen, link = stack.listen(), stack.link(modules=modules)
    until(heard.online, "the start")
    talker = Talker(listen, voice.sound)
    try:
        until(lambda: len(heard.finals()) >= 1, "a result of the release that ships")
        operator.push()
        board.check_update()
        board.once(lambda update: update["release"] == release, "the new release")
        board.once(lambda update: update["floor"] == release, "the end of the probation")
        before = talker.rounds
        until(lambda: talker.rounds > before + 1, "a round with the new release alone")
    finally:
        rounds = talker.stop()

    # Nothing is missing, nothing came twice, and nobody was interrupted.
    expected = rounds * len(voice.texts)
    heard.once(expected)
    finals = heard.finals()
    rules = [final["endpoint"]["rule"] for final in finals]
    assert set(rules) <= {"trailing_silence", "no_token", "wake_word"}
    texts = heard.texts()
    assert texts[: len(voice.texts)] == voice.texts
    assert texts[-len(voice.texts) :] == _understood(tmp_path, newer, voice)
    assert sum("Switched in" in line for line in listen.log) == 1
    assert not listen.logged("were lost")

    # It was the diff that came, and it made exactly the bundle that was signed.
    status = board.updates()[-1]
    assert diff.length < full.length / 10
    assert link.logged(f"Receiving {diff.path} from byte 0 of {diff.length}.")
    assert (status["slot"], status["stage"], status["error"]) == ("a", "idle", None)
    assert status["model"] == load_bundle(voice.bundle).manifest.name
    assert load_bundle(stack.state / "slots" / "a").manifest.release == release

    # Every message and every line about it has the transaction's id.
    transactions = {u["transaction"] for u in board.updates()} - {""}
    assert len(transactions) == 1
    (transaction,) = transactions
    lines = [line for line in link.log if line.startswith("update: ") and "Updates" not in line]
    assert lines
    assert all(f"[{transaction}]" in line for line in lines), lines
    assert listen.logged(f"{transaction}] Switched")
    assert [u["stage"] for u in board.updates()][-1] == "idle"

    # What the update needed has gone with the updater.
    assert link.terminate() == 0, link.log
    loaded = modules.read_text().split()
    assert not [name for name in loaded if name.split(".")[0] in ("tuf", "securesystemslib")]
    assert not [name for name in loaded if name.startswith(("agent.hearing", "numpy"))]


def _understood(tmp_path: Path, bundle: Path, voice: Voice) -> list[str]:
    """What another bundle makes of the same sound, when nothing else happens."""
    folder = tmp_path / "alone"
    folder.mkdir()
    stack = Stack(folder, dataclasses.replace(voice, bundle=bundle), port=None)
    try:
        with (stack.folder / "results").open("wb") as results:
            link = stack.link(stdout=results)
            listen = stack.listen()
            listen.say(voice.sound)
            until(
                lambda: (
                    len((stack.folder / "results").read_text().splitlines()) >= len(voice.texts)
                ),
                "the results of the other bundle",
            )
            listen.kill()
            link.terminate()
        lines = (stack.folder / "results").read_text().splitlines()
        return [json.loads(line)["text"] for line in lines]
    finally:
        stack.close()
        shutil.rmtree(stack.folder)
