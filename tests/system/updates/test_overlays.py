"""An owner's overlay on a whole board: real `listen` and `link`, real mosquitto, a real update.

The models understand tones. The overlay that passes makes them deaf for `d`, so what is heard tells
whether it is in use; the one that hurts makes them deaf for every letter.
"""

from __future__ import annotations

import dataclasses
import datetime as dt
import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from agent.update.bundle_files import bundle_digest, digest_files
from agent.update.release import TrialLimits
from tests.agent.mqtt.broker import Broker, until
from tests.agent.toy_bundle import tones
from tests.agent.update.toy_overlays import write_listed_toy, write_overlay
from tests.system.stack import ROOT, Heard, Process, Stack, Voice
from tests.system.test_isolation import NETWORK, loaded
from tests.system.updates.world import FLEET, World

_PATIENCE_S = 120.0
_SAID = ".*_ab d.."


class Board:
    """`listen` and `link` with an overlay, and somebody who speaks."""

    def __init__(self, stack: Stack, heard: Heard, world: World, deaf: str) -> None:
        self.stack = stack
        self.heard = heard
        self.sound = (tones(_SAID, silence=0.001) * 32767).astype("<i2").tobytes()
        overlay = write_overlay(stack.folder / "mine.overlay", stack.voice.bundle, deaf=deaf)
        root = stack.folder / "1.root.json"
        root.write_bytes(world.operator.root)
        stack.config.write_text(
            stack.config.read_text().replace("[bundle]", f'[bundle]\noverlay = "{overlay}"')
            + f'\n[update]\nfleet = "{FLEET}"\nroot_file = "{root}"\nprobation_seconds = 1\n'
            "[socket]\nhealth_seconds = 0.5\n"
        )

    def update(self) -> dict[str, Any]:
        """What is retained about updates."""
        bodies = self.heard.subscriber.on("va/dev/kitchen/update")
        return dict(json.loads(bodies[-1])) if bodies else {}

    def once(self, condition: Callable[[dict[str, Any]], bool], what: str) -> None:
        until(lambda: condition(self.update()), what, patience_s=_PATIENCE_S)

    def hears(self, listen: Process) -> str:
        """What is understood when somebody says `_SAID`."""
        count = len(self.heard.finals()) + 1
        listen.say(self.sound)
        self.heard.once(count)
        return self.heard.texts()[-1]

    def status(self, *options: str) -> str:
        """What `voice-agent update status` prints."""
        where = ["--config", str(self.stack.config), "--state", str(self.stack.state)]
        return subprocess.run(
            [sys.executable, "-m", "agent.cli", "update", "status", *where, *options],
            cwd=ROOT, check=True, capture_output=True, text=True,
        ).stdout  # fmt: skip


@pytest.fixture
def world(tmp_path: Path, broker: Broker) -> World:
    return World(tmp_path / "world", broker, dt.datetime.now(dt.UTC))


@pytest.fixture
def listed_stack(tmp_path: Path, tone_voice: Voice, broker: Broker) -> Iterator[Stack]:
    bundle = write_listed_toy(tmp_path / "1")
    stack = Stack(tmp_path, dataclasses.replace(tone_voice, bundle=bundle), broker.port)
    yield stack
    stack.close()


def test_one_that_passes_is_in_use_and_is_tried_again_after_an_update(
    world: World, listed_stack: Stack, heard: Heard, tmp_path: Path
) -> None:
    board, stack, operator = Board(listed_stack, heard, world, "d"), listed_stack, world.operator
    factory = bundle_digest(digest_files(stack.voice.bundle))
    listen, link = stack.listen(), stack.link()
    board.once(lambda update: update.get("overlay") == "in use", "the overlay over release 1")
    assert board.hears(listen) == "ab"
    assert "overlay  in use\n" in board.status()

    # The clips are a second long, so their computing time is noise.
    trial = TrialLimits(latency_permille=10_000)
    operator.add_bundle(stack.voice.bundle, trial=trial)
    operator.add_bundle(write_listed_toy(tmp_path / "2", release=2), trial=trial)
    operator.push()
    request = json.dumps({"schema": 1, "id": "operator"})
    heard.subscriber.client.publish("va/dev/kitchen/cmd/check_update", request, qos=1)
    board.once(
        lambda update: (update["release"], update["overlay"]) == (2, "in use"),
        "the overlay over release 2",
    )
    assert board.hears(listen) == "ab"
    # Once over each release, and between them the plain new one.
    assert sum("is on trial" in line for line in listen.log) == 2
    assert sum("overlay: info: The trial is passed" in line for line in listen.log) == 2
    assert sum("[overlay] Switched" in line for line in listen.log) == 2
    assert sum("Switched" in line for line in listen.log) == 3
    # A board that starts anew uses it at once.
    assert listen.terminate() == 0, listen.log
    again = stack.listen()
    assert board.hears(again) == "ab"
    assert not again.logged("is on trial")
    # What is signed is what it was, in both places.
    slot = stack.state / "slots" / "a"
    assert bundle_digest(digest_files(slot)) == bundle_digest(digest_files(tmp_path / "2"))
    assert bundle_digest(digest_files(stack.voice.bundle)) == factory
    assert link.terminate() == 0, link.log


def test_one_that_hurts_is_dropped_with_a_reason_and_speech_goes_on(
    world: World, listed_stack: Stack, heard: Heard
) -> None:
    board, stack = Board(listed_stack, heard, world, "abcd"), listed_stack
    modules = stack.folder / "modules"
    link, listen = stack.link(), stack.listen(modules=modules)
    board.once(
        lambda update: (update.get("overlay") or "").startswith("dropped: "), "the overlay's end"
    )
    assert board.hears(listen) == "ab d"
    reason = board.update()["overlay"]
    assert reason.startswith("dropped: TrialError: The overlay fails its trial: it makes ")
    assert json.loads(board.status("--json"))["overlay"] == reason
    assert f"overlay  {reason}\n" in board.status()
    # Nothing of it makes the process that hears know the network.
    assert listen.terminate() == 0, listen.log
    assert loaded(modules, NETWORK) == set()
    assert "overlay  not known: `listen` does not run here" in board.status()
    again = stack.listen()
    assert board.hears(again) == "ab d"
    assert not again.logged("is on trial")
    assert link.terminate() == 0, link.log


def test_one_that_is_broken_is_named_and_speech_goes_on(
    world: World, listed_stack: Stack, heard: Heard
) -> None:
    board, stack = Board(listed_stack, heard, world, "d"), listed_stack
    path = stack.folder / "mine.overlay"
    path.write_bytes(path.read_bytes()[:-5])
    link, listen = stack.link(), stack.listen()
    board.once(
        lambda update: (update.get("overlay") or "").startswith("dropped: "), "the overlay's end"
    )
    assert board.update()["overlay"].startswith("dropped: MalformedDiffError: ")
    assert board.hears(listen) == "ab d"
    assert link.terminate() == 0, link.log
