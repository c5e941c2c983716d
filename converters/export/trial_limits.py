"""The limits that a bundle carries for its trial, from what it does on its own self-test.

A board compares a release with the one in use. That says nothing where both are bad, or where the
self-test is too small for a comparison: then what the exporter measured holds, with some room.
"""

from __future__ import annotations

import math
from pathlib import Path

from agent.bundle.manifest import TrialEntry, load_bundle
from agent.update.selftest import Measured, run

_ROOM = 1.25
"""Factor on the errors: other processors round differently."""
_ROOM_PERMILLE = 20


def limits_of(measured: Measured) -> TrialEntry:
    """Limits that the measured bundle keeps with some room.

    Args:
        measured: what came out of its self-test.

    Returns:
        Word errors and missed wake words in permille, at most 1000 of the latter.
    """
    missed = sum(clip.missed for clip in measured.clips)
    return TrialEntry(
        word_errors=_with_room(measured.errors, measured.words),
        wake_misses=min(1000, _with_room(missed, len(measured.clips))),
    )


def measured_limits(bundle: Path) -> TrialEntry:
    """Runs the self-test of a bundle, as a board does."""
    loaded = load_bundle(bundle)
    return limits_of(run(loaded, loaded))


def _with_room(count: int, of: int) -> int:
    return math.ceil(1000 * count / max(of, 1) * _ROOM) + _ROOM_PERMILLE
