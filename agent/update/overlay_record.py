"""What has become of an overlay over each release: one small record, kept by `listen`.

    memory = OverlayMemory(state / "overlay" / "record")
    known = memory.find(base, overlay) or Tried(base=base, overlay=overlay)
    memory.keep(dataclasses.replace(known, begun=known.begun + 1))

An overlay is tried once over each release. The pair is named by two hashes, the bundle digest of
the release and the SHA-256 of the overlay's file, so a new release or a changed overlay is tried
again, and nothing else is.
"""

from __future__ import annotations

import json
import logging
from dataclasses import dataclass, field
from pathlib import Path

from agent.records import RecordError, plain, read_record
from agent.update.record import PingPongRecord

_LOGGER = logging.getLogger(__name__)

MOST_BEGUN = 3
"""Trials that may lead to nothing; after that many nobody believes in accidents any more."""
MOST_STARTS = 2
"""Starts of `listen` in a row that may fail. One fewer than a release on probation has, see
`agent.update.starts`: whatever crashes, the overlay is given up first."""
_MOST_TRIED = 16
_SCHEMA = 1


@dataclass(frozen=True, kw_only=True)
class Tried:
    """An overlay over a release.

    Neither a result nor a reason: not known yet.
    """

    base: str
    """Bundle digest of the release."""
    overlay: str
    """SHA-256 of the overlay's file."""
    result: str = ""
    """Bundle digest of both together, once they have passed the trial."""
    reason: str = ""
    """Why it is not used; empty if it is."""
    begun: int = field(default=0, metadata={"minimum": 0})
    """Trials that were begun since it was last heard with."""
    starts: int = field(default=0, metadata={"minimum": 0})
    """Starts of `listen` with it in a row that did not live."""

    @property
    def against_use(self) -> str:
        """Why it must not be used, or nothing."""
        if not self.reason and self.starts >= MOST_STARTS:
            return f"`listen` was started {self.starts} times with it and never lived"
        return self.reason

    @property
    def against_trial(self) -> str:
        """Why it must not be tried, or nothing."""
        if not self.against_use and self.begun >= MOST_BEGUN:
            return f"its trial was begun {self.begun} times and led to nothing"
        return self.against_use


@dataclass(frozen=True, kw_only=True)
class _Memory:
    schema: int = _SCHEMA
    tried: tuple[Tried, ...] = ()
    """The latest at the end."""


class OverlayMemory:
    """Finds and keeps what is known.

    Args:
        path: Name of the record, without the ending of its copies.
    """

    def __init__(self, path: Path) -> None:
        self._record = PingPongRecord(path)

    def find(self, base: str, overlay: str) -> Tried | None:
        """What is known about a pair; None if nothing is."""
        return next((t for t in self._load() if (t.base, t.overlay) == (base, overlay)), None)

    def keep(self, tried: Tried) -> None:
        """Replaces what is known about a pair; durable when this returns.

        Raises:
            OSError: It cannot be written; what was known before holds.
        """
        pair = (tried.base, tried.overlay)
        others = [each for each in self._load() if (each.base, each.overlay) != pair]
        memory = _Memory(tried=(*others[1 - _MOST_TRIED :], tried))
        self._record.store(json.dumps(plain(memory)).encode())

    def _load(self) -> tuple[Tried, ...]:
        content = self._record.load()
        if content is None:
            return ()
        try:
            memory = read_record(_Memory, json.loads(content), unknown_keys=True)
        except (ValueError, RecursionError, RecordError) as error:
            _LOGGER.error("SlotError: the record of overlays makes no sense (%s).", error)
            return ()
        # Whoever comes back from a newer agent tries once more.
        return memory.tried if memory.schema == _SCHEMA else ()
