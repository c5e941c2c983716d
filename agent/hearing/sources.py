"""Where sound comes from: one small interface, and raw samples on standard input.

    file:PATH   a recording of any rate and channels     `agent.hearing.audio_file`
    alsa:NAME   a microphone                              `agent.hearing.microphone`
    -           raw s16le, 16 kHz, mono on standard input

A source delivers blocks: int16 [640], mono, 16 kHz, 40 ms.
"""

from __future__ import annotations

import os
import select
from dataclasses import dataclass
from enum import Enum
from typing import Protocol

import numpy as np

from agent.errors import ConfigError
from agent.hearing.features import BLOCK
from agent.hearing.ring_buffer import Block

BLOCK_BYTES = 2 * BLOCK


class Delivery(Enum):
    """How sound comes."""

    DEVICE = "device"
    """In real time, and lost if nobody takes it."""
    STREAM = "stream"
    """At whatever pace; it waits until it is taken."""
    RECORDING = "recording"
    """At once; whoever wants real time must pace it."""


class Source(Protocol):
    """Delivers blocks, one after the other.

    Attributes:
        delivery: How sound comes.
        ended: Nothing will follow.
        xruns: How often sound was lost because nobody read it in time.
    """

    delivery: Delivery
    ended: bool
    xruns: int

    def read(self, timeout_s: float) -> Block | None:
        """The next block.

        Args:
            timeout_s: How long to wait for it; a device may take a little longer.

        Returns:
            int16 [640], the caller's to keep, or None if nothing came or nothing will come.

        Raises:
            AudioError: The source is broken; `close` it and make a new one.
        """

    def close(self) -> None:
        """Gives the device or file back."""


@dataclass(frozen=True, slots=True)
class SourceName:
    """What `--source` says.

    Attributes:
        kind: `file`, `alsa` or `stdin`.
        name: Path or device; empty for standard input.
    """

    kind: str
    name: str


def parse_source(text: str) -> SourceName:
    """Takes a source's name apart; opens nothing.

    Args:
        text: `file:PATH`, `alsa:NAME` or `-`.

    Raises:
        ConfigError: It is none of them.
    """
    if text == "-":
        return SourceName("stdin", "")
    kind, separator, name = text.partition(":")
    if separator and kind in ("file", "alsa") and name and "\0" not in name:
        return SourceName(kind, name)
    raise ConfigError(f"The source {text[:80]!r} is none of alsa:NAME, file:PATH and -.")


class RawStream:
    """Raw s16le 16 kHz mono samples from a file descriptor, such as a pipe.

    Args:
        descriptor: What is read; it is not closed.
    """

    def __init__(self, descriptor: int = 0) -> None:
        self.delivery = Delivery.STREAM
        self.ended = False
        self.xruns = 0
        self._descriptor = descriptor
        self._pending = bytearray()

    def read(self, timeout_s: float) -> Block | None:
        """The next block; the last one is filled up with silence."""
        while len(self._pending) < BLOCK_BYTES and not self.ended:
            ready, _, _ = select.select([self._descriptor], [], [], timeout_s)
            if not ready:
                return None
            data = os.read(self._descriptor, BLOCK_BYTES - len(self._pending))
            if not data:
                self.ended = True
                # Half a sample at the end is no sample.
                missing = -len(self._pending) % BLOCK_BYTES
                self._pending += bytes(missing)
            self._pending += data
        if not self._pending:
            return None
        block = np.frombuffer(bytes(self._pending), "<i2").astype(np.int16)
        self._pending.clear()
        return block

    def close(self) -> None:
        """Nothing is to be given back."""
