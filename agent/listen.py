"""The process that hears: wiring only.

    source ──capture thread──▶ ring ──this thread──▶ pipeline ──▶ announcer ──socket thread──▶ peers

The capture thread owns the device and only writes the ring. The thread that calls `Listener.run`
does all inference. The socket has a thread of its own, and sending to it never waits. Nothing here
reaches a network, and nothing here may ever load code that does; a test looks at the modules of the
process.
"""

from __future__ import annotations

import gc
import logging
import queue
import select
import time
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from agent.announcer import Announcer
from agent.channel import Server
from agent.clock import clock_ok, wall_ms
from agent.config import Config
from agent.errors import AudioError, BundleError
from agent.events import Command, Final, Health, Ids, Reply, Wake
from agent.hearing.capture import Capture
from agent.hearing.features import BLOCK, FRAME_SECONDS, SAMPLE_RATE
from agent.hearing.pipeline import Pipeline
from agent.hearing.ring_buffer import RingReader
from agent.hearing.session_events import SessionEvent
from agent.records import plain
from agent.service.health import cpu_seconds, resident_bytes
from agent.service.notify import Notifier
from agent.service.watchdog import Watchdog

if TYPE_CHECKING:
    from agent.hearing.keeper import Keeper
    from agent.update.current import Current
    from agent.update.overlaid import Overlaid

_LOGGER = logging.getLogger(__name__)

_TURN_S = 0.5
"""Longest wait for sound: how late health, commands and the end may be noticed without any."""
_STALE_S = 2.0
"""Without a block for so long, the microphone is reported."""
_MOST_BLOCKS = 25
"""Heard before commands and the end are looked at again: a second of sound."""
_MOST_COMMANDS = 16
_FAREWELL_S = 5.0
_LIVED_FRAMES = round(60.0 / FRAME_SECONDS)
"""Heard so much, the models have not crashed at their start."""


class Listener:
    """Hears until the source ends or `stop` is called.

    Args:
        config: All settings.
        pipeline: The models, ready.
        capture: The source; not started yet.
        reader: Reads the ring that the capture fills.
        server: Where events go; not started yet.
        ids: For sessions and messages.
        notifier: The service manager.
        current: The slot that the models come from; None where releases are not installed.
        overlaid: The owner's overlay over the models; None where there is none.
        keeper: Keeps sound for training; None, as by default, where none is kept.
    """

    def __init__(
        self,
        *,
        config: Config,
        pipeline: Pipeline,
        capture: Capture,
        reader: RingReader,
        server: Server,
        ids: Ids,
        notifier: Notifier,
        current: Current[Pipeline] | None = None,
        overlaid: Overlaid[Pipeline] | None = None,
        keeper: Keeper | None = None,
    ) -> None:
        self._pipeline = pipeline
        self._current = current
        self._overlaid = overlaid
        self._keeper = keeper
        self._switch: Command | None = None
        self._lives_at = _LIVED_FRAMES
        self._capture = capture
        self._reader = reader
        self._server = server
        self._notifier = notifier
        self._announcer = Announcer(ids)
        self._watchdog = Watchdog(notifier.watchdog_s)
        self._commands: queue.Queue[Command] = queue.Queue(_MOST_COMMANDS)
        self._health_every_s = config.socket.health_seconds
        self._started = time.monotonic()
        self._next_health = self._started + self._health_every_s
        self._trouble: str | None = None
        self._failures = 0
        self._lost_samples = 0
        self._processed = 0
        self._stopping = False

    def run(self) -> None:
        """Works until the end, then gives peers a moment to take the last results.

        Raises:
            AudioError: A recording could not be read to its end.
        """
        # What was loaded so far lives for ever; the collector need not look at it again.
        gc.collect()
        gc.freeze()
        try:
            self._work()
            if self._current is not None:
                self._current.ended()
            if self._overlaid is not None:
                self._overlaid.lived()
        finally:
            # Whatever ended it: what was understood before is still to be taken.
            self._notifier.stopping()
            self._capture.stop()
            if not self._server.drain(_FAREWELL_S):
                _LOGGER.warning("%d results were not taken by `link`.", self._server.unacknowledged)
        if self._capture.failure is not None and not self._stopping:
            raise AudioError(self._capture.failure)

    def stop(self) -> None:
        """Ends `run`; from any thread or signal handler."""
        self._stopping = True
        self._capture.waker.set()

    def command(self, command: Command) -> None:
        """Takes a command; called in the socket's thread."""
        try:
            self._commands.put_nowait(command)
        except queue.Full:
            self._server.send(
                Reply(id=command.id, ok=False, message="Too many commands wait; try again later.")
            )
        self._capture.waker.set()

    def health(self) -> Health:
        """The pulse, over the time since the last one."""
        levels = self._pipeline.levels.report()
        choice = None if self._current is None else self._current.choice
        return Health(
            time_s=round(self._pipeline.frames * FRAME_SECONDS, 3),
            wall_ms=wall_ms(),
            clock_ok=clock_ok(),
            uptime_s=round(time.monotonic() - self._started, 3),
            frames_total=self._processed,
            xruns_total=self._capture.xruns + self._reader.overruns,
            rms_dbfs=None if levels.rms_dbfs is None else round(levels.rms_dbfs, 1),
            digital_silence=levels.digital_silence,
            last_frame_age_s=round(time.monotonic() - self._capture.last_block, 3),
            sessions_total=self._announcer.sessions,
            dropped_total=self._server.dropped,
            unacknowledged=self._server.unacknowledged,
            rss_bytes=resident_bytes(),
            cpu_s=round(cpu_seconds(), 3),
            slot="" if choice is None else choice.slot,
            release=0 if choice is None else choice.release,
            slot_problem=None if choice is None else choice.reason,
            missed_slot="" if self._current is None else self._current.named[0],
            missed_release=0 if self._current is None else self._current.named[1],
            overlay="" if self._overlaid is None else self._overlaid.word,
        )

    def _work(self) -> None:
        poll = select.poll()
        poll.register(self._capture.waker, select.POLLIN)
        while not self._stopping:
            if poll.poll(0 if self._reader.waiting >= BLOCK else _TURN_S * 1000):
                self._capture.waker.clear()
            self._hear()
            if self._capture.finished.is_set() and self._reader.waiting == 0:
                break
            self._look_around()
        # What has been said already counts, also when we are asked to end.
        self._capture.stop()
        while self._reader.waiting >= BLOCK:
            self._hear()
        try:
            events = self._pipeline.finish(self._pipeline.frames * FRAME_SECONDS)
        except Exception as error:
            self._recover(error)
        else:
            self._announce(events)

    def _hear(self) -> None:
        """Works on what is in the ring, but not for ever: sound may come as fast as it is heard."""
        for _ in range(_MOST_BLOCKS):
            block = self._reader.read()
            if block is None:
                return
            if self._reader.lost_samples != self._lost_samples:
                lost = self._reader.lost_samples - self._lost_samples
                self._lost_samples = self._reader.lost_samples
                _LOGGER.warning("%.2f s of sound were lost: too slow.", lost / SAMPLE_RATE)
                if self._keeper is not None:
                    self._keeper.reset()
                self._announce(self._pipeline.restart(lost // BLOCK))
            try:
                events = self._pipeline.process(block)
            except Exception as error:
                self._recover(error)
                continue
            self._processed += 1
            if self._keeper is not None:
                self._keeper.heard(
                    self._pipeline.words, events, self._reader.position, idle=self._pipeline.idle
                )
            if events:
                self._announce(events)

    def _recover(self, error: Exception) -> None:
        """One bad frame must not make the board deaf, nor swallow what was understood before it.

        A model that fails in every frame does not advance, and the watchdog notices.
        """
        self._failures += 1
        if self._failures in (1, 10, 100) or self._failures % 1000 == 0:
            _LOGGER.error("Inference failed (%d so far).", self._failures, exc_info=error)
        self._announce(self._pipeline.restart(lost_frames=1))

    def _announce(self, events: Sequence[SessionEvent]) -> None:
        behind = self._reader.waiting / SAMPLE_RATE if self._capture.paced else 0.0
        for event in events:
            age = max(0.0, time.monotonic() - self._capture.last_block) + behind
            message = self._announcer.message(event, age)
            self._server.send(message)
            # What was said is nobody's business but the peers': the log has only that it was.
            if isinstance(message, Wake):
                _LOGGER.info("Woken at %.2f s, score %.2f.", message.time_s, message.score)
            elif isinstance(message, Final) and message.endpoint is not None:
                _LOGGER.info("Result at %.2f s: %s.", message.time_s, message.endpoint.rule)

    def _look_around(self) -> None:
        now = time.monotonic()
        if self._watchdog.due(now, delivered=self._capture.blocks, processed=self._processed):
            self._notifier.alive()
        while not self._commands.empty():
            self._obey(self._commands.get_nowait())
        self._note_life()
        if self._current is not None:
            self._look_after(self._current)
        if self._overlaid is not None:
            self._look_after_overlay(self._overlaid)
        if now >= self._next_health:
            self._next_health = now + self._health_every_s
            self._server.send(self.health())
        self._report_trouble(now)

    def _note_life(self) -> None:
        if self._lives_at and self._processed >= self._lives_at:
            self._lives_at = 0
            for models in (self._current, self._overlaid):
                if models is not None:
                    models.lived()

    def _look_after(self, current: Current[Pipeline]) -> None:
        """Exchanges the models between two commands, because `link` says so."""
        if self._switch is None or not self._pipeline.idle:
            return
        command, self._switch = self._switch, None
        try:
            if not current.is_current():
                self._exchange(current.load, command.id)
        except BundleError as error:
            _LOGGER.error("[%s] %s: %s", command.id, type(error).__name__, error)
        health = self.health()
        self._server.send(health)
        self._server.send(Reply(id=command.id, ok=True, result=plain(health)))

    def _look_after_overlay(self, overlaid: Overlaid[Pipeline]) -> None:
        """Exchanges the models between two commands, because the overlay has passed its trial."""
        before = overlaid.word
        if overlaid.turn() and self._pipeline.idle:
            try:
                self._exchange(overlaid.rebuild, "overlay")
            except BundleError as error:
                _LOGGER.error("[overlay] %s: %s", type(error).__name__, error)
        if overlaid.word != before:
            self._server.send(self.health())

    def _exchange(self, load: Callable[[], Pipeline], why: str) -> None:
        began = time.monotonic()
        following = load()
        following.take_over(self._pipeline)
        self._pipeline = following
        self._lives_at = self._processed + _LIVED_FRAMES
        _LOGGER.info("[%s] Switched in %.2f s.", why, time.monotonic() - began)
        gc.unfreeze()
        gc.collect()
        gc.freeze()

    def _report_trouble(self, now: float) -> None:
        """One line when the microphone goes wrong, one when it is well again."""
        failure, trouble = self._capture.failure, None
        if failure is not None:
            trouble = failure
        elif now - self._capture.last_block > _STALE_S:
            trouble = "No sound arrives."
        elif self._capture.is_device and self._pipeline.levels.digital_silence:
            trouble = "Only digital silence arrives; is the microphone muted or unplugged?"
        if trouble == self._trouble:
            return
        self._trouble = trouble
        if trouble is None:
            _LOGGER.info("Sound arrives again.")
        elif failure is None:  # the capture has logged its own failure
            _LOGGER.warning("%s", trouble)
        self._notifier.status(trouble or "Listening.")

    def _obey(self, command: Command) -> None:
        if command.verb == "health":
            self._server.send(Reply(id=command.id, ok=True, result=plain(self.health())))
        elif command.verb == "switch" and self._current is not None:
            self._switch = command
        else:
            message = f"There is no command {command.verb!r}; there are health and ping."
            self._server.send(Reply(id=command.id, ok=False, message=message))
