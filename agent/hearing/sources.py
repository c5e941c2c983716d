"""Where sound comes from: one small interface, and raw samples on standard input.

    file:PATH   a recording of any rate and channels     `agent.hearing.audio_file`
    alsa:NAME   a microphone                              `agent.hearing.microphone`
    -           raw s16le, 16 kHz, mono on standard input

A source delivers blocks: int16 [640], mono, 16 kHz, 40 ms.
"""

from __future__ import annotations

import os
import select
import time
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
            int16 [640], valid until the next call, or None if nothing came or nothing will come.

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
        # The stream is read into the block's own memory.
        self._bytes = memoryview(bytearray(BLOCK_BYTES))
        self._block: Block = np.frombuffer(self._bytes, "<i2")
        self._have = 0
        self._readable = select.poll()
        self._readable.register(descriptor, select.POLLIN)

    def read(self, timeout_s: float) -> Block | None:
        """The next block; the last one is filled up with silence."""
        deadline = time.monotonic() + timeout_s
        while self._have < BLOCK_BYTES:
            left_s = max(0.0, deadline - time.monotonic())
            if self.ended or not self._readable.poll(1000.0 * left_s):
                return None
            count = os.readv(self._descriptor, [self._bytes[self._have :]])
            self._have += count
            if not count:
                self.ended = True
                if not self._have:
                    return None
                self._bytes[self._have :] = bytes(BLOCK_BYTES - self._have)
                self._have = BLOCK_BYTES
        self._have = 0
        return self._block

    def close(self) -> None:
        """Nothing is to be given back."""
