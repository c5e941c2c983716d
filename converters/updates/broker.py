"""The publisher's connection to the broker: it waits for every confirmation."""

from __future__ import annotations

import contextlib
import queue
import secrets
import threading
import time
from collections.abc import Iterator, Sequence
from types import TracebackType
from typing import Any, Self

from paho.mqtt.client import Client, ConnectFlags, DisconnectFlags, MQTTMessage, MQTTv5
from paho.mqtt.enums import CallbackAPIVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode
from paho.mqtt.subscribeoptions import SubscribeOptions

from agent.config import MqttConfig
from agent.errors import MqttError
from agent.mqtt.client import BoundedClient, check_host, properties_of, tls_context
from converters.updates.errors import BrokerError

_PATIENCE_S = 30.0
_LARGEST_PACKET = 128 * 1024  # bytes


class BrokerSession:
    """A connection, made when entered and ended when left.

    Args:
        config: The broker.
        password: Its password, if any.
        client_id: Unique on the broker; by default a random one.
    """

    def __init__(self, config: MqttConfig, password: str | None, client_id: str = "") -> None:
        self._config = config
        self._address = f"{config.host}:{config.port or (8883 if config.tls else 1883)}"
        self._up = threading.Event()
        self._trouble = ""
        self._heard: queue.Queue[tuple[str, bytes]] = queue.Queue()
        self._client = BoundedClient(
            CallbackAPIVersion.VERSION2,
            client_id=client_id or f"va-publisher-{secrets.token_hex(4)}",
            protocol=MQTTv5,
            reconnect_on_failure=False,
        )
        self._client.largest_packet = _LARGEST_PACKET
        self._client.suppress_exceptions = True
        if config.username:
            self._client.username_pw_set(config.username, password)
        self._client.on_connect = self._on_connect
        self._client.on_disconnect = self._on_disconnect
        self._client.on_message = self._on_message

    def __enter__(self) -> Self:
        """Connects.

        Raises:
            BrokerError: Nobody answers, or we are refused.
        """
        if not self._config.host:
            raise BrokerError("mqtt.host is empty; name the broker in the configuration.")
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
                    MaximumPacketSize=_LARGEST_PACKET,
                ),
            )
        except (OSError, MqttError) as error:
            raise BrokerError(
                f"The broker at {self._address} cannot be reached ({error})."
            ) from error
        self._client.loop_start()
        if not self._up.wait(_PATIENCE_S) or self._trouble:
            self.__exit__(None, None, None)
            raise BrokerError(
                f"The broker at {self._address} refuses us ({self._trouble or 'it is silent'})."
            )
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Ends the connection."""
        self._client.disconnect()
        self._client.loop_stop()
        # Without us in it, the client goes when we go, and closes what paho keeps open until then.
        self._client.on_connect = self._client.on_disconnect = self._client.on_message = None

    def keep(self, topic: str, body: bytes) -> None:
        """Has the broker keep a message; an empty one removes what it kept.

        Args:
            topic: Where.
            body: What.

        Raises:
            BrokerError: It does not confirm.
        """
        info = self._client.publish(topic, body, qos=1, retain=True)
        try:
            info.wait_for_publish(_PATIENCE_S)
        except (RuntimeError, ValueError) as error:
            raise BrokerError(f"The broker at {self._address} has gone ({error}).") from error
        if not info.is_published():
            raise BrokerError(f"The broker at {self._address} does not confirm {topic}.")

    def kept(self, filters: Sequence[str], end: str) -> Iterator[tuple[str, bytes]]:
        """What the broker keeps.

        Args:
            filters: Of topics.
            end: A topic that we may write. A fresh message on it comes behind everything that was
                kept before.

        Yields:
            Topic and payload, without `end`.

        Raises:
            BrokerError: The end does not come.
        """
        token = secrets.token_hex(8).encode()
        self._client.subscribe([(topic, SubscribeOptions(qos=1)) for topic in (*filters, end)])
        self.keep(end, token)
        while True:
            topic, body = self.next(_PATIENCE_S)
            if topic != end:
                yield topic, body
            elif body == token:
                break
        self._client.unsubscribe([*filters, end])

    def follow(self, filters: Sequence[str]) -> None:
        """Begins to listen; `waiting` gives what comes."""
        self._client.subscribe([(topic, SubscribeOptions(qos=1)) for topic in filters])

    def next(self, patience_s: float) -> tuple[str, bytes]:
        """The next message.

        Raises:
            BrokerError: None comes in time, or the connection broke.
        """
        with contextlib.suppress(queue.Empty):
            return self._heard.get(timeout=patience_s)
        raise BrokerError(
            f"The broker at {self._address} {self._trouble or 'does not answer'}; check its log"
            " and what we may read and write there."
        )

    def waiting(self, deadline: float) -> Iterator[tuple[str, bytes]]:
        """Messages until a moment.

        Args:
            deadline: Monotonic seconds.

        Yields:
            Topic and payload.

        Raises:
            BrokerError: The connection broke.
        """
        while (left := deadline - time.monotonic()) > 0:
            try:
                yield self._heard.get(timeout=left)
            except queue.Empty:
                break
        if self._trouble:
            raise BrokerError(f"The broker at {self._address} has gone ({self._trouble}).")

    # --- in paho's thread ------------------------------------------------------------------

    def _on_connect(
        self, _: Client, __: Any, ___: ConnectFlags, reason: ReasonCode, ____: Properties | None
    ) -> None:
        if reason.is_failure:
            self._trouble = str(reason)
        self._up.set()

    def _on_disconnect(
        self, _: Client, __: Any, ___: DisconnectFlags, reason: ReasonCode, ____: Properties | None
    ) -> None:
        self._trouble = str(reason)
        self._up.set()

    def _on_message(self, _: Client, __: Any, message: MQTTMessage) -> None:
        try:
            self._heard.put((message.topic, bytes(message.payload)))
        except UnicodeDecodeError:
            return
