"""The process on the network: wiring only.

    listen --events--> channel --> outbox (finals, on disk) --> broker
                          ^                                       |
                          +---- acknowledgements, commands <------+

One loop, one thread beside paho's. A final is stored before it is acknowledged to `listen`, removed
when the broker confirms it, and published again as long as it has not. Everything else is published
if the broker happens to be there, and otherwise forgotten: yesterday's partials help nobody.

Nothing here may ever load code that touches sound; a test looks at the modules of the process.
"""

from __future__ import annotations

import logging
import time
from typing import Any, Protocol

from agent import __version__
from agent.channel import Client
from agent.errors import MalformedMessageError
from agent.events import Ack, Command, Event, Final, Health, Partial, Reply, Speculative
from agent.mqtt.outbox import Outbox
from agent.mqtt.signals import Connected, Delivered, Received, Rejected, Signal
from agent.mqtt.topics import ROW_OF_EVENT, Topics, payload, read_request
from agent.service.notify import Notifier
from agent.update.watch import Watch

_LOGGER = logging.getLogger(__name__)

_TURN_S = 0.5
_REJECTED_PAUSE_S, _LONGEST_REJECTED_PAUSE_S = 60.0, 3600.0
_FAILED_PAUSE_S, _LONGEST_FAILED_PAUSE_S = 0.1, 10.0
_FAREWELL_S = 3.0
_MOST_HELD_BACK = 512
_UNWATCHED_S = 10.0


class Sink(Protocol):
    """Where results go: the broker or the console."""

    @property
    def connected(self) -> bool:
        """True while messages are accepted."""

    def start(self) -> None:
        """Begins to connect."""

    def room(self) -> int:
        """How many more results may be given."""

    def under_way(self) -> set[str]:
        """Keys of results that are not confirmed yet."""

    def publish(self, row: str, body: bytes, *, key: str | None = None) -> bool:
        """Gives one message; False if it was not taken."""

    def poll(self) -> list[Signal]:
        """What has happened."""

    def close(self, farewell: bytes | None) -> None:
        """Ends the connection."""


class Link:
    """Moves events from `listen` to the broker and commands the other way.

    Args:
        channel: Connection to `listen`.
        outbox: Results that wait.
        sink: Where they go.
        topics: The topic table of this device.
        boot_id: Of this process.
        partials: Whether words are published while they are spoken.
        notifier: The service manager.
        watch: Starts the updater; None where releases are not installed.

    Attributes:
        failures: How many turns ended in an error that nothing was prepared for.
    """

    def __init__(
        self,
        *,
        channel: Client,
        outbox: Outbox,
        sink: Sink,
        topics: Topics,
        boot_id: str,
        partials: bool = True,
        notifier: Notifier | None = None,
        watch: Watch | None = None,
    ) -> None:
        self._channel = channel
        self._outbox = outbox
        self._sink = sink
        self._topics = topics
        self._boot_id = boot_id
        self._partials = partials
        self._notifier = notifier or Notifier()
        self._watch = watch
        self._switch_id = f"{boot_id}-switch-"
        self._told: dict[str, Any] | None = None
        self._next_sign = 0.0
        self._started = time.monotonic()
        self._not_before: dict[str, float] = {}
        self._pauses: dict[str, float] = {}
        self._failed_pause_s = _FAILED_PAUSE_S
        self._announced: bool | None = None
        self._refused = 0
        self._stopping = False
        self.failures = 0

    def run(self) -> None:
        """Works until `stop`, then delivers for a moment what can be delivered, and ends."""
        self._sink.start()
        self._notifier.ready("Running.")
        while not self._stopping:
            self._guarded_turn(_TURN_S)
        self._notifier.stopping()
        self._channel.retire()
        deadline = time.monotonic() + _FAREWELL_S
        while self._sink.connected and len(self._outbox) and time.monotonic() < deadline:
            self._guarded_turn(0.05)
        if waiting := len(self._outbox):
            _LOGGER.info("%d results wait for the next start.", waiting)
        if self._watch is not None:
            self._watch.close()
        self._sink.close(self.state("offline"))
        self._outbox.close()
        self._channel.close()
        self._notifier.close()

    def stop(self) -> None:
        """Ends `run`; from any thread or signal handler."""
        self._stopping = True
        self._channel.wake()

    def state(self, state: str) -> bytes:
        """The retained state of this device.

        Args:
            state: "online" or "offline".

        Returns:
            The payload, also of the last will.
        """
        return state_payload(state, self._boot_id, listening=self._channel.server is not None)

    def _guarded_turn(self, timeout_s: float) -> None:
        try:
            self._turn(timeout_s)
            self._failed_pause_s = _FAILED_PAUSE_S
        except Exception:
            self.failures += 1
            _LOGGER.exception("A turn of the loop failed (%d so far).", self.failures)
            # Whatever fails at every turn must not fill the log with it.
            time.sleep(self._failed_pause_s)
            self._failed_pause_s = min(2 * self._failed_pause_s, _LONGEST_FAILED_PAUSE_S)

    def _turn(self, timeout_s: float) -> None:
        for event in self._channel.poll(timeout_s):
            self._from_listen(event)
        for happened in self._sink.poll():
            self._from_broker(happened)
        self._acknowledge(*self._outbox.tend(time.monotonic()))
        if self._outbox.refused > self._refused and self._outbox.trouble is None:
            # There was no place for some finals; `listen` still has them, and now there is.
            self._refused = self._outbox.refused
            self._channel.reconnect()
        self._publish_results()
        self._announce()
        if self._watch is not None:
            self._look_after_updates(self._watch)
        self._show_life()

    def _from_listen(self, event: Event) -> None:
        if self._watch is not None and isinstance(event, Health):
            server = self._channel.server
            self._watch.note(event, "" if server is None else server.boot_id)
        if isinstance(event, Reply) and event.id.startswith(self._switch_id):
            # We asked; nobody else wants to know.
            if not event.ok:
                _LOGGER.error("SlotError: `listen` does not switch: %s", event.message)
        elif isinstance(event, Final):
            if self._outbox.put(event.id, payload(event)):
                self._acknowledge(event.id)
        elif isinstance(event, (Partial, Speculative)) and not self._partials:
            pass
        elif row := ROW_OF_EVENT.get(event.KIND):
            self._sink.publish(row, payload(event))

    def _from_broker(self, happened: Signal) -> None:
        match happened:
            case Connected():
                self._announced = None
                self._told = None
            case Delivered(key):
                self._not_before.pop(key, None)
                self._pauses.pop(key, None)
                self._outbox.delivered(key)
                self._acknowledge(key)
            case Rejected(key, reason):
                self._hold_back(key, f"the broker refuses it ({reason})")
            case Received(topic, body, retained):
                self._command(topic, body, retained)

    def _publish_results(self) -> None:
        room = self._sink.room()
        if not room:
            return
        now = time.monotonic()
        busy = self._sink.under_way()
        held = {key for key, until in self._not_before.items() if until > now}
        for result in self._outbox.waiting(room + len(busy) + len(held)):
            if room and result.id not in busy and result.id not in held:
                room -= 1
                if not self._sink.publish("final", result.body, key=result.id):
                    self._hold_back(result.id, "it was not taken")

    def _hold_back(self, key: str, why: str) -> None:
        pause_s = self._pauses.get(key, _REJECTED_PAUSE_S)
        _LOGGER.warning("Result %s waits %g s: %s.", key, pause_s, why)
        while len(self._not_before) >= _MOST_HELD_BACK:
            oldest = next(iter(self._not_before))
            del self._not_before[oldest]
            self._pauses.pop(oldest, None)
        self._not_before[key] = time.monotonic() + pause_s
        # What is refused again and again, such as a result too large for the broker, is rarer news.
        self._pauses[key] = min(2 * pause_s, _LONGEST_REJECTED_PAUSE_S)

    def _announce(self) -> None:
        """Renews the retained state when the broker or `listen` has come or gone."""
        listening = self._channel.server is not None
        if (
            self._sink.connected
            and self._announced is not listening
            and self._sink.publish("state", self.state("online"))
        ):
            self._announced = listening

    def _look_after_updates(self, watch: Watch) -> None:
        """Starts the updater when it is time, tells the broker, and has `listen` switch."""
        now = time.monotonic()
        if self._channel.server is None:
            watch.deaf()
        watch.turn(now)
        transaction = watch.wanted_switch(now)
        if transaction is not None:
            _LOGGER.info("[%s] `listen` is asked to switch.", transaction)
            self._channel.send(Command(id=self._switch_id + transaction, verb="switch"))
        told = watch.status()
        if (
            self._sink.connected
            and told != self._told
            and self._sink.publish("update", payload(told))
        ):
            self._told = told

    def _show_life(self) -> None:
        """Only a loop that comes round without an error gets here."""
        now = time.monotonic()
        if now >= self._next_sign:
            self._next_sign = now + (self._notifier.watchdog_s or _UNWATCHED_S) / 4
            self._notifier.alive()

    def _acknowledge(self, *keys: str) -> None:
        if keys:
            self._channel.send(Ack(ids=keys))

    def _command(self, topic: str, body: bytes, retained: bool) -> None:
        verb = self._topics.verb_of(topic)
        if verb is None or retained:
            # A retained command would be obeyed again at every connection.
            _LOGGER.warning("A retained or misplaced command on %r is ignored.", topic[:128])
            return
        try:
            request = read_request(body)
        except MalformedMessageError as error:
            _LOGGER.warning("%s", error)
            self._reply(Reply(id="", ok=False, message=str(error)))
            return
        if verb == "ping":
            result: dict[str, Any] = {
                "agent": __version__,
                "boot_id": self._boot_id,
                "uptime_s": round(time.monotonic() - self._started, 3),
                "listening": self._channel.server is not None,
                "waiting": len(self._outbox),
            }
            self._reply(Reply(id=request.id, ok=True, result=result))
        elif verb == "check_update":
            ok, message = (
                (False, "This board gets no updates: update.fleet is empty.")
                if self._watch is None
                else self._watch.check_now(time.monotonic())
            )
            self._reply(Reply(id=request.id, ok=ok, message=message))
        elif verb == "switch":
            # What a board runs is never up to whoever may publish.
            self._reply(Reply(id=request.id, ok=False, message="That is not for the network."))
        elif not self._channel.send(
            Command(id=request.id, verb=verb, arguments=request.arguments or {})
        ):
            self._reply(Reply(id=request.id, ok=False, message="`listen` is not running."))

    def _reply(self, reply: Reply) -> None:
        self._sink.publish("reply", payload(reply))


def state_payload(state: str, boot_id: str, *, listening: bool) -> bytes:
    """The content of the retained state.

    Args:
        state: "online" or "offline".
        boot_id: Of this process.
        listening: Whether `listen` is connected.

    Returns:
        JSON.
    """
    return payload(
        {"state": state, "agent": __version__, "boot_id": boot_id, "listening": listening}
    )
