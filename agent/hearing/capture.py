"""The thread that owns the source: it reads blocks, writes the ring, and does nothing else.

A microphone that fails or vanishes is closed and opened again, after pauses that double from one
failure to the next; sound that was lost meanwhile is lost, and the counters say so. A recording is
paced in real time unless it may run as fast as the reader follows; a pipe is read as fast as that.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable

from agent.channel.waker import Waker
from agent.errors import AudioDeviceError, AudioError
from agent.hearing.features import FRAME_SECONDS
from agent.hearing.ring_buffer import SampleRing
from agent.hearing.sources import Delivery, Source

_LOGGER = logging.getLogger(__name__)

_READ_TIMEOUT_S = 0.5
_GOOD_AFTER_BLOCKS = 25
"""A device that has delivered for a second is sound again: the next pause is a short one."""


class Capture:
    """Fills a ring from a source.

    Args:
        open_source: Makes the source; called again after a failure.
        ring: Where the blocks go.
        paced: A recording is delivered in real time.
        reopen_seconds: First and longest pause before a source is made again.
        waiting: Tells how many samples the reader still has to read; sound that can wait is not
            delivered faster than it is read.

    Attributes:
        paced: As given.
        blocks: Blocks delivered.
        last_block: Monotonic time of the last one.
        reopened: How often the source had to be made again.
        failure: Why the source cannot be opened at present; None while it delivers.
        finished: Set when the source has ended.
        waker: Readable when something has changed.
    """

    def __init__(
        self,
        open_source: Callable[[], Source],
        ring: SampleRing,
        *,
        paced: bool = True,
        reopen_seconds: tuple[float, float] = (0.5, 30.0),
        waiting: Callable[[], int] = lambda: 0,
    ) -> None:
        self._open_source = open_source
        self._ring = ring
        self.paced = paced
        self._reopen_seconds = reopen_seconds
        self._waiting = waiting
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="capture", daemon=True)
        self._xruns_before = 0
        self._source: Source | None = None
        self.blocks = 0
        self.last_block = time.monotonic()
        self.reopened = 0
        self.failure: str | None = None
        self.finished = threading.Event()
        self.waker = Waker()

    @property
    def is_device(self) -> bool:
        """Sound comes from a microphone, which is never perfectly silent."""
        source = self._source
        return source is not None and source.delivery is Delivery.DEVICE

    @property
    def xruns(self) -> int:
        """How often sound was lost in the device, over all openings."""
        source = self._source
        return self._xruns_before + (source.xruns if source is not None else 0)

    def start(self) -> None:
        """Opens the source and begins to read.

        Raises:
            AudioError: A recording cannot be opened. A microphone is tried again instead.
        """
        try:
            self._source = self._open_source()
        except AudioError as error:
            # A broken recording stays broken; a microphone may come back.
            if not isinstance(error, AudioDeviceError):
                raise
            self.failure = str(error)
            _LOGGER.warning("%s It is tried again.", error)
        self._thread.start()

    def stop(self) -> None:
        """Ends the thread; one that hangs in a driver is left behind."""
        self._stopping.set()
        self._thread.join(timeout=2.0)

    def _run(self) -> None:
        pause = self._reopen_seconds[0]
        while not self._stopping.is_set():
            try:
                if self._source is None:
                    self._source = self._open_source()
                    self.reopened += 1
                    _LOGGER.info("The source is open again.")
                before = self.blocks
                self._pump(self._source)
                break
            except AudioError as error:
                if not isinstance(error, AudioDeviceError):
                    _LOGGER.error("%s", error)
                    self.failure = str(error)
                    break
                if self.failure is None:
                    _LOGGER.warning("%s It is opened again.", error)
                self.failure = str(error)
                if self._source is not None:
                    self._give_back()
                    if self.blocks - before >= _GOOD_AFTER_BLOCKS:
                        pause = self._reopen_seconds[0]
                self._stopping.wait(pause)
                pause = min(2 * pause, self._reopen_seconds[1])
            except Exception:
                _LOGGER.exception("Capturing failed; the source is opened again.")
                self._give_back()
                self._stopping.wait(self._reopen_seconds[1])
        self._give_back()
        self.finished.set()
        self.waker.set()

    def _pump(self, source: Source) -> None:
        """Reads until the source ends, fails, or the thread is stopped."""
        began, delivered = time.monotonic(), 0
        while not self._stopping.is_set():
            block = source.read(_READ_TIMEOUT_S)
            if block is None:
                if source.ended:
                    return
                continue
            if source.delivery is not Delivery.DEVICE:
                self._wait_for_room()
            if source.delivery is Delivery.RECORDING and self.paced:
                delivered += 1
                self._stopping.wait(max(0.0, began + delivered * FRAME_SECONDS - time.monotonic()))
            self._ring.write(block)
            self.blocks += 1
            self.last_block = time.monotonic()
            self.failure = None
            self.waker.set()

    def _wait_for_room(self) -> None:
        """Lets the reader catch up, where sound can wait."""
        # Three quarters of the ring stay behind the reader: it may have to look back.
        while self._waiting() > self._ring.capacity // 4:
            if self._stopping.wait(0.001):
                return

    def _give_back(self) -> None:
        source, self._source = self._source, None
        if source is not None:
            self._xruns_before += source.xruns
            try:
                source.close()
            except Exception:
                _LOGGER.debug("The source could not be closed.", exc_info=True)
