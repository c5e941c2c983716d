"""Reads what a broker keeps, one topic at a time, and believes nothing about how much comes.

    with RetainedReader(config, client_id="va-kitchen-update", password=None, end=end) as reader:
        reader.read("va/ota/village/tuf/timestamp.json")  # bytes, or None: there is no such thing

MQTT cannot say that a topic has no retained message. So every question asks for two topics in one
packet: the wanted one and `end`, which always has something. When that has come and the wanted one
has not, it does not exist. Two traps are behind the details:

* The answer `end` to an earlier question may arrive late. Every question has its own Subscription
  Identifier, which the broker repeats with each message; others are ignored.
* The standard does not promise an order across topics. After `end` there is a short grace, and
  without `end` a deadline decides.

A broker that lies about absence can only keep news back, and signed expiry dates bound that.

paho bounds nothing by itself: `agent.mqtt.client.BoundedClient` refuses packets by their announced
size, the queue here is bounded, and every wait ends.
"""

from __future__ import annotations

import contextlib
import logging
import queue
import time
from types import TracebackType
from typing import Any, Self

from paho.mqtt.client import Client, ConnectFlags, DisconnectFlags, MQTTMessage, MQTTv5
from paho.mqtt.enums import CallbackAPIVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode
from paho.mqtt.subscribeoptions import SubscribeOptions

from agent.config import MqttConfig
from agent.errors import MqttError, UnreachableError
from agent.mqtt.client import BoundedClient, check_host, properties_of, tls_context
from agent.update.release import LARGEST_CHUNK

_LOGGER = logging.getLogger(__name__)

_LARGEST_PACKET = LARGEST_CHUNK + 1024  # bytes: a part of a release, its topic and its properties
_QUEUED = 64
_LARGEST_NUMBER = 268_435_455  # of a Subscription Identifier

# What paho's thread tells: a message (subscriptions, topic, payload) or why there will be none.
_Message = tuple[list[int], str, bytes]


class RetainedReader:
    """One connection, made when entered and ended when left.

    Args:
        config: The broker.
        client_id: Unique on the broker; not the one of `link`.
        password: The broker's, if any.
        end: The topic that always has something.
        timeout_s: Longest wait for an answer.
        grace_s: How long the wanted topic may come after `end`.
    """

    def __init__(
        self,
        config: MqttConfig,
        *,
        client_id: str,
        password: str | None,
        end: str,
        timeout_s: float = 5.0,
        grace_s: float = 0.25,
    ) -> None:
        self._config = config
        self._end = end
        self._timeout_s = timeout_s
        self._grace_s = grace_s
        self._number = 0
        self._heard: queue.Queue[_Message | str] = queue.Queue(_QUEUED)
        self._address = f"{config.host}:{config.port or (8883 if config.tls else 1883)}"
        self._client_id = client_id
        self._password = password
        self._client = self._new_client()

    def __enter__(self) -> Self:
        """Connects.

        Raises:
            UnreachableError: Nobody answers, or we are refused.
        """
        self._heard = queue.Queue(_QUEUED)
        self._client = self._new_client()
        try:
            check_host(self._config.host)
            if (tls := tls_context(self._config)) is not None:
                self._client.tls_set_context(tls)
            self._client.connect(
                self._config.host,
                self._config.port or (8883 if self._config.tls else 1883),
                keepalive=self._config.keepalive_seconds,
                clean_start=True,
                properties=properties_of(
                    PacketTypes.CONNECT,
                    SessionExpiryInterval=0,
                    ReceiveMaximum=8,
                    MaximumPacketSize=_LARGEST_PACKET,
                ),
            )
        except (OSError, MqttError) as error:
            raise UnreachableError(
                f"The broker at {self._address} cannot be reached for updates ({error}); check the"
                " section mqtt of the configuration."
            ) from error
        self._client.loop_start()
        try:
            # The first thing that is heard is the CONNACK, as an empty message, or trouble.
            self._next(time.monotonic() + self._timeout_s)
        except UnreachableError:
            self.__exit__(None, None, None)
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Ends the connection."""
        # paho calls it an error when its loop finds that the connection was ended on purpose.
        self._client.disable_logger()
        self._client.disconnect()
        self._client.loop_stop()

    def read(self, topic: str) -> bytes | None:
        """Asks for one topic.

        Args:
            topic: In full, no filter.

        Returns:
            What the broker keeps there, or None if that is nothing.

        Raises:
            UnreachableError: The connection broke or was never made.
        """
        self._number = self._number % _LARGEST_NUMBER + 1
        options = SubscribeOptions(qos=1)
        self._client.subscribe(
            [(topic, options), (self._end, options)],
            properties=properties_of(PacketTypes.SUBSCRIBE, SubscriptionIdentifier=self._number),
        )
        try:
            return self._answer(topic)
        finally:
            # `end` is asked for again and again: a new subscription replaces the old one.
            self._client.unsubscribe(topic)

    def _answer(self, topic: str) -> bytes | None:
        deadline = time.monotonic() + self._timeout_s
        ended = False
        while True:
            try:
                numbers, name, body = self._next(deadline)
            except TimeoutError:
                if not ended:
                    _LOGGER.info("The broker has not answered for %s in time.", topic)
                return None
            if self._number not in numbers:
                continue
            if name == topic:
                return body or None
            if name == self._end and not ended:
                ended = True
                deadline = min(deadline, time.monotonic() + self._grace_s)

    def _next(self, deadline: float) -> _Message:
        heard: _Message | str | None = None
        remaining = deadline - time.monotonic()
        # Also somebody who never stops talking is listened to only until the deadline.
        if remaining > 0:
            with contextlib.suppress(queue.Empty):
                heard = self._heard.get(timeout=remaining)
        if heard is None:
            thread = self._client._thread  # noqa: SLF001 - paho has no public way to ask
            if not self._client.is_connected() or thread is None or not thread.is_alive():
                raise self._lost("nobody answers")
            raise TimeoutError
        if isinstance(heard, str):
            raise self._lost(heard)
        return heard

    def _lost(self, reason: str) -> UnreachableError:
        return UnreachableError(
            f"The broker at {self._address} has gone ({reason}); what was received is kept, the"
            " next check goes on from there."
        )

    # --- in paho's thread ------------------------------------------------------------------

    def _new_client(self) -> BoundedClient:
        client = BoundedClient(
            CallbackAPIVersion.VERSION2,
            client_id=self._client_id,
            protocol=MQTTv5,
            # Whoever is thrown out ends here; the next check makes a new connection.
            reconnect_on_failure=False,
        )
        client.largest_packet = _LARGEST_PACKET
        client.suppress_exceptions = True
        client.enable_logger(_LOGGER.getChild("paho"))
        client.connect_timeout = self._timeout_s
        if self._config.username:
            client.username_pw_set(self._config.username, self._password)

        def on_connect(
            _: Client, __: Any, ___: ConnectFlags, reason: ReasonCode, ____: Properties | None
        ) -> None:
            self._put(str(reason) if reason.is_failure else ([], "", b""))

        def on_disconnect(
            _: Client, __: Any, ___: DisconnectFlags, reason: ReasonCode, ____: Properties | None
        ) -> None:
            self._put(str(reason))

        def on_subscribe(
            _: Client, __: Any, ___: int, reasons: list[ReasonCode], ____: Properties
        ) -> None:
            for reason in reasons:
                if reason.is_failure:
                    self._put(f"it does not let us read: {reason}")

        def on_message(_: Client, __: Any, message: MQTTMessage) -> None:
            try:
                topic = message.topic
            except UnicodeDecodeError:
                return
            numbers = getattr(message.properties, "SubscriptionIdentifier", [])
            self._put((list(numbers), topic, bytes(message.payload)))

        client.on_connect = on_connect
        client.on_disconnect = on_disconnect
        client.on_subscribe = on_subscribe
        client.on_message = on_message
        return client

    def _put(self, heard: _Message | str) -> None:
        try:
            self._heard.put_nowait(heard)
        except queue.Full:
            # More than was asked for. What is lost here is asked for again by the next check.
            _LOGGER.debug("The broker sends more than was asked for.")
