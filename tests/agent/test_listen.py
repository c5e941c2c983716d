"""The real `listen` process on the bundle of tones, with a peer on its socket."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from agent.channel import Client
from agent.events import (
    PROTOCOL,
    Ack,
    Command,
    Event,
    Final,
    Health,
    Hello,
    Partial,
    Reply,
    Speculative,
    State,
    Wake,
)
from agent.hearing.features import BLOCK
from agent.hearing.resampler import to_int16
from tests.agent.alsa_pipe import Voice, define_microphone
from tests.agent.toy_bundle import tones, write_sound

_ROOT = Path(__file__).parents[2]
_PATIENCE_S = 60.0


class Listening:
    """A running `listen` and a peer that collects what it tells.

    Args:
        folder: For its configuration and socket.
        bundle: The models.
        source: For `--source`.
        role: What the peer says it is.
        options: More arguments.
    """

    def __init__(
        self, folder: Path, bundle: Path, source: str, *options: str, role: str = "link"
    ) -> None:
        config = folder / "config.toml"
        config.write_text(f'[bundle]\npath = "{bundle}"\n[socket]\nhealth_seconds = 0.5\n')
        self.events: list[Event] = []
        self.process = subprocess.Popen(
            [
                *(sys.executable, "-m", "agent.cli", "listen", "--source", source),
                *("--config", str(config), "--state", str(folder), *options),
            ],
            stdin=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=os.environ | {"PYTHONPATH": str(_ROOT)},
        )
        self.peer = Client(
            folder / "listen.sock",
            hello=Hello(protocol=PROTOCOL, agent="0", boot_id="test", role=role),
            uids=frozenset({os.getuid()}),
        )

    def until(self, condition: Callable[[], bool]) -> None:
        """Collects events until something is true."""
        deadline = time.monotonic() + _PATIENCE_S
        while not condition():
            assert time.monotonic() < deadline, self.events
            for event in self.peer.poll(0.05):
                self.events.append(event)
                if isinstance(event, Final):
                    self.peer.send(Ack(ids=(event.id,)))

    def ended(self) -> int:
        """Collects events until the process has ended; its exit status."""
        self.until(lambda: self.process.poll() is not None)
        for event in self.peer.poll(0.1):
            self.events.append(event)
        return self.process.returncode

    def say(self, text: str) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(to_int16(tones(text)).astype("<i2").tobytes())
        self.process.stdin.flush()

    def say_block(self) -> None:
        """The least that can be heard: 40 ms of silence."""
        assert self.process.stdin is not None
        self.process.stdin.write(bytes(2 * BLOCK))
        self.process.stdin.flush()

    def finals(self) -> list[Final]:
        return [event for event in self.events if isinstance(event, Final)]

    def texts(self) -> list[str]:
        return [final.text for final in self.finals()]

    def close(self) -> None:
        if self.process.poll() is None:
            self.process.kill()
        _, log = self.process.communicate()
        self.peer.close()
        assert b"Traceback" not in log, log.decode()


@pytest.fixture
def listen(tmp_path: Path, toy_directory: Path) -> Iterator[Callable[..., Listening]]:
    """Starts `listen` with a source; it is gone when the test ends."""
    started: list[Listening] = []

    def start(source: str, *options: str, role: str = "link") -> Listening:
        started.append(Listening(tmp_path, toy_directory, source, *options, role=role))
        return started[-1]

    yield start
    for each in started:
        each.close()


def test_a_recording_from_wake_word_to_result(listen, tmp_path: Path):
    path = write_sound(tmp_path / "a.wav", tones("_*ab cd."))
    running = listen(f"file:{path}")
    assert running.ended() == 0
    assert running.texts() == ["ab cd"]
    kinds = [type(event) for event in running.events if not isinstance(event, (Health, Partial))]
    assert kinds == [Wake, State, State, State, Speculative, Final, State]
    states = [event.state for event in running.events if isinstance(event, State)]
    assert states == ["listening", "recognising", "ending", "idle"]
    partials = [event.text for event in running.events if isinstance(event, Partial)]
    assert partials
    assert all("ab cd".startswith(text) for text in partials)
    (final,) = running.finals()
    (wake,) = [event for event in running.events if isinstance(event, Wake)]
    assert wake.session == final.session
    assert final.wake is not None
    assert final.wake.time_s == wake.time_s
    # The end is certain 0.8 s after the speech, and telling it takes no time to speak of. How long
    # it really takes depends on the machine, so only the lower end is a fact.
    assert final.latency_ms is not None
    assert final.latency_ms >= 790


def test_as_fast_as_it_can_be_heard(listen, tmp_path: Path):
    path = write_sound(tmp_path / "a.wav", tones("_*ab...*cd..*_"))
    running = listen(f"file:{path}", "--fast")
    assert running.ended() == 0
    # The last wake word comes with the last sound; it has its result too.
    assert running.texts() == ["ab", "cd", ""]
    assert len({final.session for final in running.finals()}) == 3


def test_sound_on_standard_input(listen):
    running = listen("-")
    running.say("_*ab..")
    running.until(lambda: running.texts() == ["ab"])
    running.say("*c d..")
    running.until(lambda: running.texts() == ["ab", "c d"])
    running.process.stdin.close()
    running.process.stdin = None
    assert running.ended() == 0


def test_when_it_is_asked_to_end_nothing_that_was_understood_is_lost(listen):
    running = listen("-")
    running.until(lambda: running.peer.server is not None)
    running.say("_*ab")
    running.until(lambda: any(isinstance(event, Partial) for event in running.events))
    running.process.send_signal(signal.SIGTERM)
    assert running.ended() == 0
    assert running.texts() == ["ab"]


def test_sound_without_a_pause_keeps_nothing_else_waiting(listen):
    running = listen("-")

    def flood() -> None:
        with contextlib.suppress(BrokenPipeError, ValueError):
            while True:
                os.write(running.process.stdin.fileno(), bytes(65536))

    thread = threading.Thread(target=flood)
    thread.start()
    running.until(lambda: any(isinstance(event, Health) for event in running.events))
    running.process.send_signal(signal.SIGTERM)
    assert running.ended() == 0
    thread.join()


def test_a_result_is_repeated_until_it_is_acknowledged(listen, tmp_path: Path):
    running = listen("-", role="observer")
    running.say("_*ab..")
    running.until(lambda: running.texts() == ["ab"])  # an observer's word does not count
    link = Client(
        tmp_path / "listen.sock",
        hello=Hello(protocol=PROTOCOL, agent="0", boot_id="test", role="link"),
        uids=frozenset({os.getuid()}),
    )
    running.peer.close()
    running.peer = link
    running.events.clear()
    running.until(lambda: running.texts() == ["ab"])


def test_health_and_commands(listen):
    running = listen("-")
    running.say("." * 3)
    running.until(lambda: any(isinstance(event, Health) for event in running.events))
    running.peer.send(Command(id="1", verb="health"))
    running.peer.send(Command(id="2", verb="dance"))
    running.until(lambda: sum(isinstance(event, Reply) for event in running.events) == 2)
    first, second = [event for event in running.events if isinstance(event, Reply)]
    assert (first.id, first.ok) == ("1", True)
    assert first.result is not None
    assert first.result["frames_total"] == 75
    assert first.result["digital_silence"] is True
    assert first.result["rms_dbfs"] is None
    assert 0 < first.result["rss_bytes"] < 120e6
    assert (second.id, second.ok) == ("2", False)
    assert "'dance'" in second.message


def test_signs_of_life_only_while_sound_arrives(
    listen, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(str(tmp_path / "notify"))
        manager.settimeout(_PATIENCE_S)
        monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "notify"))
        monkeypatch.setenv("WATCHDOG_USEC", "400000")
        running = listen("-")
        assert manager.recv(1000).startswith(b"READY=1")
        # One block deserves one sign, however busy the machine is.
        running.say_block()
        assert manager.recv(1000) == b"WATCHDOG=1"
        # No sound any more: the next thing it tells is not that it is well.
        assert manager.recv(1000) == b"STATUS=No sound arrives."
        running.say_block()
        told = {manager.recv(1000), manager.recv(1000)}
        assert told == {b"WATCHDOG=1", b"STATUS=Listening."}


def test_a_command_through_a_microphone(listen, tmp_path: Path):
    pytest.importorskip("alsaaudio", reason="pyalsaaudio is not installed")
    voice = Voice(define_microphone(tmp_path), to_int16(tones("...*ab cd...", silence=0.0003)))
    running = listen("alsa:mic")
    try:
        running.until(lambda: running.texts() == ["ab cd"])
        running.process.send_signal(signal.SIGTERM)
        assert running.ended() == 0
    finally:
        voice.stop()


def test_a_microphone_that_is_missing_is_waited_for_and_reported(listen):
    pytest.importorskip("alsaaudio", reason="pyalsaaudio is not installed")
    running = listen("alsa:nowhere")
    running.until(lambda: any(isinstance(event, Health) for event in running.events))
    (health, *_) = [event for event in running.events if isinstance(event, Health)]
    assert (health.frames_total, health.rms_dbfs) == (0, None)
    running.process.send_signal(signal.SIGTERM)
    assert running.ended() == 0
    # One line of ours, none of libasound's, however often it was tried.
    log = running.process.stderr.read().decode()
    assert log.count("cannot be opened") == 1
    assert "ALSA lib" not in log


@pytest.mark.parametrize(
    ("content", "status", "message"),
    [(None, 1, b"does not exist"), (b"", 1, b"not audio"), (b"hello", 1, b"not audio")],
    ids=["missing", "empty", "text"],
)
def test_a_recording_that_cannot_be_read_ends_it(
    listen, tmp_path: Path, content: bytes | None, status: int, message: bytes
):
    path = tmp_path / "broken.wav"
    if content is not None:
        path.write_bytes(content)
    running = listen(f"file:{path}")
    assert running.ended() == status
    assert message in running.process.stderr.read()
