"""The whole product as an owner runs it: real `listen`, real `link`, real mosquitto.

`listen` reads raw sound from its standard input, so a test decides when something is said.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.agent.mqtt.broker import Broker, Subscriber, until

ROOT = Path(__file__).parents[2]

_WRAPPER = """
import os, sys
from agent.cli import main
status = main(sys.argv[2:])
with open(sys.argv[1], "w") as file:
    file.write("\\n".join(sorted(sys.modules)))
sys.exit(status)
"""


@dataclass(frozen=True)
class Voice:
    """Something to say and the models that understand it.

    Attributes:
        bundle: Directory of the models.
        sound: s16le at 16 kHz mono: wake word, command, and silence until the result is out.
        recording: The same as a file.
        texts: What is understood, one for each wake word.
    """

    bundle: Path
    sound: bytes
    recording: Path
    texts: list[str]


class Process:
    """A child that is killed at the end whatever happens, with its log."""

    def __init__(self, arguments: Sequence[str], folder: Path, **options: Any) -> None:
        self.log: list[str] = []
        # Whatever a test says about the folder of the sources: children find them.
        environment = os.environ | {"PYTHONPATH": str(ROOT), "PYTHONUNBUFFERED": "1"}
        self.process = subprocess.Popen(
            list(arguments), cwd=folder, env=environment, stderr=subprocess.PIPE, **options
        )
        self._reader = threading.Thread(target=self._read_log, daemon=True)
        self._reader.start()

    def _read_log(self) -> None:
        assert self.process.stderr is not None
        for line in self.process.stderr:
            self.log.append(line.decode(errors="replace").rstrip())

    def logged(self, text: str) -> bool:
        return any(text in line for line in self.log)

    def say(self, sound: bytes) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(sound)
        self.process.stdin.flush()

    def end_of_input(self) -> None:
        assert self.process.stdin is not None
        self.process.stdin.close()

    def rss_bytes(self) -> int:
        fields = Path(f"/proc/{self.process.pid}/statm").read_text().split()
        return int(fields[1]) * os.sysconf("SC_PAGE_SIZE")

    def wait(self, timeout: float = 60.0) -> int:
        status = self.process.wait(timeout)
        self._reader.join(timeout=30)
        return status

    def terminate(self) -> int:
        self.process.send_signal(signal.SIGTERM)
        return self.wait()

    def kill(self) -> None:
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        self._reader.join(timeout=30)
        for pipe in (self.process.stdin, self.process.stdout, self.process.stderr):
            if pipe is not None:
                try:
                    pipe.close()
                except BrokenPipeError:
                    continue


class Stack:
    """Starts and kills the parts.

    Args:
        folder: For everything.
        voice: What is said.
        port: The broker's; None for no broker.
        state: The state directory, by default inside the folder.
    """

    def __init__(
        self, folder: Path, voice: Voice, port: int | None, state: Path | None = None
    ) -> None:
        self.folder = folder
        self.voice = voice
        self.state = state or folder / "state"
        self.config = folder / "agent.toml"
        broker = "" if port is None else f'host = "127.0.0.1"\nport = {port}'
        self.config.write_text(
            f"""
            [device]
            id = "kitchen"
            [bundle]
            path = "{voice.bundle}"
            [mqtt]
            {broker}
            reconnect_min_seconds = 0.1
            reconnect_max_seconds = 0.5
            will_delay_seconds = 0
            """
        )
        self._processes: list[Process] = []

    def start(self, *arguments: str, modules: Path | None = None, **options: Any) -> Process:
        """A command with our configuration and state.

        Args:
            *arguments: The command and what it needs beside them.
            modules: Where the names of the loaded modules are written at the end.
            **options: For Popen; `prefix` is put in front of the command.
        """
        prefix = options.pop("prefix", ())
        python = (
            [sys.executable, "-m", "agent.cli"]
            if modules is None
            else [sys.executable, "-c", _WRAPPER, str(modules)]
        )
        name, *more = arguments
        where = ["--config", str(self.config), "--state", str(self.state)]
        options.setdefault("stdout", subprocess.DEVNULL)
        process = Process([*prefix, *python, name, *where, *more], self.folder, **options)
        self._processes.append(process)
        return process

    def listen(self, **options: Any) -> Process:
        process = self.start("listen", "--source", "-", stdin=subprocess.PIPE, **options)
        until((self.state / "listen.sock").exists, "the start of listen")
        return process

    def link(self, **options: Any) -> Process:
        options.setdefault("stdin", subprocess.DEVNULL)
        return self.start("link", **options)

    def close(self) -> None:
        for process in reversed(self._processes):
            process.kill()


class Heard:
    """What somebody at the broker has heard."""

    def __init__(self, broker: Broker) -> None:
        self.subscriber = Subscriber(broker.port)
        self._pings = 0

    def finals(self) -> list[dict[str, Any]]:
        return [json.loads(body) for body in self.subscriber.on("va/dev/kitchen/event/final")]

    def texts(self) -> list[str]:
        return [final["text"] for final in self.finals()]

    def states(self) -> list[dict[str, Any]]:
        return [json.loads(body) for body in self.subscriber.on("va/dev/kitchen/state")]

    def online(self) -> bool:
        states = self.states()
        return bool(states) and states[-1]["state"] == "online" and bool(states[-1]["listening"])

    def once(self, count: int, *, alive: bool = True) -> None:
        """Waits for so many results and makes sure that none came twice.

        Also that `link` knows it: until the broker's confirmation is on disk, a `link` that is
        killed must send a result again, because it cannot know that it arrived. Whoever kills
        behind this is owed every result exactly once.

        Args:
            count: How many.
            alive: False if `link` has ended, and with it what it could tell.
        """
        until(lambda: len(self.finals()) >= count, f"result {count}")
        if alive:
            until(lambda: self.ping()["waiting"] == 0, "the confirmation of everything")
        ids = [final["id"] for final in self.finals()]
        assert len(ids) == len(set(ids)) == count, ids

    def each(self, count: int) -> None:
        """Waits for so many results; one that came again must be the same to the last byte.

        This is what QoS 1 promises when somebody is killed with results under way, and what a
        reader who looks at the ids needs.
        """
        bodies = set[bytes]()

        def everything() -> bool:
            bodies.update(self.subscriber.on("va/dev/kitchen/event/final"))
            return len(bodies) >= count

        until(everything, f"result {count}")
        until(lambda: self.ping()["waiting"] == 0, "the confirmation of everything")
        everything()
        ids = [json.loads(body)["id"] for body in bodies]
        assert len(ids) == len(set(ids)) == count, ids

    def ping(self) -> dict[str, Any]:
        """What `link` answers to a ping, through the broker."""
        self._pings += 1
        request = {"schema": 1, "id": f"ping {self._pings}"}
        answer: dict[str, Any] = {}

        def answered() -> bool:
            for body in self.subscriber.on("va/dev/kitchen/reply"):
                reply = json.loads(body)
                if reply["id"] == request["id"]:
                    answer.update(reply["result"])
            return bool(answer)

        self.subscriber.client.publish("va/dev/kitchen/cmd/ping", json.dumps(request), qos=1)
        until(answered, "the answer to a ping")
        return answer

    def close(self) -> None:
        self.subscriber.close()
