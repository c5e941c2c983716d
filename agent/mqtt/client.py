"""paho-mqtt's client, made safe: bounded in what it accepts and keeps, encrypted where asked."""

from __future__ import annotations

import logging
import random
import ssl
from pathlib import Path

from paho.mqtt.client import Client, MQTTv5
from paho.mqtt.enums import CallbackAPIVersion, MQTTErrorCode
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

from agent.config import MqttConfig
from agent.errors import MqttError
from agent.mqtt.topics import TOPICS

_LOGGER = logging.getLogger(__name__)

_RECEIVE_MAXIMUM = 8
_CONNECT_TIMEOUT_S = 5.0


class BoundedClient(Client):
    """paho's client, with a limit on what it accepts and a memory for why it failed.

    Attributes:
        largest_packet: Bytes that one inbound packet may have.
        trouble: Why the last attempt to connect failed.
    """

    largest_packet: int = 64 * 1024
    trouble: str = ""

    def reconnect(self) -> MQTTErrorCode:
        """Connects; what goes wrong is kept, because the callback for failures is not told."""
        try:
            return super().reconnect()
        except OSError as error:
            self.trouble = error.strerror or str(error)
            raise

    def _sock_recv(self, bufsize: int) -> bytes:
        # Called for every piece; by the second byte of a packet its announced length is known.
        if self._in_packet["remaining_length"] > self.largest_packet:
            _LOGGER.error(
                "MqttError: the broker announced a packet of %d bytes, more than the %d of"
                " mqtt.max_packet_bytes; the connection is closed.",
                self._in_packet["remaining_length"],
                self.largest_packet,
            )
            raise ConnectionAbortedError("an inbound packet is over the limit")
        return super()._sock_recv(min(bufsize, 64 * 1024))


def new_client(
    config: MqttConfig,
    *,
    client_id: str,
    tls: ssl.SSLContext | None,
    password: str | None,
    will_topic: str,
    will: bytes,
    pauses_s: tuple[float, float],
) -> BoundedClient:
    """A client that will connect to the broker as soon as its loop is started.

    Args:
        config: The section of the configuration.
        client_id: Unique on the broker.
        tls: From `tls_context`.
        password: The broker's password, if any.
        will_topic: Where the last will is published.
        will: The retained state for others to see when we have vanished.
        pauses_s: From `draw_pauses`.

    Returns:
        The client, without callbacks.
    """
    client = BoundedClient(CallbackAPIVersion.VERSION2, client_id=client_id, protocol=MQTTv5)
    client.largest_packet = config.max_packet_bytes
    client.suppress_exceptions = True
    client.enable_logger(_LOGGER.getChild("paho"))
    client.connect_timeout = _CONNECT_TIMEOUT_S
    # Some room beside the results, for states and replies.
    client.max_inflight_messages_set(config.inflight + 8)
    client.max_queued_messages_set(config.inflight + 64)
    set_pauses(client, *pauses_s)
    if config.username:
        client.username_pw_set(config.username, password)
    if tls is not None:
        client.tls_set_context(tls)
    properties = properties_of(PacketTypes.WILLMESSAGE, WillDelayInterval=config.will_delay_seconds)
    row = TOPICS["state"]
    client.will_set(will_topic, will, row.qos, row.retain, properties=properties)
    # paho's default, a clean start for the first connection and no session after it, contradicts
    # itself: both are always said.
    client.connect_async(
        config.host,
        config.port or (8883 if config.tls else 1883),
        keepalive=config.keepalive_seconds,
        clean_start=False,
        properties=properties_of(
            PacketTypes.CONNECT,
            SessionExpiryInterval=config.session_expiry_seconds,
            ReceiveMaximum=_RECEIVE_MAXIMUM,
            MaximumPacketSize=config.max_packet_bytes,
        ),
    )
    return client


def draw_pauses(config: MqttConfig) -> tuple[float, float]:
    """First and longest pause between attempts, with a random part.

    Without it, ten thousand boards would come back in step after a power cut.

    Args:
        config: The section of the configuration.

    Returns:
        Both in seconds, the first not longer than the longest.
    """
    first = config.reconnect_min_seconds * random.uniform(1.0, 2.0)
    return first, max(config.reconnect_max_seconds * random.uniform(0.5, 1.0), first)


def set_pauses(client: Client, first_s: float, longest_s: float) -> None:
    """Sets the pauses between attempts; paho doubles them while nobody answers.

    Args:
        client: The client.
        first_s: First pause.
        longest_s: Longest pause.
    """
    client.reconnect_delay_set(first_s, longest_s)  # type: ignore[arg-type] # fractions work


def properties_of(packet: int, **values: int) -> Properties:
    """MQTT 5 properties of a packet.

    Args:
        packet: One of `PacketTypes`.
        **values: By the names of the standard, without spaces.

    Returns:
        The properties, as paho wants them.
    """
    properties = Properties(packet)  # type: ignore[no-untyped-call]
    for name, value in values.items():
        setattr(properties, name, value)
    return properties


def check_host(host: str) -> None:
    """Refuses a name that would end paho's thread.

    Args:
        host: From `mqtt.host`.

    Raises:
        MqttError: It cannot be encoded.
    """
    try:
        host.encode("idna")
    except UnicodeError as error:
        raise MqttError(f"mqtt.host: {host!r} is not a host name ({error}).") from error


def tls_context(config: MqttConfig) -> ssl.SSLContext | None:
    """What encrypts the connection; the broker's certificate and name are always checked.

    Args:
        config: The section of the configuration.

    Returns:
        The context, or None without `mqtt.tls`.

    Raises:
        MqttError: A certificate or key cannot be used.
    """
    if not config.tls:
        return None
    key = "mqtt.ca_file"
    try:
        context = ssl.create_default_context(
            cafile=str(Path(config.ca_file).expanduser()) if config.ca_file else None
        )
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        if config.certificate_file:
            key = "mqtt.certificate_file"
            context.load_cert_chain(
                Path(config.certificate_file).expanduser(), Path(config.key_file).expanduser()
            )
    except OSError as error:  # ssl.SSLError is one too
        raise MqttError(
            f"{key}: the certificate cannot be used ({error}); check the file and its permissions."
        ) from error
    return context
