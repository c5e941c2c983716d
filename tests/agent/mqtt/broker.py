"""A real mosquitto on a free port of 127.0.0.1, to be started, killed and started again."""

from __future__ import annotations

import shutil
import socket
import subprocess
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import paho.mqtt.client as mqtt
from paho.mqtt.enums import CallbackAPIVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

PATIENCE_S = 30.0
MOSQUITTO = shutil.which("mosquitto", path="/usr/sbin:/usr/local/sbin:/usr/bin:/usr/local/bin")


def until(
    condition: Callable[[], Any], what: str = "it", *, patience_s: float = PATIENCE_S
) -> None:
    """Waits for something that must happen; time only decides when it never does."""
    deadline = time.monotonic() + patience_s
    while not condition():
        assert time.monotonic() < deadline, f"{what} did not happen in {patience_s:g} s"
        time.sleep(0.02)


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])


class Broker:
    """mosquitto with its sessions on disk, so that kill -9 loses nothing that it confirmed."""

    def __init__(self, folder: Path, settings: str = "", port: int | None = None) -> None:
        assert MOSQUITTO is not None
        self.port = port or free_port()
        self._process: subprocess.Popen[bytes] | None = None
        self._file = folder / "mosquitto.conf"
        (folder / "mosquitto").mkdir(parents=True)
        self._log = folder / "mosquitto.log"
        self._file.write_text(
            f"listener {self.port} 127.0.0.1\nallow_anonymous true\nset_tcp_nodelay true\n"
            f"persistence true\npersistence_location {folder}/mosquitto/\n"
            "autosave_on_changes true\nautosave_interval 1\n"
            # As root mosquitto would otherwise become a user who may not write here.
            f"user root\n{settings}\n"
        )

    def start(self) -> None:
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                [str(MOSQUITTO), "-c", str(self._file)], stdout=log, stderr=log
            )
        until(self._answers, "mosquitto's start")

    def kill(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def _answers(self) -> bool:
        try:
            socket.create_connection(("127.0.0.1", self.port), timeout=1.0).close()
        except OSError:
            return False
        return True


class Subscriber:
    """Somebody in the house: collects everything, with a session that survives the broker."""

    def __init__(self, port: int, topic: str = "#") -> None:
        self.messages: list[tuple[str, bytes, bool]] = []
        self._ready = threading.Event()
        self.client = mqtt.Client(
            CallbackAPIVersion.VERSION2, client_id="house", protocol=mqtt.MQTTv5
        )
        self.client.reconnect_delay_set(1, 1)
        self._topic = topic
        self.client.on_connect = self._subscribe
        self.client.on_subscribe = lambda *_: self._ready.set()
        self.client.on_message = self._collect
        properties = Properties(PacketTypes.CONNECT)
        properties.SessionExpiryInterval = 3600
        self.client.connect("127.0.0.1", port, clean_start=False, properties=properties)
        self.client.loop_start()
        assert self._ready.wait(PATIENCE_S)

    def _subscribe(self, *_: Any) -> None:
        self.client.subscribe(self._topic, qos=1)

    def _collect(self, _: Any, __: Any, message: mqtt.MQTTMessage) -> None:
        copy = (message.topic, bytes(message.payload), message.retain)
        # A broker that was killed does not know what it gave us just before: it gives it again and
        # says so. That flag belongs to the broker's own delivery; it never passes on a sender's, so
        # what the agent itself sends twice is seen here twice.
        if not (message.dup and copy in self.messages):
            self.messages.append(copy)

    def on(self, end_of_topic: str) -> list[bytes]:
        return [body for topic, body, _ in self.messages if topic.endswith(end_of_topic)]

    def close(self) -> None:
        self.client.disconnect()
        self.client.loop_stop()
