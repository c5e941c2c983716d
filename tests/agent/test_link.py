"""`Link` between a real socket server and a real broker, in one process."""

from __future__ import annotations

import dataclasses
import functools
import io
import json
import queue
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from agent.channel import Client, Server
from agent.channel.handshake import allowed_uids
from agent.config import Config
from agent.console import Console
from agent.events import Command, Event, Final, Reply
from agent.link import Link, Sink, state_payload
from agent.mqtt.connection import Connection
from agent.mqtt.outbox import Outbox
from agent.mqtt.topics import Topics, payload
from tests.agent.channel.samples import final, health, hello, partial, speculative, state, wake
from tests.agent.mqtt.broker import MOSQUITTO, Broker, Subscriber, until

UIDS = allowed_uids(())
TOPICS = Topics(prefix="va", device="kitchen")


class House:
    """Everything around a link, each part to be stopped and started."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.commands: list[Command] = []
        self.stdout = io.StringIO()
        self.broker: Broker | None = None
        self._server: Server | None = None
        self._links: list[tuple[Link, threading.Thread]] = []

    def listen(self) -> Server:
        self._server = Server(
            self.folder / "s", hello=hello("listen"), uids=UIDS, on_command=self.commands.append
        )
        self._server.start()
        return self._server

    def deaf(self) -> None:
        if self._server is not None:
            self._server.close()
            self._server = None

    def link(self, *, partials: bool = True, memory: int = 16) -> None:
        channel = Client(self.folder / "s", hello=hello("link"), uids=UIDS)
        sink: Sink = Console(self.stdout)
        if self.broker is not None:
            config = dataclasses.replace(
                Config().mqtt,
                host="127.0.0.1",
                port=self.broker.port,
                reconnect_min_seconds=0.1,
                reconnect_max_seconds=0.5,
                will_delay_seconds=0,
            )
            sink = Connection(
                config,
                TOPICS,
                password=None,
                last_will=state_payload("offline", "boot", listening=False),
                on_activity=channel.wake,
            )
        built: queue.Queue[Link] = queue.Queue()

        def live() -> None:
            # The outbox belongs to the thread that makes it.
            link = Link(
                channel=channel,
                outbox=Outbox(self.folder / "outbox.sqlite", limit=100, memory_limit=memory),
                sink=sink,
                topics=TOPICS,
                boot_id="boot",
                partials=partials,
            )
            built.put(link)
            link.run()

        thread = threading.Thread(target=live)
        thread.start()
        self._links.append((built.get(timeout=30), thread))

    def unlink(self) -> None:
        for link, thread in self._links:
            link.stop()
            thread.join(timeout=30)
            assert not thread.is_alive()
            assert link.failures == 0
        self._links.clear()

    def printed(self) -> list[str]:
        return [json.loads(line)["id"] for line in self.stdout.getvalue().splitlines()]


@pytest.fixture
def house(tmp_path: Path) -> Iterator[House]:
    house = House(tmp_path)
    yield house
    house.unlink()
    house.deaf()
    if house.broker is not None:
        house.broker.kill()


@pytest.fixture
def broker(house: House, tmp_path: Path) -> Broker:
    if MOSQUITTO is None:
        pytest.skip("mosquitto is not installed")
    house.broker = Broker(tmp_path)
    house.broker.start()
    return house.broker


@pytest.fixture
def garden(broker: Broker) -> Iterator[Subscriber]:
    subscriber = Subscriber(broker.port)
    yield subscriber
    subscriber.close()


def ids(bodies: list[bytes]) -> list[str]:
    return [json.loads(body)["id"] for body in bodies]


def ask(subscriber: Subscriber, verb: str, body: object, **options: Any) -> None:
    text = body if isinstance(body, bytes) else json.dumps(body).encode()
    subscriber.client.publish(f"va/dev/kitchen/cmd/{verb}", text, qos=1, **options)


def replies(subscriber: Subscriber) -> list[dict[str, Any]]:
    return [json.loads(body) for body in subscriber.on("kitchen/reply")]


def online(subscriber: Subscriber, *, listening: bool = True) -> Callable[[], bool]:
    def check() -> bool:
        states = [json.loads(body) for body in subscriber.on("kitchen/state")]
        return (
            bool(states)
            and states[-1]["state"] == "online"
            and (states[-1]["listening"] is listening)
        )

    return check


def test_every_kind_of_event_reaches_its_topic(house: House, garden: Subscriber) -> None:
    server = house.listen()
    house.link()
    until(online(garden))
    events: list[Event] = [wake(1), state(1), partial(1), speculative(1), final(1), health(1)]
    for event in events:
        server.send(event)
    for event, topic in zip(
        events,
        [
            "event/wake",
            "event/state",
            "event/partial",
            "event/speculative",
            "event/final",
            "health",
        ],
        strict=True,
    ):
        until(functools.partial(garden.on, f"va/dev/kitchen/{topic}"))
        assert garden.on(f"va/dev/kitchen/{topic}") == [payload(event)]
    assert server.drain(30)


def test_without_broker_results_are_printed_once_and_only_results(
    house: House, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    server = house.listen()
    house.link()
    server.send(partial(1))
    server.send(final(1))
    assert server.drain(30)
    house.unlink()
    # A link that did not live to acknowledge: the same result comes again.
    server.send(final(1))
    server.send(final(2))
    house.link()
    assert server.drain(30)
    house.unlink()
    assert house.printed() == ["f1", "f2"]
    assert caplog.text.count("No broker is configured") == 2


def test_partials_can_be_kept_at_home(house: House, garden: Subscriber) -> None:
    server = house.listen()
    house.link(partials=False)
    until(online(garden))
    server.send(partial(1))
    server.send(final(1))
    until(lambda: garden.on("event/final"))
    assert garden.on("event/partial") == []


def test_finals_spoken_while_the_broker_is_away_arrive_once_it_is_back(
    house: House, broker: Broker, garden: Subscriber
) -> None:
    server = house.listen()
    house.link()
    until(online(garden))
    broker.kill()
    for number in range(20):
        server.send(final(number))
    # Safe on disk, so `listen` may forget them, broker or not.
    assert server.drain(30)
    broker.start()
    until(lambda: len(garden.on("event/final")) >= 20)
    assert ids(garden.on("event/final")) == [f"f{number}" for number in range(20)]


def test_finals_spoken_while_link_is_away_arrive_once(house: House, garden: Subscriber) -> None:
    server = house.listen()
    server.send(final(1))
    house.link()
    until(lambda: garden.on("event/final"))
    house.unlink()
    server.send(final(2))
    server.send(final(3))
    house.link()
    until(lambda: len(garden.on("event/final")) >= 3)
    assert server.drain(30)
    assert ids(garden.on("event/final")) == ["f1", "f2", "f3"]


def test_the_retained_state_follows_listen(house: House, garden: Subscriber) -> None:
    house.link()
    until(online(garden, listening=False))
    house.listen()
    until(online(garden, listening=True))
    house.deaf()
    until(online(garden, listening=False))
    house.unlink()
    until(lambda: json.loads(garden.on("kitchen/state")[-1])["state"] == "offline")


def test_ping_is_answered_and_other_verbs_go_to_listen(house: House, garden: Subscriber) -> None:
    server = house.listen()
    house.link()
    until(online(garden))
    ask(garden, "ping", {"schema": 1, "id": "p1"})
    until(lambda: replies(garden))
    (pong,) = replies(garden)
    assert (pong["schema"], pong["id"], pong["ok"]) == (1, "p1", True)
    assert pong["result"]["listening"] is True
    assert pong["result"]["waiting"] == 0

    ask(garden, "health", {"schema": 1, "id": "h1", "arguments": {"a": 1}})
    until(lambda: house.commands)
    assert house.commands == [Command(id="h1", verb="health", arguments={"a": 1})]
    server.send(Reply(id="h1", ok=True, result={"rms_dbfs": -40}))
    until(lambda: len(replies(garden)) == 2)
    assert replies(garden)[1]["id"] == "h1"

    house.deaf()
    until(online(garden, listening=False))
    ask(garden, "health", {"schema": 1, "id": "h2"})
    until(lambda: len(replies(garden)) == 3)
    assert replies(garden)[2]["ok"] is False


def test_bad_commands_are_answered_or_ignored(house: House, garden: Subscriber) -> None:
    house.listen()
    ask(garden, "ping", {"schema": 1, "id": "retained"}, retain=True)
    house.link()
    until(online(garden))
    for body in (b"", b"{", b"[" * 5000, b"\xff", {"schema": 9, "id": "x"}, b"x" * 20000):
        ask(garden, "ping", body)
    ask(garden, "Ping", {"schema": 1, "id": "x"})
    ask(garden, "ping", {"schema": 1, "id": "last"})
    until(lambda: any(reply["id"] == "last" for reply in replies(garden)))
    answers = replies(garden)
    assert [reply["ok"] for reply in answers] == [False] * 6 + [True]
    assert house.commands == []


def test_a_full_disk_delays_acknowledgements_but_not_results(
    house: House, garden: Subscriber, monkeypatch: pytest.MonkeyPatch
) -> None:
    # The state directory is not there at first, which the outbox treats like a full disk.
    monkeypatch.setattr("agent.mqtt.outbox._DISK_RETRY_S", 0.1)
    server = house.listen()
    real = house.folder
    house.folder = real / "later"
    house.folder.mkdir()
    (house.folder / "s").symlink_to(real / "s")
    (house.folder / "outbox.sqlite").mkdir()
    house.link(memory=2)
    until(online(garden))
    server.send(final(1))
    until(lambda: garden.on("event/final"))
    assert server.drain(30), "the broker has it, so it is safe"

    assert house.broker is not None
    house.broker.kill()
    for number in (2, 3, 4):
        server.send(final(number))
    assert not server.drain(0.5)
    assert server.unacknowledged == 3
    (house.folder / "outbox.sqlite").rmdir()
    assert server.drain(30)
    house.broker.start()
    until(lambda: len(garden.on("event/final")) >= 4)
    assert sorted(ids(garden.on("event/final"))) == ["f1", "f2", "f3", "f4"]


def test_a_long_final_fits_through_the_broker(house: House, garden: Subscriber) -> None:
    server = house.listen()
    house.link()
    until(online(garden))
    long = final(1, text="x" * 60_000)
    server.send(long)
    until(lambda: garden.on("event/final"))
    assert json.loads(garden.on("event/final")[0])["text"] == long.text


def test_a_closed_standard_output_keeps_results(house: House) -> None:
    server = house.listen()
    house.stdout.close()
    house.link()
    server.send(final(1))
    assert server.drain(30)
    house.unlink()
    house.stdout = io.StringIO()
    house.link()
    until(lambda: house.printed() == ["f1"])


def test_console_prints_what_the_broker_would_get() -> None:
    stream = io.StringIO()
    console = Console(stream)
    event = final(1, text="grüß dich")
    assert isinstance(event, Final)
    console.publish("wake", payload(wake(1)))
    console.publish("final", payload(event), key="f1")
    assert stream.getvalue().encode() == payload(event) + b"\n"
