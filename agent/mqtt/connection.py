"""One connection to the broker, made again whenever it breaks.

paho-mqtt owns a thread; its callbacks only put what happened into a bounded queue and wake the main
loop, which calls `poll`. So every decision is made in one thread and nothing here needs a lock.

What paho 2.2 does not do by itself, and where it is done (each has a test with a hostile broker):

* It reads packets of any announced size: `BoundedClient` refuses them before memory is taken.
* An exception in a callback, or a host name that cannot be encoded, ends its thread while
  `is_connected()` stays true: `poll` notices the dead thread and starts another client.
* It queues without bound while offline: nothing is handed to it unless the broker is there.
* It forgets that a broker without persistence loses subscriptions: they are made again whenever the
  broker has no session of ours.
* Its pauses between attempts are the same for everyone, and do not grow when connections are
  accepted and dropped: ours have a random part, and `Patience`.
"""

from __future__ import annotations

import logging
import queue
import time
from collections.abc import Callable
from typing import Any

from paho.mqtt.client import Client, ConnectFlags, DisconnectFlags, MQTTMessage
from paho.mqtt.enums import MQTTErrorCode
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode

from agent.config import MqttConfig
from agent.mqtt.client import (
    BoundedClient,
    check_host,
    draw_pauses,
    new_client,
    properties_of,
    set_pauses,
    tls_context,
)
from agent.mqtt.patience import Patience
from agent.mqtt.signals import Connected, Delivered, Received, Rejected, Signal
from agent.mqtt.topics import TOPICS, Topics

_LOGGER = logging.getLogger(__name__)

_EVENTS_QUEUED = 256
_MOST_REPORTS = 16
_REPLACE_PAUSE_S = 5.0


class Connection:
    """Publishes results and receives commands.

    Args:
        config: The section of the configuration.
        topics: The table for this device.
        password: The broker's password, if any.
        last_will: Payload of the retained state that the broker publishes when we vanish.
        on_activity: Called from paho's thread when `poll` has something to return.

    Attributes:
        connected: True while the broker accepts messages.
        overflowed: How many incoming messages were dropped because they came too fast.

    Raises:
        MqttError: A certificate, a key or the host name cannot be used.
    """

    def __init__(
        self,
        config: MqttConfig,
        topics: Topics,
        *,
        password: str | None,
        last_will: bytes,
        on_activity: Callable[[], None],
    ) -> None:
        self._config = config
        self._topics = topics
        self._password = password
        self._last_will = last_will
        self._on_activity = on_activity
        self._tls = tls_context(config)
        check_host(config.host)
        self._port = config.port or (8883 if config.tls else 1883)
        self._pauses_s = draw_pauses(config)
        self._patience = Patience(*self._pauses_s)
        self._keys: dict[int, str] = {}
        self._largest_publish = config.max_packet_bytes
        self._window = config.inflight
        self._subscribed = False
        self._reported: set[str] = set()
        self._replace_at = 0.0
        self.connected = False
        self.overflowed = 0
        self._events: queue.Queue[tuple[Any, ...]] = queue.Queue(_EVENTS_QUEUED)
        self._client = self._new_client()

    def start(self) -> None:
        """Begins to connect, in the background, for as long as it takes."""
        self._client.loop_start()

    @property
    def address(self) -> str:
        """The broker, for messages."""
        return f"{self._config.host}:{self._port}"

    def room(self) -> int:
        """How many more results may be on their way at once; 0 while the broker is away."""
        return max(self._window - len(self._keys), 0) if self.connected else 0

    def under_way(self) -> set[str]:
        """Keys of the results that are sent and not confirmed."""
        return set(self._keys.values())

    def publish(self, row: str, body: bytes, *, key: str | None = None) -> bool:
        """Hands one message to the network thread.

        Args:
            row: Row of the topic table.
            body: The payload.
            key: For results: what `Delivered` or `Rejected` will name.

        Returns:
            False if the broker is away or will not take a message of this size, and the message is
            gone.
        """
        if not self.connected:
            return False
        topic = TOPICS[row]
        name = self._topics.of(row)
        # The fixed header, the length of the topic and the properties take less than 64 bytes.
        if len(body) + len(name.encode()) + 64 > self._largest_publish:
            _LOGGER.error("MqttError: a %s of %d bytes is too long for the broker.", row, len(body))
            return False
        expiry = {} if topic.expiry_s is None else {"MessageExpiryInterval": topic.expiry_s}
        properties = properties_of(PacketTypes.PUBLISH, **expiry)
        info = self._client.publish(name, body, topic.qos, topic.retain, properties)
        # Without connection paho still keeps QoS 1 messages and sends them later.
        accepted = info.rc in (MQTTErrorCode.MQTT_ERR_SUCCESS, MQTTErrorCode.MQTT_ERR_NO_CONN)
        if key is not None and accepted and topic.qos > 0:
            self._keys[info.mid] = key
        return accepted

    def poll(self) -> list[Signal]:
        """What happened since the last call; never waits."""
        signals: list[Signal] = []
        now = time.monotonic()
        if not self._thread_alive() and now >= self._replace_at:
            self._replace_at = now + _REPLACE_PAUSE_S
            _LOGGER.error("MqttError: the network thread has died; a new client is started.")
            self._replace_client()
        for _ in range(_EVENTS_QUEUED):
            try:
                source, handler, *arguments = self._events.get_nowait()
            except queue.Empty:
                break
            # A client that has been replaced may still talk.
            if source is self._client:
                signals += handler(*arguments)
        return signals

    def close(self, farewell: bytes | None) -> None:
        """Says that we are gone on purpose, and ends the connection.

        Args:
            farewell: Last payload of the retained state, or None.
        """
        if self.connected and farewell is not None:
            topic = TOPICS["state"]
            info = self._client.publish(self._topics.of("state"), farewell, topic.qos, topic.retain)
            try:
                info.wait_for_publish(timeout=2.0)
            except (RuntimeError, ValueError):
                _LOGGER.info("The broker has gone before it could be told that we leave.")
        self._client.disconnect()
        self._client.loop_stop()

    # --- in the main thread ----------------------------------------------------------------

    def _handle_connect(
        self, session_present: bool, reason: ReasonCode, properties: Properties
    ) -> list[Signal]:
        if reason.is_failure:
            self._report(f"The broker at {self.address} refuses the connection: {reason}.")
            return []
        limit = getattr(properties, "MaximumPacketSize", self._config.max_packet_bytes)
        self._largest_publish = min(limit, self._config.max_packet_bytes)
        receive_maximum = getattr(properties, "ReceiveMaximum", self._config.inflight)
        self._window = min(receive_maximum, self._config.inflight)
        # The first time also with a session: the prefix may have changed since it was made.
        if not session_present or not self._subscribed:
            self._client.subscribe(self._topics.of("command"), qos=TOPICS["command"].qos)
            self._subscribed = True
        self.connected = True
        self._patience.connected(time.monotonic())
        self._reported.clear()
        _LOGGER.info("Connected to the broker at %s.", self.address)
        return [Connected()]

    def _handle_disconnect(self, by_broker: bool, reason: ReasonCode) -> list[Signal]:
        if self.connected:
            # paho may report one loss twice.
            self.connected = False
            who = "by the broker " if by_broker else ""
            _LOGGER.warning(
                "The connection to the broker was ended %s(%s); results are kept until it is back.",
                who,
                reason,
            )
            pause = self._patience.disconnected(time.monotonic())
            set_pauses(self._client, pause, max(pause, self._pauses_s[1]))
            if self._patience.just_became_suspicious:
                _LOGGER.error(
                    "MqttError: the broker drops us soon after each connection; if another client"
                    " calls itself %s, give each device its own device.id.",
                    self._client_id(),
                )
        else:
            # Also what a broker does that wants a client certificate and gets none.
            self._report(f"The broker at {self.address} ends the connection at once ({reason}).")
        return []

    def _handle_failure(self, trouble: str) -> list[Signal]:
        self._report(
            f"The broker at {self.address} cannot be reached ({trouble}); trying on, results are"
            " kept."
        )
        return []

    def _handle_publish(self, message_id: int, reason: ReasonCode) -> list[Signal]:
        key = self._keys.pop(message_id, None)
        if key is None:
            return []
        return [Rejected(key, str(reason))] if reason.is_failure else [Delivered(key)]

    def _handle_suback(self, reasons: list[ReasonCode]) -> list[Signal]:
        for reason in reasons:
            if reason.is_failure:
                _LOGGER.error("MqttError: the broker refuses our commands topic: %s.", reason)
        return []

    def _handle_message(self, topic: str, body: bytes, retained: bool) -> list[Signal]:
        return [Received(topic, body, retained)]

    def _report(self, message: str) -> None:
        """One line for each kind of failure, not one for each attempt."""
        if message not in self._reported and len(self._reported) < _MOST_REPORTS:
            self._reported.add(message)
            _LOGGER.warning("%s", message)

    def _thread_alive(self) -> bool:
        thread = self._client._thread  # noqa: SLF001 - paho has no public way to ask
        return thread is not None and thread.is_alive()

    def _replace_client(self) -> None:
        self.connected = False
        self._subscribed = False
        # The outbox still has what these were; it will be published again.
        self._keys.clear()
        self._client = self._new_client()
        self._client.loop_start()

    def _client_id(self) -> str:
        return self._config.client_id or f"va-{self._topics.device}"

    def _new_client(self) -> BoundedClient:
        client = new_client(
            self._config,
            client_id=self._client_id(),
            tls=self._tls,
            password=self._password,
            will_topic=self._topics.of("state"),
            will=self._last_will,
            pauses_s=self._pauses_s,
        )
        self._set_callbacks(client)
        return client

    # --- in paho's thread ------------------------------------------------------------------

    def _set_callbacks(self, client: BoundedClient) -> None:
        def on_connect(
            _: Client,
            __: Any,
            flags: ConnectFlags,
            reason: ReasonCode,
            properties: Properties | None,
        ) -> None:
            session = bool(flags.session_present)
            self._put(client, self._handle_connect, session, reason, properties)

        def on_disconnect(
            _: Client, __: Any, flags: DisconnectFlags, reason: ReasonCode, ___: Properties | None
        ) -> None:
            by_broker = flags.is_disconnect_packet_from_server
            self._put(client, self._handle_disconnect, by_broker, reason)

        def on_publish(
            _: Client, __: Any, message_id: int, reason: ReasonCode, ___: Properties
        ) -> None:
            self._put(client, self._handle_publish, message_id, reason)

        def on_subscribe(
            _: Client, __: Any, ___: int, reasons: list[ReasonCode], ____: Properties
        ) -> None:
            self._put(client, self._handle_suback, reasons)

        def on_message(_: Client, __: Any, message: MQTTMessage) -> None:
            try:
                topic = message.topic
            except UnicodeDecodeError:
                self.overflowed += 1
                return
            if self._events.qsize() > _EVENTS_QUEUED // 2:
                # The rest of the queue is for what we must not miss.
                self.overflowed += 1
                return
            self._put(client, self._handle_message, topic, message.payload, message.retain)

        client.on_connect = on_connect
        client.on_disconnect = on_disconnect
        client.on_connect_fail = lambda *_: self._put(client, self._handle_failure, client.trouble)
        client.on_publish = on_publish
        client.on_subscribe = on_subscribe
        client.on_message = on_message

    def _put(self, *event: Any) -> None:
        # The main loop drains this several times a second; the deadline only guards against a
        # main loop that hangs, which the watchdog ends.
        self._events.put(event, timeout=5.0)
        self._on_activity()
