"""What `listen` says about the slot it runs, added up by `link` until the updater is told.

    hearing = Hearing()
    hearing.note(health, boot_id)          # every report of `listen`
    heard = hearing.so_far()               # for the updater, as JSON on its standard input
    hearing.told(heard)                    # it has ended well, so these seconds are on record

`link` uses this, so nothing of a bundle is loaded here.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field, replace

from agent.errors import UpdateError
from agent.events import Health
from agent.records import RecordError, plain, read_record

LARGEST_HEARD = 4096  # bytes of JSON
_BLOCK_S = 0.04
_LONGEST_PROBLEM = 500  # characters


@dataclass(frozen=True, kw_only=True)
class Heard:
    """What `listen` says about the slot it runs."""

    slot: str = ""
    release: int = 0
    clean_s: int = field(default=0, metadata={"minimum": 0})
    """Seconds of hearing with this release since the updater was last told."""
    problem: str = ""
    """Why it does not run what the record named, or no longer can."""
    missed_slot: str = ""
    """What the record named then: another problem than that of the slot named now is no news."""
    missed_release: int = 0

    def as_json(self) -> bytes:
        """For the updater's standard input."""
        return json.dumps(plain(self), ensure_ascii=True).encode()


def read_heard(body: bytes) -> Heard:
    """The opposite of `Heard.as_json`.

    Raises:
        UpdateError: It is something else.
    """
    try:
        return read_record(Heard, json.loads(body), unknown_keys=True)
    except (ValueError, RecursionError, RecordError) as error:
        raise UpdateError(
            f"What `listen` says was not understood ({error}); start `link` and the updater from"
            " one installation."
        ) from error


class Hearing:
    """Adds reports up. Pure: only what it is told counts.

    Attributes:
        overlay: How the owner's overlay is; not for the updater, which has no part in it.
    """

    def __init__(self) -> None:
        self.overlay = ""
        self._heard = Heard()
        self._blocks = 0
        self._frames = 0
        self._boot_id = ""

    def note(self, health: Health, boot_id: str) -> None:
        """A report of `listen`.

        Args:
            health: The report.
            boot_id: Of the process that made it.
        """
        problem = (health.slot_problem or "")[:_LONGEST_PROBLEM]
        same = (self._heard.slot, self._heard.release) == (health.slot, health.release)
        if not same:
            self._blocks = 0
        elif boot_id == self._boot_id:
            # Sound that was heard, not time that passed: a dead microphone proves nothing.
            self._blocks += max(health.frames_total - self._frames, 0)
        self._boot_id, self._frames = boot_id, health.frames_total
        self.overlay = health.overlay[:_LONGEST_PROBLEM]
        self._heard = Heard(
            slot=health.slot,
            release=health.release,
            problem=problem,
            missed_slot=health.missed_slot,
            missed_release=health.missed_release,
        )

    def so_far(self) -> Heard:
        """Everything since the updater was last told."""
        return replace(self._heard, clean_s=int(self._blocks * _BLOCK_S))

    def told(self, heard: Heard) -> None:
        """The updater has put this on record."""
        if (heard.slot, heard.release) == (self._heard.slot, self._heard.release):
            self._blocks = max(self._blocks - round(heard.clean_s / _BLOCK_S), 0)
