"""Updates as `link` sees them: it starts the updater, tells the broker, and has `listen` switch.

    watch = Watch(journal=..., child=..., schedule=..., hardware="rpi4", probation_s=3600)
    watch.note(health, boot_id)                      # what `listen` reports
    watch.turn(time.monotonic())
    watch.status()                                   # to be published when it changes
    watch.wanted_switch()                            # the transaction that `listen` must follow

Nothing is decided about releases here. The record says what must run; whatever `listen` runs
instead, without saying why, it is asked to switch. So it does not matter who changed the record,
when, or whether somebody was restarted meanwhile.
"""

from __future__ import annotations

import logging
import os
import time
from pathlib import Path
from typing import Any

from agent.config import Config
from agent.events import Health
from agent.update.child import UpdaterChild
from agent.update.heard import Heard, Hearing
from agent.update.journal import Journal, Record, Step
from agent.update.schedule import Schedule
from agent.update.status import running_release, status_of

_LOGGER = logging.getLogger(__name__)

_SWITCH_AGAIN_S = 10.0


class Watch:
    """Watches the record and the updater.

    Args:
        journal: The record.
        child: The updater.
        schedule: When it is started.
        hardware: This machine.
        probation_s: Clean hearing until a release is kept.
    """

    def __init__(
        self,
        *,
        journal: Journal,
        child: UpdaterChild,
        schedule: Schedule,
        hardware: str,
        probation_s: int,
    ) -> None:
        self._journal = journal
        self._child = child
        self._schedule = schedule
        self._hardware = hardware
        self._probation_s = probation_s
        self._hearing = Hearing()
        self._told = Heard()
        self._seen: tuple[object, ...] = ()
        self._record = Record()
        self._failed = ""
        self._switch_again = 0.0

    def note(self, health: Health, boot_id: str) -> None:
        """`listen` reports.

        Args:
            health: Its report.
            boot_id: Of that process.
        """
        if health.slot:
            self._hearing.note(health, boot_id)

    def deaf(self) -> None:
        """`listen` has gone; the next one says for itself what it runs."""
        self._switch_again = 0.0

    def check_now(self, now: float) -> tuple[bool, str]:
        """Somebody on the network wants a check.

        Returns:
            Whether there will be one, and the answer in words.
        """
        if self._child.running:
            return True, "A check is under way."
        wait_s = self._schedule.ask(now)
        if wait_s:
            return False, f"Checks are asked for too often; ask again in {wait_s:.0f} s."
        return True, "A check begins."

    def turn(self, now: float) -> None:
        """Looks at the record and at the updater, and starts it when it is time."""
        self._look()
        status = self._child.ended()
        if status is not None:
            self._seen = ()
            self._look()
            if status == 0:
                self._hearing.told(self._told)
            self._failed = "" if status == 0 else f"The updater ended with exit status {status}."
            unfinished = status != 0 or bool(self._record.trouble)
            self._schedule.ended(now, unfinished=unfinished)
        if self._to_settle():
            self._schedule.urge(now)
        else:
            self._schedule.calm()
        if not self._child.running and self._schedule.due(now):
            self._start(now)

    def status(self) -> dict[str, Any]:
        """What is to be told about updates."""
        told = status_of(self._record, self._hearing.so_far(), hardware=self._hardware)
        return told | {
            "trouble": told["trouble"] or self._failed or None,
            "overlay": self._hearing.overlay or None,
        }

    def wanted_switch(self, now: float) -> str | None:
        """The transaction that `listen` has not followed yet, to be sent; None if there is none."""
        heard, record = self._hearing.so_far(), self._record
        if not heard.slot or _missed(heard, record) or now < self._switch_again:
            return None
        if _follows(heard, record):
            return None
        self._switch_again = now + _SWITCH_AGAIN_S
        return record.transaction or "-"

    def close(self) -> None:
        """Ends the updater."""
        self._child.stop()

    def _start(self, now: float) -> None:
        self._told = self._hearing.so_far()
        self._schedule.started()
        try:
            self._child.start(self._told)
        except OSError as error:
            self._failed = f"The updater cannot be started ({error.strerror})."
            _LOGGER.error("UpdateError: %s", self._failed)
            self._schedule.ended(now, unfinished=True)

    def _to_settle(self) -> bool:
        """True if the updater has something to do that needs no network."""
        heard = self._hearing.so_far()
        if self._child.running or not heard.slot:
            return False
        if _missed(heard, self._record):
            return True
        left_s = self._probation_s - self._record.clean_s
        return self._record.step == Step.PROBATION and heard.clean_s >= max(left_s, 0) > 0

    def _look(self) -> None:
        seen = tuple(_stamp(path) for path in self._journal.files)
        if seen != self._seen:
            self._seen = seen
            self._record = self._journal.load()


def watch_updates(config: Config, file: Path | None, state: Path) -> Watch:
    """The watch of a board.

    Args:
        config: All settings.
        file: Where they are from, if a file was named.
        state: The state directory of `link`.
    """
    return Watch(
        journal=Journal(state / "update" / "journal"),
        child=UpdaterChild(state, file),
        schedule=Schedule(config.update.check_seconds, time.monotonic()),
        hardware=config.update.hardware,
        probation_s=config.update.probation_seconds,
    )


def _follows(heard: Heard, record: Record) -> bool:
    """True if `listen` runs what the record names."""
    if heard.slot != record.active:
        return False
    # Before the first check the record does not know the release of the factory slot.
    return heard.release == running_release(record) or record.factory_release == 0


def _missed(heard: Heard, record: Record) -> bool:
    """True if `listen` has tried to run what the record names and could not."""
    named = (record.active, running_release(record))
    return bool(heard.problem) and (heard.missed_slot, heard.missed_release) == named


def _stamp(path: os.PathLike[str]) -> object:
    try:
        status = os.stat(path)  # noqa: PTH116 - several times a second
    except OSError:
        return None
    return status.st_mtime_ns, status.st_ino, status.st_size
