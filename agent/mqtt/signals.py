"""What a connection tells the main loop of `link`."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Connected:
    """The broker is there."""


@dataclass(frozen=True)
class Delivered:
    """The broker has a result.

    Attributes:
        key: The result's id.
    """

    key: str


@dataclass(frozen=True)
class Rejected:
    """The broker refuses a result.

    Attributes:
        key: The result's id.
        reason: The broker's words.
    """

    key: str
    reason: str


@dataclass(frozen=True)
class Received:
    """A message came in.

    Attributes:
        topic: Where.
        body: Its payload, at most `mqtt.max_packet_bytes` long.
        retained: True if the broker had kept it from earlier.
    """

    topic: str
    body: bytes
    retained: bool


Signal = Connected | Delivered | Rejected | Received
