"""What a look for updates costs on the wire, and what `link` holds in memory meanwhile.

    python -m tests.system.updates.measure_check            prints both tables

Bytes are counted by a proxy between a board and a real mosquitto: payloads of TCP in both
directions, TLS and MQTT included, IP and TCP headers not.
"""

from __future__ import annotations

import contextlib
import dataclasses
import datetime as dt
import select
import socket
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path

from agent.config import MqttConfig
from tests.agent.mqtt.broker import Broker, until
from tests.agent.mqtt.test_tls import authority, certificate
from tests.agent.toy_bundle import tones, write_sound, write_toy_bundle
from tests.system.stack import Heard, Stack, Voice
from tests.system.updates.world import FLEET, Board, World


class CountingProxy:
    """Passes everything on to a broker and counts it.

    Args:
        port: The broker's.

    Attributes:
        port: Where to connect instead.
        up: Bytes to the broker.
        down: Bytes from it.
    """

    def __init__(self, port: int) -> None:
        self._broker = port
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = int(self._listener.getsockname()[1])
        self.up = self.down = 0
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def reset(self) -> None:
        self.up = self.down = 0

    def settled(self) -> tuple[int, int]:
        """Both counts, once nothing has come for a while."""
        before = (-1, -1)
        while before != (self.up, self.down):
            before = (self.up, self.down)
            time.sleep(0.2)
        return before

    def close(self) -> None:
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._thread.join()

    def _serve(self) -> None:
        while True:
            try:
                near, _ = self._listener.accept()
            except OSError:
                return
            far = socket.create_connection(("127.0.0.1", self._broker))
            for end in (near, far):
                end.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            threading.Thread(target=self._pump, args=(near, far), daemon=True).start()

    def _pump(self, near: socket.socket, far: socket.socket) -> None:
        with near, far, contextlib.suppress(OSError):
            while True:
                for end in select.select([near, far], [], [])[0]:
                    data = end.recv(65536)
                    if not data:
                        return
                    if end is near:
                        self.up += len(data)
                        far.sendall(data)
                    else:
                        self.down += len(data)
                        near.sendall(data)


@dataclasses.dataclass(frozen=True)
class Cost:
    """Bytes up and down."""

    connect: tuple[int, int]
    first: tuple[int, int]
    nothing_new: tuple[int, int]


def cost_of_checks(world: World, config: MqttConfig, proxy: CountingProxy) -> Cost:
    """Counts a board's first look, and one more on the same connection that finds nothing new."""
    board: Board = world.board()
    board.config = dataclasses.replace(config, port=proxy.port)
    proxy.reset()
    with board.trust() as trust:
        connect = proxy.settled()
        proxy.reset()
        trust.refresh()
        first = proxy.settled()
        proxy.reset()
        trust.refresh()
        nothing_new = proxy.settled()
    return Cost(connect, first, nothing_new)


@contextlib.contextmanager
def _tls_broker(folder: Path) -> Iterator[tuple[Broker, MqttConfig]]:
    authority(folder, "house")
    certificate(folder, "broker", "house", "subjectAltName=IP:127.0.0.1")
    certificate(folder, "kitchen", "house", "extendedKeyUsage=clientAuth")
    broker = Broker(
        folder,
        f"cafile {folder}/house.pem\ncertfile {folder}/broker.pem\nkeyfile {folder}/broker.key\n"
        "require_certificate true",
    )
    broker.start()
    config = MqttConfig(
        host="127.0.0.1",
        port=broker.port,
        tls=True,
        ca_file=str(folder / "house.pem"),
        certificate_file=str(folder / "kitchen.pem"),
        key_file=str(folder / "kitchen.key"),
    )
    try:
        yield broker, config
    finally:
        broker.kill()


def _measure(folder: Path, broker: Broker, config: MqttConfig) -> Cost:
    world = World(folder / "world", broker)
    world.config = world.operator.config = config
    for number in range(1, 5):
        world.operator.publish(number)
    proxy = CountingProxy(broker.port)
    try:
        return cost_of_checks(world, config, proxy)
    finally:
        proxy.close()


def _resident(folder: Path, broker: Broker) -> dict[str, float]:
    """Megabytes of `link` without a fleet, before, while and after an updater runs."""
    world = World(folder / "world", broker, dt.datetime.now(dt.UTC))
    world.operator.publish(1)
    samples = tones("._*_ab a..", silence=0.001)
    voice = Voice(
        bundle=write_toy_bundle(folder / "bundle"),
        sound=(samples * 32767).astype("<i2").tobytes(),
        recording=write_sound(folder / "tones.wav", samples),
        texts=["ab a"],
    )
    root = folder / "1.root.json"
    root.write_bytes(world.operator.root)
    alone = _one_link(folder / "alone", voice, broker, "")
    section = f'\n[update]\nfleet = "{FLEET}"\nroot_file = "{root}"\n'
    before, after = _one_link(folder / "fleet", voice, broker, section)
    return {"without a fleet": alone[0], "with a fleet": before, "after a check": after}


def _one_link(folder: Path, voice: Voice, broker: Broker, section: str) -> tuple[float, float]:
    """Megabytes of a `link` that has passed a result on, before and after a check."""
    folder.mkdir()
    stack, heard = Stack(folder, voice, broker.port), Heard(broker)
    with stack.config.open("a") as config:
        config.write(section)
    try:
        link, listen = stack.link(), stack.listen()
        until(heard.online, "the start")
        listen.say(voice.sound)
        until(heard.finals, "a result")
        before = link.rss_bytes() / 1e6
        if section:
            heard.subscriber.client.publish(
                "va/dev/kitchen/cmd/check_update", '{"schema": 1, "id": "1"}', qos=1
            )
            until(lambda: b'"checked_ms":1' in _last_update(heard), "the check")
            until(lambda: not _children(link.process.pid), "the end of the updater")
        return before, link.rss_bytes() / 1e6
    finally:
        stack.close()
        heard.close()


def _last_update(heard: Heard) -> bytes:
    return (heard.subscriber.on("va/dev/kitchen/update") or [b""])[-1]


def _children(pid: int) -> str:
    return Path(f"/proc/{pid}/task/{pid}/children").read_text()


def main() -> None:
    """Prints both tables."""
    print("| Bytes up / down | plain | TLS 1.3, client certificate |\n|---|---|---|")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for part in ("plain", "tls", "memory"):
            (folder / part).mkdir()
        broker = Broker(folder / "plain")
        broker.start()
        config = MqttConfig(host="127.0.0.1", port=broker.port)
        try:
            plain = _measure(folder / "plain", broker, config)
        finally:
            broker.kill()
        with _tls_broker(folder / "tls") as (secure, secure_config):
            tls = _measure(folder / "tls", secure, secure_config)
        for row, text in (
            ("connect", "connection made"),
            ("first", "first look: 4 releases, 2 of them on offer"),
            ("nothing_new", "nothing new, on an open connection"),
        ):
            one, other = getattr(plain, row), getattr(tls, row)
            print(f"| {text} | {one[0]} / {one[1]} | {other[0]} / {other[1]} |")
        broker = Broker(folder / "memory")
        broker.start()
        try:
            resident = _resident(folder / "memory", broker)
        finally:
            broker.kill()
        print("\n| Resident memory of `link` | MB |\n|---|---|")
        for what, megabytes in resident.items():
            print(f"| {what} | {megabytes:.1f} |")


if __name__ == "__main__":
    main()
