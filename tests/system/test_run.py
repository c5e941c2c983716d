"""`voice-agent run`: both processes and the view."""

from __future__ import annotations

import functools
import os
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from agent.channel import Client
from agent.channel.handshake import allowed_uids
from tests.agent.channel.samples import hello
from tests.agent.mqtt.broker import until
from tests.system.stack import Heard, Process, Stack, Voice


@pytest.fixture
def alone(tmp_path: Path, tone_voice: Voice) -> Iterator[Stack]:
    stack = Stack(tmp_path, tone_voice, port=None)
    yield stack
    stack.close()


def children(process: Process) -> dict[str, int]:
    """Process ids of what `run` has started, by name."""
    pid = process.process.pid
    found: dict[str, int] = {}
    for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split():
        try:
            arguments = Path(f"/proc/{child}/cmdline").read_text().split("\0")
        except OSError:
            continue
        for name in ("listen", "link"):
            if name in arguments:
                found[name] = int(child)
    return found


def restarted(run: Process, name: str, old: int) -> bool:
    return children(run).get(name, old) != old


def gone(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return True
    return state == "Z"


def output(process: Process) -> list[str]:
    assert process.process.stdout is not None
    text: bytes = process.process.stdout.read()
    return text.decode().splitlines()


def test_a_recording_is_played_and_shown(tmp_path: Path, voice: Voice) -> None:
    stack = Stack(tmp_path, voice, port=None)
    try:
        source = f"file:{voice.recording}"
        run = stack.start("run", "--source", source, stdout=subprocess.PIPE)
        lines = output(run)
        assert run.wait() == 0, run.log
        finals = [line for line in lines if " final " in line]
        assert len(finals) == len(voice.texts)
        for line, text in zip(finals, voice.texts, strict=True):
            assert (text or "(nothing understood)") in line
        assert any("ms after the end of speech" in line for line in finals)
        first = {
            kind: next(i for i, line in enumerate(lines) if f" {kind} " in line)
            for kind in ("wake", "partial", "final")
        }
        assert first["wake"] < first["partial"] < first["final"]
        assert "score" in lines[first["wake"]]
        assert not run.logged("Traceback")
    finally:
        stack.close()


def test_results_reach_the_broker_before_run_ends(tone_stack: Stack, heard: Heard) -> None:
    run = tone_stack.start("run", "--source", f"file:{tone_stack.voice.recording}")
    assert run.wait() == 0, run.log
    heard.once(1, alive=False)


def test_killed_children_come_back(alone: Stack) -> None:
    run = alone.start("run", "--source", "-", stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    until(lambda: len(children(run)) == 2, "both children")
    first = children(run)
    for name in ("link", "listen"):
        # Both have started for good when they talk to each other.
        until(lambda: alone_is_connected(alone), "the connection")
        os.kill(first[name], signal.SIGKILL)
        until(functools.partial(restarted, run, name, first[name]), "the restart")
    # What is said before the view has found the new `listen` reaches the broker, not the view.
    view = f"process {run.process.pid} is connected as observer"
    until(lambda: sum(view in line for line in run.log) == 2, "the view's second connection")
    run.say(alone.voice.sound)
    run.end_of_input()
    lines = output(run)
    assert run.wait() == 0, run.log
    assert [line for line in lines if " final " in line and "ab a" in line]
    assert run.logged("listen failed (SIGKILL)")
    assert run.logged("link failed (SIGKILL)")


def alone_is_connected(stack: Stack) -> bool:
    observer = Client(stack.state / "listen.sock", hello=hello("observer"), uids=allowed_uids(()))
    try:
        for _ in range(20):
            observer.poll(0.1)
            if observer.server is not None:
                return True
        return False
    finally:
        observer.close()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_the_end_is_orderly(alone: Stack, number: signal.Signals) -> None:
    run = alone.start("run", "--source", "-", stdin=subprocess.PIPE)
    until(lambda: alone_is_connected(alone), "the start")
    pids = children(run)
    assert set(pids) == {"listen", "link"}
    run.process.send_signal(number)
    assert run.wait() == 0, run.log
    assert all(gone(pid) for pid in pids.values())
    assert not (alone.state / "listen.sock").exists()
    assert not run.logged("Traceback")


def test_children_do_not_outlive_a_killed_run(alone: Stack) -> None:
    run = alone.start("run", "--source", "-", stdin=subprocess.PIPE)
    until(lambda: alone_is_connected(alone), "the start")
    pids = children(run)
    run.process.kill()
    until(lambda: all(gone(pid) for pid in pids.values()), "the end of the children")


@pytest.mark.parametrize(
    ("arguments", "status", "words"),
    [
        (["--source", "file:/nothing.wav"], 1, "/nothing.wav"),
        (["--source", "nonsense:x"], 2, "nonsense"),
    ],
)
def test_what_cannot_work_ends_with_a_sentence(
    alone: Stack, arguments: list[str], status: int, words: str
) -> None:
    run = alone.start("run", *arguments, stdin=subprocess.DEVNULL)
    assert run.wait() == status, run.log
    errors = [line for line in run.log if line.startswith("error: ")]
    assert len(errors) == 1
    assert words in errors[0]
    assert not run.logged("Traceback")


def test_a_wrong_configuration_is_said_once(alone: Stack) -> None:
    alone.config.write_text("[mqtt]\nhots = 'x'\n")
    run = alone.start("run")
    assert run.wait() == 2
    assert len(run.log) == 1
    assert "did you mean mqtt.host?" in run.log[0]
